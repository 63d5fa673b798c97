"""An export that many workers share: set up, fed, worked at, looked at, verified, retried."""

import json
from pathlib import Path

import pytest
from support.command import cxai
from support.running import wait_for_line
from support.waiting import wait_until_blocking

pytestmark = pytest.mark.long(15)


def test_an_export_is_set_up_fed_worked_at_and_verified(simulated, guids, shared):
    ids = guids(60)
    with simulated(missing=0.1) as api:
        created = shared.init(api)
        assert created.code == 0, created.err
        assert f"{shared.url}: created." in created.out
        fed = shared.enqueue("# last night", *ids, "", ids[0]).json
        assert (fed["lines"], fed["new"], fed["duplicates"], fed["fed"]) == (63, 60, 1, True)
        report = shared.work().json
    assert (report["exit_code"], report["ids"], report["open"]) == (0, 60, 0)
    records, failures = shared.rows("records"), shared.rows("failures")
    assert {row["interaction_id"] for row in records + failures} == set(ids)
    assert len(records) + len(failures) == 60
    manifest = json.loads((shared.place / "manifest.json").read_text())
    assert manifest["last_run"]["settled"] is True
    listed = {part["file"] for part in manifest["parts"]}
    there = {str(one.relative_to(shared.place)) for one in shared.place.glob("[rf]*/*.jsonl")}
    assert listed == there
    assert sum(part["records"] for part in manifest["parts"]) == 60
    verified = cxai("verify", shared.url)
    assert verified.code == 0, verified.out + verified.err
    assert f"{shared.place} is intact: 60 lines" in verified.out


def test_workers_share_the_ids_and_no_id_is_done_twice(simulated, guids, shared):
    ids = guids(300)
    with simulated(latency_s=0.02) as api:
        shared.init(api)
        shared.enqueue(*ids)
        workers = [shared.start("--until-settled") for _ in range(2)]
        reports = [json.loads(worker.communicate(timeout=60)[0]) for worker in workers]
    assert [report["exit_code"] for report in reports] == [0, 0]
    assert sum(report["worker"]["completed"] for report in reports) == 300
    assert sorted(row["interaction_id"] for row in shared.rows("records")) == sorted(ids)


def test_a_queue_feeds_an_export_until_it_is_idle(simulated, guids, shared, shared_redis, stream):
    ids = guids(40)
    shared_redis.send(stream, *ids, "no ID", ids[0])
    with simulated() as api:
        shared.init(api, "--max-failed", "0.1")
        fed = cxai(
            "enqueue", shared_redis.url(stream), "--to", shared.url,
            "--until-idle", "0.5s", "--last", "--json",
        )  # fmt: skip
        assert fed.json["new"] == 41, fed.err
        assert shared_redis.pending(stream) == 0
        report = shared.work().json
    assert (report["ids"], report["invalid"], report["duplicates"]) == (40, 1, 1)
    (refused,) = shared.rows("failures")
    assert refused["source"].startswith(f"{shared_redis.url(stream)}#")


def test_status_shows_the_export_its_limits_and_its_workers(simulated, guids, shared):
    with simulated() as api:
        shared.init(api)
        shared.enqueue(*guids(3), last=False)
        before = cxai("status", shared.url, "--json").json
        shared.finish()
        shared.work()
    assert (before["open"], before["fed"], before["workers"]) == (3, False, [])
    assert (before["account"]["rate"], before["account"]["in_flight"]) == (200, 8)
    text = cxai("status", shared.url).out
    assert "3 distinct = 3 ok" in text
    assert "0 workers running" in text


def test_quiet_commands_show_nothing_if_all_goes_well(simulated, guids, shared):
    with simulated() as api:
        shared.init(api)
        enqueue = ["enqueue", "-", "--to", shared.url, "--last", "--quiet"]
        fed = cxai(*enqueue, stdin="\n".join(guids(3)).encode(), env=shared.env)
        worked = cxai("run", shared.url, "--until-settled", "--quiet", env=shared.env)
    assert (fed.code, fed.out, fed.err) == (0, "", "")
    assert (worked.code, worked.out, worked.err) == (0, "", "")
    assert len(shared.rows("records")) == 3


def test_limits_change_for_all_workers_and_the_form_never_does(simulated, guids, shared):
    with simulated() as api:
        shared.init(api)
        shared.enqueue(*guids(2))
        changed = shared.init(api, "--rate", "50")
        refused = shared.init(api, "--shape", "tables")
    assert "changed for all workers" in changed.out
    assert cxai("status", shared.url, "--json").json["account"]["rate"] == 50
    assert refused.code == 2
    assert "has this export with shape 'nested', not 'tables'" in refused.err


def test_a_worker_is_refused_what_belongs_to_the_export(simulated, shared):
    with simulated() as api:
        shared.init(api)
    elsewhere = shared.work("-o", "export/")
    assert elsewhere.code == 2
    assert "Leave --output out" in elsewhere.err
    faster = shared.work("--rate", "500")
    assert faster.code == 2
    assert "All workers of this export have rate = 200.0, but this one has 500.0" in faster.err
    for option, value in (("--until-idle", "3"), ("--part-every", "15m"), ("--column", "id")):
        useless = shared.work(option, value)
        assert useless.code == 2
        assert f"{option} has no use at a shared export" in useless.err
    again = shared.work("--reopen", "not_found")
    assert again.code == 2
    assert "use `cxai retry`" in again.err
    assert cxai("run", "ids.txt", shared.url).code == 2


