"""One reader, started by a worker: `python -P -m cxai.readers`, its socket as standard input.

Signals that stop a worker are the worker's business: a terminal or systemd sends them to all of its
processes, and what is under way still has to be read. A reader ends when its worker's end of the
socket does, so none outlives a worker, however that dies.
"""

import resource
import signal

for _number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(_number, signal.SIG_IGN)  # before the imports that take long
# A body that makes a library crash must not lie in a core file, nor the token.
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

if __name__ == "__main__":
    import socket

    from cxai.readers.process import serve

    with socket.socket(fileno=0) as _connection:
        serve(_connection)
