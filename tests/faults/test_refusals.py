"""A command that is refused says why, and leaves everything as it was."""

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
from support.in_process import cxai_here
from support.leftovers import SCENARIO
from support.store import run_finished

BANDS = """
[[table]]
bundle = "Customer Satisfaction"
bands = [{ name = "low", upper = 0 }, { name = "high", lower = 0 }]
"""


@pytest.fixture
def home(tmp_path, monkeypatch, ids):
    """Return an empty working directory; the input lies beside it."""
    (tmp_path / "ids.txt").write_text("\n".join(ids))
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)
    monkeypatch.setenv("HOME", str(home))
    return home


@pytest.fixture
def run(capsys, tmp_path):
    """Return a maker of runs over the input, against a port where nothing listens."""

    def start(*arguments, **environment):
        source = tmp_path / "ids.txt"
        to_nothing = ["--base-url", "http://127.0.0.1:9", "--rate", "100000"]
        environment.setdefault("CXAI_OUTAGE_PATIENCE_S", "0")
        return cxai_here(capsys, "run", source, *to_nothing, *arguments, **environment)

    return start


def everything_below(directory):
    """Return every path below a directory, with its mode and its content.

    Without that of a lock, which names its last owner.
    """
    return {
        path.relative_to(directory): (
            stat.S_IMODE(path.lstat().st_mode),
            path.read_bytes() if path.is_file() and path.name != ".lock" else None,
        )
        for path in directory.rglob("*")
    }


# --- what is no directory of this machine ---


@pytest.mark.parametrize("command", ["demo", "status", "verify", "prune"])
@pytest.mark.parametrize("url", ["s3://bucket/export", "file:/tmp/export"])
def test_a_url_is_no_directory_for_other_commands(home, capsys, command, url):
    ended = cxai_here(capsys, command, *(["-o", url] if command == "demo" else [url]))
    assert ended.code == 2
    assert "is a URL, and only local paths are supported" in ended.err
    assert everything_below(home) == {}


@pytest.mark.promise(
    "The output directory is a URL, such as `s3://bucket/export`",
    "refused with code 2, and never taken for a relative path",
    group="Ledger",
)
@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket/export", "S3://bucket", "s3:/bucket", "s3:bucket", "gs://bucket/x",
        "az://container", "abfss://c@account.dfs.core.windows.net/x", "https://example.com/x",
        "http:/example.com", "file:///tmp/export", "file:/tmp/export", "hdfs://node/x",
        "sftp://host/x", "dbfs:/mnt/x", "custom+scheme://x", "C:\\export", "memory://x",
        " s3://bucket/x", '"s3://bucket/x"', "'gs://bucket'", "\ts3:bucket", "`s3://bucket`",
        "user@host:/data", "user@host:data", "me@10.0.0.1:~/x",
    ],
)  # fmt: skip
def test_a_url_is_no_directory(home, run, url):
    ended = run("-o", url)
    assert ended.code == 2
    assert "is a URL, and only local paths are supported" in ended.err
    assert everything_below(home) == {}


def test_a_directory_may_be_called_like_a_url_if_that_is_meant(home, run):
    assert run("-o", "./s3:/bucket").code == 4  # nothing listens
    assert (home / "s3:" / "bucket" / "ledger.sqlite").exists()


def test_a_tilde_is_the_home_directory(home, run, capsys):
    assert run("-o", "~/export").code == 4
    assert (home / "export" / "ledger.sqlite").exists()
    assert not (home / "~").exists()
    assert "not running" in cxai_here(capsys, "status", "~/export").out


@pytest.mark.parametrize("setting", ["token_file", "score_bands", "config"])
@pytest.mark.parametrize("how", ["option", "environment", "file"])
def test_a_tilde_is_the_home_directory_in_settings_too(home, run, setting, how):
    content = {"token_file": "a-token", "score_bands": BANDS, "config": "rate = 7.0"}[setting]
    (home / "it").write_text(content)
    if how == "option":
        ended = run("-o", "export", f"--{setting.replace('_', '-')}", "~/it")
    elif how == "environment":
        ended = run("-o", "export", **{f"CXAI_{setting.upper()}": "~/it"})
    elif setting == "config":
        return
    else:
        (home / "settings.toml").write_text(f'{setting} = "~/it"')
        ended = run("-o", "export", "-c", "settings.toml")
    assert ended.code == 4, ended.err


