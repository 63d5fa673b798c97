"""What every database of a ledger promises, for each engine and one in memory."""

import random
import sqlite3
import uuid
from contextlib import closing
from dataclasses import replace

import pytest
from support.doubles import entries, invalid
from support.memory_database import Books, MemoryDatabase
from support.store import run_finished, run_killed

from cxai.clock import SystemClock
from cxai.core.entry import IdRule, Outcome, key_of
from cxai.core.layout import FAILURES, BandsMark
from cxai.errors import IntegrityError, UsageError
from cxai.inspect.prune import prune_export
from cxai.inspect.status import export_status
from cxai.inspect.verify import verify_export
from cxai.ledger.disk_failure import DatabaseError
from cxai.ledger.form import ExportForm
from cxai.ledger.registry import DATABASES, open_database
from cxai.output.compression import Compression
from cxai.output.part_state import Extent, PartState, part_name
from cxai.policy.verdict import OPEN_AGAIN, Verdict
from cxai.resources.cx_ai.layout import LAYOUT
from cxai.resources.options import Shape
from cxai.resources.registry import layout_of
from cxai.simulator import Scenario

FORM = ExportForm(LAYOUT, Shape.TABLES, Compression.GZIP, "api.example", BandsMark("d1", "bands"))
AT = "2026-11-27T03:00:00.000Z"
LATER = "2026-11-28T03:00:00.000Z"


@pytest.fixture
def in_memory(monkeypatch):
    """Register another engine, as a new one would be; return its state."""
    books = Books()
    monkeypatch.setitem(DATABASES, "memory", lambda _location: MemoryDatabase(books))
    return books


@pytest.fixture(params=["", "memory://ledger"])
def location(request, tmp_path, in_memory):  # noqa: ARG001 - registers the other engine
    """Return a place for a ledger of each engine."""
    return request.param or tmp_path


@pytest.fixture
def database(location):
    with closing(open_database(location)) as database:
        database.create(FORM, AT)
        yield database


def outcomes(**verdicts):
    """Return outcomes with the given verdicts, by ID."""
    return [
        Outcome(entry, Verdict(verdicts[entry.id]), 1, {})
        for entry in entries(*(one for one in verdicts if one != "line"))
    ] + [
        Outcome(entry, Verdict.INVALID_ID, 0, {})
        for entry in invalid(*(one for one in verdicts if one == "line"))
    ]


