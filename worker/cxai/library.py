"""Exports from a program: `from cxai import Settings, export` (docs/library.md).

What belongs to the process stays the caller's: signal handlers, the garbage collector, the event
loop's policy, the log, standard streams, the environment.
"""

import asyncio
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from typing import Any

from cxai import app
from cxai.api.token import checked_token, read_token
from cxai.core.ports import Source
from cxai.core.secret_str import HoldsSecret, SecretStr
from cxai.core.stop import StopRequest
from cxai.errors import StoppedError, UsageError
from cxai.inspect.report import Report
from cxai.observe.options import Progress
from cxai.settings import Settings

Name = str | os.PathLike[str]

# How long a stop waits for a look at the input that is under way: at files it takes less.
_LOOK_GRACE_S = 0.5


async def export(
    settings: Settings,
    source: Name | Sequence[Name] | Source,
    output: Name,
    *,
    token: str | HoldsSecret | None = None,
    stop: asyncio.Event | StopRequest | None = None,
    force: bool = False,
    reopen_missing: bool = False,
) -> Report:
    """Retrieve the results of all IDs in `source` into the directory `output`; return the report.

    Run it again with the same arguments to resume: IDs that have a verdict are not requested again.
    `source` is a file of IDs or several, or anything else that yields them (core/ports.py, Source).
    Without a `token`, the file that `settings.token_file` names has it. `stop` ends the run early
    and in good order: an event of this loop, or a StopRequest, from any thread. `force` uses a
    directory that holds files of others; `reopen_missing` fetches the IDs of missing parts again.

    A run that ended early is no error: `report.exit_code` and `report.ending` say how it ended.
    Raises UsageError, with nothing created, for arguments, an input or a directory that can't be
    used; StoppedError for a disk that fails before the run begins, and for a stop while a pipe has
    not given its first ID; IntegrityError, with nothing sent, if the directory's files contradict
    its ledger. Cancelling it is safe, but parts stay open and no report is made. Several exports
    can run in one process, each into its own directory.
    """
    quiet = settings.replace(progress=Progress.NONE)
    secret = _secret(settings, token)
    with _request(stop) as request:
        return await app.export(
            quiet,
            await _source(quiet, source, secret, request),
            app.lasting_path(os.fspath(output)),
            secret,
            stop=request,
            force=force,
            reopen_missing=reopen_missing,
        )


def _secret(settings: Settings, token: str | HoldsSecret | None) -> SecretStr:
    if token is None and settings.token_file is None:
        raise UsageError("No API token: give a token, or name a file that holds it: token_file.")
    if token is None:
        return read_token(settings.token_file)
    text = token if isinstance(token, str) else token.get_secret_value()
    if not text.strip():
        raise UsageError("No API token: the token given is empty.")
    return checked_token(text, "The API token")


async def _source(
    settings: Settings, source: Name | Sequence[Name] | Source, token: SecretStr, stop: StopRequest
) -> Source:
    if isinstance(source, Source):
        return source
    names = [source] if isinstance(source, str | os.PathLike) else source
    if not isinstance(names, Sequence) or not all(
        isinstance(name, str | os.PathLike) for name in names
    ):
        raise UsageError(
            f"An input can't be of type {type(source).__name__}: name a file or a list of files, or"
            " give a source (an object with batches, acknowledge and is_queue)."
        )
    if not names:
        raise UsageError("No input: name at least one file of IDs.")
    paths = [os.fspath(name) for name in names]
    return await _opened(partial(app.source_of, settings, paths, token), stop)


async def _opened(opening: Callable[[], Source], stop: StopRequest) -> Source:
    """Return the source that is opened on a daemon thread: a pipe may never send its first ID.

    Raises what `stop` is made for.
    """
    found: Future[Source] = Future()
    found.set_running_or_notify_cancel()  # from now on, cancelling it has no effect

    def work() -> None:
        try:
            found.set_result(opening())
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is raised to the caller
            found.set_exception(error)

    stopped: asyncio.Future[StoppedError] = asyncio.get_running_loop().create_future()
    opened = asyncio.wrap_future(found)
    either: tuple[asyncio.Future[Any], ...] = opened, stopped
    threading.Thread(target=work, name="look", daemon=True).start()
    try:
        with stop.passed_to(stopped.set_result):
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait([opened], timeout=_LOOK_GRACE_S)
        if not opened.done():
            raise stopped.result()
        return opened.result()
    finally:
        opened.cancel()


@contextmanager
def _request(stop: asyncio.Event | StopRequest | None) -> Iterator[StopRequest]:
    """Return the request that stands for `stop`; an event is watched while this is entered."""
    if stop is None or isinstance(stop, StopRequest):
        yield stop or StopRequest()
        return
    if not isinstance(stop, asyncio.Event):
        raise UsageError(
            f"A stop can't be of type {type(stop).__name__}: give an asyncio.Event, or a"
            " cxai.StopRequest, which any thread may make."
        )
    request, event = StopRequest(), stop

    async def heed() -> None:
        await event.wait()
        request.make()

    heeding = asyncio.create_task(heed(), name="stop")
    try:
        yield request
    finally:
        heeding.cancel()
