"""Anything asynchronous, with faults: before a call has its effect, or after it, unknown to all."""

import inspect
from collections import defaultdict, deque


class Killed(BaseException):
    """The worker is dead from here on: nothing of it handles this."""


class Faulty:
    """Passes each call on to `target`, but for what `fail` has asked for. `calls` has their names.

    `at` is a hook that is called before and after each call with `(name, "before" or "after")`.
    """

    def __init__(self, target):
        self._target = target
        self._faults = defaultdict(deque)
        self.calls = []
        self.at = lambda _name, _when: None

    def fail(self, name, *errors, after=False):
        """Let the next calls of a method raise these, one each, before or after they take effect.

        None lets a call through.
        """
        self._faults[name].extend((error, after) for error in errors)

    def __getattr__(self, name):
        attribute = getattr(self._target, name)
        if not inspect.iscoroutinefunction(attribute):
            return attribute

        async def call(*args, **kwargs):
            self.calls.append(name)
            error, after = self._faults[name].popleft() if self._faults[name] else (None, False)
            self.at(name, "before")
            if error is not None and not after:
                raise error
            result = await attribute(*args, **kwargs)
            self.at(name, "after")
            if error is not None:
                raise error
            return result

        return call
