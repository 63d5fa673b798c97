"""Exports from a program: `from cxai import Settings, export` (docs/library.md).

What belongs to the process stays the caller's: signal handlers, the garbage collector, the event
loop's policy, the log, standard streams, the environment.
"""

import asyncio
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydantic import SecretStr

from cxai import app
from cxai.api.token import checked_token, read_token
from cxai.core.ports import Source
from cxai.core.stop import StopRequest
from cxai.errors import UsageError
from cxai.inspect.report import Report
from cxai.observe.setup import Progress
from cxai.settings import Settings

Name = str | os.PathLike[str]


async def export(
    settings: Settings,
    source: Name | Sequence[Name] | Source,
    output: Name,
    *,
    token: str | SecretStr | None = None,
    stop: asyncio.Event | StopRequest | None = None,
    force: bool = False,
    reopen_missing: bool = False,
) -> Report:
    """Retrieve the results of all IDs in `source` into the directory `output`; return the report.

    Run it again with the same arguments to resume: IDs that have their verdict are not asked
    again. `source` is a file of IDs or several, or anything else that yields them (core/ports.py,
    Source). Without a `token`, the file that `settings.token_file` names has it. `stop` ends the
    run early and in good order: an event of this loop, or a StopRequest, from any thread. `force`
    uses a directory that holds files of others; `reopen_missing` fetches the IDs of parts again
    that are missing.

    A run that ended early is no error: `report.exit_code` and `report.ending` say how it ended.
    Raises UsageError, with nothing created, for arguments, an input or a directory that can't be
    used; StoppedError for a disk that fails before the run begins; IntegrityError, with nothing
    sent, if the files of the directory and its ledger contradict each other. Cancelling it is
    safe, too, as everything committed stays; but parts stay open and no report is made.

    Any number of exports can run in one process at a time, each into a directory of its own.
    """
    quiet = settings.model_copy(update={"progress": Progress.NONE})
    secret = _secret(settings, token)
    with _request(stop) as request:
        return await app.export(
            quiet,
            await _source(quiet, source, secret),
            Path(output),
            secret,
            stop=request,
            force=force,
            reopen_missing=reopen_missing,
        )


def _secret(settings: Settings, token: str | SecretStr | None) -> SecretStr:
    if token is None and settings.token_file is None:
        raise UsageError("No API token: give a token, or name a file that holds it: token_file.")
    if token is None:
        return read_token(settings.token_file)
    text = token if isinstance(token, str) else token.get_secret_value()
    if not text.strip():
        raise UsageError("No API token: the token given is empty.")
    return checked_token(text, "The API token")


async def _source(
    settings: Settings, source: Name | Sequence[Name] | Source, token: SecretStr
) -> Source:
    if isinstance(source, str | os.PathLike):
        source = [source]
    if not isinstance(source, Sequence):
        return source
    if not source:
        raise UsageError("No input: name at least one file of IDs.")
    names = [os.fspath(name) for name in source]
    return await asyncio.to_thread(app.source_of, settings, names, token)


@contextmanager
def _request(stop: asyncio.Event | StopRequest | None) -> Iterator[StopRequest]:
    """Return the request that stands for `stop`; an event is watched while this is entered."""
    if not isinstance(stop, asyncio.Event):
        yield stop or StopRequest()
        return
    request = StopRequest()

    async def heed(event: asyncio.Event) -> None:
        await event.wait()
        request.make()

    heeding = asyncio.create_task(heed(stop), name="stop")
    try:
        yield request
    finally:
        heeding.cancel()
