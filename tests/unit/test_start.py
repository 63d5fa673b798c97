"""What a command does before and after its work, which a run of one ID pays for too."""

import subprocess
import sys
from dataclasses import dataclass

import pytest
from support.certificate import CA
from support.command import environment, start_cxai

# It runs before a command, and writes at the very end what was imported and collected.
NOTES = """
import atexit, gc, sys
before = set(sys.modules)
def note():
    collections = sum(generation["collections"] for generation in gc.get_stats())
    with open({path!r}, "w") as file:
        print(collections, gc.get_freeze_count(), *{{*sys.modules}} - before, file=file)
atexit.register(note)
"""

OF_HELP = {"click"}
OF_A_RUN = OF_HELP | {
    *("aiohappyeyeballs", "aiohttp", "aiosignal", "attr", "frozenlist", "idna", "multidict"),
    *("propcache", "typing_extensions", "yarl"),
    *("asyncio_throttle", "backports", "brotli", "isal", "msgspec", "orjson", "uvloop"),
}
NOT_OF_HELP = {
    *("asyncio", "json", "sqlite3", "ssl"),
    *("cxai.app", "cxai.core.pipeline", "cxai.settings.origins", "cxai.resources.cx_ai"),
    *("cxai.sources.file", "cxai.simulator", "cxai.inspect"),
}
NOT_OF_A_RUN_ON_ONE_MACHINE = {
    *("cxai.objects", "cxai.simulator", "cxai.app.worker", "cxai.cluster.engine"),
    *("cxai.inspect.verify", "cxai.sources.redis_stream", "cxai.sources.sqs"),
}

MOST_COLLECTIONS = 50  # with Python's own and those of the run it is 17; untuned it was 147
LEAST_OBJECTS = 30_000  # which Python would look through when it ends


@dataclass(frozen=True)
class Notes:
    """What a process has imported and how often it has collected garbage; objects left out."""

    modules: set[str]
    collections: int
    left_out: int


@pytest.fixture
def noted(tmp_path):
    """Return a function that runs `cxai` in a new process and returns what was noted of it."""

    def run(*arguments):
        path = tmp_path / "notes.txt"
        process = start_cxai(*arguments, forks=None, first=NOTES.format(path=str(path)))
        _, errors = process.communicate()
        assert process.returncode == 0, errors
        collections, left_out, *modules = path.read_text().split()
        return Notes(set(modules), int(collections), int(left_out))

    return run


def packages(modules):
    """Return the packages of others: not Python's own, nor what their compiled parts register."""
    tops = {name.partition(".")[0] for name in modules} - sys.stdlib_module_names
    return {name for name in tops if not name.startswith("_")} - {"cxai", "cython_runtime"}


def test_help_needs_the_command_line_and_nothing_of_a_run(noted):
    help_ = noted("--help")
    assert packages(help_.modules) <= OF_HELP
    assert not help_.modules & NOT_OF_HELP


def test_a_run_of_one_id_needs_nothing_that_it_does_not_use(noted, simulated, tmp_path, guids):
    ids = tmp_path / "ids.txt"
    ids.write_text(guids(1)[0])
    with simulated() as api:
        run = noted("run", ids, "-o", tmp_path / "export", "--base-url", api.base_url)
    assert packages(run.modules) <= OF_A_RUN
    assert not run.modules & NOT_OF_A_RUN_ON_ONE_MACHINE
    assert run.collections < MOST_COLLECTIONS
    assert run.left_out > LEAST_OBJECTS


PROGRAM = """
import ssl
from cxai.cli.tuning import import_aiohttp
import_aiohttp()
from aiohttp.connector import _SSL_CONTEXT_UNVERIFIED, _SSL_CONTEXT_VERIFIED
for context in (_SSL_CONTEXT_UNVERIFIED, _SSL_CONTEXT_VERIFIED, ssl.create_default_context()):
    print(context.cert_store_stats()["x509"], context.verify_mode.name)
"""


def test_a_command_imports_aiohttp_without_certificates_and_its_own_contexts_have_them():
    env = environment(SSL_CERT_FILE=str(CA))
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=env, capture_output=True, check=True)
    assert done.stdout.decode().splitlines() == [
        "0 CERT_NONE",
        "0 CERT_REQUIRED",
        "1 CERT_REQUIRED",
    ]


REPLACED = """
import ssl
class Contexts(ssl.SSLContext):
    options = verify_mode = verify_flags = minimum_version = 0  # Python's own name the class
    def set_default_verify_paths(self):
        print("its own")
ssl.SSLContext = Contexts
from cxai.cli.tuning import import_aiohttp
import_aiohttp()
Contexts(ssl.PROTOCOL_TLS_CLIENT).set_default_verify_paths()
"""


def test_contexts_that_something_has_put_in_place_of_pythons_keep_their_own_certificates():
    done = subprocess.run([sys.executable, "-c", REPLACED], capture_output=True, check=True)
    assert done.stdout.decode().splitlines() == ["its own"]
