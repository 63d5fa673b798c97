"""`cxai demo` and `cxai simulate`: the API as a local server, and an export against it."""

from pathlib import Path
from typing import Any

import click

from cxai.cli.exits import finish
from cxai.cli.help import Option, Page
from cxai.cli.options import AS_JSON, given, settings_options
from cxai.cli.streams import tell
from cxai.cli.values import Directory, Value, metavar_of
from cxai.errors import UsageError
from cxai.settings.definition import option_of
from cxai.settings.kind import Kind
from cxai.settings.numbers import Count, Duration, Number, Share
from cxai.settings.settings import OUTPUT, RUN

_DEMO_RATE = "40"


@click.command(
    cls=Page,
    params=[
        Option(
            ["-o", "--output"], type=Directory(), default="demo-export", metavar="DIR",
            group=OUTPUT, help="Directory of the export.", default_text="demo-export",
        ),
        AS_JSON,
        Option(
            ["--ids"], type=Value(Count("IDs", 1)), default=300, metavar="N", group=RUN,
            help="Number of IDs.", default_text="300",
        ),
        *settings_options("rate", "progress", rate=_DEMO_RATE),
    ],
    examples=["cxai demo", "cxai demo --ids 5000 --rate 500 -o trial/"],
)  # fmt: skip
def demo(*, output: Path, ids: int, rate: str | None, progress: str | None, as_json: bool) -> None:
    """Watch a real run against the built-in simulator: no token, no network, a few seconds."""
    from cxai.cli.demo import demo_export
    from cxai.cli.process import run_to_end

    finish(run_to_end(demo_export(output, ids, rate or _DEMO_RATE, progress)), as_json=as_json)


def _option(name: str, kind: Kind[Any], help_: str, default: str, *, group: str) -> Option:
    """Return the option of a field of the scenario, which decides the default."""
    return Option(
        [option_of(name), name], type=Value(kind), metavar=metavar_of(kind),
        group=group, help=help_, default_text=default,
    )  # fmt: skip


_RATE = Number("requests per second", 1_000_000, above_least=True)
_SHARE, _TIME, _COUNT = Share(), Duration(or_zero=True), Count("requests", 1)

_LIMITS = [
    _option(name, kind, help_, default, group="Limits")
    for name, kind, help_, default in (
        ("rate", _RATE, "Most requests per second.", "no limit"),
        ("in_flight", _COUNT, "Most requests at a time.", "no limit"),
        ("latency_s", _TIME, "Time to each response.", "0s"),
        ("outage_s", _TIME, "Length of each outage.", "0s, no outages"),
        ("outage_every_s", _TIME, "Time between two outages.", "20s"),
        ("token_after", _COUNT, "Requests after which the next token is required.", "never"),
    )
]
_SHARES = [
    _option(name, _SHARE, help_, "0%", group="Shares of IDs")
    for name, help_ in (
        ("missing", "Without a result (404)."),
        ("processing", "Still being processed at first."),
        ("abandoned", "Declared, but their file never arrives."),
        ("failed", "Could not be processed."),
        ("throttled", "First answered with 429."),
        ("erring", "First answered with a 5xx status."),
        ("slow", "Answered a second later."),
        ("corrupt", "First answered with a truncated body."),
        ("broken", "Always answered with 500."),
        ("garbled", "Always answered with HTML."),
        ("faulty", "Answered with the scenario's fault, or with any."),
    )
]


def _scenarios(_context: click.Context, _option: click.Parameter, incomplete: str) -> list[str]:
    from cxai.simulator.scenarios import SCENARIOS

    return [name for name in SCENARIOS if name.startswith(incomplete)]


@click.command(
    cls=Page,
    params=[
        Option(
            ["--port"], type=Value(Count("ports", 0, 65_535)), default=8900, metavar="N",
            group="Server", help="Port to listen on; 0 for any free one.", default_text="8900",
        ),
        Option(
            ["--token"], default="simulated", metavar="TOKEN", group="Server",
            help="Token that is accepted.", default_text="simulated",
        ),
        Option(
            ["--scenario"], metavar="NAME", group="Server", shell_complete=_scenarios,
            help="Scenario to start from; other options change it.", default_text="no faults",
        ),
        Option(
            ["--list", "list_them"], is_flag=True, group="Server",
            help="List the scenarios and exit.",
        ),
        Option(
            ["--seed"], type=int, metavar="N", group="Server",
            help="Another seed gives other results and faults.", default_text="1",
        ),
        *_LIMITS,
        *_SHARES,
    ],
    examples=[
        "cxai simulate",
        "cxai simulate --list",
        "cxai simulate --rate 20 --latency 0.2 --missing 5% --erring 2%",
    ],
)  # fmt: skip
def simulate(
    *, port: int, token: str, scenario: str | None, list_them: bool, **options: Any
) -> None:
    """Run the API as a local server, with the limits and faults you choose, until Ctrl-C.

    The results for an ID depend on the ID and the seed alone. `GET /simulator/stats` returns what
    was requested.
    """
    from dataclasses import replace

    from cxai.cli.process import run_to_end
    from cxai.cli.serve import serve
    from cxai.simulator import Scenario
    from cxai.simulator.scenarios import listing, named

    if list_them:
        tell(listing())
        return
    try:
        chosen = replace(Scenario() if scenario is None else named(scenario), **given(options))
    except ValueError as error:
        raise UsageError(str(error)) from None
    run_to_end(serve(chosen, token, port, tell))
