"""Malformed and unusual input: listed and never sent, or read as intended."""

import fcntl
import json
import signal
import subprocess
import sys
import termios

import pytest
from support.bodies import as_body, sample
from support.checker import assert_exact
from support.command import TOKEN, cxai, environment, rows, start_cxai
from support.leftovers import SCENARIO, go_on
from support.raw_server import RawServer, response
from support.serving import serving
from support.waiting import PATIENCE_S, wait_until_blocking

from cxai.simulator import Kind, behaviour_of

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
    b"\xff\xfe\xfa",
    b"\xed\xa0\x80",
    f"{GUID}\N{EN DASH}".encode(),
    f"{GUID[:9]}\N{ZERO WIDTH SPACE}{GUID[9:]}".encode(),
    f"{GUID}\N{LINE SEPARATOR}".encode(),
    "\N{ARABIC-INDIC DIGIT THREE}".encode() + GUID[1:].encode(),
    b"x" * 9_000,
    b"x" * 100_000,
]
"""Lines of a text file."""

NO_CELLS = [
    *NO_IDS,
    f'"{GUID}\r\n"'.encode(),
    f'"{GUID}\n"'.encode(),
    f'"\n{GUID}"'.encode(),
    f'"{GUID[:8]}\r\n{GUID[8:]}"'.encode(),
    f'"{GUID}"X'.encode(),
]
"""Cells of a CSV file, as they stand there."""


def run(export, tmp_path, name, content, *arguments):
    """Run the command on one file; return the process, its report and all requests."""
    (tmp_path / name).write_bytes(content)
    server = RawServer([response(as_body(sample()))])
    with serving(server) as api:
        ended = go_on(api, export, [], tmp_path / name, "--json", *arguments)
    return ended, json.loads(ended.out), server.requests


@pytest.mark.promise(
    "`..`, `%2e%2e`, `a/b`, `?`, `#`, NUL, other alphabets, invalid UTF-8, a line of 9 kB or more",
    "`invalid_id` with file and line number; no request is sent; other lines are unaffected",
)
@pytest.mark.parametrize("pattern", [[], ["--id-pattern", "(?s).*"]], ids=["GUIDs", "any pattern"])
def test_an_invalid_line_is_listed_and_never_sent(export, tmp_path, guids, pattern):
    good = [one.encode() for one in guids(len(NO_IDS))]
    lines = [line for pair in zip(good, NO_IDS, strict=True) for line in pair]
    ended, report, requests = run(export, tmp_path, "ids.txt", b"\n".join(lines), *pattern)
    assert ended.code == 1
    assert (report["verdicts"], report["invalid"]) == ({"ok": len(good)}, len(NO_IDS))
    failures = rows(export, "failures")
    assert {row["verdict"] for row in failures} == {"invalid_id"}
    assert sorted(row["line"] for row in failures) == list(range(2, 2 * len(NO_IDS) + 1, 2))
    paths = [request.split(" ")[1] for request in requests]
    assert sorted(paths) == sorted(f"/v1/interactions/{one.decode()}/ai" for one in good)


@pytest.mark.promise(
    "The same, and a line break, in a cell of a CSV file", "`invalid_id`; no request is sent"
)
def test_an_invalid_cell_is_listed_and_never_sent(export, tmp_path, guids):
    good = [one.encode() for one in guids(len(NO_CELLS))]
    cells = [cell for pair in zip(good, NO_CELLS, strict=True) for cell in pair]
    content = b"n,interaction_id,x\n" + b"".join(b'"a, b",%b,c\n' % cell for cell in cells)
    ended, report, requests = run(export, tmp_path, "calls.csv", content)
    assert ended.code == 1
    assert (report["verdicts"], report["invalid"]) == ({"ok": len(good)}, len(NO_CELLS))
    paths = [request.split(" ")[1] for request in requests]
    assert sorted(paths) == sorted(f"/v1/interactions/{one.decode()}/ai" for one in good)


