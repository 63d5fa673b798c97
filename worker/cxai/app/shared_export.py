"""An export that workers share, opened from its URL."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from cxai.api.base_url import origin_of
from cxai.app.terms import can_be_followed, shared_settings
from cxai.cluster.account import Account
from cxai.cluster.books import Books
from cxai.cluster.url import EngineUrl
from cxai.core.layout import BandsMark
from cxai.errors import BlockedError, TermsChangedError
from cxai.ledger.form import ExportForm
from cxai.objects.port import ObjectStore
from cxai.objects.registry import open_store
from cxai.resources.registry import layout_of
from cxai.settings import Settings

_TERMS_S = 2.0  # seconds between two looks at the terms


@dataclass(frozen=True, slots=True)
class SharedExport:
    """An opened export; `written` is its form in the database, `terms` are those when opened."""

    books: Books
    account: Account
    store: ObjectStore
    settings: Settings
    written: Mapping[str, Any]
    terms: Mapping[str, Any]

    @property
    def form(self) -> ExportForm:
        """Its form as a value."""
        written = self.written
        return ExportForm(
            layout_of(written["resource"]),
            self.settings.shape,
            self.settings.compression,
            origin_of(self.settings.base_url),
            BandsMark(written["bands_digest"], written["bands_name"]),
        )


async def terms_now(books: Books, account: Account) -> Mapping[str, Any]:
    """Return the terms of an export, with the limits as any export of the account set them last."""
    state = await account.state()
    return {**await books.terms(), "rate": state.rate, "in_flight": state.in_flight}


async def watch_terms(export: SharedExport) -> None:
    """Raise TermsChangedError as soon as a worker that began with `export` can't follow its terms.

    It waits for an unreachable database.
    """
    while True:
        await asyncio.sleep(_TERMS_S)
        with suppress(BlockedError):
            now = await terms_now(export.books, export.account)
            if not can_be_followed(export.terms, now):
                raise TermsChangedError


@asynccontextmanager
async def open_export(url: EngineUrl, own: Settings | None = None) -> AsyncIterator[SharedExport]:
    """Open an export. Its settings override those of this process, `own`.

    Raises UsageError if it doesn't exist or can't be used with these settings; EngineDownError.
    """
    books, account = Books(url), Account(url)
    try:
        await books.open()
        form = await books.form()
        terms = await terms_now(books, account)
        settings = shared_settings(own or Settings(), form, terms)
        store = open_store(form["destination"])
        try:
            yield SharedExport(books, account, store, settings, form, terms)
        finally:
            await store.close()
    finally:
        await books.close()
        await account.close()
