"""A server on a separate thread, so that tests and commands may block."""

import asyncio
import threading
from contextlib import contextmanager


@contextmanager
def serving(server):
    """Run a server, an async context manager, on a thread until the end."""
    loop = asyncio.new_event_loop()
    started = threading.Event()
    ended = asyncio.Event()
    holder = []

    async def serve():
        async with server as entered:
            holder.append(entered)
            started.set()
            await ended.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), name="server")
    thread.start()
    try:
        assert started.wait(10), "the server did not start"
        yield holder[0]
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(10)
        loop.close()
