"""Opening files that a run writes: whatever the run made of them meanwhile, reading them neither hangs nor escapes.

Standard library only.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import NamedTuple


class Stretch(NamedTuple):
    """Bytes of a file, and the facts about it at that moment."""

    data: bytes
    size: int
    inode: int


def open_regular(path: str) -> int:
    """A descriptor for reading a regular file.

    Raises FileNotFoundError when there is none: links, pipes, devices and directories count as none.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.EISDIR, errno.ENOTDIR, errno.ENODEV):
            raise FileNotFoundError(errno.ENOENT, "is no regular file", path) from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileNotFoundError(errno.ENOENT, "is no regular file", path)
    return descriptor


def read_stretch(path: str, start: int, max_bytes: int) -> Stretch:
    """Bytes of a file from `start`; nothing, with size and inode 0, for a file that does not exist."""
    try:
        descriptor = open_regular(path)
    except FileNotFoundError:
        return Stretch(b"", 0, 0)
    try:
        facts = os.fstat(descriptor)
        return Stretch(os.pread(descriptor, max_bytes, start), facts.st_size, facts.st_ino)
    finally:
        os.close(descriptor)


def size_bytes(path: str) -> int:
    """Length of a file; 0 where there is none."""
    return read_stretch(path, 0, 0).size
