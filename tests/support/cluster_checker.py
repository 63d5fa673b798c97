"""Checks what a cluster has exported, as a stranger would: plain SQL, json, zstandard and hashlib.

It shares no code with what writes the export. What must be in it, the simulator says.
"""

import gzip
import hashlib
import json
import uuid
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from backports import zstd
from support.checker import OF_EVERY_RECORD
from support.expected import FINAL, contents, possible

CODE_BY_KEY = "SELECT key, verdict FROM item"
OBJECTS = """
    SELECT set, no, pending, records, bytes, sha256, published FROM object ORDER BY no, set
"""

VERDICTS = (
    *(None, "ok", "not_found", "not_ready", "processing_failed", "invalid_id", "rejected"),
    *("bad_body", "corrupt_body", "unsupported_encoding", "too_large", "redirected", "exhausted"),
    "poison",
)
"""Verdicts by the codes that the tables have."""

PENDING = "_pending/"
SUFFIX = {"none": "", "gzip": ".gz", "zstd": ".zst"}
PLAIN = {"none": bytes, "gzip": gzip.decompress, "zstd": zstd.decompress}


class Volume:
    """Objects as files below a directory."""

    def __init__(self, root):
        self._root = Path(root)

    def names(self):
        files = (path for path in self._root.rglob("*") if path.is_file())
        return {str(path.relative_to(self._root)) for path in files}

    def read(self, name):
        return (self._root / name).read_bytes()


class Bucket:
    """Objects of an S3 endpoint below a prefix."""

    def __init__(self, endpoint, bucket, prefix):
        import boto3  # noqa: PLC0415 - takes half a second, and only this needs it

        self._s3 = boto3.client("s3", endpoint_url=endpoint)
        self._bucket, self._prefix = bucket, f"{prefix}/"

    def names(self):
        pages = self._s3.get_paginator("list_objects_v2")
        listed = pages.paginate(Bucket=self._bucket, Prefix=self._prefix)
        found = (one["Key"] for page in listed for one in page.get("Contents", ()))
        return {key.removeprefix(self._prefix) for key in found}

    def read(self, name):
        return self._s3.get_object(Bucket=self._bucket, Key=self._prefix + name)["Body"].read()


@dataclass(frozen=True)
class Row:
    """An object, as the commit log has it."""

    set: str
    number: int
    pending: str
    records: int
    size: int
    sha256: bytes
    published: bool
    compression: str

    @property
    def name(self):
        return f"{self.set}/{self.set}-{self.number:09d}.jsonl{SUFFIX[self.compression]}"


