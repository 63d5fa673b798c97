"""The simulator as a server in the foreground, with instructions for its use."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

from cxai.cli.signals import stop_signals
from cxai.core.events import EventStream
from cxai.errors import UsageError
from cxai.observe.logging import LOG
from cxai.simulator import Scenario, Simulator

_HOW_TO = """\
The simulated API listens on {url}. In another terminal:

  export CXAI_API_TOKEN={token}
  cxai run ids.txt -o trial/ --base-url {url}

The results are made up: keep them apart from real exports.
Statistics: {url}/simulator/stats. Press Ctrl-C to stop."""

_HOW_TO_RENEW = """\

After {after} requests it accepts only another token. To renew it during a run:

  echo {token} > token.txt
  (sleep 1; echo {next_token} > token.txt) &
  cxai run ids.txt -o trial/ --base-url {url} --token-file token.txt"""


async def serve(scenario: Scenario, token: str, port: int, tell: Callable[[str], None]) -> None:
    """Run a simulator until SIGTERM or Ctrl-C; `tell` prints how to use it."""
    stopped, events = asyncio.Event(), EventStream()
    events.attach(LOG.see)
    try:
        simulator = Simulator(scenario, token=token, port=port)
    except ValueError as error:
        raise UsageError(str(error)) from None
    async with AsyncExitStack() as stack:
        stop = stack.enter_context(stop_signals(events.emit))
        stack.enter_context(stop.passed_to(lambda _why: stopped.set()))
        try:
            await stack.enter_async_context(simulator)
        except OSError as error:
            raise UsageError(
                f"Can't listen on port {port}: {error.strerror}. Choose another --port."
            ) from None
        after = scenario.token_after
        text = _HOW_TO if after is None else f"{_HOW_TO}\n{_HOW_TO_RENEW}"
        url, next_token = simulator.base_url, simulator.next_token
        tell(text.format(url=url, token=token, after=after, next_token=next_token))
        await stopped.wait()
