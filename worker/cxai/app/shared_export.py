"""An export that workers share, opened from its URL: what `run`, `verify` and others do it with."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from cxai.api.base_url import origin_of
from cxai.app.terms import shared_settings
from cxai.cluster.account import Account
from cxai.cluster.books import Books
from cxai.cluster.url import EngineUrl
from cxai.core.layout import BandsMark
from cxai.ledger.form import ExportForm
from cxai.objects.port import ObjectStore
from cxai.objects.registry import open_store
from cxai.resources.registry import layout_of
from cxai.settings import Settings


@dataclass(frozen=True, slots=True)
class SharedExport:
    """An export: its books, the account's limits, where its objects lie, and its settings.

    `written` is its form as it stands in the database, `terms` are those that it had when it was
    opened.
    """

    books: Books
    account: Account
    store: ObjectStore
    settings: Settings
    written: Mapping[str, Any]
    terms: Mapping[str, Any]

    @property
    def form(self) -> ExportForm:
        """What decides its rows."""
        written = self.written
        return ExportForm(
            layout_of(written["resource"]),
            self.settings.shape,
            self.settings.compression,
            origin_of(self.settings.base_url),
            BandsMark(written["bands_digest"], written["bands_name"]),
        )


async def terms_now(books: Books, account: Account) -> Mapping[str, Any]:
    """Return the terms of an export; the limits are the account's, which another may have set."""
    state = await account.state()
    return {**await books.terms(), "rate": state.rate, "in_flight": state.in_flight}


@asynccontextmanager
async def opened(url: EngineUrl, own: Settings | None = None) -> AsyncIterator[SharedExport]:
    """Open an export; its settings take the place of some of `own`, those of this process.

    Raises UsageError if it is not there, or can't be used with these settings; EngineDownError.
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
