"""The check of the beginning of each input: no run without an ID."""

import gzip
import os

import pytest
from backports import zstd
from support.inputs import (
    PLACES,
    TEXT,
    A,
    B,
    as_stdin,
    check_as,
    ids,
    piped,
    refusal,
    source,
)

from cxai.core.entry import IdRule
from cxai.core.secret import Secrets
from cxai.errors import UsageError

pytestmark = pytest.mark.usefixtures("nothing_left_open")


@pytest.mark.parametrize("compress", [bytes, gzip.compress, zstd.compress])
def test_csv_without_the_column_is_refused_before_the_run(tmp_path, compress):
    path = tmp_path / "ids.csv"
    path.write_bytes(compress(b"n,id\n" + b"1,x\n" * 200_000))
    assert refusal(source(path)) == (
        f"{path} has no column 'interaction_id' or 'interactionIdentifier'. Its header row is"
        " 'n', 'id'. Name the column that contains the IDs with --column."
    )
    source(path, column="n", rule=IdRule("1")).check()


@pytest.mark.parametrize("lines", [1, 3, 199, 200, 250])
def test_an_input_of_any_size_without_an_id_in_its_first_lines_is_refused(tmp_path, lines):
    path = tmp_path / "calls.txt"
    path.write_text("id of call\n" * lines)
    counted = f"its {lines}" if lines < 200 else "the first 200"
    which = " contains no ID" if lines == 1 else f": none of {counted} lines is an ID"
    assert refusal(source(path)).startswith(
        f"{path}{which}. Line 1, 'id of call', is not a GUID: 'i' (U+0069) at position 1; "
    )


def test_an_input_with_an_id_among_its_first_lines_is_accepted(tmp_path):
    path = tmp_path / "calls.txt"
    for bad in (1, 50, 198):
        path.write_text("# calls\n\n" + "id,agent\n" * bad + TEXT)
        source(path).check()


@pytest.mark.promise(
    "A wrong `--field` or `--column`, or an input without any ID: one line or a million, in a file,"
    " a named pipe or standard input",
    "exit code 2 before anything is written or requested; the message names the fields or columns"
    " of the input, and the one that contains IDs",
    group="Input",
)
@pytest.mark.parametrize("how", PLACES)
@pytest.mark.parametrize(
    ("content", "kind", "hint"),
    [
        (
            f'{{"call":"{A}","n":1}}\n',
            {"field": "id"},
            "fields 'call', 'n'. The IDs are in 'call': use --field call.",
        ),
        (
            f'{{"c":{{"id":"{A}"}},"n":1}}\n' * 3,
            {"field": "id"},
            "fields 'c.id', 'n'. The IDs are in 'c.id'",
        ),
        (f'{{"a":"{A}","b":"{B}"}}\n', {"field": "id"}, "fields 'a', 'b'. Name the field"),
        (
            f"{A}\n",
            {"field": "id"},
            "It is a plain list of IDs, one per line: use a .txt file",
        ),
        (
            f"n,call\n1,{A}\n",
            {"column": "id"},
            "has no column 'id'. Its header row is 'n', 'call'.",
        ),
        (
            f"n;id\n1,{A}\n",
            {"column": "id"},
            "Its header row is separated by ';', but its other rows by ','.",
        ),
        (f"n,guid\n1,{A}\n", {"column": "id"}, "The IDs are in column 'guid': use --column guid."),
        (f"sep=;\nn;guid\n1;{A}\n", {"column": "id"}, "IDs are in column 'guid'"),
        (f'{{"items":[{{"id":"{A}"}}]}}\n', {"field": "id"}, "`jq -c '.items[]'`."),
        (
            "\u0416\u0416\n".encode("utf-16-le").decode("latin-1") + "\0",
            {},
            "It contains NUL bytes, so it is binary data or UTF-16.",
        ),
        (
            f"n,Call_Id\n1,{A}\n",
            {"column": "call_id"},
            "Did you mean --column Call_Id?",
        ),
        (f"id,call\n1,{A}\n", {"column": "id"}, "The IDs are in column 'call': use --column call."),
        (f"{A}\n{B}\n", {"column": "id"}, "That row contains an ID, so it is not a header row."),
        (
            f"n,call\n1,{A}\n",
            {},
            "columns 'n', 'call'. The IDs are in column 'call': use --column call.",
        ),
        (f"1;{A}\n2;{B}\n", {}, "It looks like CSV without a header row"),
        (
            f'{{"call":"{A}"}}\n',
            {},
            "It contains JSON Lines with the fields 'call'. The IDs are in 'call'",
        ),
        ("call-1\ncall-2\n", {}, "describe their form with --id-pattern."),
    ],
)
def test_an_input_without_ids_is_refused_with_a_suggestion(tmp_path, how, content, kind, hint):
    path = tmp_path / "ids"
    path.write_text(content)
    with pytest.raises(UsageError) as raised:
        check_as(how, path, **kind)
    assert hint in str(raised.value)
    assert str(raised.value).startswith("<stdin>" if how == "standard input" else str(path))


