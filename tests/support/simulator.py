"""Requests to a simulator in this process, and the bodies of its responses decoded."""

import zlib

import aiohttp
import brotli

from cxai.simulator import Scenario, Simulator

TOKEN = "a-token"  # noqa: S105 - made up
ALL_CODINGS = "gzip, deflate, br"


def interaction_ids(count):
    return [f"{n:08x}-0000-4000-8000-000000000000" for n in range(count)]


ID = interaction_ids(1)[0]


def result(interaction_id):
    return f"/v1/interactions/{interaction_id}/ai"


def status(interaction_id):
    return f"/v1/interactions/{interaction_id}/status"


def simulate(scenario, **where):
    return Simulator(scenario, token=TOKEN, **where)


def always(fault, **more):
    return simulate(Scenario(faulty=1.0, faults=(fault,), **more))


async def ask(
    sim, path=f"/v1/interactions/{ID}/ai", *, accept=ALL_CODINGS, token=TOKEN, method="GET"
):
    """Return status, headers and the body as sent."""
    headers = {"Accept-Encoding": accept} | ({"X-API-Token": token} if token else {})
    async with (
        aiohttp.ClientSession(auto_decompress=False) as session,
        session.request(
            method, sim.base_url + path, headers=headers, allow_redirects=False
        ) as response,
    ):
        return response.status, response.headers, await response.read()


def decode(coding, body):
    """Return the decoded bytes, and whether the decoder reached the end."""
    match coding:
        case "br":
            decoder = brotli.Decompressor()
            return decoder.process(body), decoder.is_finished()
        case "gzip" | "deflate":
            decoder = zlib.decompressobj(31 if coding == "gzip" else 15)
            return decoder.decompress(body), decoder.eof
        case None | "identity":
            return body, body.endswith(b"}")
