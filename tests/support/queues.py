"""Queues as a source, opened directly or by the command line."""

from contextlib import asynccontextmanager

from support.command import cxai, environment, rows
from support.defaults import source_options

from cxai.core.entry import IdRule
from cxai.sources.registry import open_source


@asynccontextmanager
async def opened(name, **options):
    """Open a source as a run does, and close it."""
    source = open_source([name], source_options(IdRule(), **{"until_idle_s": 0.1, **options}))
    async with source:
        yield source


async def taken(name, **options):
    """Return all entries of a queue, acknowledging each batch as a run does."""
    entries = []
    async with opened(name, **options) as source:
        async for batch in source.batches():
            entries += batch
            await source.acknowledge(batch)
    return entries


def ids_of(entries):
    return [entry.id for entry in entries]


def written(export):
    """Return how many IDs have a line."""
    return sum(len(rows(export, part, sealed_only=False)) for part in ("records", "failures"))


def events(noticed):
    return [event for event, _ in noticed]


class Noticed(list):
    """The events that a source reports."""

    def __call__(self, event, **values):
        self.append((event, values))


def run_to_idle(api, export, name, *arguments, until_idle="0.2", **env):
    return cxai(
        "run", name, "-o", export, "--base-url", api.base_url, "--rate", "1000",
        "--until-idle", until_idle, *arguments, env=environment(**env),
    )  # fmt: skip
