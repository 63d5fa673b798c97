"""Every setting: its name, kind, range, default and help. Nowhere else is one defined."""

from pathlib import Path
from typing import Literal

from cxai.core.events import Level
from cxai.core.guid import GUID_PATTERN
from cxai.core.secret_str import SecretStr
from cxai.observe.options import LogFormat, Progress
from cxai.output.compression import Compression
from cxai.policy.verdict import Verdict
from cxai.resources.options import Shape
from cxai.resources.registry import RESOURCES
from cxai.settings.base import SettingsBase
from cxai.settings.choices import Choice, ReaderCount, Switch, Verdicts
from cxai.settings.definition import setting
from cxai.settings.numbers import Bytes, Count, Duration, Number, Share
from cxai.settings.texts import File, SecretUrl, Text

API = "API"
PACE = "Pace"
RETRIES = "Retries and outages"
INPUT = "Input"
OUTPUT = "Output"
WORKERS = "Many workers"
RUN = "Run"

_DAYS_45_S = 86_400.0 * 45
_PATIENCE = Duration(or_zero=True, most_s=_DAYS_45_S)
_SWITCH = Switch()
_MIB = 1 << 20

# What counts where a setting is not given, and depends on the run.
START_PATIENCE_S = 600.0
START_PATIENCE_ON_A_TERMINAL_S = 60.0
PART_EVERY_OF_A_QUEUE_S = 900.0