@pytest.mark.promise(
    "A byte order mark, CRLF, blank lines, comments, white space, no final newline",
    "not part of an ID; the report accounts for each line",
)
@pytest.mark.promise("The same ID twice, or in other case", "one request, one record, counted")
def test_every_line_is_accounted_for_and_each_distinct_id_is_requested_once(
    export, tmp_path, guids
):
    ids = guids(4)
    lines = [
        "# calls of March", ids[0], "", ids[1], f"  {ids[2]}\t", ids[0], ids[1].upper(), "   ",
        "# end", ids[3], ids[3],
    ]  # fmt: skip
    content = b"\xef\xbb\xbf" + "\r\n".join(lines).encode()
    ended, report, requests = run(export, tmp_path, "ids.txt", content)
    assert ended.code == 0
    assert [report[name] for name in ("lines", "duplicates", "blanks", "comments", "invalid")] == [
        11, 3, 2, 2, 0,
    ]  # fmt: skip
    assert (report["verdicts"], report["adds_up"]) == ({"ok": 4}, True)
    assert len(requests) == 4
    assert sorted(row["interaction_id"] for row in rows(export)) == sorted(ids)


@pytest.mark.promise(
    "The input file is changed between two runs",
    "new IDs are requested; completed ones are not requested again, in whatever order",
)
def test_after_a_change_of_the_input_only_new_ids_are_requested(api, export, ids, tmp_path):
    path = tmp_path / "ids.txt"
    path.write_text("\n".join(ids[:30]))
    assert go_on(api, export, [], path).code == 0
    path.write_text("\n".join(reversed(ids[20:])))
    before = api.stats.requests
    assert go_on(api, export, [], path).code == 0
    missing = sum(behaviour_of(SCENARIO, one).kind is Kind.MISSING for one in ids[30:])
    assert api.stats.requests - before == len(ids[30:]) + missing  # and their status
    assert_exact(export, ids, SCENARIO)


@pytest.mark.parametrize(
    ("name", "content", "arguments", "message"),
    [
        ("ids.csv", f"n,call\n1,{GUID}\n", [], "Its header row is 'n', 'call'"),
        ("-", f'{{"call":"{GUID}"}}\n', ["--field", "id"], "use --field call."),
        ("-", "", [], "<stdin> contains no ID: it is empty."),
        ("ids.txt", GUID.encode("utf-16-le"), [], "Convert it: `iconv -f UTF-16LE"),
        ("ids.txt", TOKEN, [], "ids.txt: line 1 contains the API token"),
    ],
)
def test_an_unusable_input_ends_with_2_and_leaves_nothing(
    tmp_path, name, content, arguments, message
):
    data = content.encode() if isinstance(content, str) else content
    if name != "-":
        (tmp_path / name).write_bytes(data)
    before = sorted(tmp_path.rglob("*"))
    with serving(RawServer([])) as never_asked:
        ended = cxai(
            "run", name, "-o", tmp_path / "new" / "export", *arguments,
            "--base-url", never_asked.base_url, stdin=data if name == "-" else b"", cwd=tmp_path,
        )  # fmt: skip
        assert never_asked.requests == []
    assert (ended.code, ended.out) == (2, "")
    assert message in ended.err
    assert TOKEN not in ended.err
    assert sorted(tmp_path.rglob("*")) == before


def test_an_empty_input_that_is_allowed_gives_an_empty_export(api, export):
    ended = go_on(api, export, [], "--allow-empty", "--json")
    assert (ended.json["lines"], ended.json["ids"]) == (0, 0)
    assert (export / "manifest.json").exists()
    assert api.stats.requests == 0


@pytest.mark.promise(
    "The same bad line several times, and again in the next run",
    "each is a separate `invalid_id` and counts against `max_failed`; none is listed twice",
)
def test_each_rejected_line_counts_and_is_listed_once(export, tmp_path, guids):
    ids = guids(3)
    lines = [ids[0], "bad", "bad", ids[1], "worse", "bad", ids[2], ids[0]]
    content = "\n".join(lines).encode()
    for most, code in (("0.5", 1), ("0.6", 0)):
        ended, report, _ = run(export, tmp_path, "ids.txt", content, "--max-failed", most)
        counts = [report[name] for name in ("lines", "ids", "duplicates", "invalid", "failed")]
        assert counts == [8, 3, 1, 4, 4]
        assert (report["adds_up"], ended.code) == (True, code)
        assert [(row["line"], row["interaction_id"]) for row in rows(export, "failures")] == [
            (2, "bad"), (3, "bad"), (5, "worse"), (6, "bad"),
        ]  # fmt: skip
    verified = cxai("verify", export, tmp_path / "ids.txt", "--json")
    assert (verified.code, verified.json["missing"]) == (0, 0)
    ended, report, _ = run(export, tmp_path, "moved.txt", b"# moved\n" + content)
    assert (report["ids"], report["invalid"], report["adds_up"]) == (3, 4, True)
    assert cxai("verify", export).code == 0