def test_a_user_who_does_not_exist_has_no_home_directory(home, run):
    ended = run("-o", "~nobody-of-this-name/export")
    assert ended.code == 2
    assert "~nobody-of-this-name has no home directory" in ended.err
    assert everything_below(home) == {}


# --- directories that hold something else ---

FOREIGN = {
    "a file": ["notes.txt"],
    "a folder": ["src/main.py"],
    "a repository": [".git/config"],
    "a dated input": ["ids-20261127.jsonl"],
    "rows of a day": ["records-20261127.jsonl"],
    "keys": [".ssh/id_ed25519"],
    "many": ["a", "b", "c", "d", "e"],
    "an input of that name": ["input.txt"],
    "another database": ["data.sqlite"],
}


@pytest.mark.promise(
    "The output directory holds files of others and no export",
    "refused with code 2, which names some; with `--force` they are left alone",
    group="Ledger",
)
@pytest.mark.parametrize("names", FOREIGN.values(), ids=FOREIGN)
def test_a_directory_that_holds_something_else_is_refused(home, run, names):
    for name in names:
        path = home / "export" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("precious")
    before = everything_below(home)
    ended = run("-o", "export")
    assert ended.code == 2
    assert "export has other files (" in ended.err
    assert names[0].partition("/")[0] in ended.err
    assert everything_below(home) == before
    assert run("-o", "export", "--force").code == 4
    assert before.items() <= everything_below(home).items()
    assert run("-o", "export").code == 4  # it is an export by now
    assert before.items() <= everything_below(home).items()


@pytest.mark.promise(
    "The output directory holds a file of others that has a name of ours: `manifest.json`, `.lock`",
    "refused with code 2, with `--force` too, and never overwritten",
    group="Ledger",
)
@pytest.mark.parametrize("name", ["manifest.json", "progress.json", ".seen", ".lock"])
@pytest.mark.parametrize("content", ['{"name": "a web app"}', "[]", "\n", "cxa", "SQLite format 2"])
@pytest.mark.parametrize("more", [[], ["--force"]], ids=["plain", "force"])
def test_a_file_of_others_with_a_name_of_ours_is_not_overwritten(home, run, name, content, more):
    (home / "export").mkdir()
    (home / "export" / name).write_text(content)
    before = everything_below(home)
    content_before = (home / "export" / name).read_bytes()
    ended = run("-o", "export", *more)
    assert ended.code == 2
    assert f"({name})" in ended.err
    assert everything_below(home) == before
    assert (home / "export" / name).read_bytes() == content_before


def test_a_link_with_a_name_of_ours_is_not_replaced(home, run):
    (home / "export").mkdir()
    (home / "export" / "manifest.json").symlink_to("/dev/null")
    assert run("-o", "export").code == 2
    assert (home / "export" / "manifest.json").is_symlink()


def test_the_own_files_of_an_export_without_ledger_and_parts_are_no_reason_to_refuse(home, run):
    run_finished(home / "export", [], SCENARIO)
    for path in (home / "export").iterdir():
        if path.name not in {"manifest.json", ".lock"}:
            path.unlink()
    assert run("-o", "export").code == 4


@pytest.mark.parametrize(
    "name", ["lost+found/", ".gitkeep", ".gitignore", ".DS_Store", ".snapshot/", ".nfs0001"]
)
def test_what_file_systems_and_desktops_leave_is_no_reason_to_refuse(home, run, name):
    path = home / "export" / name
    if name.endswith("/"):
        path.mkdir(parents=True)
    else:
        path.parent.mkdir()
        path.touch()
    assert run("-o", "export").code == 4
    assert path.exists()


def test_what_a_killed_start_has_left_is_no_reason_to_refuse(home, run):
    (home / "export").mkdir()
    for name in (".lock", ".seen", ".manifest.json.new", "progress.json"):
        (home / "export" / name).touch()
    assert run("-o", "export").code == 4


# --- nothing is left behind ---

