"""The two syncs that make a file durable, on Linux and on macOS.

macOS has no fdatasync, and its fsync leaves the data in the drive's cache: F_FULLFSYNC waits for
the medium (fsync(2) there). On file systems that refuse it, fsync has to do.
"""

import fcntl
import os


def sync_data(fd: int) -> None:
    """Make what was written to `fd` durable, its length included. Raises OSError."""
    if hasattr(os, "fdatasync"):
        os.fdatasync(fd)
    else:
        sync(fd)


def sync(fd: int) -> None:
    """Make a file, or the names in a directory, durable. Raises OSError."""
    full_sync = getattr(fcntl, "F_FULLFSYNC", None)
    if full_sync is not None:
        try:
            fcntl.fcntl(fd, full_sync)
        except OSError:
            pass  # not supported there; the plain sync below fails if the disk does
        else:
            return
    os.fsync(fd)
