"""Checks a finished export, as a stranger would: plain json, sqlite3 and hashlib.

It shares no code with what writes the export. What must be in it, the simulator tells. Rows are
read one by one, so that an export may be larger than memory.
"""

import gzip
import hashlib
import json
import shutil
import sqlite3
import tempfile
import uuid
from collections import Counter, defaultdict
from contextlib import closing, suppress
from pathlib import Path

from backports import zstd
from support.expected import FINAL, contents, possible

_OPEN = {"none": open, "gzip": gzip.open, "zstd": zstd.open}
_SUFFIX = {"none": "", "gzip": ".gz", "zstd": ".zst"}

_SETS = {
    "nested": {"records", "failures"},
    "tables": {"interactions", "scores", "segments", "failures"},
}

OF_EVERY_RECORD = ("interaction_id", "schema_version", "retrieved_at", "run_id")
"""What a record, and each row of a table, has beside the result."""


def assert_exact(directory, ids, scenario, *, invalid=(), beside=frozenset()):
    """Assert that a finished export of `ids` from a simulator is right to the last byte.

    Each distinct ID has its one verdict in the ledger; each `ok` has one record, with what the
    simulator made for that ID; all others are listed; the parts are what the ledger and the
    manifest say, and hold nothing else. The directory has no other files but `beside`. `invalid`
    are the distinct lines (short, printable) of the input that are no IDs. The last run has not
    been killed, any before it may have been.
    """
    directory = Path(directory)
    ledger = Ledger(directory)
    verdicts = _check_verdicts(ledger, ids, scenario, invalid)
    assert {part_set for part_set, *_ in ledger.parts} == _SETS[ledger.shape]
    _check_files(directory, ledger, beside)
    _check_manifest(directory, ledger, Counter(verdicts.values()))
    _check_failures(_rows(directory, ledger, "failures"), verdicts)
    wanted = {one: contents(scenario, one) for one in ids if verdicts[one] == "ok"}
    if ledger.shape == "nested":
        _check_nested(_rows(directory, ledger, "records"), wanted)
    else:
        _check_tables(directory, ledger, wanted)


class Ledger:
    """What a ledger says, read from a copy: `outcomes` by key, and all parts."""

    def __init__(self, directory):
        with tempfile.TemporaryDirectory() as scratch:
            for path in Path(directory).glob("ledger.sqlite*"):
                shutil.copy(path, scratch)
            with closing(sqlite3.connect(Path(scratch) / "ledger.sqlite")) as database:
                assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                form = "SELECT shape, compression FROM export"
                self.shape, self.compression = database.execute(form).fetchone()
                outcomes = database.execute("SELECT key, verdict FROM outcome").fetchall()
                parts = "SELECT set_name, number, bytes, records, sha256, sealed FROM part"
                self.parts = database.execute(f"{parts} ORDER BY set_name, number").fetchall()
                self.runs = dict(database.execute("SELECT number, run_id FROM run").fetchall())
                added = "SELECT set_name, number, run FROM added"
                self.added = {row[:2]: self.runs[row[2]] for row in database.execute(added)}
        self.outcomes = dict(outcomes)
        assert len(outcomes) == len(self.outcomes)

    def name(self, part_set, number, sealed):
        final = f"{part_set}-{number:06d}.jsonl{_SUFFIX[self.compression]}"
        return final if sealed else f"{final}.open"


def size_of_parts(directory):
    size = 0
    for path in directory.glob("*.jsonl*"):
        with suppress(FileNotFoundError):  # renamed under our eyes
            size += path.stat().st_size
    return size


def committed_size_of_parts(directory):
    return sum(size for _, _, size, _, _, _ in Ledger(directory).parts)


def _check_verdicts(ledger, ids, scenario, invalid):
    """Return the verdict of each ID and each invalid line."""
    keys = {one: uuid.UUID(one).bytes for one in ids}
    refused = [v for key, v in ledger.outcomes.items() if len(key) == 17 and key[:1] == b"!"]
    assert refused == ["invalid_id"] * len(invalid), "the ledger has other refused lines"
    asked = set(ledger.outcomes) & set(keys.values())
    assert asked == set(keys.values()), "the ledger lacks IDs of the input"
    assert len(asked) + len(refused) == len(ledger.outcomes), "the ledger has other IDs"
    verdicts = {one: ledger.outcomes[key] for one, key in keys.items()}
    wrong = {one: v for one, v in verdicts.items() if v not in possible(scenario, one)}
    assert not wrong, f"{len(wrong)} IDs have a wrong verdict: {list(wrong.items())[:5]} ..."
    return verdicts | dict.fromkeys(invalid, "invalid_id")


