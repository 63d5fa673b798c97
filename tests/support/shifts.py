"""Workers that die, freeze and wake up at random, and an independent look at what they made.

Each is a task of its own with books of its own on the real engine. Its objects are lists of keys in
a dict: what stands in an object whose row is in the log is what a loader would read.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from random import Random

from support.books import all_of, outcomes_of, silence, written

from cxai.cluster.books import Books
from cxai.errors import CxaiError, FencedError
from cxai.policy.verdict import Verdict

WORKERS = 4


@dataclass
class Shift:
    """Work on an export until nothing is left of it, or `rounds` are over."""

    url: object
    database: object
    chance: Random
    heeds_fencing: bool = True
    objects: dict = field(default_factory=dict)
    seen: Counter = field(default_factory=Counter)

    async def work(self, rounds=60):
        doctor = Books(self.url)
        await doctor.register("doctor")
        try:
            for _round in range(rounds):
                await asyncio.gather(*(self._worker(doctor) for _ in range(WORKERS)))
                if not (await doctor.queue()).has_blocks:
                    return
        finally:
            await doctor.close()

    async def _worker(self, doctor):
        books = Books(self.url)
        try:
            await books.register("worker")
            await self._life(books, doctor)
        except FencedError:
            self.seen["ended by fencing"] += 1
        finally:
            await books.close()

    async def _life(self, books, doctor):
        while claimed := await books.claim(self.chance.randint(1, 3)):
            entries = all_of(claimed)
            self.chance.shuffle(entries)
            while entries:
                some = entries[: self.chance.randint(1, 15)]
                del entries[: len(some)]
                match self.chance.choices(["works", "dies", "freezes"], [6, 1, 2]):
                    case ["dies"]:
                        self.seen["died"] += 1
                        await self._declare_gone(books, doctor)
                        return
                    case ["freezes"]:
                        await self._freeze(books, doctor)
                await self._commit(books, claimed, entries, some)

    async def _freeze(self, books, doctor):
        """Sleep for so long that others have declared it gone, and have done its work."""
        await self._declare_gone(books, doctor)
        other = Books(self.url)
        try:
            await other.register("successor")
            for one in await other.claim(2):
                await self._commit(other, [one], [], list(one.entries))
            await other.leave()
        finally:
            await other.close()
        if self.heeds_fencing:
            await books.beat("", may_reap=False)

    async def _declare_gone(self, books, doctor):
        silence(self.database, books)
        await doctor.beat("", may_reap=True)

    async def _commit(self, books, claimed, rest, some):
        left = {entry.key for entry in rest}
        hit = {entry.key for entry in some}
        blocks = {
            one.block: not any(entry.key in left for entry in one.entries)
            for one in claimed
            if any(entry.key in hit for entry in one.entries)
        }
        verdict = Verdict.OK if self.chance.random() < 0.9 else Verdict.NOT_FOUND
        part = written(some)
        self.objects[part.pending] = [key for key, _, _ in outcomes_of(some)]
        self.seen["tried to commit"] += 1
        try:
            await books.commit(outcomes_of(some, verdict), blocks, [part])
        except CxaiError as error:
            self.seen[type(error).__name__] += 1
            if self.heeds_fencing:
                raise


def checked(database, shift, keys):
    """Return which keys stand twice in what counts, which in nothing, and which elsewhere."""
    log = database.execute("SELECT pending, no FROM cxai_nightly.object ORDER BY no")
    places = {}
    twice = set()
    for pending, number in log:
        for key in shift.objects[pending]:
            if key in places:
                twice.add(key)
            places[key] = number
    items = database.execute("SELECT key, object FROM cxai_nightly.item WHERE verdict IS NOT NULL")
    settled = {bytes(key): number for key, number in items}
    return {
        "twice": len(twice),
        "lost": len(set(keys) - places.keys()),
        "unsettled": len(set(keys) - settled.keys()),
        "elsewhere": sum(places.get(key) != number for key, number in settled.items()),
    }
