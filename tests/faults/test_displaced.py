"""Files that are moved, removed or replaced while a run writes to them."""

import shutil
from contextlib import contextmanager

import pytest
from support.checker import assert_exact
from support.command import environment
from support.leftovers import SCENARIO, go_on
from support.running import end_input, ended, running
from support.store import opened, run_finished
from support.waiting import wait_until_blocking

from cxai.errors import IntegrityError


@contextmanager
def working(api, export, ids):
    """A run that has committed some of its IDs, one by one, and waits for more."""
    each = environment(CXAI_BATCH="1")
    with running(api, export, ids, input_ends=False, env=each) as run:
        wait_until_blocking(lambda: list(export.glob("records-*.open")), "the first part")
        wait_until_blocking(lambda: lines_in(export) >= len(ids), "all lines")
        yield run


def lines_in(export):
    return sum(path.read_bytes().count(b"\n") for path in export.glob("*.jsonl.open"))


def go_on_with(run, more):
    """Give a waiting run more IDs; return how it ends."""
    run.stdin.write("".join(f"{one}\n" for one in more).encode())
    end_input(run)
    return ended(run)


@pytest.mark.promise(
    "A part is removed or replaced while a run writes to it",
    "the run stops with code 5 and saves what is committed; moved back, the next run ends exact",
    group="Ledger",
)
@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_a_part_that_is_removed_or_replaced_is_saved(api, export, ids, how):
    part = export / "records-000001.jsonl.open"
    with working(api, export, ids[:30]) as run:
        content = part.read_bytes()
        part.unlink()
        if how == "replaced":
            part.write_bytes(content)
        code, out, err = go_on_with(run, ids[30:])
    assert code == 5, err
    assert f"{part} was removed or replaced while the run wrote to it" in out + err
    rescued = export / "quarantine" / part.name
    assert rescued.read_bytes() == content
    rescued.replace(part)
    (export / "quarantine").rmdir()
    assert go_on(api, export, ids).code == 0
    assert_exact(export, ids, SCENARIO)


@pytest.mark.promise(
    "The ledger is removed while a run works", "the run stops with code 5", group="Ledger"
)
def test_a_ledger_that_is_removed_stops_the_run(api, export, ids):
    with working(api, export, ids[:30]) as run:
        (export / "ledger.sqlite").unlink()
        code, out, err = go_on_with(run, ids[30:])
    assert code == 5, err
    assert "ledger.sqlite was removed or replaced" in out + err


@pytest.mark.promise(
    "A file of others has the final name of a part",
    "it is never overwritten; code 5",
    group="Ledger",
)
def test_a_file_with_the_final_name_of_a_part_is_not_overwritten(api, export, ids):
    taken = export / "records-000001.jsonl"
    with working(api, export, ids[:30]) as run:
        taken.write_bytes(b"precious")
        code, out, err = go_on_with(run, ids[30:])
    assert code == 5, err
    assert f"{taken} already exists" in out + err
    assert taken.read_bytes() == b"precious"
    taken.unlink()
    assert go_on(api, export, ids).code == 0
    assert_exact(export, ids, SCENARIO)


@pytest.mark.promise(
    "The output directory is moved away during a run",
    "the run stops with code 5 and says where it is; moved back, the next run ends exact",
    group="Ledger",
)
@pytest.mark.parametrize("how", ["moved", "moved up", "replaced"])
def test_a_directory_that_is_moved_stops_the_run_with_its_new_place(api, tmp_path, ids, how):
    export = tmp_path / "deep" / "export"
    aside = tmp_path / "aside"
    with running(api, export, ids[:30], input_ends=False, env=environment(CXAI_BATCH="1")) as run:
        wait_until_blocking(lambda: list(export.glob("records-*.open")), "the first part")
        if how == "moved up":
            export.parent.rename(aside)
        else:
            export.rename(aside)
        if how == "replaced":
            export.mkdir()
        run.stdin.write("".join(f"{one}\n" for one in ids[30:]).encode())
        end_input(run)
        code, out, err = ended(run)
    assert code == 5, err
    place = aside / "export" if how == "moved up" else aside
    assert f"{export} was moved to {place} while the run wrote to it. Nothing is lost: move it" in (
        out + err
    )
    assert "no place" not in out + err
    if how == "replaced":
        export.rmdir()
    aside.rename(export.parent if how == "moved up" else export)
    assert go_on(api, export, ids).code == 0
    assert_exact(export, ids, SCENARIO)


def test_a_run_with_nothing_to_do_fails_in_a_directory_that_was_moved(tmp_path, ids):
    run_finished(tmp_path / "export", ids, SCENARIO)
    with opened(tmp_path / "export") as store:
        (tmp_path / "export").rename(tmp_path / "elsewhere")
        with pytest.raises(IntegrityError, match=f"was moved to {tmp_path / 'elsewhere'} while"):
            store.end_run("finished", {})


@pytest.mark.promise(
    "The output directory is deleted during a run",
    "the run stops with code 4 or 5 and names the directory",
    group="Ledger",
)
def test_a_directory_that_is_deleted_stops_the_run_with_its_name(api, export, ids):
    each = environment(CXAI_BATCH="1")
    with running(api, export, ids, input_ends=False, env=each) as run:
        wait_until_blocking(lambda: list(export.glob("records-*.open")), "the first part")
        while export.exists():  # the run writes to it meanwhile
            shutil.rmtree(export, ignore_errors=True)
        end_input(run)
        code, out, errors = ended(run)
    assert code in {4, 5}, errors  # a failed commit, or a part that is no longer there
    assert "Traceback" not in errors
    assert str(export) in out
