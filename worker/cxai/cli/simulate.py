"""`cxai demo` and `cxai simulate`: the API as a local server, and an export against it."""

from pathlib import Path
from typing import Annotated

import typer

from cxai.cli.exits import finish
from cxai.cli.options import AsJson, Output
from cxai.cli.streams import tell
from cxai.errors import UsageError


def demo(
    output: Output = Path("demo-export"),
    ids: Annotated[int, typer.Option(min=1, help="How many IDs.")] = 300,
    rate: Annotated[float, typer.Option(help="Requests per second.")] = 40.0,
    progress: Annotated[str, typer.Option(help="auto, bar, lines or none.")] = "auto",
    as_json: AsJson = False,
) -> None:
    """Watch a real run against the built-in simulator: no token, no network, seconds."""
    from cxai.cli.demo import demo_export
    from cxai.cli.process import run_to_end

    finish(run_to_end(demo_export(output, ids, rate, progress)), as_json=as_json)


def simulate(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 for any free one.")] = 8900,
    token: Annotated[str, typer.Option(help="The token that it accepts.")] = "simulated",  # noqa: S107
    scenario: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="A named scenario; the other options change it."),
    ] = None,
    list_them: Annotated[bool, typer.Option("--list", help="List the scenarios, and end.")] = False,
    seed: Annotated[
        int | None, typer.Option(help="Another seed, other results and faults.")
    ] = None,
    rate: Annotated[float | None, typer.Option(help="Requests per second that it allows.")] = None,
    in_flight: Annotated[int | None, typer.Option(help="Requests at a time it allows.")] = None,
    latency_s: Annotated[
        float | None, typer.Option("--latency", help="Seconds to each response.")
    ] = None,
    outage_s: Annotated[
        float | None, typer.Option("--outage", help="Seconds that each outage lasts.")
    ] = None,
    outage_every_s: Annotated[
        float | None,
        typer.Option("--outage-every", help="Seconds from one outage to the next. [20]"),
    ] = None,
    token_after: Annotated[
        int | None, typer.Option(help="Requests after which another token counts.")
    ] = None,
    missing: Annotated[
        float | None, typer.Option(help="Share of IDs without a result (404).")
    ] = None,
    processing: Annotated[float | None, typer.Option(help="Share still being processed.")] = None,
    abandoned: Annotated[float | None, typer.Option(help="Share whose file never arrived.")] = None,
    failed: Annotated[float | None, typer.Option(help="Share that could not be processed.")] = None,
    throttled: Annotated[float | None, typer.Option(help="Share that gets a 429 first.")] = None,
    erring: Annotated[float | None, typer.Option(help="Share that gets a 5xx first.")] = None,
    slow: Annotated[float | None, typer.Option(help="Share that takes a second longer.")] = None,
    corrupt: Annotated[
        float | None, typer.Option(help="Share with a truncated body first.")
    ] = None,
    broken: Annotated[float | None, typer.Option(help="Share that gets 500 always.")] = None,
    garbled: Annotated[float | None, typer.Option(help="Share that gets HTML always.")] = None,
    faulty: Annotated[
        float | None, typer.Option(help="Share with the scenario's fault, or with any.")
    ] = None,
) -> None:
    """Run the API as a local server, with the limits and faults you choose, until Ctrl-C.

    Results are deterministic per ID. `GET /simulator/stats` tells what it was asked.
    """
    options = dict(locals())

    from dataclasses import fields, replace

    from cxai.cli.process import run_to_end
    from cxai.cli.serve import serve
    from cxai.simulator import Scenario
    from cxai.simulator.scenarios import listing, named

    if list_them:
        tell(listing())
        return
    names = {field.name for field in fields(Scenario)}
    given = {k: v for k, v in options.items() if v is not None and k in names}
    try:
        base = Scenario() if scenario is None else named(scenario)
        chosen = replace(base, **given)
    except ValueError as error:
        raise UsageError(str(error)) from None
    run_to_end(serve(chosen, token, port, tell))
