"""The checker of the cluster's soak sees what is wrong: else its silence would say nothing."""

import hashlib
import json
import uuid

import pytest
from support import cluster_checker
from support.cluster_checker import Exported
from support.expected import contents, wanted

from cxai.simulator import Scenario

SCENARIO = Scenario(missing=0.3)


class Export:
    """An export of a cluster, in memory: rows of its tables, and objects by name."""

    def __init__(self):
        ids = [str(uuid.UUID(int=number, version=4)) for number in range(20)]
        self.ids = ids
        codes = {"ok": 1, "not_found": 2}
        self.items = {uuid.UUID(one).bytes: codes[wanted(SCENARIO, one)] for one in ids}
        self.blocks = 0
        self.objects = []
        self.files = {}
        for number, some in enumerate((ids[:10], ids[10:]), 1):
            self.add("records", number, [record(one) for one in some if self.is_ok(one)])
            self.add("failures", number, [failure(one) for one in some if not self.is_ok(one)])
        parts = [
            {"file": name(row), "bytes": row[4], "records": row[3], "sha256": row[5].hex()}
            for row in self.objects
        ]
        self.files["manifest.json"] = json.dumps({"parts": parts}).encode()

    def is_ok(self, one):
        return wanted(SCENARIO, one) == "ok"

    def add(self, part_set, number, lines):
        data = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        hashed = hashlib.sha256(data).digest()
        row = (
            part_set,
            number,
            f"_pending/7-{number}-{part_set}",
            len(lines),
            len(data),
            hashed,
            True,
        )
        self.objects.append(row)
        self.files[name(row)] = data

    def rewrite(self, index, change):
        """Replace the lines of an object, and its row with them."""
        part_set, number, *_ = self.objects.pop(index)
        lines = self.files[name((part_set, number))].splitlines()
        self.add(part_set, number, change([json.loads(line) for line in lines]))

    def execute(self, statement, search_path):
        assert search_path == "cxai_nightly,cxai"
        return {
            "SELECT lines, duplicates FROM export": [(20, 0)],
            "SELECT count(*) FROM block": [(self.blocks,)],
            cluster_checker.CODE_BY_KEY: list(self.items.items()),
            cluster_checker.OBJECTS: sorted(self.objects, key=lambda row: (row[1], row[0])),
        }[statement]

    def names(self):
        return set(self.files)

    def read(self, name):
        return self.files[name]

    def problems(self):
        return list(Exported(self, "nightly", self, "none").problems(self.ids, SCENARIO))


def name(row):
    return f"{row[0]}/{row[0]}-{row[1]:09d}.jsonl"


def record(one):
    return {
        "interaction_id": one, "schema_version": 2, "retrieved_at": "", "run_id": "",
        **contents(SCENARIO, one)[0],
    }  # fmt: skip


def failure(one):
    return {"interaction_id": one, "verdict": "not_found"}


def test_an_export_that_is_right_has_no_problems():
    assert Export().problems() == []


def lose_an_id(export):
    del export.items[uuid.UUID(export.ids[0]).bytes]


def leave_an_id_open(export):
    export.items[uuid.UUID(export.ids[0]).bytes] = None


def leave_a_block(export):
    export.blocks = 1


def give_another_verdict(export):
    ok = next(one for one in export.ids if export.is_ok(one))
    export.items[uuid.UUID(ok).bytes] = 2


def add_an_id(export):
    export.items[uuid.uuid4().bytes] = 1


def write_a_record_twice(export):
    export.rewrite(0, lambda lines: [*lines, lines[0]])


def write_another_record(export):
    export.rewrite(0, lambda lines: [{**lines[0], "participant_one": None}, *lines[1:]])


def drop_a_record(export):
    export.rewrite(0, lambda lines: lines[1:])


def list_a_failure_twice(export):
    export.rewrite(1, lambda lines: [*lines, lines[0]])


def drop_a_failure(export):
    export.rewrite(1, lambda lines: lines[1:])


def damage_an_object(export):
    export.files[name(export.objects[0])] += b" "


def cut_a_line(export):
    part_set, number, *_ = export.objects.pop(0)
    data = export.files[name((part_set, number))][:-1]
    row = (part_set, number, "_pending/7", 0, len(data), hashlib.sha256(data).digest(), True)
    export.objects.append(row)
    export.files[name(row)] = data


def lose_an_object(export):
    del export.files[name(export.objects[0])]


def leave_an_object_unpublished(export):
    export.objects[0] = (*export.objects[0][:-1], False)


def write_a_strange_object(export):
    export.files["records/records-000000009.jsonl"] = b""


def skip_a_number(export):
    export.add("records", 4, [])


def lose_the_manifest(export):
    del export.files["manifest.json"]


def write_an_old_manifest(export):
    export.files["manifest.json"] = b'{"parts": []}'


@pytest.mark.parametrize(
    ("harm", "seen"),
    [
        (lose_an_id, "1 IDs are lost"),
        (leave_an_id_open, "1 IDs have no verdict"),
        (leave_a_block, "1 blocks are left in the queue"),
        (give_another_verdict, "1 IDs have a wrong verdict"),
        (add_an_id, "1 IDs are not of the input"),
        (write_a_record_twice, "1 IDs have more than one record"),
        (write_another_record, "1 records are not what the API sent"),
        (drop_a_record, "1 IDs are ok and have no record"),
        (list_a_failure_twice, "1 IDs are listed more than once with a final verdict"),
        (drop_a_failure, "1 IDs without a record are not listed"),
        (damage_an_object, "records/records-000000001.jsonl is not what was committed"),
        (cut_a_line, "records/records-000000001.jsonl has not as many whole lines"),
        (lose_an_object, "records/records-000000001.jsonl is missing"),
        (leave_an_object_unpublished, "1 committed objects are not published"),
        (write_a_strange_object, "1 objects were never committed"),
        (skip_a_number, "the numbers of the objects have gaps"),
        (lose_the_manifest, "there is no manifest"),
        (write_an_old_manifest, "the manifest differs in 4 parts"),
    ],
)
def test_whatever_is_wrong_is_named(harm, seen):
    export = Export()
    harm(export)
    assert [problem for problem in export.problems() if problem.startswith(seen)]
