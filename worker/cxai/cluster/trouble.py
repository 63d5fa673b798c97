"""What trouble with the object store means for a run; that of the engine says so itself."""

from collections.abc import Iterator
from contextlib import contextmanager

from cxai.errors import BlockedError, IntegrityError
from cxai.objects.port import StoreError, TakenError

_TAKEN = (
    "Does another export write there, or was the database restored to an earlier point? Keep both"
    " as they are, and compare them: `cxai verify`."
)


@contextmanager
def as_trouble_of_a_run() -> Iterator[None]:
    """Raise what ends or holds up a run in place of what the store raises.

    BlockedError for what passes, and then the same work may be done again; IntegrityError if an
    object has another content than it should.
    """
    try:
        yield
    except StoreError as error:
        raise BlockedError(str(error), str(error).removesuffix(".")) from error
    except TakenError as error:
        raise IntegrityError(f"{error} {_TAKEN}") from error
