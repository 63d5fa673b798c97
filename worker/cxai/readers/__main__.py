"""One reader, started by a worker: `python -P -m cxai.readers`, its socket as standard input.

Signals that stop a worker are ignored here: a terminal or systemd sends them to all processes of a
run, and what is under way still has to be read. A reader ends when its worker's end of the
socket does, so none outlives a worker, however that dies.
"""

import resource
import signal

for _number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(_number, signal.SIG_IGN)  # before the imports that take long
# Neither the body that crashes a library nor the token may end up in a core file.
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

if __name__ == "__main__":
    import socket

    from cxai.readers.process import serve

    with socket.socket(fileno=0) as _connection:
        serve(_connection)
