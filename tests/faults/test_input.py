"""Input that is not what it seems: listed and never sent, or read as it was meant."""

import json

import pytest
from support.bodies import as_body, sample
from support.checker import assert_exact
from support.command import rows
from support.leftovers import SCENARIO, go_on
from support.raw_server import RawServer, response
from support.serving import serving

from worker.simulator import Kind, fate

GUID = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"

NO_IDS = [
    b"..",
    b"../../v1/secrets",
    b"%2e%2e",
    b"a/b",
    f"{GUID}/../x".encode(),
    b"?",
    f"{GUID}?x=1".encode(),
    b"a#b",
    f"{GUID}#".encode(),
    b"a\0b",
    f"{GUID}\0".encode(),
    f"{GUID}\rX".encode(),
    b"\xff\xfe\xfa",
    b"\xed\xa0\x80",
    f"{GUID}\N{NO-BREAK SPACE}".encode(),
    f"{GUID}\N{LINE SEPARATOR}".encode(),
    "\N{ARABIC-INDIC DIGIT THREE}".encode() + GUID[1:].encode(),
    b"x" * 9_000,
    b"x" * 100_000,
]
"""Lines of a text file."""

NO_CELLS = [
    *(no_id for no_id in NO_IDS if b"\r" not in no_id),
    f'"{GUID}\r\n"'.encode(),
    f'"{GUID}\n"'.encode(),
    f'"\n{GUID}"'.encode(),
    f'"{GUID[:8]}\r\n{GUID[8:]}"'.encode(),
    f'"{GUID}"X'.encode(),
]
"""Cells of a CSV file, as they stand there."""


def run(export, tmp_path, name, content, *arguments):
    """Run the command on one file; return how it ended, its summary and all requests."""
    (tmp_path / name).write_bytes(content)
    server = RawServer([response(as_body(sample()))])
    with serving(server) as api:
        ended = go_on(api, export, [], tmp_path / name, "--json", *arguments)
    return ended, json.loads(ended.out), server.requests


@pytest.mark.promise(
    "`..`, `%2e%2e`, `a/b`, `?`, `#`, NUL, other alphabets, invalid UTF-8, a line of 9 kB or more",
    "`invalid_id` with file and line number; no request is sent, and the lines around it count",
)
@pytest.mark.parametrize("pattern", [[], ["--id-pattern", "(?s).*"]], ids=["GUIDs", "any pattern"])
def test_a_line_that_is_no_id_is_listed_and_never_sent(export, tmp_path, guids, pattern):
    good = [one.encode() for one in guids(len(NO_IDS))]
    lines = [line for pair in zip(good, NO_IDS, strict=True) for line in pair]
    ended, told, requests = run(export, tmp_path, "ids.txt", b"\n".join(lines), *pattern)
    assert ended.code == 1
    assert (told["verdicts"], told["invalid"]) == ({"ok": len(good)}, len(NO_IDS))
    failures = rows(export, "failures")
    assert {row["verdict"] for row in failures} == {"invalid_id"}
    assert sorted(row["line"] for row in failures) == list(range(2, 2 * len(NO_IDS) + 1, 2))
    paths = [request.split(" ")[1] for request in requests]
    assert sorted(paths) == sorted(f"/v1/interactions/{one.decode()}/ai" for one in good)


@pytest.mark.promise(
    "The same, and a line break, in a cell of a CSV file", "`invalid_id`; no request is sent"
)
def test_a_cell_that_is_no_id_is_listed_and_never_sent(export, tmp_path, guids):
    good = [one.encode() for one in guids(len(NO_CELLS))]
    cells = [cell for pair in zip(good, NO_CELLS, strict=True) for cell in pair]
    content = b"n,interaction_id,x\n" + b"".join(b'"a, b",%b,c\n' % cell for cell in cells)
    ended, told, requests = run(export, tmp_path, "calls.csv", content)
    assert ended.code == 1
    assert (told["verdicts"], told["invalid"]) == ({"ok": len(good)}, len(NO_CELLS))
    paths = [request.split(" ")[1] for request in requests]
    assert sorted(paths) == sorted(f"/v1/interactions/{one.decode()}/ai" for one in good)


@pytest.mark.promise(
    "A byte order mark, CRLF, blank lines, comments, white space, no final newline",
    "no part of an ID; each line is accounted for in the summary",
)
@pytest.mark.promise("The same ID twice, or in other case", "one request, one record, counted")
def test_every_line_is_accounted_for_and_each_distinct_id_is_asked_once(export, tmp_path, guids):
    ids = guids(4)
    lines = [
        "# calls of March", ids[0], "", ids[1], f"  {ids[2]}\t", ids[0], ids[1].upper(), "   ",
        "# end", ids[3], ids[3],
    ]  # fmt: skip
    content = b"\xef\xbb\xbf" + "\r\n".join(lines).encode()
    ended, told, requests = run(export, tmp_path, "ids.txt", content)
    assert ended.code == 0
    assert [told[name] for name in ("lines", "duplicates", "blanks", "comments", "invalid")] == [
        11, 3, 2, 2, 0,
    ]  # fmt: skip
    assert (told["verdicts"], told["adds_up"]) == ({"ok": 4}, True)
    assert len(requests) == 4
    assert sorted(row["interaction_id"] for row in rows(export)) == sorted(ids)


@pytest.mark.promise(
    "The input file is changed between two runs",
    "IDs that are new are asked, those that are settled never again, in whatever order they stand",
)
def test_an_input_that_changed_between_runs_costs_only_what_is_new(api, export, ids, tmp_path):
    path = tmp_path / "ids.txt"
    path.write_text("\n".join(ids[:30]))
    assert go_on(api, export, [], path).code == 0
    path.write_text("\n".join(reversed(ids[20:])))
    before = api.stats.requests
    assert go_on(api, export, [], path).code == 0
    missing = sum(fate(SCENARIO, one).kind is Kind.MISSING for one in ids[30:])
    assert api.stats.requests - before == len(ids[30:]) + missing  # their status is asked as well
    assert_exact(export, ids, SCENARIO)
