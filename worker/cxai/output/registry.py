"""Where an export can be written. Another kind of place is one file, and one line here."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cxai.output.local_path import local_path, scheme_of

if TYPE_CHECKING:
    from cxai.output.directory import OutputDirectory


def _local(destination: str, what: str) -> "OutputDirectory":
    from cxai.output.directory import OutputDirectory

    known = " and ".join(f"{scheme}://" if scheme else "local paths" for scheme in DESTINATIONS)
    return OutputDirectory(local_path(destination, what, supported=known))


DESTINATIONS: Mapping[str, Callable[[str, str], "OutputDirectory"]] = {"": _local}
"""What makes the output directory of a destination, by its scheme; without any IO as yet."""


def output_directory(
    destination: Path | str, what: str = "The output directory"
) -> "OutputDirectory":
    """Return the output directory at a destination, not entered yet.

    `what` it is for stands in the messages. Raises UsageError, which names the known schemes, if
    nothing can be written there, and as local_path does.
    """
    text = str(destination)
    return DESTINATIONS.get(scheme_of(text), _local)(text, what)
