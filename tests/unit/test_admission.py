"""What is to be done of an input: by what is under way, what is settled, and a filter before it."""

import random
import uuid
from collections import Counter
from contextlib import closing

from support.doubles import entries
from support.memory_database import Books, MemoryDatabase

from cxai.core.outcome import Outcome
from cxai.core.ports import Admission
from cxai.ledger.admission import Admissions
from cxai.ledger.distinct import DistinctKeys
from cxai.ledger.key_filter import KeyFilter
from cxai.policy.verdict import OPEN_AGAIN, Verdict

AT = "2026-11-27T03:00:00.000Z"


class SearchedDatabase(MemoryDatabase):
    """Keeps for which keys it was searched."""

    def __init__(self):
        super().__init__(Books())
        self.searched = []

    def outcomes(self, keys):
        self.searched += keys
        return super().outcomes(keys)


class Runs:
    """Runs into one export, of which each admits and commits what it is given."""

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


def test_a_filter_never_denies_a_key_that_it_has_taken_of_whatever_kind():
    taken = [*keys_of(50_000, seed=1), *(f"id-{number}" for number in range(1_000))]
    known = KeyFilter()
    known.add_all(taken)
    assert all(map(known.may_hold, taken))


def test_a_filter_takes_few_other_keys_for_known():
    known = KeyFilter()
    known.add_all(keys_of(50_000, seed=1))
    taken_for_known = sum(map(known.may_hold, keys_of(50_000, seed=2)))
    assert 75 < taken_for_known < 250  # 0.3 %


def test_the_first_run_searches_for_no_id_that_is_new_or_under_way(tmp_path):
    a, b, c = entries("a", "b", "c")
    with closing(Runs(tmp_path).begin()) as run:
        assert run.admit([a, b]) == Admission([a, b], 0, {})
        run.commit(a)
        assert run.admit([b, c]) == Admission([c], 1, {})
        assert run.database.searched == []
        assert run.admit([a]) == Admission([], 1, {})
        assert run.database.searched == ["a"]


def test_an_id_that_the_filter_takes_for_another_is_new_all_the_same(tmp_path):
    ids = [str(uuid.UUID(bytes=key)) for key in keys_of(40_000, seed=1)]
    done, others = entries(*ids[:10_000]), entries(*ids[10_000:])
    with closing(Runs(tmp_path).begin()) as run:
        run.commit(*run.admit(done).fresh)
        assert run.admit(others) == Admission(others, 0, {})
        assert 0 < len(run.database.searched) < 100  # about 18, each for nothing


def test_what_is_left_over_is_a_duplicate_before_and_after_its_commit(tmp_path):
    (a,) = entries("a")
    with closing(Runs(tmp_path).begin()) as run:
        run.expect([a])
        assert run.admit([a]) == Admission([], 1, {})
        run.commit(a)
        assert run.admit([a]) == Admission([], 1, {})


def expected_of(block, before, seen):
    """Return what is to be done of a block, by sets in memory; `seen` grows by its IDs."""
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


def test_an_input_of_any_order_is_taken_as_sets_in_memory_would_take_it(tmp_path):
    """Random blocks with repetitions, over runs that each leave some IDs under way."""
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