REFUSED_RUNS = {
    "a rate of 0": ["--rate", "0"],
    "an unknown shape": ["--shape", "cubes"],
    "an unknown option": ["--no-such-option"],
    "plain HTTP": ["--base-url", "http://api.elevateai.com"],
    "no URL": ["--base-url", "api.elevateai.com"],
    "no token file": ["--token-file", "missing"],
    "no bands file": ["--score-bands", "missing.toml"],
    "no settings file": ["--config", "missing.toml"],
    "an endless token file": ["--token-file", "/dev/zero"],
    "an ID pattern that is none": ["--id-pattern", "("],
    "a missing input": ["missing.txt"],
    "a record to be asked again": ["--reopen", "ok"],
    "an output that is a file": ["-o", "../ids.txt"],
    "an output below a file": ["-o", "../ids.txt/x/y"],
    "an output with a NUL": ["-o", "a\0b"],
    "an output that is too long": ["-o", "x" * 300],
    "an output whose parent is too long": ["-o", f"new/{'x' * 300}/export"],
}


@pytest.mark.promise(
    "A command that is refused", "leaves no directory, lock or ledger behind", group="Ledger"
)
@pytest.mark.parametrize("arguments", REFUSED_RUNS.values(), ids=REFUSED_RUNS)
def test_a_refused_run_leaves_nothing_behind(home, run, arguments):
    where = [] if "-o" in arguments else ["-o", "new/deep/export"]
    ended = run(*where, *arguments)
    assert ended.code == 2, ended.err
    assert "Traceback" not in ended.err
    assert everything_below(home) == {}


@pytest.mark.parametrize("arguments", [["--rate", "0"], ["--ids", "0"], ["--progress", "dots"]])
def test_a_refused_demo_leaves_nothing_behind(home, capsys, arguments):
    assert cxai_here(capsys, "demo", "-o", "new/demo", *arguments).code == 2
    assert everything_below(home) == {}


def empty(path):
    path.mkdir()


def foreign_database(path):
    path.mkdir()
    with closing(sqlite3.connect(path / "ledger.sqlite")) as database:
        database.execute("CREATE TABLE accounts (name TEXT)")


def text_file_of_that_name(path):
    path.mkdir()
    (path / "ledger.sqlite").write_text("Sales ledger 2026\n" * 100)


def files(path):
    path.mkdir()
    (path / "notes.txt").touch()


def folder_of_that_name(path):
    (path / "ledger.sqlite").mkdir(parents=True)


def link_to_nothing(path):
    path.mkdir()
    (path / "ledger.sqlite").symlink_to("nothing")


NO_EXPORTS = {
    "missing": lambda path: None,  # noqa: ARG005
    "empty": empty,
    "a file": Path.touch,
    "with files of others": files,
    "with another database": foreign_database,
    "with a text file": text_file_of_that_name,
    "with a folder": folder_of_that_name,
    "with a link to nothing": link_to_nothing,
}


@pytest.mark.parametrize("make", NO_EXPORTS.values(), ids=NO_EXPORTS)
@pytest.mark.parametrize("command", ["status", "verify", "prune --all"])
def test_looking_at_what_is_no_export_leaves_nothing_behind(home, capsys, command, make):
    make(home / "place")
    before = everything_below(home)
    command, *more = command.split()
    ended = cxai_here(capsys, command, "place", *more)
    assert ended.code in {2, 4, 5}
    assert "place" in ended.err
    assert "Internal error" not in ended.err
    assert everything_below(home) == before


def test_a_run_does_not_write_to_another_database_that_is_called_like_a_ledger(home, run):
    foreign_database(home / "export")
    before = everything_below(home)
    ended = run("-o", "export")
    assert ended.code == 5
    assert "is a SQLite database, but not a ledger of cxai" in ended.err
    assert everything_below(home) == before


def test_parts_without_a_ledger_are_left_as_they_are(home, run, ids):
    run_finished(home / "export", ids[:5], SCENARIO)
    for name in (".lock", "ledger.sqlite"):
        (home / "export" / name).unlink()
    before = everything_below(home)
    assert run("-o", "export").code == 5
    assert everything_below(home) == before


def test_a_refused_run_changes_nothing_in_an_export_either(home, run):
    assert run("-o", "export").code == 4  # nothing has come from an API yet
    there = form_of(home / "export")
    ended = run("-o", "export", "--shape", "tables", *with_bands(home, BANDS))
    assert ended.code == 2
    assert form_of(home / "export") == there


def form_of(export):
    with closing(sqlite3.connect(export / "ledger.sqlite")) as ledger:
        return ledger.execute("SELECT * FROM export").fetchall()


# --- what decides the rows ---


def with_bands(home, text, name="bands.toml"):
    (home / name).write_text(text)
    return ["--score-bands", name]


