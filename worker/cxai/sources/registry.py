"""The sources of IDs by the scheme of their names. A new one is a file and a line in SOURCES.

Its module, imported when it is used, has a function `open_source(names, options)`. It gets the
names as they were given, schemes included, and returns the Source; it may take until the first ID
is there. It raises UsageError, naming what is wrong and what to do, for one that can't be used.
"""

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from importlib import import_module

from cxai.core.ports import Source
from cxai.core.text import printable
from cxai.errors import UsageError
from cxai.sources.options import SourceOptions
from cxai.sources.paths import STDIN

_PATH = ""

SOURCES: Mapping[str, str] = {
    # scheme: the module that opens it
    _PATH: "cxai.sources.file",
    STDIN: "cxai.sources.file",
    "redis": "cxai.sources.redis_stream",
    "rediss": "cxai.sources.redis_stream",
    "sqs": "cxai.sources.sqs",
}


# RFC 3986, 3.1; one letter alone is a drive of Windows, and no scheme that anyone uses.
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+):/")
_CREDENTIALS = re.compile("//[^/]*@")


def open_source(names: Sequence[str], options: SourceOptions) -> Source:
    """Return the source that `names` name: files, `-` or nothing for standard input, or a URL.

    It may take until the first ID is there. Raises UsageError, naming what is wrong and what to do:
    no source has that scheme, the names are of sources of several kinds, one of them can't be used,
    or one holds a secret, which is not shown then.
    """
    _refuse_secrets([*names, options.column or "", options.field or ""], options)
    modules = {_module_of(name): name for name in names or (STDIN,)}
    if len(modules) > 1:
        raise UsageError(
            f"{' and '.join(map(_shown, modules.values()))} are sources of different kinds, which"
            " a run can't read together. Give each to a run of its own, into the same directory."
        )
    (module,) = modules
    source: Source = import_module(module).open_source(names, options)
    return source


def shown_names(names: Sequence[str]) -> str:
    """Return the names of an input for people, without user names and passwords."""
    return ", ".join(map(_shown, names or (STDIN,)))


def _module_of(name: str) -> str:
    if name == STDIN:
        return SOURCES[STDIN]
    scheme = url["scheme"].lower() if (url := _URL.match(name)) else _PATH
    if scheme not in SOURCES:
        raise _unknown(name, scheme)
    return SOURCES[scheme]


def _unknown(name: str, scheme: str) -> UsageError:
    schemes = [known for known in SOURCES if known not in {_PATH, STDIN}]
    near = get_close_matches(scheme, schemes, n=1)
    meant = f" Do you mean {near[0]}://?" if near else ""
    known = ", ".join(["files", *(f"{one}://" for one in schemes)])
    return UsageError(
        f"{_shown(name)} is a URL. {scheme}:// is not supported as an input, only {known} and"
        f" standard input.{meant} Write its IDs to a file, or pipe them into standard input"
        f" ({STDIN})."
    )


def _shown(name: str) -> str:
    return printable(_CREDENTIALS.sub("//…@", name))


def _refuse_secrets(given: Sequence[str], options: SourceOptions) -> None:
    if any(map(options.rule.secrets.are_in, given)):
        raise UsageError(
            "The name of an input, a column or a field holds the API token. It is not shown here,"
            " but may be in your shell's history."
        )
