"""Faults happen to the event loop that the command really runs on."""

import uvloop


def pytest_asyncio_loop_factories(config, item):  # noqa: ARG001 - the hook's signature
    return {"uvloop": uvloop.new_event_loop}
