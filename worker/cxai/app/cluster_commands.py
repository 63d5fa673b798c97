"""The commands on a shared export other than `run`: create, feed, retry, show, verify."""

import asyncio
import os
from collections.abc import Sequence

from cxai.api.base_url import checked_base_url
from cxai.api.token import VARIABLE
from cxai.app.input import entered, source_of
from cxai.app.shared_export import open_export
from cxai.app.terms import changed_settings, form_of, ranges_of, terms_of
from cxai.app.waiting import room_with_events
from cxai.app.wiring import score_ranges
from cxai.cluster import schema
from cxai.cluster.books import Books
from cxai.cluster.destination import claim_destination, is_taken, refuse_restored, refuse_taken
from cxai.cluster.existing import existing
from cxai.cluster.feeding import FeedReport, feed
from cxai.cluster.status import ClusterStatus, cluster_status
from cxai.cluster.url import parse_engine_url
from cxai.cluster.verify import verify_cluster
from cxai.core.events import EventStream
from cxai.core.ports import Source
from cxai.core.secret_str import SecretStr
from cxai.core.stop import StopRequest
from cxai.errors import CxaiError, StoppedError, UsageError
from cxai.inspect.verify.findings import Findings
from cxai.objects.port import StoreError
from cxai.objects.registry import open_store, places_around
from cxai.output.local_path import local_path, scheme_of
from cxai.policy.verdict import Verdict
from cxai.resources.options import RowOptions
from cxai.resources.registry import open_resource
from cxai.settings import Settings


async def init_export(
    settings: Settings, database: str, export: str | None = None, output: str | None = None
) -> str:
    """Create an export that workers share, or change its terms; return a summary for people.

    In an existing export, only the settings that were given are changed. A new one needs `output`,
    the destination of its objects. Existing limits of the account stay unless others were given.
    Raises UsageError if database, destination or settings can't be used; IntegrityError if the
    destination has more objects than the database; StoreError.
    """
    url = parse_engine_url(database, export)
    there = await existing(url)
    ranges = score_ranges(settings)
    if there.form is None:
        kept = there.limits.keys() - settings.given
        settings = settings.replace(**{name: there.limits[name] for name in kept})
    else:
        settings = changed_settings(settings, there.form, {**there.terms, **there.limits})
        output = output or there.form["destination"]
        ranges = ranges or ranges_of(there.form)
    if output is None:
        raise UsageError("A new export needs --output, the destination of its objects.")
    checked_base_url(settings.base_url)
    resource = open_resource(settings.resource, RowOptions(settings.shape, "", ranges))
    if not scheme_of(output):
        output = str(local_path(output, "The destination").absolute())
    store = open_store(output)
    try:
        if there.form is None or output != there.form["destination"]:
            await refuse_nested(output)
            await store.prepare()
            await refuse_taken(store, resource.layout.all_sets)
        form = form_of(settings, resource, ranges, output)
        done = await schema.init(url, form, terms_of(settings))
    finally:
        await store.close()
    async with open_export(url) as shared:
        layout = shared.form.layout
        await refuse_restored(shared.books, shared.store, layout.all_sets, settings.compression)
        await claim_destination(shared.books, shared.store)
    what = "created" if done.created else "changed for all workers"
    if done.upgraded_from is not None:
        what += f" (its tables were upgraded from version {done.upgraded_from})"
    return (
        f"{url}: {what}.\n"
        f"  Objects go to {store.location}\n"
        f"  Limits of all workers together: {settings.rate:g} requests/s, {settings.in_flight} in"
        " flight\n"
        f"  Next: cxai enqueue SOURCE --to {url} --last\n"
        f"        cxai run {url} --until-settled"
    )


async def refuse_nested(destination: str) -> None:
    """Raise UsageError for a destination within that of another export."""
    for outer in places_around(destination):
        store = open_store(outer)
        try:
            if await is_taken(store):
                raise UsageError(
                    f"{destination} is within the destination of another export, {store.location}."
                    " Give this one another destination."
                )
        except StoreError:
            continue  # no store, or one that this process may not read
        finally:
            await store.close()


async def enqueue(
    settings: Settings,
    names: Sequence[str] | None,
    to: str,
    *,
    last: bool = False,
    stop: StopRequest | None = None,
    redis_password: SecretStr | None = None,
    events: EventStream | None = None,
) -> FeedReport:
    """Add the IDs of the sources `names` to a shared export; `last` marks its input as complete.

    Without `names`, it only does the latter, and for an export without an ID only if
    `settings.allow_empty`. `redis_password` is as for source_of (app/input.py).
    Raises UsageError if export or source can't be used. A source that breaks, and a stop, are
    reported.
    """
    books, fed = Books(parse_engine_url(to)), FeedReport(settings.allow_empty)
    emit = (events or EventStream()).emit
    try:
        await books.open()
        if names is None:
            return await _complete(books, allow_empty=settings.allow_empty)
        token = SecretStr(os.environ.get(VARIABLE, "").strip())  # never enqueued as an ID
        source = await asyncio.to_thread(source_of, settings, names, token, redis_password, emit)
        async with room_with_events(settings.outage_patience_s, asyncio.Event(), emit) as room:
            async with entered(source, emit):
                feeding = asyncio.create_task(feed(source, books, room, fed))

                def end(why: StoppedError) -> None:
                    fed.stopped_by = why
                    feeding.cancel()

                with (stop or StopRequest()).passed_to(end):
                    await asyncio.wait([feeding])
            if not feeding.cancelled() and (error := feeding.exception()) is not None:
                if not isinstance(error, CxaiError):
                    raise error
                fed.stopped_by = error
            if last and fed.stopped_by is None and not fed.exit_code:
                await room.wait_for(books.finish_feeding)
                fed.fed = True
    finally:
        await books.close()
    return fed


async def _complete(books: Books, *, allow_empty: bool) -> FeedReport:
    if not (allow_empty or (await books.counts()).ids):
        raise UsageError(
            f"{books.url} has no IDs, so --last would make it complete and empty. If that is"
            " intended, add --allow-empty."
        )
    await books.finish_feeding()
    return FeedReport(allow_empty=True, fed=True)


async def retry(in_: str, verdicts: str) -> int:
    """Queue IDs with these verdicts, separated by commas, again; return how many."""
    books = Books(parse_engine_url(in_))
    try:
        await books.open()
        return await books.retry([_verdict(name.strip()) for name in verdicts.split(",")])
    finally:
        await books.close()


async def status(of: str) -> ClusterStatus:
    """Return the status of a shared export."""
    async with open_export(parse_engine_url(of)) as shared:
        return await cluster_status(shared.books, shared.account, shared.store)


async def verify(of: str, expected: Source | None = None) -> Findings:
    """Check every object of a shared export against its log; `expected` is its input."""
    async with open_export(parse_engine_url(of)) as shared:
        return await verify_cluster(shared.books, shared.store, shared.form, expected)


def _verdict(name: str) -> Verdict:
    if name not in list(Verdict):
        raise UsageError(f"{name!r} is not a verdict. Verdicts are: {', '.join(Verdict)}.")
    return Verdict(name)
