"""Admission of an input: IDs in progress, settled IDs, and the filter that saves searches."""

import random
import tracemalloc
import uuid
from collections import Counter
from contextlib import closing

from support.doubles import entries
from support.memory_database import Books, MemoryDatabase

from cxai.core.entry import Outcome
from cxai.core.ports import Admission
from cxai.ledger.admission import Admissions, KeyFilter
from cxai.ledger.distinct import DistinctKeys
from cxai.policy.verdict import OPEN_AGAIN, Verdict

AT = "2026-11-27T03:00:00.000Z"


class SearchedDatabase(MemoryDatabase):
    """Records the keys that it was searched for."""

    def __init__(self):
        super().__init__(Books())
        self.searched = []

    def outcomes(self, keys):
        self.searched += keys
        return super().outcomes(keys)


class Runs:
    """Successive runs into one export, which admit and commit entries."""

    def __init__(self, path):
        self._path = path
        self.database = SearchedDatabase()

    def begin(self):
        self._counted = DistinctKeys(self._path)
        self._run = self.database.start_run("run", AT)
        self._admissions = Admissions(self._counted, self.database, self._run)
        self.admit = self._admissions.admit
        self.expect = self._admissions.expect
        self.close = self._counted.close
        return self

    def commit(self, *settled, verdict=Verdict.OK):
        outcomes = [Outcome(entry, verdict, 1, {}) for entry in settled]
        self.database.commit(self._run, outcomes, [], AT, recorded=1, failed=1)
        self._admissions.note_committed(outcomes)


def keys_of(number, seed):
    draw = random.Random(seed)
    return [draw.randbytes(16) for _ in range(number)]


def test_a_filter_has_no_false_negatives():
    added = [*keys_of(50_000, seed=1), *(f"id-{number}" for number in range(1_000))]
    known = KeyFilter()
    known.add_all(added)
    assert all(map(known.may_hold, added))


def test_a_filter_has_few_false_positives():
    known = KeyFilter()
    known.add_all(keys_of(50_000, seed=1))
    positives = sum(map(known.may_hold, keys_of(50_000, seed=2)))
    assert 75 < positives < 250  # 0.3 %


def test_the_first_run_does_not_search_for_ids_that_are_new_or_in_progress(tmp_path):
    a, b, c = entries("a", "b", "c")
    with closing(Runs(tmp_path).begin()) as run:
        assert run.admit([a, b]) == Admission([a, b], 0, {})
        run.commit(a)
        assert run.admit([b, c]) == Admission([c], 1, {})
        assert run.database.searched == []
        assert run.admit([a]) == Admission([], 1, {})
        assert run.database.searched == ["a"]


def test_a_later_run_which_searches_for_each_id_has_no_filter_in_memory(tmp_path):
    (a,) = entries("a")
    runs = Runs(tmp_path)
    needed = []
    for _ in range(2):
        tracemalloc.start()
        with closing(runs.begin()) as run:
            needed.append(tracemalloc.get_traced_memory()[0])
            tracemalloc.stop()
            run.commit(*run.admit([a]).fresh)
    assert needed[0] > 2 << 20
    assert needed[1] < 1 << 20


def test_a_false_positive_of_the_filter_is_still_a_new_id(tmp_path):
    ids = [str(uuid.UUID(bytes=key)) for key in keys_of(40_000, seed=1)]
    done, others = entries(*ids[:10_000]), entries(*ids[10_000:])
    with closing(Runs(tmp_path).begin()) as run:
        run.commit(*run.admit(done).fresh)
        assert run.admit(others) == Admission(others, 0, {})
        assert 0 < len(run.database.searched) < 100  # about 18, each for nothing


def test_a_left_over_entry_is_a_duplicate_before_and_after_its_commit(tmp_path):
    (a,) = entries("a")
    with closing(Runs(tmp_path).begin()) as run:
        run.expect([a])
        assert run.admit([a]) == Admission([], 1, {})
        run.commit(a)
        assert run.admit([a]) == Admission([], 1, {})


def expected_of(block, before, seen):
    """Return the admission of a block, by sets in memory; adds its IDs to `seen`."""
    fresh, duplicates, settled = [], 0, Counter()
    for entry in block:
        verdict = before.get(entry.id)
        if entry.id in seen:
            duplicates += 1
        elif verdict is None or verdict in OPEN_AGAIN:
            fresh.append(entry)
        else:
            settled[verdict] += 1
        seen.add(entry.id)
    return Admission(fresh, duplicates, settled)


def test_an_input_in_any_order_is_admitted_as_by_sets_in_memory(tmp_path):
    """Random blocks with repetitions, over runs that each leave some IDs in progress."""
    chance = random.Random(12)
    everything = entries(*(f"id-{number}" for number in range(60)))
    runs, verdicts = Runs(tmp_path), {}
    for _ in range(12):
        with closing(runs.begin()) as run:
            before, seen, under_way = dict(verdicts), set(), []
            for _ in range(chance.randrange(2, 15)):
                block = chance.choices(everything, k=chance.randrange(20))
                admission = run.admit(block)
                assert admission == expected_of(block, before, seen)
                under_way += admission.fresh
                chance.shuffle(under_way)
                for entry in [under_way.pop() for _ in range(len(under_way) // 2)]:
                    verdicts[entry.id] = chance.choice(list(Verdict))
                    run.commit(entry, verdict=verdicts[entry.id])
