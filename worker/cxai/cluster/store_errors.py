"""What a failure of the object store means for a run; the database's are in engine_errors.py."""

from collections.abc import Iterator
from contextlib import contextmanager

from cxai.errors import BlockedError, IntegrityError, UsageError
from cxai.objects.port import ObjectStore, StoreError, TakenError

_TAKEN = (
    "Does another export write there, or was the database restored to an earlier point? Keep both"
    " as they are, and compare them with `cxai verify`."
)


@contextmanager
def as_run_errors() -> Iterator[None]:
    """Translate errors of the store: BlockedError if the same work may be tried again.

    IntegrityError: an object has another content than it should.
    """
    try:
        yield
    except StoreError as error:
        raise BlockedError(str(error), str(error).removesuffix(".")) from error
    except TakenError as error:
        raise IntegrityError(f"{error} {_TAKEN}") from error


async def check_store(store: ObjectStore) -> None:
    """Raise StoreError unless a store can be used: even a refusal may pass while a worker waits."""
    try:
        await store.check()
    except UsageError as error:
        raise StoreError(str(error)) from error
