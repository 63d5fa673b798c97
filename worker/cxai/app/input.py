"""The input of a run: the source that some names mean, and its end."""

import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from cxai.core.entry import IdRule
from cxai.core.events import Emit
from cxai.core.ports import Source
from cxai.core.secret import Secrets
from cxai.core.secret_str import SecretStr
from cxai.settings import Settings
from cxai.sources.options import SourceOptions
from cxai.sources.registry import open_source


def source_of(
    settings: Settings,
    names: Sequence[str],
    token: SecretStr,
    redis_password: SecretStr | None = None,
    emit: Emit = lambda _event, **_values: None,
) -> Source:
    """Return the source that `names` name; without any, standard input.

    `redis_password` is for a stream of Redis, if no file of the settings holds it. `emit` takes the
    events of the source, such as an outage of its queue.
    It may wait for the first ID. Raises UsageError if the source can't be used, or does not fit the
    settings.
    """
    rule = IdRule(settings.id_pattern, Secrets(token.get_secret_value()))
    options = SourceOptions(
        rule,
        settings.column,
        settings.field,
        settings.allow_empty,
        settings.until_idle_s,
        settings.queue_patience_s,
        settings.redis_password_file,
        redis_password,
        emit,
    )
    return open_source(names, options)


@asynccontextmanager
async def entered(source: Source, emit: Emit) -> AsyncIterator[None]:
    """Enter a source that has something to close.

    A failure to close it is an event and changes nothing: what it delivered is acknowledged by
    then, or is delivered again.
    """
    if not isinstance(source, AbstractAsyncContextManager):
        yield
        return
    await source.__aenter__()
    try:
        yield
    finally:
        try:
            await source.__aexit__(*sys.exc_info())
        except Exception as error:  # noqa: BLE001 - whatever it is, the run has ended
            emit("source_not_closed", reason=f"{type(error).__name__}: {error}".removesuffix(": "))
