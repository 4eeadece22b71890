"""status.json: what the supervisor last recorded, and the block that stands in for it. Standard library only.

A status is written to a temporary name, synced and renamed. Where that cannot be done, because the disk is full, it
goes into `status.block`, a file of fixed size whose disk space was taken when the run started:

    CRC-32 of the JSON as 8 hex digits, space, JSON, LF, zeros up to BLOCK_BYTES

Both hold the same object with a `format` number. Of two for the same attempt the one with the higher `revision` is
the status.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import Any, Final

from console.json_files import read_object
from store import journal, paths, run_files

BLOCK_BYTES: Final = 16384
"""Holds every status but those with a long excerpt of a log, which is cut."""


def read(run_dir: str) -> dict[str, Any] | None:
    """The status of a run; None while there is none or when it is damaged. Raises OSError other than its absence."""
    plain, reserved = read_object(f"{run_dir}/status.json"), read_block(run_dir)
    if plain is None or reserved is None:
        return plain if reserved is None else reserved
    return reserved if age_of(reserved) > age_of(plain) else plain


def read_block(run_dir: str) -> dict[str, Any] | None:
    """What status.block says; None for one that was never needed."""
    line, end, _ = run_files.read_stretch(block_path(run_dir), 0, BLOCK_BYTES).data.partition(b"\n")
    body = journal.checked_body(line) if end else None
    if body is None:
        return None
    value = json.loads(body)
    return value if isinstance(value, dict) else None


def age_of(status: dict[str, Any]) -> tuple[int, int]:
    """What orders the statuses of a run: later ones have greater numbers."""
    attempt, revision = status.get("attempt", 1), status.get("revision", 0)
    return (attempt if isinstance(attempt, int) else 1, revision if isinstance(revision, int) else 0)


def block_path(run_dir: str) -> str:
    """Where the reserved block lies."""
    return f"{run_dir}/status.block"


class StatusFile:
    """The write side, for the supervisor of one attempt. No method raises because of a file of ours."""

    def __init__(self, run_dir: str) -> None:
        self.run_dir = run_dir
        self._block: int | None = None

    def reserve(self) -> None:
        """Take the disk space of the block, unless we have it; on a full disk the next call may."""
        if self._block is not None:
            return
        with contextlib.suppress(OSError):
            descriptor = os.open(block_path(self.run_dir), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, BLOCK_BYTES)
                os.fsync(descriptor)
            except BaseException:
                os.close(descriptor)
                os.unlink(block_path(self.run_dir))
                raise
            self._block = descriptor

    def write(self, status: dict[str, Any]) -> bool:
        """Record a status; False when neither the file nor the block could be written."""
        try:
            paths.write_atomically(f"{self.run_dir}/status.json", json.dumps(status).encode())
        except OSError:
            # A run directory that was deleted under the run has nobody left to read a status in it.
            return not os.path.isdir(self.run_dir) or self._write_block(status)
        if status.get("ended_at_s") is not None:
            self._release()
        return True

    def _write_block(self, status: dict[str, Any]) -> bool:
        self.reserve()
        if self._block is None:
            return False
        with contextlib.suppress(OSError):
            os.pwrite(self._block, encode_block(status), 0)
            os.fdatasync(self._block)
            return True
        return False

    def _release(self) -> None:
        if self._block is not None:
            os.close(self._block)
            self._block = None
        with contextlib.suppress(OSError):
            os.unlink(block_path(self.run_dir))


def encode_block(status: dict[str, Any]) -> bytes:
    """A status as the whole content of the block; what was read from a log is cut where it would not fit."""
    line = journal.encode_line(status)
    while len(line) > BLOCK_BYTES:
        longest = max(
            (key for key, value in status.items() if isinstance(value, str)), key=lambda key: len(status[key])
        )
        status = status | {longest: status[longest][: len(status[longest]) // 2]}
        line = journal.encode_line(status)
    return line.ljust(BLOCK_BYTES, b"\0")
