"""One reader, started by a worker: `python -P -m cxai.readers`, its socket as standard input.

Signals that stop a worker are ignored here: a terminal or systemd sends them to every process of a
run, but the replies in flight must still be read. A reader exits when the worker's end of the
socket closes; on Linux the kernel kills one that is stopped (SIGSTOP) and can't.
"""

import resource
import signal
import sys
from contextlib import suppress

_PR_SET_PDEATHSIG = 1

for _number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(_number, signal.SIG_IGN)  # before the slow imports
# Neither the token nor a body that crashes a library may end up in a core file.
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
if sys.platform == "linux":
    with suppress(ImportError):  # a Python that was built without libffi
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL))

if __name__ == "__main__":
    import socket

    from cxai.readers.block_parser import serve

    with socket.socket(fileno=0) as _connection:
        serve(_connection)
