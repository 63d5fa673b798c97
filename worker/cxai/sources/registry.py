"""The sources of IDs, by URL scheme. A new source is a module and a line in SOURCES.

The module is imported on first use, and has an `open_source` like the one here.
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

# RFC 3986, 3.1. A single letter is a Windows drive, not a scheme.
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+):/")
_CREDENTIALS = re.compile("//[^/]*@")


def open_source(names: Sequence[str], options: SourceOptions) -> Source:
    """Return the source for `names`: files, `-` or nothing for standard input, or a URL.

    It may block until the first ID arrives. Raises UsageError, with the remedy, for an unknown
    scheme, sources of several kinds, one that can't be used, or a name that contains a secret.
    """
    if any(map(options.rule.secrets.are_in, [*names, options.column or "", options.field or ""])):
        raise UsageError(
            "The name of an input, column or field contains the API token. It is not shown here,"
            " but it may be in your shell's history."
        )
    modules = {_module_of(name): name for name in names or (STDIN,)}
    if len(modules) > 1:
        raise UsageError(
            f"{' and '.join(map(_shown, modules.values()))} are different kinds of source, and a"
            " run reads only one kind. Read them in separate runs into the same directory."
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
    if scheme in SOURCES:
        return SOURCES[scheme]
    schemes = [known for known in SOURCES if known not in {_PATH, STDIN}]
    near = get_close_matches(scheme, schemes, n=1)
    meant = f" Did you mean {near[0]}://?" if near else ""
    known = ", ".join(f"{one}://" for one in schemes)
    shown = printable(re.sub("//.*@", "//…@", name))  # a password may hold any character
    raise UsageError(
        f"{shown}: {scheme}:// is not a supported input.{meant} Supported are files,"
        f" standard input ({STDIN}), {known}. Save the IDs to a file, or pipe them in."
    )


def _shown(name: str) -> str:
    return printable(_CREDENTIALS.sub("//…@", name))
