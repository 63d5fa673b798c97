"""Reads a source that ends, without an event loop."""

import asyncio
from collections.abc import Iterator, Sequence

from cxai.core.entry import SourceItem
from cxai.core.ports import Source


def blocks_of(source: Source) -> Iterator[Sequence[SourceItem]]:
    """Yield the batches of `source`; blocks while waiting. Not for a running event loop."""
    with asyncio.Runner() as runner:
        batches = source.batches()

        async def following() -> Sequence[SourceItem] | None:
            return await anext(batches, None)

        try:
            while (block := runner.run(following())) is not None:
                yield block
        finally:
            runner.run(batches.aclose())
