"""Where what tests write lies: in memory where the system has room for it, else on the disk.

A disk takes milliseconds for each `fsync`, which thousands of small exports wait for and nothing
comes of: what is lost with the power is tested by system calls that are counted, not by a disk.
"""

import shutil
from pathlib import Path

MEMORY = Path("/dev/shm")  # noqa: S108 - what is made there has a random name, or one owner
ROOM_BYTES = 2 << 30


def memory_with_room():
    """Return a directory that lies in memory, None if there is none with enough room."""
    has_room = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM_BYTES
    return str(MEMORY) if has_room else None