class Settings(SettingsBase):
    """All settings of a run. Seconds end in `_s`, bytes in `_bytes`; shares are 0 to 1.

    `Settings(rate=20, grace_s="2m")` holds what it is given and defaults, nothing of the
    environment. Raises SettingsError, a UsageError and ValueError, that lists all that is wrong.
    """

    # fmt: off
    base_url: str = setting(
        Text("a URL, https://host[:port][/path]", "URL"), API,
        "URL of the API: https, or http to a loopback address.",
        default="https://api.elevateai.com")
    token_file: Path | None = setting(
        File(), API, "File with the API token.", default=None, unset="the variable CXAI_API_TOKEN")
    ca_file: Path | None = setting(
        File(), API, "File of CA certificates (PEM) to trust instead of the system's.",
        default=None, unset="the system's",
        more="For a proxy that inspects TLS. If it is not set, the first of SSL_CERT_FILE,"
        " SSL_CERT_DIR, REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE that is set counts.")
    proxy: SecretStr | None = setting(
        SecretUrl("http://[user:password@]host:port"), API,
        "Proxy to the API: http://host:port; with a password, set CXAI_PROXY.",
        default=None, unset="no proxy",
        more="It is never shown. HTTPS_PROXY and the like are not used.")
    connect_timeout_s: float = setting(
        Duration(), API, "Longest wait for a connection, TLS and proxy included.",
        default=10.0, advanced=True)
    read_timeout_s: float = setting(
        Duration(), API, "Longest silence while a response is read.", default=30.0, advanced=True)
    total_timeout_s: float = setting(
        Duration(), API, "Longest time for one request and its response.",
        default=120.0, advanced=True)
    max_wire_bytes: int = setting(
        Bytes(1024), API, "Largest body as sent; a larger one is too_large.",
        default=8 * _MIB, advanced=True)
    max_decoded_bytes: int = setting(
        Bytes(1024), API, "Largest body after decompression; a larger one is too_large.",
        default=8 * _MIB, advanced=True)
    max_ratio: float = setting(
        Number("decoded bytes per byte received", 1_000_000, least=1, examples="200"), API,
        "Largest expansion of a body above 1 MiB; more is too_large.",
        default=200.0, advanced=True)

    rate: float = setting(
        Number("requests per second", 100_000, above_least=True), PACE,
        "Most requests per second; fractions are allowed.",
        default=5.0, more="0.5 is one request every two seconds.")
    burst: bool = setting(
        _SWITCH, PACE, "Send a second's requests together instead of evenly spaced.", default=False)
    in_flight: int = setting(
        Count("requests", 1, 1_024), PACE, "Most requests in flight at a time.", default=10)
    adaptive: bool = setting(
        _SWITCH, PACE, "Lower the rate while the API answers 429 or 503, then raise it again.",
        default=True, advanced=True)

    max_attempts: int = setting(
        Count("attempts", 1, 1_000), RETRIES, "Attempts at one ID before its verdict is exhausted.",
        default=6)
    backoff_base_s: float = setting(
        Duration(), RETRIES, "Longest backoff after the first failure of an ID.",
        default=1.0, more="It doubles with each further failure, with full jitter.", advanced=True)
    backoff_cap_s: float = setting(
        Duration(), RETRIES, "Longest backoff after any failure.", default=60.0, advanced=True)
    retry_share: float = setting(
        Share(or_zero=False), RETRIES, "Largest share of the rate for retries, in the long run.",
        default=0.5, advanced=True)
    outage_after: int = setting(
        Count("failures", 1, 1_000), RETRIES,
        "Failures in a row after which an outage is suspected.",
        default=10, advanced=True,
        more="An ID that was answered before is then requested. If that fails too, it is an"
        " outage: one request at a time is sent, and no ID is charged with an attempt.")
    outage_patience_s: float = setting(
        _PATIENCE, RETRIES, "How long to wait for the API in an outage.",
        default=10_800.0, more="Then the run stops with exit code 4; rerun it to resume.",
        advanced=True)
    start_patience_s: float | None = setting(
        _PATIENCE, RETRIES, "How long to wait for the first answer of the API.",
        default=None, unset=f"{_PATIENCE.show(START_PATIENCE_ON_A_TERMINAL_S)} on a terminal,"
        f" else {_PATIENCE.show(START_PATIENCE_S)}",
        more="Then the run stops with exit code 4. Never longer than outage_patience_s.",
        advanced=True)
    retry_after_cap_s: float = setting(
        Duration(), RETRIES, "Longest Retry-After of the API that is obeyed in full.",
        default=300.0, advanced=True)
    check_status: bool = setting(
        _SWITCH, RETRIES, "Check the processing status of interactions without a result.",
        default=True, advanced=True)
    recheck_s: float = setting(
        Duration(), RETRIES, "Shortest time between two status checks of an interaction.",
        default=30.0, advanced=True)
    not_ready_timeout_s: float = setting(
        _PATIENCE, RETRIES,
        "How long to wait for interactions in process before they are not_ready.",
        default=900.0, formerly=("patience_s",))
    file_patience_s: float = setting(
        _PATIENCE, RETRIES,
        "Age from which a declared interaction without a file is processing_failed.",
        default=43_200.0, more="Until then it is waited for like any other that is in process.",
        advanced=True)

    column: str | None = setting(
        Text("the name or the number of a column", "COLUMN"), INPUT,
        "CSV column of the IDs, by name or number (1 is the first).",
        default=None, unset="interaction_id or interactionIdentifier",
        more="The default is for names that end in .csv or .tsv.")
    field: str | None = setting(
        Text("the name of a field", "FIELD"), INPUT,
        "Field of the IDs, in JSON Lines or messages of a queue.",
        default=None, unset="interaction_id or interactionIdentifier",
        more="detail.interaction_id is a field within another. The default is for names that end"
        " in .jsonl or .ndjson; a message of a queue may also be a bare ID.")
    id_pattern: str = setting(
        Text("a regular expression", "REGEX"), INPUT,
        "Regular expression that each ID must match as a whole.",
        default=GUID_PATTERN,
        more="It can only narrow what is allowed: letters, digits and -._~ The default also"
        " accepts a GUID in braces or quotes, after urn:uuid: and without hyphens.")
    allow_empty: bool = setting(
        _SWITCH, INPUT, "Accept an input without any ID, instead of exit code 2.", default=False)
    until_idle_s: float | None = setting(
        Duration(), INPUT, "End a queue run after this time without a message.",
        default=None, unset="never",
        more="Messages that are pending at other workers are waited for.")
    queue_patience_s: float = setting(
        _PATIENCE, INPUT, "How long to wait for a queue that can't be reached.",
        default=600.0, more="Then the run stops with exit code 4.", advanced=True)
    redis_password_file: Path | None = setting(
        File(), INPUT, "File with the password of Redis.",
        default=None, unset="the variable CXAI_REDIS_PASSWORD",
        more="The password is never part of a URL.", advanced=True)

    resource: str = setting(
        Choice.of(RESOURCES), OUTPUT, "What is retrieved of each interaction.",
        default="cx_ai", advanced=True)
    shape: Shape = setting(
        Choice.of(Shape), OUTPUT, "nested: a line per interaction; tables: rows to load as tables.",
        default=Shape.NESTED)
    compression: Compression = setting(
        Choice.of(Compression), OUTPUT, "Compression of the parts.", default=Compression.NONE)
    score_bands: Path | None = setting(
        File(), OUTPUT, "TOML file with score ranges, to name a band for each score.",
        default=None, unset="no bands")
    part_bytes: int = setting(
        Bytes(), OUTPUT, "Size on disk from which a part is sealed.",
        default=256 * _MIB, advanced=True)
    part_every_s: float | None = setting(
        _PATIENCE, OUTPUT,
        "Age of its first row from which a part is sealed during a run; 0 is never.",
        default=None,
        unset=f"{_PATIENCE.show(PART_EVERY_OF_A_QUEUE_S)} for a queue without --until-idle,"
        " else never")
    batch: int = setting(
        Count("outcomes", 1, 10_000), OUTPUT, "Most outcomes in one commit.",
        default=32, advanced=True)
    batch_s: float = setting(
        Duration(), OUTPUT, "Longest time before an outcome is committed.",
        default=1.0, option="--batch-wait", advanced=True)
    disk_patience_s: float = setting(
        _PATIENCE, OUTPUT, "How long to wait for space on a full disk.",
        default=600.0, more="Then the run stops with exit code 4.", advanced=True)
    backlog: int = setting(
        Count("IDs", 1, 1_000_000), OUTPUT,
        "Most IDs that are read from the input and not completed.",
        default=5_000, advanced=True)

    flush_s: float = setting(
        Duration(), WORKERS, "Longest time before an outcome is written to an object.",
        default=300.0, more="What a worker that dies has not written is retrieved again.")
    flush_ids: int = setting(
        Count("outcomes", 1, 100_000), WORKERS, "Most outcomes in one object.",
        default=5_000, more="An object is written sooner if its lines reach 64 MiB.")
    worker_ttl_s: float = setting(
        Duration(), WORKERS, "Silence after which a worker counts as dead and others get its IDs.",
        default=15.0)

    reopen: frozenset[Verdict] = setting(
        Verdicts(), RUN, "Verdicts of earlier runs to retry as well.",
        default=frozenset(), formerly=("retry",),
        more="Every run retries all but not_found, processing_failed, too_large and invalid_id.")
    max_failed: float = setting(
        Share(), RUN, "Share of IDs that may fail before the exit code is 1.", default=0.0)
    allow_none: bool = setting(
        _SWITCH, RUN, "Accept a run without any result, instead of exit code 1.", default=False)
    readers: int | Literal["auto"] = setting(
        ReaderCount(), RUN, "Processes that decode responses on other cores.",
        default="auto",
        more="auto: one for each other core, 4 at most, once one core has been busy for a second;"
        " none if the rate is below 200 requests per second. Each takes 25 to 36 MB of memory.")
    grace_s: float = setting(
        _PATIENCE, RUN, "How long a stopped run waits for requests in flight.", default=30.0)
    progress: Progress = setting(
        Choice.of(Progress), RUN, "How progress is shown; auto: bar on a terminal, else lines.",
        default=Progress.AUTO)
    progress_s: float = setting(
        Duration(), RUN, "Time between two lines of progress.",
        default=10.0, option="--progress-every", advanced=True)
    stalled_after_s: float = setting(
        Duration(), RUN, "Time without progress after which a stage is reported as stalled.",
        default=180.0, more="It should exceed total_timeout_s, or a slow API is reported.",
        advanced=True)
    log_format: LogFormat = setting(
        Choice.of(LogFormat), RUN, "Format of the log on standard error.",
        default=LogFormat.LOGFMT, advanced=True)
    log_level: Level = setting(
        Choice.of(Level), RUN, "Least severe events to log.", default=Level.INFO, advanced=True)
    # fmt: on
