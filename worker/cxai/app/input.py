"""The input of a run: opening and closing its source."""

import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from pydantic import SecretStr

from cxai.core.entry import IdRule
from cxai.core.ports import Source
from cxai.core.secret import Secrets
from cxai.observe.logging import LOG
from cxai.settings import Settings
from cxai.sources.options import SourceOptions
from cxai.sources.registry import open_source


def source_of(
    settings: Settings,
    names: Sequence[str],
    token: SecretStr,
    redis_password: SecretStr | None = None,
) -> Source:
    """Return the source with these names; without any, standard input.

    `redis_password` is for a Redis stream, unless the settings name a file with it.
    Blocks until the first ID has arrived. Raises UsageError if it can't be used, or contradicts the
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
        LOG.warning,
    )
    return open_source(names, options)


@asynccontextmanager
async def entered(source: Source) -> AsyncIterator[None]:
    """Enter a source, if it is a context manager.

    A failure to close it is logged and changes nothing: what was read of it is acknowledged by
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
            LOG.warning(
                "source_not_closed", reason=f"{type(error).__name__}: {error}".removesuffix(": ")
            )
