"""Every setting: its name, unit, range and default. Nowhere else is one defined.

`Settings(...)` holds what it is given and defaults, nothing else: what a program asks for must not
depend on the environment of whoever starts it. `load_settings` is what the command uses, with the
precedence: command line > environment (CXAI_*) > TOML file > default. The token is no setting: it
comes from CXAI_API_TOKEN or from the file that `token_file` names (cxai/api/token.py).
"""

import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import ErrorDetails

from cxai.api.token import VARIABLE as TOKEN_VARIABLE
from cxai.cluster.url import PASSWORD_FILE_VARIABLE as POSTGRES_PASSWORD_FILE_VARIABLE
from cxai.core.events import Level
from cxai.core.guid import GUID_PATTERN
from cxai.defaults import DEBUG_VARIABLE, defaults_file
from cxai.errors import UsageError
from cxai.observe.setup import Progress
from cxai.output.compression import Compression
from cxai.output.local_path import local_path
from cxai.policy.verdict import Verdict
from cxai.resources.options import Shape
from cxai.resources.registry import RESOURCES
from cxai.sources.redis_password import VARIABLE as REDIS_PASSWORD_VARIABLE

_PREFIX = "CXAI_"
CONFIG_VARIABLE = "CXAI_CONFIG"

MIB = 1 << 20


def _none_if_empty(value: Any) -> Any:
    return None if value == "" else value


Given = BeforeValidator(_none_if_empty)
"""Lets an empty text stand for a setting that is not given."""


def _local(name: Any) -> Any:
    if not isinstance(name, str | Path):
        return name
    try:
        return local_path(name, "The path")
    except UsageError as error:
        raise ValueError(str(error)) from None


LocalPath = Annotated[Path, BeforeValidator(_local)]
"""A path on this machine; `~` is expanded, a URL is refused."""

_DURATION = re.compile(r"(\d+(?:\.\d+)?) ?(s|m|h|d)")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?|nan|[-+]?inf(inity)?", re.IGNORECASE)
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def _in_seconds(value: Any) -> Any:
    if isinstance(value, str) and (given := _DURATION.fullmatch(value.strip())):
        return float(given[1]) * _SECONDS[given[2]]
    if isinstance(value, str) and not _NUMBER.fullmatch(value.strip()):
        raise ValueError("a time is a number of seconds, or has a unit: 90, 90s, 15m, 12h, 2d")
    return value


Seconds = Annotated[
    float, BeforeValidator(_in_seconds), Field(gt=0, le=86_400, allow_inf_nan=False)
]
SecondsOrZero = Annotated[
    float, BeforeValidator(_in_seconds), Field(ge=0, le=86_400 * 45, allow_inf_nan=False)
]
"""Seconds, or a text with a unit: 90, "90s", "15m", "12h", "2d"."""
Share = Annotated[float, Field(ge=0, le=1)]


def _split(value: Any) -> Any:
    return [word.strip() for word in value.split(",") if word] if isinstance(value, str) else value


def _known_resource(name: str) -> str:
    if name not in RESOURCES:
        raise ValueError(f"known are {', '.join(RESOURCES)}")
    return name


_ASKABLE = [verdict for verdict in Verdict if verdict is not Verdict.OK]


def _askable(name: Any) -> Any:
    if name == Verdict.OK:
        raise ValueError("ok can't be asked again: a record is written exactly once")
    if name not in _ASKABLE:
        raise ValueError(f"a verdict to ask again is one of {', '.join(_ASKABLE)}")
    return name


Verdicts = Annotated[
    frozenset[Annotated[Verdict, BeforeValidator(_askable)]], BeforeValidator(_split)
]
"""Several verdicts; in the environment separated by commas."""


_MOST_READERS = 64


def _count_or_auto(value: Any) -> Any:
    if isinstance(value, str) and re.fullmatch(r"\s*[0-9]{1,4}\s*", value):
        value = int(value)
    if value == "auto" or (isinstance(value, int) and 0 <= value <= _MOST_READERS):
        return value
    raise ValueError(f"a number of processes from 0 to {_MOST_READERS}, or auto")


