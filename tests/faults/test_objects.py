"""Objects as files on disks that fail, on volumes that vanish, and after crashes."""

import asyncio
import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from support.crashing import CrashedError
from support.volume_steps import VolumeSteps
from support.waiting import wait_until_blocking

from cxai.errors import UsageError
from cxai.objects.port import StoreError, StoreRefusedError, TakenError
from cxai.objects.volume import Volume
from cxai.objects.volume_files import VolumeFiles

CONTENT = b'{"id":1}\n' * 100
SHA256 = hashlib.sha256(CONTENT).digest()
PENDING = "_pending/7-1-records"
FINAL = "records/records-000000001.jsonl"
MANIFEST = "manifest.json"

HOW = ("before", "after", "torn", "power", "power, but not for removals")


class Worker:
    """Writes, publishes and lists an object; `promised` is what had returned."""

    def __init__(self, root):
        self.files = VolumeFiles(root)
        self.promised = []

    def work(self):
        for call, arguments in (
            (self.files.put_new, (PENDING, CONTENT)),
            (self.files.publish, (PENDING, FINAL, SHA256)),
            (self.files.replace, (MANIFEST, b"{}")),
            (self.files.replace, (MANIFEST, CONTENT)),
        ):
            call(*arguments)
            self.promised.append(call.__name__)

    def go_on(self):
        """Do what the next worker does: repeat the call that had not returned, and the rest."""
        if "publish" not in self.promised:
            if "put_new" not in self.promised:
                self.files.put_new(PENDING, CONTENT)
            self.files.publish(PENDING, FINAL, SHA256)
        self.files.replace(MANIFEST, CONTENT)


def prepared(root):
    VolumeFiles(root).prepare()
    return root


def number_of_steps(tmp_path):
    worker = Worker(prepared(tmp_path / "counted"))
    with VolumeSteps() as steps:
        worker.work()
    return len(steps.taken)


def assert_nothing_torn(root, promised):
    """Whatever stands under a name is whole; what was promised is there."""
    objects = {name: root / name for name in (PENDING, FINAL, MANIFEST)}
    there = {name: path.read_bytes() for name, path in objects.items() if path.exists()}
    assert there.get(PENDING, CONTENT) == CONTENT
    assert there.get(FINAL, CONTENT) == CONTENT
    assert there.get(MANIFEST, CONTENT) in {b"{}", CONTENT}
    if "put_new" in promised:
        assert PENDING in there or FINAL in there
    if "publish" in promised:
        assert FINAL in there
    if "replace" in promised:
        assert MANIFEST in there


def assert_complete(root):
    assert (root / FINAL).read_bytes() == CONTENT
    assert (root / MANIFEST).read_bytes() == CONTENT
    assert not (root / PENDING).exists()
    visible = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    assert {name for name in visible if not name.startswith("_pending/")} == {FINAL, MANIFEST}


@pytest.mark.promise(
    "A worker is killed, or the power fails, at any system call of writing or publishing an object",
    "nothing torn stands under a name, what was confirmed is there, and the next try completes it",
)
@pytest.mark.parametrize("how", HOW)
def test_after_a_crash_at_any_system_call_objects_are_complete_and_a_repeated_call_succeeds(
    tmp_path, how
):
    steps = number_of_steps(tmp_path)
    assert steps > 25
    for number in range(steps):
        root = prepared(tmp_path / f"{how}-{number}")
        worker = Worker(root)
        with pytest.raises(CrashedError), VolumeSteps(number, how):
            worker.work()
        assert_nothing_torn(root, worker.promised)
        worker.go_on()
        assert_complete(root)


def test_what_a_repeated_call_completes_survives_an_immediate_power_loss(tmp_path):
    for number in range(number_of_steps(tmp_path)):
        root = prepared(tmp_path / str(number))
        worker = Worker(root)
        steps = VolumeSteps(number, "after")
        with pytest.raises(CrashedError), steps:
            worker.work()
        with VolumeSteps(1000, "power", since=steps):  # behind the last call
            worker.go_on()
        assert_complete(root)


def test_an_object_that_a_repeated_call_finds_survives_a_power_loss(tmp_path):
    for number in range(number_of_steps(tmp_path)):
        root = prepared(tmp_path / str(number))
        steps = VolumeSteps(number, "after")
        with contextlib.suppress(CrashedError), steps:
            VolumeFiles(root).put_new(FINAL, CONTENT)
        with VolumeSteps(1000, "power", since=steps):
            VolumeFiles(root).put_new(FINAL, CONTENT)
        assert (root / FINAL).read_bytes() == CONTENT


def test_a_confirmed_call_survives_an_immediate_power_loss(tmp_path):
    for calls in (["put_new"], ["put_new", "publish"]):
        root = prepared(tmp_path / str(len(calls)))
        files = VolumeFiles(root)
        with VolumeSteps(1000, "power"):  # behind the last call
            files.put_new(PENDING, CONTENT)
            if "publish" in calls:
                files.publish(PENDING, FINAL, SHA256)
        assert_nothing_torn(root, calls)


def test_a_directory_created_by_a_killed_process_is_made_durable_by_the_next(tmp_path):
    root = prepared(tmp_path / "place")
    steps = VolumeSteps()
    with steps:
        (root / "records").mkdir()
    with VolumeSteps(1000, "power", since=steps):
        VolumeFiles(root).put_new(FINAL, CONTENT)
    assert (root / FINAL).read_bytes() == CONTENT


@pytest.mark.parametrize("number", range(0, 26, 2))
async def test_a_disk_failure_at_any_system_call_is_an_error_after_which_calls_may_be_repeated(
    tmp_path, number
):
    root = prepared(tmp_path / "place")
    worker = Worker(root)
    store = Volume(root)
    with VolumeSteps(number, "error") as steps:
        try:
            await store.put_new(PENDING, CONTENT)
            await store.publish(PENDING, FINAL, SHA256)
            await store.replace(MANIFEST, CONTENT)
        except StoreError as error:
            assert "Input/output error. Check the volume" in str(error)  # noqa: PT017 - may not come
        else:
            # Only what is swept later may fail without a word, or nothing was left to fail.
            assert number >= len(steps.taken) or steps.taken[number] == "unlink"
    assert_nothing_torn(root, [])
    worker.go_on()
    assert_complete(root)


KILLED = """
import asyncio, hashlib, sys
from pathlib import Path
from cxai.objects.volume import Volume

async def main():
    store = Volume(Path(sys.argv[1]))
    for number in range(1_000_000):
        data = b"%d\\n" % number * 100_000
        await store.put_new(f"_pending/7-{number}", data)
        await store.publish(f"_pending/7-{number}", f"records/{number:09d}", hashlib.sha256(data).digest())
        print(number, flush=True)

asyncio.run(main())
"""  # noqa: E501 - a program


def test_a_process_killed_with_sigkill_leaves_complete_objects(tmp_path):
    root = prepared(tmp_path / "place")
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, root],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "worker")},
    ) as process:
        for _ in range(20):
            last = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().split()
    confirmed = int(rest[-1]) if rest else last
    published = sorted((root / "records").iterdir())
    assert len(published) in {confirmed + 1, confirmed + 2}
    for number, path in enumerate(published):
        assert path.read_bytes() == b"%d\n" % number * 100_000
    for left in (root / "_pending").iterdir():
        assert left.suffix == ".partial" or left.stat().st_size % 100_000 == 0


async def test_of_two_writers_of_different_objects_with_one_name_one_is_refused(tmp_path):
    root = prepared(tmp_path / "place")
    stores = [Volume(root) for _ in range(4)]
    for turn in range(10):
        results = await asyncio.gather(
            *(one.put_new(f"_pending/{turn}", b"%d" % n) for n, one in enumerate(stores)),
            return_exceptions=True,
        )
        assert sorted(map(type, results), key=str) == [type(None), *[TakenError] * 3]
        content = (root / "_pending" / str(turn)).read_bytes()
        assert results[int(content)] is None
    assert len(list((root / "_pending").iterdir())) == 10


async def test_on_a_file_system_without_hard_links_objects_are_renamed(tmp_path, monkeypatch):
    def refuse(*_arguments, **_named):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    root = prepared(tmp_path / "place")
    store = Volume(root)
    await store.check()
    await store.put_new(PENDING, CONTENT)
    with pytest.raises(TakenError):
        await store.put_new(PENDING, b"another")
    await store.publish(PENDING, FINAL, SHA256)
    await store.publish(PENDING, FINAL, SHA256)
    await store.replace(MANIFEST, CONTENT)
    assert_complete(root)


# --- a store that can't be used ---


@pytest.mark.promise(
    "The shared volume is full, or has no inodes left",
    "an error that says so; nothing partial stays; with more room the same call succeeds",
)
@pytest.mark.parametrize(("size_kib", "inodes"), [(400, None), (4000, 4)])
async def test_a_full_volume_is_a_temporary_error_that_leaves_nothing_behind(
    small_disk,
    size_kib,
    inodes,
):
    disk = small_disk(size_kib, inodes)
    root = prepared(disk / "place")  # which takes 3 of the inodes
    store = Volume(root)
    data = bytes(1_000_000)
    with pytest.raises(StoreError, match=r"No space left on device. Free up space and inodes"):
        await store.put_new(FINAL, data)
    assert [path for path in root.rglob("*") if path.is_file()] == []
    small_disk(4000, 100)
    await store.put_new(FINAL, data)
    assert (root / FINAL).read_bytes() == data


async def test_a_read_only_volume_is_refused_by_the_check(small_disk):
    root = prepared(small_disk(400) / "place")
    small_disk(400, read_only=True)
    with pytest.raises(UsageError, match=r"Read-only file system. Mount the volume for writing"):
        await Volume(root).check()


@pytest.mark.promise(
    "The shared volume is not mounted on a machine, or another directory is in its place",
    "nothing is written there, and the message says what is missing",
)
@pytest.mark.parametrize("there", [True, False])
async def test_nothing_is_written_where_the_volume_is_not_mounted(tmp_path, there):
    root = tmp_path / "mount"
    if there:
        root.mkdir()
    store = Volume(root)
    calls = [
        lambda: store.put_new(PENDING, CONTENT),
        lambda: store.publish(PENDING, FINAL, SHA256),
        lambda: store.replace(MANIFEST, b""),
        lambda: store.delete(FINAL),
        lambda: anext(store.read(FINAL)),
        lambda: anext(store.names("records")),
    ]
    for call in calls:
        with pytest.raises(StoreRefusedError, match="its volume is not mounted on this machine"):
            await call()
    with pytest.raises(UsageError, match="its volume is not mounted"):
        await store.check()
    assert list(tmp_path.rglob("*")) == ([root] if there else [])


async def test_a_volume_that_vanishes_works_again_once_it_is_back(tmp_path):
    root = prepared(tmp_path / "place")
    store = Volume(root)
    await store.put_new(PENDING, CONTENT)
    root.rename(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="not mounted"):
        await store.publish(PENDING, FINAL, SHA256)
    (tmp_path / "elsewhere").rename(root)
    await store.publish(PENDING, FINAL, SHA256)
    assert (root / FINAL).read_bytes() == CONTENT


@pytest.mark.promise(
    "The shared volume hangs",
    "the call ends with an error after a bounded time, the event loop never waits, and once the"
    " volume is back the same call succeeds",
)
async def test_a_volume_that_hangs_is_an_error_within_the_time_limit_and_works_once_it_is_back(
    tmp_path, monkeypatch
):
    root = prepared(tmp_path / "place")
    store = Volume(root, least_s=0.1)
    is_back = threading.Event()
    plainly = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (is_back.wait(30), plainly(fd)))
    try:
        for _ in range(2):
            with pytest.raises(StoreError, match="no response from the file system for 0 s"):
                await store.put_new(PENDING, CONTENT)
    finally:
        is_back.set()
    wait_until_blocking((root / PENDING).exists, "the end of the call that was given up")
    await store.put_new(PENDING, CONTENT)
    assert len(list((root / "_pending").iterdir())) == 1


# --- links and rights ---


@pytest.mark.promise(
    "A symbolic link stands in the place of a directory or an object of the volume",
    "it is never followed: nothing is written or read beyond it",
)
async def test_no_symbolic_link_below_the_root_is_followed(tmp_path):
    root = prepared(tmp_path / "place")
    store = Volume(root)
    outside = tmp_path / "outside"
    outside.mkdir()
    (root / "records").symlink_to(outside)
    for call in (
        store.put_new(FINAL, CONTENT),
        store.replace(FINAL, CONTENT),
        anext(store.read(FINAL)),
        anext(store.names("records")),
    ):
        with pytest.raises(
            StoreRefusedError, match=r"Can't (write|read|list) records.*/place: Not a dir"
        ):
            await call
    (root / "records").unlink()
    (root / "records").mkdir()
    (outside / "secret").write_bytes(CONTENT)
    (root / FINAL).symlink_to(outside / "secret")
    with pytest.raises(TakenError):
        await store.put_new(FINAL, CONTENT)
    with pytest.raises(FileNotFoundError):
        await anext(store.read(FINAL))
    assert [found async for found in store.names("records")] == []
    await store.replace(FINAL, b"new")
    assert not (root / FINAL).is_symlink()
    assert (outside / "secret").read_bytes() == CONTENT
    assert [path.name for path in outside.iterdir()] == ["secret"]


async def test_a_pending_directory_that_is_a_link_is_refused(tmp_path):
    root = tmp_path / "place"
    root.mkdir()
    (tmp_path / "outside").mkdir()
    (root / "_pending").symlink_to(tmp_path / "outside")
    with pytest.raises(StoreError):
        await Volume(root).put_new(PENDING, CONTENT)
    assert list((tmp_path / "outside").iterdir()) == []


async def test_files_and_directories_are_private_to_their_owner(tmp_path):
    root = tmp_path / "a" / "place"
    previous = os.umask(0o277)
    try:
        store = Volume(root)
        await store.prepare()
        await store.put_new(FINAL, CONTENT)
        await store.replace(MANIFEST, b"{}")
    finally:
        os.umask(previous)
    modes = {path.relative_to(tmp_path).as_posix(): path.stat().st_mode & 0o777
             for path in tmp_path.rglob("*")}  # fmt: skip
    assert modes == {
        "a": 0o700, "a/place": 0o700, "a/place/_pending": 0o700, "a/place/records": 0o700,
        f"a/place/{FINAL}": 0o600, "a/place/manifest.json": 0o600,
    }  # fmt: skip


async def test_a_file_in_place_of_a_directory_is_named_by_the_check(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError, match=r"Can't create .*file/place: Not a directory"):
        await Volume(tmp_path / "file" / "place").prepare()