REORDERED = """
# the same ranges in other words
[[table]]
bands = [{ lower = -0.0, name = "high" }, { upper = 0e0, name = "low" }]
bundle = "Customer Satisfaction"
"""


@pytest.mark.promise(
    "Another API, shape, compression or other score ranges than in earlier runs",
    "refused with code 2, which names both and what to do",
    group="Ledger",
)
@pytest.mark.parametrize(
    ("first", "then", "named"),
    [
        ([], ["--shape", "tables"], "shape nested, not tables. Use --shape nested"),
        (
            ["--compression", "zstd"],
            [],
            "compression zstd, not none. Use --compression zstd",
        ),
        (
            [],
            ["--base-url", "https://127.0.0.2.example.com"],
            "results from this machine, not https://127.0.0.2.example.com",
        ),
        (
            ["--base-url", "https://localhost.example.com:9"],
            [],
            "results from https://localhost.example.com:9, not this machine",
        ),
        (["bands"], [], "score ranges bands.toml (fa5d18fc), not none"),
        ([], ["bands"], "score ranges none, not bands.toml (fa5d18fc). Omit --score-bands"),
        (["bands"], ["other bands"], "score ranges bands.toml (fa5d18fc), not bands.toml ("),
    ],
)
def test_what_decides_the_rows_may_not_change(home, run, first, then, named):
    def arguments(given):
        if given == ["bands"]:
            return with_bands(home, BANDS)
        if given == ["other bands"]:
            return with_bands(home, BANDS.replace('"low"', '"poor"'))
        return given

    patient = {"CXAI_CONNECT_TIMEOUT_S": "0.2"}
    assert run("-o", "export", *arguments(first), **patient).code == 4
    note_an_answer(home / "export")
    ended = run("-o", "export", *arguments(then), **patient)
    assert ended.code == 2
    assert f"export has an export with {named}" in ended.err
    assert ended.err.rstrip().endswith("or export into a new directory.")


def note_an_answer(export):
    with closing(sqlite3.connect(export / "ledger.sqlite")) as database, database:
        database.execute("INSERT INTO outcome VALUES (x'00', 'not_found', 1, 1, 1)")


@pytest.mark.parametrize(
    "wrong", ["https://api.example.invalid", "https://localhost.example.com:9"]
)
def test_a_mistyped_api_that_never_answered_may_be_corrected(home, run, wrong):
    patient = {"CXAI_CONNECT_TIMEOUT_S": "0.2"}
    with (home.parent / "ids.txt").open("a") as source:
        source.write("\nnot an ID\n")  # its verdict came from no API
    assert run("-o", "export", "--base-url", wrong, **patient).code == 4
    assert run("-o", "export", **patient).code == 4
    note_an_answer(home / "export")
    assert run("-o", "export", "--base-url", wrong, **patient).code == 2


def test_score_ranges_that_say_the_same_are_the_same(home, run):
    assert run("-o", "export", *with_bands(home, BANDS)).code == 4
    assert run("-o", "export", *with_bands(home, REORDERED, "copy.toml")).code == 4


def test_an_export_of_an_older_version_is_refused(home, run, capsys, ids):
    run_finished(home / "export", ids[:5], SCENARIO)
    with closing(sqlite3.connect(home / "export" / "ledger.sqlite")) as ledger:
        ledger.execute("UPDATE export SET format = 1, schema_version = 1")
        ledger.commit()
    before = everything_below(home)
    for ended in (
        run("-o", "export"),
        *(cxai_here(capsys, command, "export") for command in ("status", "verify")),
        cxai_here(capsys, "prune", "export", "--all"),
    ):
        assert ended.code == 2, ended.err
        assert "an export of an older version of cxai-worker (0.1)" in ended.err
        assert "Finish it with that version, or export into a new directory." in ended.err
        assert everything_below(home) == before


# --- modes ---


@pytest.mark.parametrize("umask", [0, 0o022, 0o077, 0o277, 0o777])
def test_files_and_directories_are_their_owners_alone_whatever_the_umask(home, run, umask):
    before = os.umask(umask)
    try:
        assert run("-o", "new/deep/export").code == 4
        assert run("-o", "new/deep/export").code == 4
    finally:
        os.umask(before)
    modes = {path: mode for path, (mode, _) in everything_below(home).items()}
    deep = Path("new/deep/export")
    assert {modes.pop(path) for path in (deep, *deep.parents) if path in modes} == {0o700}
    assert set(modes.values()) == {0o600}
