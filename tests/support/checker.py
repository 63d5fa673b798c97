"""Checks a finished export, as a stranger would: plain json, sqlite3 and hashlib.

It shares no code with what writes the export. What must be in it, the simulator tells.
"""

import gzip
import hashlib
import json
import re
import shutil
import sqlite3
import tempfile
import uuid
from collections import Counter, defaultdict
from contextlib import closing
from pathlib import Path

from backports import zstd

from worker.simulator import Kind, expected_result, fate

_UNPACK = {"none": bytes, "gzip": gzip.decompress, "zstd": zstd.decompress}
_SUFFIX = {"none": "", "gzip": ".gz", "zstd": ".zst"}

_VERDICT = {
    Kind.MISSING: "not_found",
    Kind.FAILED: "processing_failed",
    Kind.BROKEN: "exhausted",
    Kind.GARBLED: "bad_body",
}
_ASKED_AGAIN = {"exhausted", "not_ready", "corrupt_body"}

_SETS = {
    "nested": {"records", "failures"},
    "tables": {"interactions", "scores", "segments", "failures"},
}

_OF_EVERY_RECORD = ("interaction_id", "schema_version", "retrieved_at")


def assert_exact(directory, ids, scenario, *, beside=frozenset()):
    """Assert that a finished export of `ids` from a simulator is right to the last byte.

    Each distinct ID has its one verdict in the ledger; each `ok` has one record, with what the
    simulator made for that ID; all others are listed; the parts are what the ledger and the
    manifest say, and hold nothing else. The directory has no other files but `beside`.
    """
    directory = Path(directory)
    verdicts = {one: _VERDICT.get(fate(scenario, one).kind, "ok") for one in ids}
    ledger = Ledger(directory)
    assert ledger.outcomes == {uuid.UUID(one).bytes: verdict for one, verdict in verdicts.items()}
    rows, files = _read_parts(directory, ledger)
    assert set(rows) == _SETS[ledger.shape]
    _check_files(directory, ledger, files | beside)
    _check_manifest(directory, ledger, Counter(verdicts.values()))
    _check_failures(rows["failures"], verdicts)
    wanted = {
        one: _in_snake_case(expected_result(scenario, one))
        for one, verdict in verdicts.items()
        if verdict == "ok"
    }
    if ledger.shape == "nested":
        _check_nested(rows["records"], wanted)
    else:
        _check_tables(rows, wanted)


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
        self.outcomes = dict(outcomes)
        assert len(outcomes) == len(self.outcomes)

    def name(self, part_set, number, sealed):
        final = f"{part_set}-{number:06d}.jsonl{_SUFFIX[self.compression]}"
        return final if sealed else f"{final}.open"


def _read_parts(directory, ledger):
    """Return all rows by set, and the names of the files that they are from."""
    rows, files = defaultdict(list), set()
    for part_set, number, size, records, sha256, sealed in ledger.parts:
        of_set = rows[part_set]
        if not size:
            continue
        assert sealed, "a finished run leaves no part open"
        name = ledger.name(part_set, number, sealed)
        files.add(name)
        content = (directory / name).read_bytes()
        assert len(content) == size, f"{name} has {len(content)} bytes, the ledger {size}"
        assert hashlib.sha256(content).hexdigest() == sha256, f"{name} is not what was committed"
        text = _UNPACK[ledger.compression](content).decode()
        assert text.endswith("\n"), f"{name} ends with a torn line"
        lines = text[:-1].split("\n")
        assert len(lines) == records
        of_set += map(json.loads, lines)
    return rows, files


def _check_files(directory, ledger, files):
    empty = {
        name
        for part_set, number, size, _, _, sealed in ledger.parts
        if not size and (directory / (name := ledger.name(part_set, number, sealed))).exists()
    }
    assert all((directory / name).stat().st_size == 0 for name in empty)
    there = {path.name for path in directory.iterdir()}
    assert there - empty == files | {".lock", "ledger.sqlite", "manifest.json"}


def _check_manifest(directory, ledger, verdicts):
    manifest = json.loads((directory / "manifest.json").read_text())
    assert manifest["parts"] == [
        {
            "file": ledger.name(part_set, number, sealed),
            "set": part_set,
            "bytes": size,
            "records": records,
            "sha256": sha256,
        }
        for part_set, number, size, records, sha256, sealed in ledger.parts
        if size
    ]
    assert manifest["verdicts"] == verdicts
    assert manifest["last_run"]["ended"] == "finished"
    assert manifest["last_run"]["adds_up"] is True


def _check_failures(failures, verdicts):
    listed = Counter((row["interaction_id"], row["verdict"]) for row in failures)
    for (one, verdict), times in listed.items():
        # A verdict that the next run takes up again may be listed by each of them.
        assert verdict in _ASKED_AGAIN or (verdict, times) == (verdicts[one], 1)
    missing = {(one, verdict) for one, verdict in verdicts.items() if verdict != "ok"}
    assert missing <= set(listed)


def _check_nested(records, wanted):
    _assert_once_each(records, wanted)
    for record in records:
        result = wanted[record["interaction_id"]]
        assert {key: record[key] for key in record if key not in _OF_EVERY_RECORD} == result


def _check_tables(rows, wanted):
    _assert_once_each(rows["interactions"], wanted)
    scores, segments = _by_id(rows["scores"]), _by_id(rows["segments"])
    assert set(scores) | set(segments) <= set(wanted)
    for one, result in wanted.items():
        assert scores[one] == [
            {
                "interaction_id": one,
                "participant": participant,
                "bundle": bundle["name"],
                "bundle_index": bundle_index,
                "model": model["name"],
                "model_index": model_index,
                **{key: value for key, value in model.items() if key != "name"},
            }
            for participant, content in result.items()
            for bundle_index, bundle in enumerate(content["enlighten_bundles"])
            for model_index, model in enumerate(bundle["models"])
        ]
        assert segments[one] == [
            {
                "interaction_id": one,
                "participant": participant,
                "segment_index": index,
                **segment,
            }
            for participant, content in result.items()
            for index, segment in enumerate(content["voice_activity_segments"] or ())
        ]


def _assert_once_each(records, wanted):
    there = Counter(record["interaction_id"] for record in records)
    twice = [one for one, times in there.items() if times > 1]
    assert not twice, f"{len(twice)} IDs have more than one record"
    assert set(there) == set(wanted)


def _by_id(rows):
    found = defaultdict(list)
    for row in rows:
        found[row["interaction_id"]].append(row)
    return found


def _in_snake_case(value):
    match value:
        case dict():
            return {
                re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", key): _in_snake_case(
                    content
                )
                for key, content in value.items()
            }
        case list():
            return [_in_snake_case(content) for content in value]
        case _:
            return value
