"""An object store in memory that fails, blocks or is full on demand."""

import asyncio
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

from cxai.objects.port import Listed, StoreError, TakenError, checked_name
from cxai.objects.probe import probe


@dataclass
class Fault:
    """Calls of `call` fail, so many `times`: before they have an effect, or `after` it."""

    call: str
    after: bool = False
    times: int = 1


class MemoryObjects:
    """A double of ObjectStore. Doubles that share `objects` are one store.

    A call uses up the first of `faults` that matches it. It waits while its gate in `gates`, an
    asyncio.Event, is not set. `space_bytes` limits the size of all objects, None for no limit.
    `calls` are those begun, with their arguments but without data.
    """

    location = "memory"

    def __init__(self, objects=None):
        self.objects = {} if objects is None else objects
        self.faults = []
        self.gates = {}
        self.calls = []
        self.space_bytes = None

    async def prepare(self):
        await self.check()

    async def check(self):
        await probe(self)

    async def put_new(self, name, data):
        async with self._call("put_new", checked_name(name)):
            if self._content(name) is None:
                self._keep(name, data)
            elif self._content(name) != data:
                raise TakenError(f"{name} already exists in memory, with different content.")

    async def publish(self, pending, name, sha256):
        async with self._call("publish", checked_name(pending), checked_name(name)):
            there = self._content(name)
            if there is None and pending in self.objects:
                self.objects[name] = self.objects[pending]
            elif there is None or hashlib.sha256(there).digest() != sha256:
                gone = there is None or pending not in self.objects
                problem = (
                    "is missing or changed" if gone else "already exists, with different content"
                )
                raise TakenError(f"{name} {problem}.")
            self.objects.pop(pending, None)

    async def replace(self, name, data):
        async with self._call("replace", checked_name(name)):
            self._keep(name, data)

    async def names(self, prefix, after=""):
        async with self._call("names", checked_name(prefix)):
            found = sorted(name for name in self.objects if name.startswith(f"{prefix}/"))
        for name in found:
            if name > after and name in self.objects:
                _, written_at = self.objects[name]
                yield Listed(name, written_at)

    async def read(self, name):
        async with self._call("read", checked_name(name)):
            content = self._content(name)
        if content is None:
            raise FileNotFoundError(name)
        for start in range(0, len(content), 1 << 16):
            yield content[start : start + (1 << 16)]

    async def delete(self, name):
        async with self._call("delete", checked_name(name)):
            self.objects.pop(name, None)

    async def close(self):
        pass

    def _content(self, name):
        return self.objects[name][0] if name in self.objects else None

    def _keep(self, name, data):
        used = sum(len(content) for other, (content, _) in self.objects.items() if other != name)
        if self.space_bytes is not None and used + len(data) > self.space_bytes:
            raise StoreError(f"Can't write {name} in memory: it is full.")
        self.objects[name] = bytes(data), datetime.now(UTC)

    def _call(self, call, *names):
        return _Call(self, call, names)


class _Call:
    def __init__(self, store, call, names):
        self._store = store
        self._call = call
        self._names = names
        self._fault = None

    async def __aenter__(self):
        self._store.calls.append((self._call, *self._names))
        if gate := self._store.gates.get(self._call):
            await gate.wait()
        await asyncio.sleep(0)
        self._fault = next((one for one in self._store.faults if one.call == self._call), None)
        if self._fault is not None:
            self._fault.times -= 1
            if not self._fault.times:
                self._store.faults.remove(self._fault)
            if not self._fault.after:
                raise self._failure()

    async def __aexit__(self, kind, *exc):
        if kind is None and self._fault is not None:
            raise self._failure()

    def _failure(self):
        when = "after" if self._fault.after else "before"
        return StoreError(f"Can't {self._call} in memory: a fault of the test, {when} the effect.")
