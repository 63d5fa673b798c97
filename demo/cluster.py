"""Three workers on one export, one of them killed in the middle: `make demo-cluster`.

Everything runs on this machine: a PostgreSQL of its own, the simulated API, and objects in a
directory. Each command is printed as it is run.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import orjson
from support.postgres import own_server

from cxai.cli.demo import demo_input

CXAI = Path(sys.executable).with_name("cxai")
PLACE = Path("demo-cluster")
API = "http://127.0.0.1:8941"
TOKEN = "demo-token"  # noqa: S105 - of the simulator
IDS, RATE, WORKERS = 1_500, 100, 3
HURRY = {
    "CXAI_RECHECK_S": "1",
    "CXAI_BACKOFF_BASE_S": "0.2",
    "CXAI_PROGRESS": "none",
    "CXAI_WORKER_TTL_S": "3",
}


def main() -> int:
    """Run it, and return the exit code of the last command, which verifies the export."""
    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir()
    (PLACE / "ids.txt").write_text("\n".join(demo_input(IDS)), encoding="utf-8")
    os.environ.update(HURRY, CXAI_API_TOKEN=TOKEN)
    with ExitStack() as stack:
        database = stack.enter_context(own_server()).new_database()
        stack.enter_context(simulated_api())
        export = database.url("demo")
        server = export.removesuffix("#demo")
        limits = ["--rate", str(RATE), "--in-flight", "12", "--flush", "2", "--total-timeout", "5"]
        place = ["--base-url", API, "--output", str(PLACE / "objects")]
        run("cluster", "init", server, "--export", "demo", *limits, *place, "--max-failed", "0.01")
        run("enqueue", str(PLACE / "ids.txt"), "--to", export, "--last")
        workers = [begin("run", export, "--until-settled") for _ in range(WORKERS)]
        wait_for_verdicts(export, IDS // 3)
        say(f"kill -9 {workers[0].pid}   # one worker dies in the middle of its work")
        workers[0].send_signal(signal.SIGKILL)
        *_, (report, _) = [worker.communicate() for worker in workers[1:]]
        print(report.decode())
        run("status", export)
        return run("verify", export)


def run(*arguments: str) -> int:
    """Run a command of cxai in the foreground, and return its exit code."""
    say("cxai", *arguments)
    return subprocess.run([CXAI, *arguments], check=False).returncode


def begin(*arguments: str) -> subprocess.Popen[bytes]:
    """Start a command of cxai in the background; what it logs is shown."""
    say("cxai", *arguments, "&")
    return subprocess.Popen([CXAI, *arguments], stdout=subprocess.PIPE)


def wait_for_verdicts(export: str, count: int) -> None:
    """Return when so many IDs have a verdict."""
    while settled(export) < count:
        time.sleep(0.2)


def settled(export: str) -> int:
    """Return how many IDs have a verdict."""
    status = subprocess.run([CXAI, "status", export, "--json"], capture_output=True, check=True)
    return sum(orjson.loads(status.stdout)["verdicts"].values())


@contextmanager
def simulated_api() -> Iterator[None]:
    """Keep the simulator running."""
    faults = ["--missing", "0.02", "--erring", "0.03", "--corrupt", "0.02"]
    command = ["simulate", "--port", API.rsplit(":", 1)[1], "--token", TOKEN, *faults]
    say("cxai", *command, "&")
    quiet = subprocess.DEVNULL
    with subprocess.Popen([CXAI, *command], stdout=subprocess.PIPE, stderr=quiet) as simulator:
        assert simulator.stdout is not None  # noqa: S101 - it was asked for
        simulator.stdout.readline()  # printed when it listens
        try:
            yield
        finally:
            simulator.terminate()


def say(*words: str) -> None:
    """Print a command as a terminal would show it."""
    print("$", *words, flush=True)


if __name__ == "__main__":
    sys.exit(main())