class LogFormat(StrEnum):
    """How a log line looks."""

    LOGFMT = "logfmt"
    JSON = "json"


class Settings(BaseModel):
    """All settings of a run. Seconds end in `_s`, bytes in `_bytes`, shares are 0 to 1.

    Raises pydantic.ValidationError, a ValueError, that names each setting that can't be used.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    # The API
    base_url: str = Field(
        default="https://api.elevateai.com",
        description="Where the API is; https, or http to loopback.",
    )
    token_file: Annotated[LocalPath | None, Given] = Field(
        default=None, description="File that holds the API token; without it, CXAI_API_TOKEN does."
    )
    ca_file: Annotated[Path | None, Given] = Field(
        default=None, description="File of CA certificates (PEM) to trust instead of the system's."
    )
    proxy: Annotated[SecretStr | None, Given] = Field(
        default=None, description="Proxy on the way to the API: http://[user:password@]host:port."
    )
    connect_timeout_s: Seconds = Field(
        default=10.0, description="Longest wait for a connection, TLS and proxy included."
    )
    read_timeout_s: Seconds = Field(
        default=30.0, description="Longest silence while reading a response."
    )
    total_timeout_s: Seconds = Field(
        default=120.0,
        description="Longest time for one request, however slowly its response drips.",
    )
    max_wire_bytes: int = Field(
        default=8 * MIB, ge=1024, description="Largest body as sent; more is too_large."
    )
    max_decoded_bytes: int = Field(
        default=8 * MIB, ge=1024, description="Largest body after decompression; more is too_large."
    )
    max_ratio: float = Field(
        default=200.0,
        ge=1,
        le=1_000_000,
        description="Largest expansion by decompression of a body above 1 MiB; more is too_large.",
    )

    # The pace
    rate: float = Field(
        default=5.0, gt=0, le=100_000, description="Requests per second, at most; fractions too."
    )
    burst: bool = Field(
        default=False, description="Send a second's budget at once instead of evenly."
    )
    in_flight: int = Field(
        default=10, ge=1, le=1_024, description="Requests under way at a time, at most."
    )

    adaptive: bool = Field(
        default=True, description="Lower the rate while the API refuses requests, then raise it."
    )

    # The policy
    max_attempts: int = Field(
        default=6, ge=1, le=1_000, description="Attempts at one ID before its verdict is exhausted."
    )
    backoff_base_s: Seconds = Field(
        default=1.0, description="Backoff after the first failure, at most."
    )
    backoff_cap_s: Seconds = Field(default=60.0, description="Backoff after any failure, at most.")
    retry_share: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.5,
        description="Share of the rate that repeated requests may take in the long run.",
    )
    outage_after: int = Field(
        default=10,
        ge=1,
        le=1_000,
        description="Failures in a row that make a doubt about the API.",
    )
    outage_patience_s: SecondsOrZero = Field(
        default=10_800.0,
        description="How long to wait for an API that refuses or fails all requests.",
    )
    start_patience_s: Annotated[SecondsOrZero | None, Given] = Field(
        default=None, description="How long to wait for the first answer of the API."
    )
    retry_after_cap_s: Seconds = Field(
        default=300.0, description="Longest Retry-After of the API that is obeyed in full."
    )
    check_status: bool = Field(
        default=True, description="Ask the status endpoint what a missing result means."
    )
    recheck_s: Seconds = Field(
        default=30.0, description="Shortest time between two looks at an interaction under way."
    )
    patience_s: SecondsOrZero = Field(
        default=900.0, description="How long to wait for interactions under way before not_ready."
    )
    file_patience_s: SecondsOrZero = Field(
        default=43_200.0,
        description="How long after its declaration an interaction may be without its file before"
        " it is processing_failed.",
    )

    # The input
    column: Annotated[str | None, Given] = Field(
        default=None, description="CSV column that holds the IDs."
    )
    field: Annotated[str | None, Given] = Field(
        default=None, description="Field of JSONL, or of a queue's messages, that holds the IDs."
    )
    id_pattern: str = Field(
        default=GUID_PATTERN, description="Regular expression that a whole ID has to match."
    )
    allow_empty: bool = Field(default=False, description="An input without any ID is no error.")
    until_idle_s: Annotated[Seconds | None, Given] = Field(
        default=None,
        description="Time without a message after which a queue has ended; none for a run without"
        " an end.",
    )
    queue_patience_s: SecondsOrZero = Field(
        default=600.0, description="How long to wait for a queue that can't be reached."
    )
    redis_password_file: Annotated[LocalPath | None, Given] = Field(
        default=None,
        description="File that holds the password of Redis; without it, CXAI_REDIS_PASSWORD does.",
    )

    # The output
    resource: Annotated[str, AfterValidator(_known_resource)] = Field(
        default="cx_ai",
        description=f"What is retrieved of each interaction: {', '.join(RESOURCES)}.",
    )
    shape: Shape = Field(
        default=Shape.NESTED,
        description="nested: a line per interaction; tables: rows to load as tables.",
    )
    compression: Compression = Field(
        default=Compression.NONE, description="Compression of the parts: none, gzip or zstd."
    )
    score_bands: Annotated[LocalPath | None, Given] = Field(
        default=None, description="TOML file with the score ranges that name a band for each score."
    )
    part_bytes: int = Field(
        default=256 * MIB, ge=1, description="Size on disk from which on a part is sealed."
    )
    part_every_s: Annotated[SecondsOrZero | None, Given] = Field(
        default=None,
        description="Age of its first row from which on a part is sealed while the run goes; 0 is"
        " never.",
    )
    batch: int = Field(
        default=32, ge=1, le=10_000, description="Outcomes that are committed together, at most."
    )
    batch_s: Seconds = Field(default=1.0, description="Longest wait of an outcome for its commit.")
    disk_patience_s: SecondsOrZero = Field(
        default=600.0, description="How long to wait for room on a full disk before the run stops."
    )
    backlog: int = Field(
        default=5_000, ge=1, le=1_000_000, description="IDs taken in and not yet settled, at most."
    )

    # Many workers
    flush_s: Seconds = Field(
        default=300.0, description="Longest wait of an outcome for its object, with many workers."
    )
    flush_ids: int = Field(
        default=5_000, ge=1, le=100_000, description="Outcomes in one object, at most."
    )
    worker_ttl_s: Seconds = Field(
        default=15.0, description="Silence after which a worker is taken for dead."
    )

    # The run
    retry: Verdicts = Field(
        default=frozenset(),
        description="Verdicts of earlier runs to retry, besides those that every run retries.",
    )
    max_failed: Share = Field(
        default=0.0, description="Share of IDs that may fail before the exit code is 1."
    )
    allow_none: bool = Field(
        default=False, description="A run in which no ID has a result is no error."
    )
    readers: Annotated[int | Literal["auto"], BeforeValidator(_count_or_auto)] = Field(
        default="auto",
        description="Processes that read replies on other cores; auto starts them when one core is"
        " busy.",
    )
    grace_s: SecondsOrZero = Field(
        default=30.0, description="How long a stopped run waits for requests under way."
    )
    progress: Progress = Field(
        default=Progress.AUTO,
        description="auto (bar on a terminal, else lines), bar, lines or none.",
    )
    stalled_after_s: Seconds = Field(
        default=180.0,
        description="Time without a move at one stage after which it is called stalled.",
    )
    progress_s: Seconds = Field(default=10.0, description="Time between two lines of progress.")
    log_format: LogFormat = Field(
        default=LogFormat.LOGFMT, description="Log lines on standard error: logfmt or json."
    )
    log_level: Level = Field(
        default=Level.INFO,
        description="Least level of log lines: debug (each request), info, warning or error.",
    )

    @field_validator("*", mode="before")
    @classmethod
    def _no_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse true and false for a number: they would be read as 1 and 0."""
        is_switch = info.field_name and cls.model_fields[info.field_name].annotation is bool
        if isinstance(value, bool) and not is_switch:
            raise ValueError("true and false are for settings that are on or off")
        return value