class Exported:
    """An export of a cluster: what its tables say, and what its objects hold."""

    def __init__(self, database, export, store, compression):
        self._store = store
        self.compression = compression

        def rows(statement):
            return database.execute(statement, search_path=f"cxai_{export},cxai")

        ((self.lines, self.duplicates),) = rows("SELECT lines, duplicates FROM export")
        self.outcomes = {bytes(key): VERDICTS[code or 0] for key, code in rows(CODE_BY_KEY)}
        self.blocks = rows("SELECT count(*) FROM block")[0][0]
        self.log = [Row(*row, compression) for row in rows(OBJECTS)]
        self.names = store.names()

    @cached_property
    def orphans(self):
        """The objects that were written and never committed."""
        committed = {row.pending for row in self.log}
        return {name for name in self.names if name.startswith(PENDING)} - committed

    def manifest(self):
        return json.loads(self._store.read("manifest.json"))

    def problems(self, ids, scenario, invalid=()):
        """Yield what is not as it has to be, each a sentence."""
        yield from self._problems_of_objects()
        yield from self._problems_of_outcomes(ids, scenario, invalid)
        if not (damaged := list(self._damage())):
            yield from self._problems_of_records(ids, scenario)
            yield from self._problems_of_failures()
        yield from damaged
        yield from self._problems_of_manifest()

    def _problems_of_objects(self):
        there = {name for name in self.names if not name.startswith(PENDING)} - {
            "manifest.json",
            "export.json",
        }
        committed = {row.name for row in self.log}
        if strange := there - committed:
            yield f"{len(strange)} objects were never committed: {_some(strange)}"
        if hidden := [row.name for row in self.log if not row.published]:
            yield f"{len(hidden)} committed objects are not published: {_some(hidden)}"
        numbers = {row.number for row in self.log}
        if numbers != set(range(1, len(numbers) + 1)):
            yield "the numbers of the objects have gaps"

    def _damage(self):
        for row in self.log:
            if row.name not in self.names:
                yield f"{row.name} is missing"
                continue
            data = self._store.read(row.name)
            if (len(data), hashlib.sha256(data).digest()) != (row.size, row.sha256):
                yield f"{row.name} is not what was committed"
            elif [line[-1:] for line in self._lines(row)] != [b"\n"] * row.records:
                yield f"{row.name} has not as many whole lines as were committed"

    def _lines(self, row):
        data = PLAIN[self.compression](self._store.read(row.name))
        return data.splitlines(keepends=True)

    def _rows(self, part_set):
        """Yield all lines of a set in the order in which they were committed."""
        for row in self.log:
            if row.set == part_set:
                yield from map(json.loads, self._lines(row))

    def _problems_of_outcomes(self, ids, scenario, invalid):
        keys = {uuid.UUID(one).bytes: one for one in ids}
        refused = {key for key in self.outcomes if len(key) == 17 and key[:1] == b"!"}
        if lost := set(keys) - set(self.outcomes):
            yield f"{len(lost)} IDs are lost: {_some(keys[key] for key in lost)}"
        if others := set(self.outcomes) - set(keys) - refused:
            yield f"{len(others)} IDs are not of the input"
        if len(refused) != len(invalid):
            yield f"{len(refused)} lines are invalid, instead of {len(invalid)}"
        if open_ids := [key for key, verdict in self.outcomes.items() if verdict is None]:
            yield f"{len(open_ids)} IDs have no verdict"
        if self.blocks:
            yield f"{self.blocks} blocks are left in the queue"
        wrong = {
            one: self.outcomes[key]
            for key, one in keys.items()
            if self.outcomes.get(key) not in {None, "poison", *possible(scenario, one)}
        }
        if wrong:
            yield f"{len(wrong)} IDs have a wrong verdict: {_some(wrong.items())}"

    def _problems_of_records(self, ids, scenario):
        records = Counter()
        odd = []
        for record in self._rows("records"):
            one = record["interaction_id"]
            records[one] += 1
            content = {key: record[key] for key in record if key not in OF_EVERY_RECORD}
            if content not in contents(scenario, one):
                odd.append(one)
        if odd:
            yield f"{len(odd)} records are not what the API sent: {_some(odd)}"
        if twice := [one for one, times in records.items() if times > 1]:
            yield f"{len(twice)} IDs have more than one record: {_some(twice)}"
        ok = {one for one in ids if self.outcomes.get(uuid.UUID(one).bytes) == "ok"}
        if without := ok - set(records):
            yield f"{len(without)} IDs are ok and have no record: {_some(without)}"
        if beyond := set(records) - ok:
            yield f"{len(beyond)} IDs have a record and are not ok: {_some(beyond)}"

    def _problems_of_failures(self):
        last, final = {}, Counter()
        for row in self._rows("failures"):
            key = _key(row["interaction_id"])
            last[key] = row["verdict"]
            final[key] += row["verdict"] in FINAL
        guids = {key: verdict for key, verdict in self.outcomes.items() if len(key) == 16}
        unlisted = [
            key for key, verdict in guids.items() if verdict not in {"ok", None, last.get(key)}
        ]
        if unlisted:
            yield f"{len(unlisted)} IDs without a record are not listed with their verdict"
        if twice := [key for key, times in final.items() if times > 1]:
            yield f"{len(twice)} IDs are listed more than once with a final verdict"
        if wrong := [key for key in final if final[key] and guids.get(key) == "ok"]:
            yield f"{len(wrong)} IDs are ok, and listed with a final verdict"

    def _problems_of_manifest(self):
        if "manifest.json" not in self.names:
            yield "there is no manifest"
            return
        listed = {
            (part["file"], part["bytes"], part["records"], part["sha256"])
            for part in self.manifest()["parts"]
        }
        committed = {(row.name, row.size, row.records, row.sha256.hex()) for row in self.log}
        if listed != committed:
            yield f"the manifest differs in {len(listed ^ committed)} parts from the commit log"


def _key(interaction_id):
    """Return the key of a GUID; a line that is none stands for itself."""
    try:
        return uuid.UUID(interaction_id).bytes
    except ValueError:
        return interaction_id


def _some(things):
    return f"{sorted(map(str, things))[:3]} ..."