def _rows(directory, ledger, part_set):
    """Yield all rows of a set, and hold each part of it against the ledger on the way."""
    for of_set, number, size, records, sha256, sealed in ledger.parts:
        if of_set != part_set or not (size or sealed):
            continue
        assert sealed, "a finished run leaves no part open"
        name = ledger.name(part_set, number, sealed)
        with (directory / name).open("rb") as file:
            there = hashlib.file_digest(file, "sha256").hexdigest()
            assert file.tell() == size, f"{name} has {file.tell()} bytes, the ledger {size}"
        assert there == sha256, f"{name} is not what was committed"
        lines = 0
        with _OPEN[ledger.compression](directory / name, "rb") as file:
            for lines, line in enumerate(file, 1):  # noqa: B007 - counted for below
                assert line.endswith(b"\n"), f"{name} ends with a torn line"
                yield json.loads(line)
        assert lines == records, f"{name} has {lines} lines, the ledger {records}"


def _check_files(directory, ledger, beside):
    files, empty = set(), set()
    for part_set, number, size, _, _, sealed in ledger.parts:
        (files if size or sealed else empty).add(ledger.name(part_set, number, sealed))
    empty = {name for name in empty if (directory / name).exists()}
    assert all((directory / name).stat().st_size == 0 for name in empty)
    there = {path.name for path in directory.iterdir()}
    wanted = files | beside | {".lock", "ledger.sqlite", "manifest.json"}
    assert there - empty == wanted, f"these files differ: {(there - empty) ^ wanted}"
    without_part = _SETS[ledger.shape] - {part[0] for part in ledger.parts if part[5]}
    assert not without_part, f"a loader finds no file of {without_part}"


def _check_manifest(directory, ledger, verdicts):
    manifest = json.loads((directory / "manifest.json").read_text())
    assert manifest["parts"] == [
        {
            "file": ledger.name(part_set, number, sealed),
            "set": part_set,
            "bytes": size,
            "records": records,
            "sha256": sha256,
            "run_id": ledger.added[part_set, number],
        }
        for part_set, number, size, records, sha256, sealed in ledger.parts
        if sealed
    ]
    assert manifest["released_parts"] == []
    assert manifest["verdicts"] == verdicts
    assert manifest["last_run"]["ended"] == "finished"
    assert manifest["last_run"]["adds_up"] is True


def _check_failures(failures, verdicts):
    listed, last = Counter(), {}
    for row in failures:
        assert row["reason"], f"{row['interaction_id']} is listed without a reason"
        listed[row["interaction_id"], row["verdict"]] += 1
        last[row["interaction_id"]] = row["verdict"]
    for (one, verdict), times in listed.items():
        # A verdict that the next run retries may be listed by each of them.
        right = verdict not in FINAL or (verdict, times) == (verdicts[one], 1)
        assert right, f"{one} is listed {times} times as {verdict}"
    assert set(last) <= set(verdicts), "IDs are listed that the input does not have"
    missing = [one for one, what in verdicts.items() if what not in ("ok", last.get(one))]
    assert not missing, f"{len(missing)} IDs without a record are not listed: {missing[:5]} ..."


def _check_nested(records, wanted):
    there = set()
    for record in records:
        one = record["interaction_id"]
        assert one not in there, f"{one} has more than one record"
        there.add(one)
        assert one in wanted, f"{one} has a record, but is not ok"
        content = {key: record[key] for key in record if key not in OF_EVERY_RECORD}
        assert content in wanted[one], f"{one} has a record that is not its own"
    assert there == set(wanted), f"{len(set(wanted) - there)} IDs are ok, but have no record"


def _check_tables(directory, ledger, wanted):
    there = Counter(row["interaction_id"] for row in _rows(directory, ledger, "interactions"))
    twice = [one for one, times in there.items() if times > 1]
    assert not twice, f"{len(twice)} IDs have more than one record"
    assert set(there) == set(wanted)
    scores = _by_id(_rows(directory, ledger, "scores"))
    segments = _by_id(_rows(directory, ledger, "segments"))
    assert set(scores) | set(segments) <= set(wanted)
    for one, results in wanted.items():
        assert any(_is_in_tables(one, result, scores, segments) for result in results)


def _is_in_tables(one, result, scores, segments):
    return [_own(row) for row in scores[one]] == [
        {
            "participant": participant,
            "bundle": bundle["name"],
            "bundle_index": bundle_index,
            "model": model["name"],
            "model_index": model_index,
            **{key: value for key, value in model.items() if key != "name"},
            "band": None,
            "extra": None,
        }
        for participant, content in result.items()
        if participant != "extra"
        for bundle_index, bundle in enumerate(content["enlighten_bundles"])
        for model_index, model in enumerate(bundle["models"])
    ] and [_own(row) for row in segments[one]] == [
        {"participant": participant, "segment_index": index, **segment, "extra": None}
        for participant, content in result.items()
        if participant != "extra"
        for index, segment in enumerate(content["voice_activity_segments"] or ())
    ]


def _own(row):
    """Return what a row of a table has beside the columns of every row."""
    return {key: value for key, value in row.items() if key not in OF_EVERY_RECORD}


def _by_id(rows):
    found = defaultdict(list)
    for row in rows:
        found[row["interaction_id"]].append(row)
    return found
