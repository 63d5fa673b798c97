"""A request to stop reaches each run that it was handed to, once, on that run's event loop."""

import asyncio
import threading

from cxai.core.stop import StopRequest
from cxai.errors import StopCause, StopRequestedError

SIGTERM = StopRequestedError("SIGTERM", StopCause.SIGNAL)
SIGHUP = StopRequestedError("SIGHUP", StopCause.SIGNAL)


async def made_known():
    """Return when the loop has called what it was asked to call."""
    await asyncio.sleep(0)


async def test_a_request_that_is_made_before_anyone_listens_is_not_lost():
    request, heard = StopRequest(), []
    request.make(SIGTERM)
    with request.passed_to(heard.append):
        assert heard == [SIGTERM]


async def test_the_first_request_counts_and_is_passed_on_once():
    request, heard = StopRequest(), []
    with request.passed_to(heard.append):
        request.make(SIGTERM)
        request.make(SIGHUP)
        await made_known()
    assert heard == [SIGTERM]


async def test_without_a_reason_it_is_the_callers_wish():
    request, heard = StopRequest(), []
    request.make()
    with request.passed_to(heard.append):
        pass
    assert [(why.by, str(why)) for why in heard] == [(StopCause.CALLER, "Stopped by the caller.")]


async def test_one_request_stops_several_runs():
    request, first, second = StopRequest(), [], []
    with request.passed_to(first.append), request.passed_to(second.append):
        request.make(SIGTERM)
        await made_known()
    assert (first, second) == ([SIGTERM], [SIGTERM])


async def test_a_run_that_has_ended_is_not_called():
    request, heard = StopRequest(), []
    with request.passed_to(heard.append):
        pass
    request.make(SIGTERM)
    await made_known()
    assert heard == []


async def test_a_request_from_another_thread_arrives_in_the_thread_of_the_run():
    request, heard = StopRequest(), asyncio.get_running_loop().create_future()
    with request.passed_to(lambda why: heard.set_result((why, threading.get_ident()))):
        threading.Thread(target=request.make, args=(SIGTERM,)).start()
        assert await heard == (SIGTERM, threading.get_ident())
