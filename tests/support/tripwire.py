"""A proxy on loopback that does something when certain bytes pass it."""

import asyncio


class Tripwire:
    """An async context manager between a client and the server at `port`.

    When bytes from the client hold `pattern`, `action()` is called once: before they are passed on,
    or with `after` once the server has answered them, before the client has that answer. With
    `tls`, an SSLContext, the client has to speak TLS.
    """

    def __init__(self, port, pattern=None, action=None, *, after=False, tls=None):
        self._to = port
        self._pattern = pattern
        self._action = action
        self._after = after
        self._tls = tls
        self._is_tripped = pattern is None
        self._answer_is_due = False
        self._tasks = set()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        self.base_url = f"http://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, *exc):
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        there, to_there = await asyncio.open_connection("127.0.0.1", self._to)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass(reader, to_there, self._sent))
                group.create_task(self._pass(there, writer, self._answered))
        except* ConnectionError:
            pass
        finally:
            for one in (writer, to_there):
                one.transport.abort()
            self._tasks.discard(asyncio.current_task())

    @staticmethod
    async def _pass(reader, writer, look):
        while data := await reader.read(65_536):
            look(data)
            writer.write(data)
            await writer.drain()
        writer.transport.abort()

    def _sent(self, data):
        if self._is_tripped or self._pattern not in data:
            return
        self._is_tripped = True
        if self._after:
            self._answer_is_due = True
        else:
            self._action()

    def _answered(self, _data):
        if self._answer_is_due:
            self._answer_is_due = False
            self._action()
