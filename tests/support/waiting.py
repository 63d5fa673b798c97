"""Waiting for a condition, never for a time."""

import asyncio
import time

PATIENCE_S = 30.0


async def wait_until(condition, what="the condition", patience_s=PATIENCE_S):
    """Return as soon as `condition()` is true; fail loudly if it never is."""
    deadline = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {patience_s} s")
        await asyncio.sleep(0.005)


def wait_until_blocking(condition, what="the condition", patience_s=PATIENCE_S):
    """Do the same without an event loop."""
    deadline = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {patience_s} s")
        time.sleep(0.005)