@pytest.mark.promise(
    "A line that contains the API token, in any case or spelling; a file named like it",
    "`invalid_id`, never sent; the token is in no file, log or message",
    group="Security",
)
@pytest.mark.parametrize("pattern", [[], ["--id-pattern", ".*"]], ids=["GUIDs", "any pattern"])
def test_a_line_with_the_token_is_never_sent_and_shown_nowhere(export, tmp_path, guids, pattern):
    token = "5e1f0c2a-7b3d-4e9f-8a6b-0c1d2e3f4a5b"  # noqa: S105
    spelled = [token, token.upper(), token.replace("-", ""), f"{{{token}}}", f"token={token}"]
    (tmp_path / "ids.txt").write_text("\n".join([*guids(2), *spelled]))
    server = RawServer([response(as_body(sample()))])
    with serving(server) as api:
        ended = go_on(
            api, export, [], tmp_path / "ids.txt", *pattern,
            env=environment(CXAI_API_TOKEN=token),
        )  # fmt: skip
    shown = ended.out + ended.err + "".join(one.split("\n")[0] for one in server.requests)
    shown += "".join(path.read_bytes().decode("latin-1") for path in export.rglob("*.*"))
    for one in (token, token.upper(), token.replace("-", "")):
        assert one not in shown
    assert [row["reason"] for row in rows(export, "failures")] == [
        "holds the API token, which is no ID and is shown nowhere"
    ] * len(spelled)
    assert len(server.requests) == 2


def test_a_directory_named_like_the_token_is_refused_and_not_shown(tmp_path, guids):
    (tmp_path / "ids.txt").write_text(guids(1)[0])
    for name in (TOKEN, f"out-{TOKEN.upper()}/export"):
        ended = cxai("run", tmp_path / "ids.txt", "-o", tmp_path / name)
        assert ended.code == 2
        assert "The name of the output directory holds the API token" in ended.err
        assert TOKEN not in ended.err.lower()
    assert [path.name for path in tmp_path.iterdir()] == ["ids.txt"]


def test_a_slow_pipe_is_processed_from_its_first_id(api, export, guids):
    command = ["run", "-o", export, "--base-url", api.base_url]
    with start_cxai(*command, stdin=subprocess.PIPE) as process:
        process.stdin.write(f"# today\n{guids(1)[0]}\n".encode())
        process.stdin.flush()
        wait_until_blocking(lambda: api.stats.requests)
        assert process.poll() is None
        process.stdin.close()
        assert process.wait(PATIENCE_S) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_before_the_first_id_ends_with_4_and_leaves_nothing(export, number):
    with start_cxai("run", "-o", export, stdin=subprocess.PIPE) as process:
        process.stdin.write(b"# nothing yet\n")
        process.stdin.flush()
        wait_until_blocking(lambda: unread_bytes(process.stdin) == 0)
        process.send_signal(number)
        assert process.wait(PATIENCE_S) == 4
        assert b"; rerun the same command to resume." in process.stderr.read()
    assert not export.exists()


def unread_bytes(pipe):
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


@pytest.mark.parametrize(
    "options",
    [["--field", "id"], ["--column", "2"], ["--id-pattern", "x"], ["--allow-empty"]],
    ids=lambda options: options[0],
)
def test_verify_refuses_input_options_without_an_input(api, export, ids, options):
    assert go_on(api, export, ids[:3]).code == 0
    ended = cxai("verify", export, *options)
    assert (ended.code, ended.out) == (2, "")
    assert "describe an input: name it after the directory" in ended.err


def test_verify_does_not_show_a_token_that_it_does_not_have(export, ids, tmp_path):
    token = "0b1f2a3c-55e1-4d0e-9a77-c1d2e3f40516"  # noqa: S105
    path = tmp_path / "ids.txt"
    path.write_text(f"{ids[0]}\n{token}\n")
    (tmp_path / "token").write_text(token)
    with serving(RawServer([response(as_body(sample()))])) as server:
        ran = cxai(
            "run", path, "-o", export, "--base-url", server.base_url,
            "--token-file", tmp_path / "token",
        )  # fmt: skip
        assert (ran.code, len(server.requests)) == (1, 1)
    verified = cxai("verify", export, path)
    assert verified.code == 4  # whether it is still that line, only the token could tell
    assert "line 2: (not shown: a run found the API token here)" in verified.out
    assert token not in verified.out + verified.err