def test_a_place_that_another_export_has_is_refused_and_nothing_is_created(
    simulated, guids, shared, database, tmp_path
):
    with simulated() as api:
        shared.init(api)
        shared.enqueue(*guids(1))
        server = shared.url.removesuffix("#nightly")
        refused = cxai(
            "cluster", "init", f"{server}#other", "-o", shared.place, "--base-url", api.base_url
        )
        nested = cxai("cluster", "init", f"{server}#other", "-o", shared.place / "records")
        (tmp_path / "local").mkdir()
        (tmp_path / "local" / "ledger.sqlite").touch()
        local = cxai("cluster", "init", f"{server}#other", "-o", tmp_path / "local")
    assert (refused.code, nested.code, local.code) == (2, 2, 2)
    assert "belongs to another export" in refused.err
    assert "is within the destination of another export" in nested.err
    assert "it holds ledger.sqlite" in local.err
    assert cxai("status", database.url("other")).code == 2


@pytest.mark.promise(
    "The database is away when a worker starts",
    "it waits, logs `storage_blocked`, and begins when it is back",
    group="Cluster",
)
def test_a_worker_waits_for_a_database_that_is_away_when_it_starts(
    simulated, guids, own_postgres, shared
):
    shared.url = own_postgres.new_database().url("nightly")
    with simulated() as api:
        shared.init(api)
        shared.enqueue(*guids(3))
        own_postgres.stop()
        worker = shared.start("--until-settled")
        wait_for_line(worker, "storage_blocked")
        own_postgres.start()
        out, err = worker.communicate(timeout=60)
    assert json.loads(out)["exit_code"] == 0, err


def test_ids_are_queued_again_by_their_verdict(simulated, guids, shared):
    ids = guids(10)
    with simulated(missing=1.0) as api:
        shared.init(api, "--allow-none")
        shared.enqueue(*ids)
        assert shared.work().json["verdicts"] == {"not_found": 10}
        queued = cxai("retry", "not_found", "--in", shared.url, "--json")
        assert queued.json == {"queued": 10}
        verified = cxai("verify", shared.url)
        assert verified.code == 4, verified.out
    assert cxai("retry", "ok", "--in", shared.url).code == 2
    assert "not a verdict" in cxai("retry", "lost", "--in", shared.url).err


def test_workers_under_way_follow_a_higher_limit(simulated, guids, shared):
    with simulated(latency_s=0.3) as api:
        shared.init(api, "--in-flight", "1")
        shared.enqueue(*guids(60))
        worker = shared.start("--until-settled")
        wait_until_blocking(lambda: api.stats.requests > 3, "requests")
        shared.init(api, "--in-flight", "16")
        out, log = worker.communicate(timeout=60)
        assert 1 < api.stats.max_in_flight <= 16
    assert json.loads(out)["exit_code"] == 0
    assert "event=worker_replaced" in log.decode()
    assert len(shared.rows("records")) == 60


def test_limits_of_the_account_stay_unless_others_are_given(simulated, database, shared):
    server = database.url("nightly").removesuffix("#nightly")

    def limits():
        account = cxai("status", shared.url, "--json").json["account"]
        return account["rate"], account["in_flight"]

    def init(export, *more):
        ended = cxai("cluster", "init", server, "--export", export, *more)
        assert ended.code == 0, ended.err

    with simulated() as api:
        shared.init(api)
    init("history", "-o", f"{shared.place}-2")
    assert limits() == (200, 8)
    init("history", "--rate", "3")
    assert limits() == (3, 8)
    init("nightly", "--flush", "7")
    assert limits() == (3, 8)


def test_a_place_belongs_to_one_export(simulated, database, shared):
    server = database.url("nightly").removesuffix("#nightly")
    with simulated() as api:
        shared.init(api)
        again = shared.init(api)
        other = cxai("cluster", "init", server, "--export", "history", "-o", shared.place)
        moved = cxai("cluster", "init", server, "--export", "history", "-o", f"{shared.place}-2")
    assert again.code == 0, again.err
    assert other.code == 2
    assert f"{shared.place} belongs to another export" in other.err
    assert moved.code == 0, moved.err


def test_an_export_without_an_id_is_complete_only_if_that_is_allowed(simulated, shared):
    with simulated() as api:
        shared.init(api)
        for closing in (("/dev/null", "--last"), ("--last",)):
            refused = cxai("enqueue", *closing, "--to", shared.url)
            assert refused.code == 2, refused.out
            assert cxai("status", shared.url, "--json").json["fed"] is False
        empty = cxai("enqueue", "/dev/null", "--allow-empty", "--to", shared.url)
        assert (empty.code, empty.out) == (0, "The input is empty.\n"), empty.err
        assert cxai("status", shared.url, "--json").json["fed"] is False
        allowed = cxai("enqueue", "--last", "--allow-empty", "--to", shared.url)
        assert (allowed.code, allowed.out) == (0, "The input is complete.\n"), allowed.err
        ended = shared.work()
    assert (ended.code, ended.json["lines"]) == (0, 0), ended.err
    assert cxai("verify", shared.url).code == 0


def test_an_export_that_is_not_there_is_named(database):
    ended = cxai("status", database.url("nightly"))
    assert ended.code == 2
    assert "has no export of that name" in ended.err
    assert "cxai cluster init" in ended.err


def test_a_password_in_the_url_is_refused_and_not_shown(database):
    url = database.url("nightly").replace("cxai@", "cxai:hush-hush@")
    for command in (("run", url), ("status", url), ("enqueue", Path(__file__), "--to", url)):
        ended = cxai(*command)
        assert ended.code == 2
        assert "holds a password" in ended.err
        assert "hush-hush" not in ended.out + ended.err