@pytest.mark.promise(
    "An empty input, or one with only blank lines and comments",
    "exit code 2 before anything is written, unless `--allow-empty` is given",
    group="Input",
)
@pytest.mark.parametrize("how", PLACES)
@pytest.mark.parametrize(
    ("content", "kind", "why"),
    [
        ("", {}, "it is empty"),
        ("\n", {}, "its only line is blank or a comment"),
        ("# none today\r\n\r\n", {}, "all 2 lines are blank or comments"),
        ("\u00a0\n\ufeff\n", {}, "all 2 lines are blank or comments"),
        ("", {"column": "id"}, "it is empty"),
        ("n,id\n", {"column": "id"}, "it is empty"),
        ("n,id\n,\n", {"column": "id"}, "its only line is blank or a comment"),
        ("\n\n", {"field": "id"}, "all 2 lines are blank or comments"),
    ],
)
def test_an_empty_input_is_refused_unless_allowed(tmp_path, how, content, kind, why):
    path = tmp_path / "ids"
    path.write_text(content)
    with pytest.raises(UsageError) as raised:
        check_as(how, path, **kind)
    assert f" contains no ID: {why}. If that is expected, use --allow-empty." in str(raised.value)
    path.unlink()
    path.write_text(content)
    reader = source(path, **kind)
    reader.check(allow_empty=True)
    assert ids(reader) == []


def test_each_of_several_inputs_is_checked(tmp_path):
    (tmp_path / "1.txt").write_text(TEXT)
    for content, hint in (("", "2.txt contains no ID:"), ("x\n", "2.txt contains no ID. Line 1")):
        (tmp_path / "2.txt").write_text(content)
        assert hint in refusal(source(tmp_path / "1.txt", tmp_path / "2.txt"))


@pytest.mark.parametrize(
    ("content", "at_once"),
    [(f"{A}\n", [1]), (f"# x\nbad\n{A}\n", [2, 3]), ("bad\n" * 50 + f"{A}\n", [*range(1, 52)])],
)
def test_the_check_of_a_pipe_waits_for_its_first_id_and_loses_nothing(content, at_once):
    with piped() as pipe:
        pipe.write(content.encode())
        reader = source()
        reader.check()  # the pipe is still open
        pipe.write(f"{B}\n".encode())
        pipe.close()
        assert [line for _, line, _ in ids(reader)] == [*at_once, at_once[-1] + 1]


def test_a_file_that_is_damaged_after_an_id_passes_the_check(tmp_path):
    path = tmp_path / "ids.gz"
    path.write_bytes(gzip.compress(TEXT.encode())[:-1])
    source(path).check()


@pytest.mark.parametrize(
    "content", [gzip.compress(b"")[:-1], gzip.compress(TEXT.encode())[:12]], ids=["empty", "begun"]
)
def test_a_file_that_is_damaged_before_any_id_is_refused_before_the_run(tmp_path, content):
    path = tmp_path / "ids.gz"
    path.write_bytes(content)
    assert refusal(source(path)).endswith(
        "its gzip data is truncated. No ID came before that, so nothing started."
    )


@pytest.mark.parametrize(
    "content", [f"{A}\n", f"{A.upper()},x\n", f"id,{A}\n1,2\n", f'{{"{A}":1}}\n']
)
@pytest.mark.parametrize(
    "kind", [{}, {"column": "id"}, {"field": "id"}, {"field": A}, {"column": A}]
)
def test_a_message_about_an_input_with_the_token_does_not_show_it(tmp_path, content, kind):
    path = tmp_path / "ids"
    path.write_text(content)
    rule = IdRule(secrets=Secrets(A))
    for reader in (
        source(path, rule=rule, **kind),
        source(A, rule=rule),
        source(f"x/{A}", rule=rule),
    ):
        assert A not in refusal(reader).lower()


def test_the_check_consumes_nothing(tmp_path):
    path = tmp_path / "ids.txt"
    path.write_text(f"{A}\n{B}\n")
    with as_stdin(os.open(path, os.O_RDONLY)):
        os.lseek(0, len(A) + 1, os.SEEK_SET)
        source().check()
        assert ids(source()) == [("<stdin>", 1, B)]


@pytest.mark.parametrize("name", ["ids.txt.gz", "ids.csv.gz", "ids.JSONL.ZST", "ids.gz"])
def test_an_empty_compressed_file_is_damaged_even_if_empty_inputs_are_allowed(tmp_path, name):
    path = tmp_path / name
    path.touch()
    with pytest.raises(UsageError, match="it is empty, but compressed data never is"):
        source(path).check(allow_empty=True)
    path.write_bytes(gzip.compress(b""))
    source(path).check(allow_empty=True)