def grown(part, size):
    """Return the extent by which a part grows, a record per ten bytes."""
    after = PartState(part.set, part.number, part.bytes + size, part.records + size // 10, "sha")
    return Extent(part.bytes, 7, after)


def commit(database, run, batch, *extents, recorded=1, failed=1):
    database.commit(run, batch, extents, LATER, recorded=recorded, failed=failed)


def part(database, part_set, number=1):
    return next(p for p in database.parts() if (p.set, p.number) == (part_set, number))


# --- the export ---


def test_a_new_database_is_empty_until_an_export_is_created(location):
    with closing(open_database(location)) as database:
        assert database.is_new
        database.create(FORM, AT)
        assert not database.is_new
        assert not database.has_outcomes()
        assert database.verdicts() == {}
        assert database.runs() == []
        assert sorted(p.set for p in database.parts()) == sorted(FORM.sets)
        assert all(p == PartState(p.set, 1) for p in database.parts())


def test_the_form_is_kept_and_its_origin_may_change(location, database):
    database.close()
    with closing(open_database(location)) as again:
        assert again.form(layout_of) == FORM
        moved = ExportForm(LAYOUT, FORM.shape, FORM.compression, "other.example")
        again.change_origin(moved)
        assert again.form(layout_of) == moved


def test_an_export_of_another_schema_version_is_refused(database):
    newer = replace(LAYOUT, schema_version=LAYOUT.schema_version + 1)
    with pytest.raises(
        UsageError, match=r"an older version of cxai-worker.*: its schema version is 2,"
    ):
        database.form(lambda _name: newer)


def test_the_layout_is_looked_up_by_the_name_of_the_resource(database):
    asked = []
    database.form(lambda name: asked.append(name) or LAYOUT)
    assert asked == ["cx_ai"]


@pytest.mark.parametrize("column", ["shape", "compression"])
def test_an_unknown_form_is_damage(tmp_path, column):
    with closing(open_database(tmp_path)) as database:
        database.create(FORM, AT)
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as file, file:
        file.execute(f"UPDATE export SET {column} = 'odd'")  # noqa: S608 - a name of ours
    with (
        closing(open_database(tmp_path)) as database,
        pytest.raises(IntegrityError, match=r"the ledger is damaged \('odd' is unknown\)"),
    ):
        database.form(layout_of)


@pytest.mark.parametrize("url", ["postgres://host/db", "mysql://host"])
def test_an_unknown_engine_is_refused_with_the_known_ones(url):
    with pytest.raises(UsageError, match=r"A ledger can't be kept at .* a local directory"):
        open_database(url)


# --- outcomes ---


def test_a_batch_records_its_outcomes_its_extents_and_the_progress_of_its_run(database):
    run = database.start_run("first", AT)
    extents = [grown(part(database, "interactions"), 20), grown(part(database, FAILURES), 10)]
    commit(database, run, outcomes(a="ok", b="ok", c="not_found"), *extents, recorded=1, failed=3)
    assert database.outcome(key_of("a")) == ("ok", 1, run)
    assert database.outcome(key_of("c")) == ("not_found", 3, run)
    assert database.outcome(key_of("d")) is None
    assert database.verdicts() == {"not_found": 1, "ok": 2}
    assert database.outcomes_by_run() == {run: 3}
    assert database.settled(run) == 3
    assert part(database, "interactions") == extents[0].after
    assert database.extents(extents[0].after) == [(0, 7)]
    assert database.runs()[0].seen_at == LATER


@pytest.mark.parametrize("number", [0, 1, 63, 64, 65, 200])
def test_outcomes_are_found_by_any_number_of_keys_whatever_kind_they_are(database, number):
    run = database.start_run("first", AT)
    guids = [IdRule().read(str(uuid.UUID(int=n)).encode(), "ids", n) for n in range(1, 101)]
    settled = [*guids, *entries(*(f"id-{n}" for n in range(100))), *invalid("no id")]
    settled = random.Random(number).sample(settled, number)
    commit(database, run, [Outcome(one, Verdict.REJECTED, 1, {}) for one in settled], failed=4)
    keys = [one.key for one in [*entries("new"), *settled, *invalid("new")]]
    assert database.outcomes(keys) == {one.key: ("rejected", 4, run) for one in settled}
    assert database.outcomes(keys[:1]) == {}


def test_an_invalid_line_is_an_outcome_but_not_an_answer(database):
    run = database.start_run("first", AT)
    commit(database, run, outcomes(line="invalid_id"))
    assert database.has_outcomes()
    assert not database.has_answers()
    commit(database, run, outcomes(a="exhausted"))
    assert database.has_answers()


@pytest.mark.parametrize("verdict", Verdict)
def test_another_verdict_for_an_id_with_a_record_fails_the_whole_batch(database, verdict):
    run = database.start_run("first", AT)
    commit(database, run, outcomes(a="ok"))
    extent = grown(part(database, "interactions"), 20)
    with pytest.raises(DatabaseError, match="an ID with a record got another verdict") as failed:
        commit(database, run, outcomes(b="ok", a=verdict), extent)
    assert failed.value.failure.shortage is None
    assert database.verdicts() == {"ok": 1}
    assert database.settled(run) == 1
    assert part(database, "interactions").bytes == 0


# --- the inbox ---

ODD = "sp\udcffol"  # the name of a file need not be Unicode
ENTRIES = [
    *entries("c", "a"),
    *invalid("no id", ""),
    replace(entries("b")[0], source=ODD, line=7),
    IdRule().read(b"3F2504E0-4F89-11D3-9A0C-0305E82C3301", "queue", 3),
]


def in_inbox(database, after=0):
    return [entry for _, entry in database.inbox(after, 100)]


def test_entries_of_the_inbox_are_unchanged_and_in_order(location, database):
    assert (database.inbox_size(), in_inbox(database)) == ((0, 0), [])
    database.put_in_inbox(ENTRIES[:2])
    database.put_in_inbox(ENTRIES[2:])
    database.close()
    with closing(open_database(location)) as again:
        assert in_inbox(again) == ENTRIES
        assert again.inbox_size() == (len(ENTRIES), len(ENTRIES))
        assert all(again.is_in_inbox(entry.key) for entry in ENTRIES)
        assert not again.is_in_inbox(key_of("d"))


def test_the_inbox_is_read_in_blocks_while_entries_are_deleted(database):
    run = database.start_run("first", AT)
    database.put_in_inbox(entries(*"abcdef"))
    (_, _), (position, _) = database.inbox(0, 2)
    commit(database, run, outcomes(a="ok", b="ok", d="ok"))
    assert [entry.id for entry in in_inbox(database, position)] == ["c", "e", "f"]
    assert in_inbox(database, database.inbox(position, 3)[-1][0]) == []


@pytest.mark.parametrize("verdict", Verdict)
def test_an_entry_leaves_the_inbox_with_its_final_verdict(database, verdict):
    run = database.start_run("first", AT)
    database.put_in_inbox(entries("a", "b"))
    commit(database, run, outcomes(a=verdict, z=verdict))
    left = ["a", "b"] if verdict in OPEN_AGAIN else ["b"]
    assert [entry.id for entry in in_inbox(database)] == left
    assert database.inbox_size() == (len(left), 1)


def test_a_batch_that_fails_does_not_change_the_inbox(database):
    run = database.start_run("first", AT)
    commit(database, run, outcomes(a="ok"))
    database.put_in_inbox(entries("b"))
    with pytest.raises(DatabaseError):
        commit(database, run, outcomes(b="ok", a="not_found"))
    assert in_inbox(database) == entries("b")


def test_a_block_with_an_entry_that_exists_is_not_stored_at_all(database):
    database.put_in_inbox(entries("a"))
    with pytest.raises(DatabaseError):
        database.put_in_inbox(entries("b", "a"))
    assert in_inbox(database) == entries("a")


def test_an_entry_that_has_a_record_leaves_the_inbox_with_the_next_run(database):
    run = database.start_run("first", AT)
    commit(database, run, outcomes(a="ok", b="not_found"))
    database.put_in_inbox(entries("a", "b"))
    database.start_run("second", AT)
    assert [entry.id for entry in in_inbox(database)] == ["b"]


def test_a_verdict_that_replaces_another_of_its_run_counts_once(database):
    run = database.start_run("first", AT)
    commit(database, run, outcomes(a="exhausted", b="ok"))
    database.commit(run, outcomes(a="ok"), [], LATER, recorded=1, failed=1, replaced=1)
    assert database.settled(run) == 2
    assert database.outcomes_by_run() == {run: 2}


def test_unfetched_ids_can_be_put_in_the_inbox_repeatedly(database):
    run = database.start_run("first", AT)
    guid = IdRule().read(b"3F2504E0-4F89-11D3-9A0C-0305E82C3301", "queue", 3)
    commit(database, run, [*outcomes(a="ok", b="ok"), Outcome(guid, Verdict.OK, 1, {})])
    database.put_in_inbox(entries("c"))
    database.withdraw([part(database, name) for name in FORM.record_sets])
    commit(database, run, outcomes(b="ok"), recorded=2)
    for _ in range(2):
        database.put_unfetched_in_inbox("reopened")
        assert sorted(entry.id for entry in in_inbox(database)) == [guid.id.lower(), "a", "c"]
        assert {entry.source for entry in in_inbox(database)[1:]} == {"reopened"}
    assert {entry.key for entry in in_inbox(database)} == {guid.key, key_of("a"), key_of("c")}


def test_a_group_that_has_read_a_queue_is_known_from_then_on(location, database):
    database.start_run("first", AT)
    assert not database.has_read_by("redis://host/0/ids cxai")
    for _ in range(2):
        database.note_read_by("redis://host/0/ids cxai")
    database.close()
    with closing(open_database(location)) as again:
        assert again.has_read_by("redis://host/0/ids cxai")
        assert not again.has_read_by("redis://host/0/ids other")


def test_a_ledger_of_an_earlier_version_gets_an_inbox_with_its_next_run(tmp_path):
    with closing(open_database(tmp_path)) as database:
        database.create(FORM, AT)
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as file, file:
        file.execute("DROP TABLE inbox")
        file.execute("DROP TABLE begun")
    with closing(open_database(tmp_path)) as database:
        assert database.form(layout_of) == FORM
        assert database.inbox_size() == (0, 0)
        run = database.start_run("next", AT)
        database.put_in_inbox(entries("a"))
        commit(database, run, outcomes(b="ok"), grown(part(database, "scores"), 10))
        assert in_inbox(database) == entries("a")
        assert database.begun() == {"scores": LATER}


# --- parts ---


def test_the_time_of_the_first_row_of_an_open_part_is_kept(database):
    run = database.start_run("first", AT)
    first = grown(part(database, "scores"), 10)
    assert database.begun() == {}
    commit(database, run, outcomes(a="ok"), first)
    second = grown(first.after, 10)
    database.commit(run, outcomes(b="ok"), [second], "2027", recorded=1, failed=1)
    assert database.begun() == {"scores": LATER}
    database.seal([second.after], [])
    assert database.begun() == {}


def test_a_sealed_part_is_followed_by_an_empty_open_part(database):
    run = database.start_run("first", AT)
    extent = grown(part(database, "scores"), 50)
    commit(database, run, outcomes(a="ok"), extent)
    empty = grown(part(database, FAILURES), 0)
    database.seal([extent.after, empty.after], [empty])
    assert part(database, "scores") == extent.after.as_sealed()
    assert part(database, "scores", 2) == PartState("scores", 2)
    assert part(database, FAILURES).sealed
    assert database.extents(empty.after) == []


def test_a_part_belongs_to_the_first_run_that_ended_with_it(database):
    first = database.start_run("first", AT)
    database.seal([part(database, "scores")], [])
    database.finish_parts(first)
    second = database.start_run("second", AT)
    database.seal([part(database, "scores", 2)], [])
    assert part(database, "scores", 2).run_id is None
    database.finish_parts(second)
    found = {p.number: p.run_id for p in database.parts() if p.set == "scores"}
    assert found == {1: "first", 2: "second", 3: None}


def test_only_a_sealed_part_is_released_and_only_once(database):
    sealed = part(database, "scores")
    database.seal([sealed], [])
    database.release([sealed, part(database, "segments")], AT)
    database.release([sealed], LATER)
    assert part(database, "scores").released_at == AT
    assert not part(database, "segments").is_released


def test_verdicts_in_place_leave_out_those_whose_rows_were_released(database):
    run = database.start_run("first", AT)
    commit(database, run, outcomes(a="ok", b="not_found"), recorded=1, failed=1)
    commit(database, run, outcomes(c="ok"), recorded=2)
    main = part(database, "interactions")
    database.seal([main], [])
    database.release([main], AT)
    assert database.verdicts_in_place("interactions") == {"not_found": 1, "ok": 1}


def test_ids_of_withdrawn_parts_are_new_and_unfetched_until_they_have_a_verdict_again(database):
    run = database.start_run("first", AT)
    batch = outcomes(a="ok", b="ok", c="not_found", line="invalid_id")
    commit(database, run, batch, recorded=1, failed=1)
    commit(database, run, outcomes(d="ok"), recorded=2)
    assert database.withdraw([part(database, name) for name in FORM.record_sets]) == 2
    assert database.verdicts() == {"invalid_id": 1, "not_found": 1, "ok": 1}
    assert {p.number for p in database.parts() if p.set in FORM.record_sets} == {2}
    assert database.unfetched() == (2, [])
    assert database.unfetched(10) == (2, [key_of("a"), key_of("b")])
    assert (
        database.withdraw([part(database, FAILURES)]) == 2
    )  # the invalid line, too; it is not fetched
    assert database.unfetched(10) == (3, [key_of("a"), key_of("b"), key_of("c")])
    commit(database, run, outcomes(a="ok", b="not_ready", c="ok"), recorded=2, failed=2)
    assert database.unfetched(10) == (0, [])


# --- with the files of an export ---


@pytest.mark.parametrize("compression", [Compression.NONE, Compression.GZIP])
def test_an_export_may_have_another_engine(tmp_path, guids, in_memory, monkeypatch, compression):
    ids, scenario = guids(30), Scenario(missing=0.2)
    how = {"shape": Shape.TABLES, "compression": compression, "part_bytes": 20_000}
    (tmp_path / "ledger.sqlite").touch()  # what makes a directory an export, until that is a choice
    monkeypatch.setitem(DATABASES, "", lambda _location: MemoryDatabase(in_memory))
    run_killed(tmp_path, ids[:20], scenario, **how)
    run_finished(tmp_path, ids, scenario, **how)
    found = verify_export(tmp_path)
    assert (found.problems, found.exit_code) == ([], 0)
    assert sum(export_status(tmp_path).verdicts.values()) == len(ids)
    lost = tmp_path / part_name(PartState("scores", 1, sealed=True), compression)
    lost.unlink()
    run_finished(tmp_path, ids, scenario, reopen_missing=True, **how)
    assert verify_export(tmp_path).exit_code == 0
    assert prune_export(tmp_path, [], SystemClock(), every=True).deleted
    assert verify_export(tmp_path).exit_code == 0


# --- runs ---


def test_runs_are_returned_in_order_each_with_its_end(location, database):
    killed = database.start_run("killed", AT)
    ended = database.start_run("ended", AT)
    commit(database, ended, outcomes(a="ok"))
    database.end_run(ended, "finished", {"exit_code": 0}, LATER)
    database.close()
    with closing(open_database(location)) as again:
        first, second = again.runs()
    assert (first.number, first.run_id, first.ended, first.report) == (killed, "killed", None, {})
    assert (second.number, second.settled, second.ended) == (ended, 1, "finished")
    assert (second.started_at, second.seen_at) == (AT, LATER)
    assert second.report == {"exit_code": 0}


def test_an_intact_database_has_no_problems_and_is_not_displaced(database):
    assert database.problems() == []
    assert not database.is_displaced
