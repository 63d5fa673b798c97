"""A proxy on loopback that tunnels (CONNECT), or refuses to."""

import asyncio
import contextlib


class ConnectProxy:
    """An async context manager. With `refusal`, it answers each CONNECT with that and closes.

    `heads` holds the heads of all that it was asked. Whatever host it is asked for, it connects
    to this machine: a test may give the API any name.
    """

    def __init__(self, refusal=None):
        self._refusal = refusal
        self._tunnels = set()
        self.heads = []

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, *exc):
        self._server.close()
        for task in self._tunnels:
            task.cancel()
        await asyncio.gather(*self._tunnels, return_exceptions=True)

    async def _accept(self, reader, writer):
        self._tunnels.add(asyncio.current_task())
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._tunnel(reader, writer)
        finally:
            writer.transport.abort()
            self._tunnels.discard(asyncio.current_task())

    async def _tunnel(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        self.heads.append(head)
        if self._refusal is not None:
            writer.write(self._refusal)
            await writer.drain()
            return
        port = head.split(" ")[1].rpartition(":")[2]
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        try:
            await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
        finally:
            far_writer.transport.abort()


async def _copy(reader, writer):
    while piece := await reader.read(65_536):
        writer.write(piece)
        await writer.drain()
    writer.transport.abort()
