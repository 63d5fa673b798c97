"""The input of a run: opening and closing its source."""

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
    """Return the source with these names; without any, standard input.

    `redis_password` is for a Redis stream, unless the settings name a file with it. `emit` takes
    the events of the source. Blocks until the first ID has arrived. Raises UsageError if it can't
    be used, or contradicts the settings.
    """
    options = SourceOptions(
        IdRule(settings.id_pattern, Secrets(token.get_secret_value())),
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
    """Enter a source, if it is a context manager.

    A failure to close it is an event and changes nothing: what was read of it is acknowledged by
    then, or comes again.
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
        except Exception as error:  # noqa: BLE001 - it doesn't change how the run ended
            emit("source_not_closed", reason=f"{type(error).__name__}: {error}".removesuffix(": "))
