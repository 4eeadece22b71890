"""Giving back the disk space of a part of a file: its length and all offsets stay, the part reads as zeros.

Standard library only. Linux: fallocate(2) with FALLOC_FL_PUNCH_HOLE, and SEEK_DATA / SEEK_HOLE of lseek(2).
"""

from __future__ import annotations

import ctypes
import errno
import os
from typing import Final

FALLOC_FL_KEEP_SIZE: Final = 0x01
FALLOC_FL_PUNCH_HOLE: Final = 0x02
BLOCK_BYTES: Final = 4096
"""Only whole blocks are given back; a part of one is overwritten with zeros, which frees nothing."""


def punch(descriptor: int, start: int, length: int) -> None:
    """Free what lies in `length` bytes from `start`. Raises OSError; EOPNOTSUPP where the file system cannot."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    call = getattr(libc, "fallocate64", libc.fallocate)
    call.argtypes = libc.fallocate.argtypes
    mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
    while call(descriptor, mode, start, length):
        number = ctypes.get_errno()
        if number != errno.EINTR:
            raise OSError(number, os.strerror(number))


def cut_middle(path: str, head_bytes: int, tail_bytes: int) -> int:
    """Free a file but for its first and last bytes; returns how many bytes of disk that gave back.

    The stretch is rounded inwards to whole blocks, so never more goes than asked for. Raises OSError: FileNotFoundError
    when there is no regular file of our own, EMLINK when it has a second name (then somebody else has it too),
    EOPNOTSUPP where the file system cannot.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        before = os.fstat(descriptor)
        if before.st_nlink != 1:
            raise OSError(errno.EMLINK, "has a second name elsewhere, so it is left as it is", path)
        start = -(-head_bytes // BLOCK_BYTES) * BLOCK_BYTES
        end = (before.st_size - tail_bytes) // BLOCK_BYTES * BLOCK_BYTES
        if end <= start:
            return 0
        punch(descriptor, start, end - start)
        os.fsync(descriptor)
        return (before.st_blocks - os.fstat(descriptor).st_blocks) * 512
    finally:
        os.close(descriptor)


def data_segments(descriptor: int, size: int) -> list[tuple[int, int]]:
    """Offset and length of every stretch of a file that is no hole, in order; where holes cannot be seen, one."""
    segments: list[tuple[int, int]] = []
    position = 0
    while position < size:
        try:
            start = os.lseek(descriptor, position, os.SEEK_DATA)
            end = min(os.lseek(descriptor, start, os.SEEK_HOLE), size)
        except OSError as error:
            if error.errno == errno.ENXIO:
                break  # nothing but a hole from here to the end
            if error.errno == errno.EINVAL:
                return [(0, size)]
            raise
        if start >= size:
            break
        segments.append((start, end - start))
        position = end
    return segments
