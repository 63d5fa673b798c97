"""A proxy in front of an object store that loses chosen requests or responses."""

import asyncio
import contextlib
from urllib.parse import urlsplit


class StoreProxy:
    """An async context manager. `faults` maps the number of a request (from 0) to its fault.

    `lost`: it never arrives. `unanswered`: it has its effect, but the response is lost. `held`: the
    same, and the connection stays open. Bytes: the response; the request never arrives.

    `requests` are the method and path of each; `held` is set once a request is held.
    """

    def __init__(self, endpoint, faults=None):
        self._far = urlsplit(endpoint)
        self._conversations = set()
        self.faults = faults or {}
        self.requests = []
        self.held = asyncio.Event()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *exc):
        self._server.close()
        for task in self._conversations:
            task.cancel()
        await asyncio.gather(*self._conversations, return_exceptions=True)

    async def _accept(self, reader, writer):
        self._conversations.add(asyncio.current_task())
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._answer(reader, writer)
        finally:
            writer.close()
            self._conversations.discard(asyncio.current_task())

    async def _answer(self, reader, writer):
        """Forward one request over a new connection, and close."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        lines = head.split("\r\n")
        headers = {name.lower(): value for name, _, value in (one.partition(": ") for one in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        fault = self.faults.get(len(self.requests))
        self.requests.append(lines[0].rpartition(" ")[0])
        if fault == "lost":
            return
        if isinstance(fault, bytes):
            writer.write(fault)
            await writer.drain()
            return
        answer = await self._ask(head, body)
        if fault == "held":
            self.held.set()
            await reader.read()
        if fault is None:
            writer.write(answer)
            await writer.drain()

    async def _ask(self, head, body):
        reader, writer = await asyncio.open_connection(self._far.hostname, self._far.port)
        writer.write(head[:-2].encode("latin-1") + b"Connection: close\r\n\r\n" + body)
        answer = await reader.read()
        writer.close()
        return answer
