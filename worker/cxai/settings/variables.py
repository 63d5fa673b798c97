"""The environment variables that are not settings, and those that are not ours."""

import re
from dataclasses import dataclass

from cxai.api.token import VARIABLE as TOKEN
from cxai.cluster.url import PASSWORD_FILE_VARIABLE as POSTGRES_PASSWORD_FILE_VARIABLE
from cxai.settings.definition import PREFIX
from cxai.sources.redis_password import VARIABLE as REDIS_PASSWORD_VARIABLE

CONFIG_VARIABLE = "CXAI_CONFIG"
DEBUG_VARIABLE = "CXAI_DEBUG"


@dataclass(frozen=True, slots=True)
class Variable:
    """An environment variable; the value of a secret one is never shown."""

    name: str
    help: str
    is_secret: bool = False


VARIABLES = (
    Variable(TOKEN, "The API token, unless token_file names a file.", is_secret=True),
    Variable(CONFIG_VARIABLE, "TOML file with settings, unless --config names one."),
    Variable(
        REDIS_PASSWORD_VARIABLE,
        "The password of Redis, unless redis_password_file names a file.",
        is_secret=True,
    ),
    Variable(POSTGRES_PASSWORD_FILE_VARIABLE, "File with the password of PostgreSQL."),
    Variable(DEBUG_VARIABLE, "1: log at level debug, with the traceback of an internal error."),
)

_OF_KUBERNETES = re.compile(
    rf"{PREFIX}(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
"""What Kubernetes sets in every pod beside a Service named `cxai` or `cxai-something`."""


def is_service_link(name: str, value: str) -> bool:
    """Whether Kubernetes or Docker has set it. CXAI_PORT is one if it holds an address."""
    has_address = re.match("(tcp|udp|sctp)://", value) is not None
    return bool(_OF_KUBERNETES.fullmatch(name)) or (name.endswith("_PORT") and has_address)
