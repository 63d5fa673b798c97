"""A proxy between a worker and its engine that drops what it is asked to drop."""

import asyncio
import contextlib


class CutProxy:
    """Forwards connections to `port` on loopback, until it is asked to do otherwise."""

    def __init__(self, port):
        self._to = port
        self._server = None
        self._open = set()
        self.is_silent = False  # answers are dropped, as by a network that loses packets
        self.port = None

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()
        self.cut()
        await asyncio.sleep(0)

    def cut(self):
        """End all connections, as the fall of a network does."""
        for task in self._open:
            task.cancel()

    async def _serve(self, reader, writer):
        self._open.add(asyncio.current_task())
        try:
            engine_reader, engine_writer = await asyncio.open_connection("127.0.0.1", self._to)
            with contextlib.suppress(OSError):
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._forward(reader, engine_writer, is_answer=False))
                    group.create_task(self._forward(engine_reader, writer, is_answer=True))
        except* (asyncio.CancelledError, OSError):
            pass
        finally:
            self._open.discard(asyncio.current_task())
            writer.transport.abort()
            with contextlib.suppress(NameError, UnboundLocalError):
                engine_writer.close()

    async def _forward(self, reader, writer, *, is_answer):
        while data := await reader.read(65_536):
            if self.is_silent and is_answer:
                continue
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError
