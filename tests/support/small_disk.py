"""A disk of a chosen size, that is really full when it is."""

import shutil
import subprocess

import pytest


@pytest.fixture
def small_disk(tmp_path):
    """Return a maker of a mounted file system of so many KiB; calling it again resizes it.

    With `inodes` it has no room for more files and directories than that, its root included; with
    `read_only` it can't be written.
    """
    disk = tmp_path / "disk"

    def mount(size_kib, inodes=None, *, read_only=False):
        options = f"size={size_kib}k" + (f",nr_inodes={inodes}" if inodes else "")
        options += ",ro" if read_only else ",rw"
        if disk.exists():
            options += ",remount"
        disk.mkdir(exist_ok=True)
        mounted = system("mount", "-t", "tmpfs", "-o", options, "tmpfs", disk)
        if mounted.returncode:
            pytest.skip(f"no small disk can be mounted here: {mounted.stderr.decode()}")
        return disk

    yield mount
    system("umount", disk)


def system(command, *arguments):
    return subprocess.run([shutil.which(command), *arguments], capture_output=True, check=False)
