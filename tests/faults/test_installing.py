"""`make demo` and `make test` on a fresh machine, with made-up packages in place of an index."""

import hashlib
import os
import runpy
import shutil
import subprocess
import sys
import venv
import zipfile
from importlib.metadata import distributions
from pathlib import Path

import pytest

pytestmark = pytest.mark.long(28)

ROOT = Path(__file__).parents[2]

# The project's own build, without any tools: a wheel that holds the way to the checkout.
BACKEND = """
import venv
import zipfile
from importlib.metadata import distributions
from pathlib import Path
INFO = "cxai_worker-1.dist-info/"

def build_editable(directory, config_settings=None, metadata_directory=None):
    with zipfile.ZipFile(Path(directory, "cxai_worker-1-py3-none-any.whl"), "w") as wheel:
        wheel.writestr("cxai_worker.pth", str(Path.cwd()))
        wheel.writestr(
            INFO + "METADATA", "Metadata-Version: 2.1\\nName: cxai-worker\\nVersion: 1\\n"
            "Requires-Dist: needed>=1\\n"
        )
        wheel.writestr(INFO + "WHEEL", "Wheel-Version: 1.0\\nTag: py3-none-any\\n")
        wheel.writestr(INFO + "RECORD", "")
    return "cxai_worker-1-py3-none-any.whl"
"""
PROJECT = """
[project]
name = "cxai-worker"
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""


def make_wheel(shelf, name, version, *requires):
    """Put a package on the shelf; return the line that locks it."""
    path = shelf / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info/"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name}.py", f"version = {version!r}\n")
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        lines += [f"Requires-Dist: {one}" for one in requires]
        wheel.writestr(info + "METADATA", "\n".join(lines) + "\n")
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(info + "RECORD", "")
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


class Checkout:
    """A checkout whose path has a space, and an index on this disk."""

    def __init__(self, path):
        self.path = path
        self.shelf = path.parent / "shelf"
        self.shelf.mkdir()
        (path / "requirements").mkdir(parents=True)
        shutil.copy(ROOT / "requirements" / "install.py", path / "requirements")
        (path / "backend.py").write_text(BACKEND)
        (path / "pyproject.toml").write_text(PROJECT)
        needed = make_wheel(self.shelf, "needed", "1.0", "extra>=1")
        self.lock("run", needed, make_wheel(self.shelf, "extra", "1.0"))
        self.lock("build", make_wheel(self.shelf, "builder", "1.0"))
        tool = make_wheel(self.shelf, "tool", "1.0", "extra[toml]>=1")
        self.lock("dev", (path / "requirements" / "run.txt").read_text(), tool)

    def lock(self, name, *lines):
        (self.path / "requirements" / f"{name}.txt").write_text("".join(lines))

    def install(self, wanted, **settings):
        env = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
        env |= {"PIP_FIND_LINKS": f"file://{self.shelf}", "PIP_NO_INDEX": "1", **settings}
        return subprocess.run(
            [sys.executable, "requirements/install.py", ".venv", wanted],
            cwd=self.path, env=env, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def installed(self):
        """Return name → version of what is in the environment, but for what each one has."""
        (packages,) = self.path.glob(".venv/lib/python*/site-packages")
        found = {one.name: one.version for one in distributions(path=[str(packages)])}
        return {name: found[name] for name in found.keys() - {"pip", "setuptools", "wheel"}}


RUN = {"cxai-worker": "1", "needed": "1.0", "extra": "1.0"}
DEV = {**RUN, "tool": "1.0"}
NOTHING_DONE = (0, "", "")


def outcome(done):
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="session")
def original(tmp_path_factory):
    """Return a checkout in which the set of a run is installed, under adverse conditions."""
    checkout = Checkout(tmp_path_factory.mktemp("install") / "a checkout")
    leave_half_made(checkout)
    # A year later: newer versions of everything, which need a package that does not exist.
    for name in ("needed", "extra", "builder", "tool"):
        make_wheel(checkout.shelf, name, "99.0", "not-to-be-had")
    config = checkout.shelf / "pip.conf"
    config.write_text("[install]\nuser = true\nno-binary = :all:\nconstraint = /no/such/file\n")
    adverse = {
        "PIP_CONFIG_FILE": str(config),
        "PIP_USER": "1",
        "PIP_TARGET": str(checkout.path / "elsewhere"),
        "PIP_CONSTRAINT": str(checkout.path / "no-such-file"),
        "PIP_REQUIRE_VIRTUALENV": "1",
        "PIP_NO_BINARY": ":all:",
        "PIP_PRE": "1",
        "PYTHONPATH": str(checkout.shelf / "needed-99.0-py3-none-any.whl"),
        "VIRTUAL_ENV": "/no/such/environment",
    }
    done = checkout.install("run", **adverse)
    assert done.returncode == 0, done.stderr
    return checkout


def link_package_or_copy(source, target):
    """Packages are never changed, only replaced."""
    (os.link if "site-packages" in source else shutil.copy2)(source, target)


@pytest.fixture
def made(original):
    """Return that checkout; it is what it was before in the end."""
    kept = original.path.with_name("kept")
    shutil.copytree(original.path, kept, symlinks=True, copy_function=link_package_or_copy)
    yield original
    for path in original.path.parent.iterdir():
        if path not in {kept, original.shelf}:
            shutil.rmtree(path)
    kept.rename(original.path)


def test_newer_packages_and_the_users_settings_of_pip_change_nothing(original):
    assert original.installed() == RUN
    assert not (original.path / "elsewhere").exists()


def test_each_set_is_installed_once_and_the_larger_one_adds_to_the_smaller(made):
    assert outcome(made.install("run")) == NOTHING_DONE
    added = made.install("dev")
    assert (added.returncode, made.installed()) == (0, DEV), added.stderr
    for wanted in ("run", "dev", "run"):
        assert outcome(made.install(wanted)) == NOTHING_DONE
    (made.path / "requirements" / "run.txt").touch()
    assert outcome(made.install("dev")) == NOTHING_DONE


@pytest.mark.promise(
    "The package index is out of reach while the tests' packages are downloaded",
    "a line that says what to do; what a run needs stays usable, and the next try completes it",
    group="Environment",
)
def test_a_failed_download_leaves_what_was_there_and_can_be_repeated(made, tmp_path):
    tool, gone = made.shelf / "tool-1.0-py3-none-any.whl", tmp_path / "gone"
    tool.rename(gone)
    failed = made.install("dev")
    gone.rename(tool)
    assert failed.returncode == 1
    assert ".venv is not ready: pip failed, see above." in failed.stderr
    assert "PIP_INDEX_URL" in failed.stderr
    assert outcome(made.install("run")) == NOTHING_DONE
    assert made.install("dev").returncode == 0
    assert made.installed() == DEV


def test_a_package_that_is_not_the_locked_one_is_refused(original):
    lock = original.path / "requirements" / "dev.txt"
    right = lock.read_text()
    lock.write_text(right[:-5] + "0000\n")
    try:
        done = original.install("dev")
    finally:
        lock.write_text(right)
    assert done.returncode == 1
    assert ".venv is not ready" in done.stderr
    assert original.installed() == RUN


def test_a_configuration_that_leads_pip_elsewhere_is_named(made, tmp_path):
    config, elsewhere = tmp_path / "pip.conf", tmp_path / "elsewhere"
    config.write_text(f"[install]\ntarget = {elsewhere}\n")
    done = made.install("dev", PIP_CONFIG_FILE=str(config))
    assert done.returncode == 1
    assert "pip has put packages elsewhere" in done.stderr
    assert "PIP_CONFIG_FILE=/dev/null" in done.stderr
    assert made.install("dev", PIP_CONFIG_FILE=os.devnull).returncode == 0
    assert made.installed() == DEV


def leave_half_made(checkout):
    """Leave an environment as an installation does that is killed between two files."""
    venv.create(checkout.path / ".venv", symlinks=True)
    (packages,) = checkout.path.glob(".venv/lib/python*/site-packages")
    with zipfile.ZipFile(checkout.shelf / "extra-1.0-py3-none-any.whl") as wheel:
        wheel.extractall(packages)
    (packages / "extra.py").unlink()  # pip would take the package for installed


@pytest.mark.promise(
    "An installation that is killed in the middle",
    "the next `make` installs everything again",
    group="Environment",
)
def test_an_environment_that_was_left_half_made_is_made_again(original):
    (module,) = original.path.glob(".venv/lib/python*/site-packages/extra.py")
    assert module.read_text() == "version = '1.0'\n"
    assert outcome(original.install("run")) == NOTHING_DONE


def moved(checkout):
    checkout.path.rename(checkout.path.with_name("moved"))
    checkout.path = checkout.path.with_name("moved")


def of_another_python(checkout):
    note = checkout.path / ".venv" / ".installed"
    note.write_text(note.read_text().replace(f"[{sys.version_info[0]}, ", "[2, "))


def with_a_python_that_is_gone(checkout):
    python = checkout.path / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/no/such/python")


def with_another_lock(checkout):
    checkout.lock("run", make_wheel(checkout.shelf, "needed", "2.0"))


def of_another_project(checkout):
    (checkout.path / "pyproject.toml").write_text(PROJECT.replace('"cxai-worker"', '"cxai"'))


def with_a_torn_note(checkout):
    (checkout.path / ".venv" / ".installed").write_text('{"path": ')


def with_a_note_of_another_version(checkout):
    (checkout.path / ".venv" / ".installed").write_text('{"path": "/", "run": "1f2e"}')


def with_a_set_that_is_no_more(checkout):
    note = checkout.path / ".venv" / ".installed"
    note.write_text(note.read_text().replace('"run": ', '"docs": "1f2e", "run": '))


@pytest.mark.parametrize(
    "change",
    [
        with_a_note_of_another_version,
        with_a_set_that_is_no_more,
        moved,
        of_another_python,
        with_a_python_that_is_gone,
        with_another_lock,
        of_another_project,
        with_a_torn_note,
    ],
)
def test_an_environment_that_does_not_fit_any_more_counts_as_none(tmp_path, change):
    checkout = Checkout(tmp_path / "checkout")
    venv.create(checkout.path / ".venv", symlinks=True)
    environment_of(checkout).note_that_it_has({"run"})
    assert environment_of(checkout).has() == {"run"}
    change(checkout)
    assert environment_of(checkout).has() == set()


def environment_of(checkout):
    code = runpy.run_path(str(checkout.path / "requirements" / "install.py"))
    return code["Environment"](checkout.path / ".venv")


def test_what_is_no_environment_is_not_deleted(original, tmp_path):
    (tmp_path / "precious").write_text("mine")
    done = subprocess.run(
        [sys.executable, original.path / "requirements" / "install.py", tmp_path, "run"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (
        1, f"{tmp_path} is not a virtual environment. Move it away, and try again.\n"
    )  # fmt: skip
    assert (tmp_path / "precious").read_text() == "mine"


@pytest.mark.parametrize("module", ["venv", "ensurepip"])
def test_a_python_without_venv_is_named_with_the_package_that_has_it(original, tmp_path, module):
    code = f"""
import runpy, sys
sys.modules[{module!r}] = None
sys.argv[1:] = [{str(tmp_path / "new")!r}, "run"]
runpy.run_path({str(original.path / "requirements" / "install.py")!r}, run_name="__main__")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"it has no module {module}. On Debian and Ubuntu: apt install python3." in done.stderr
    assert "Traceback" not in done.stderr