def load_settings(given: Mapping[str, Any], config: Path | None = None) -> Settings:
    """Return the settings, `given` (from the command line) before all others.

    `config` names a TOML file; without it CXAI_CONFIG may. Raises UsageError that names the
    setting, where it was set, and what is allowed.
    """
    if config is None and (named := os.environ.get(CONFIG_VARIABLE)):
        config = Path(named)
    if config is not None:
        config = local_path(config, "The settings file")
    from_file = _read_toml(config) if config is not None else {}
    try:
        return Settings(**{**from_file, **_from_environment(), **given})
    except ValidationError as error:
        problems = "\n".join(
            f"  {_where(str(problem['loc'][0]), given, from_file, config)}: {_reason(problem)}"
            for problem in error.errors(include_url=False, include_input=False)
        )
        raise UsageError(f"These settings can't be used:\n{problems}") from None


def _reason(problem: ErrorDetails) -> str:
    """Return why a value can't be used, without pydantic's name for errors of ours."""
    return problem["msg"].removeprefix("Value error, ")


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = tomllib.load(file)
    except OSError as error:
        raise UsageError(f"Can't read the settings file {path}: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"The settings file {path} is not valid TOML: {error}") from None
    for name in content:
        if "token" in name and name != "token_file":
            raise UsageError(
                f"The settings file {path} has {name!r}: a token doesn't belong into a settings"
                f" file. Set {TOKEN_VARIABLE}, or name a file of its own with token_file."
            )
        if name not in Settings.model_fields:
            raise UsageError(
                f"The settings file {path} has {name!r}, which is no setting."
                f"{_advice(name, Settings.model_fields)}"
            )
    return content


_OF_KUBERNETES = re.compile(
    rf"{_PREFIX}(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
"""What Kubernetes sets in every pod beside a Service named `cxai` or `cxai-something`."""


def _is_service_link(name: str, value: str) -> bool:
    """Whether Kubernetes or Docker has set it. CXAI_PORT is one if it holds an address."""
    has_address = re.match("(tcp|udp|sctp)://", value) is not None
    return bool(_OF_KUBERNETES.fullmatch(name)) or (name.endswith("_PORT") and has_address)


def _from_environment() -> dict[str, str]:
    """Return the settings of the environment by name. Raises UsageError for what is none."""
    known = {_PREFIX + name.upper() for name in Settings.model_fields}
    in_capitals = {
        *(TOKEN_VARIABLE, CONFIG_VARIABLE),
        *(REDIS_PASSWORD_VARIABLE, POSTGRES_PASSWORD_FILE_VARIABLE, DEBUG_VARIABLE),
    }
    spelled: dict[str, str] = {}
    for name, value in os.environ.items():
        upper = name.upper()
        if not upper.startswith(_PREFIX):
            continue
        if upper in in_capitals and name != upper:
            raise UsageError(f"The environment has {name}, which is read as {upper} only.")
        if upper in known:  # it may be written in small letters, too
            first = spelled.setdefault(upper, name)
            if os.environ[first] != value:
                raise UsageError(
                    f"The environment has {first} and {name}, which differ. Set one of them."
                )
        elif upper not in in_capitals and not _is_service_link(name, value):
            raise UsageError(
                f"The environment has {name}, which is no setting."
                f"{_advice(upper, known | in_capitals)}"
            )
    return {
        upper.removeprefix(_PREFIX).lower(): os.environ[name] for upper, name in spelled.items()
    }


def _advice(name: str, known: Iterable[str]) -> str:
    """Return what to do about a name that is none of those known."""
    bare = {one.removeprefix(_PREFIX): one for one in known}  # the prefix makes all look alike
    nearest = get_close_matches(name.removeprefix(_PREFIX), bare, n=1)
    meant = f" Do you mean {bare[nearest[0]]}?" if nearest else ""
    return f"{meant} {defaults_file()} lists all settings."


def _where(
    name: str, given: Mapping[str, Any], from_file: Mapping[str, Any], config: Path | None
) -> str:
    if name in given:
        return f"--{name.replace('_', '-').removesuffix('-s')}"
    if _PREFIX + name.upper() in os.environ:
        return _PREFIX + name.upper()
    return f"{name} in {config}" if name in from_file else name
