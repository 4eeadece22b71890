"""Logs for tests of their limit: written in whole lines, read by a daemon as far as told, with the middle cut out."""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING

from console.jobs.log_limit import LogLimit
from store import journal

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1 << 20
LINE = b"step=%08d loss=0.51234567 val_loss=0.76543210 acc=0.9876543\n"
LINE_BYTES = len(LINE % 0)


class Log:
    """A run directory with a log, and a journal of what a daemon would have read."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)
        self.path = f"{self.folder}/output.log"
        self.written = 0
        self._journal = journal.Journal(f"{self.folder}/derived.jsonl")
        with open(self.path, "wb"):
            pass

    def write(self, size_bytes: int) -> None:
        """Append whole lines."""
        with open(self.path, "ab") as file:
            lines = b"".join(
                LINE % (self.written // LINE_BYTES + index) for index in range(size_bytes // LINE_BYTES + 1)
            )
            self.written += file.write(lines)

    def read_by_daemon(self, end: int | None = None) -> None:
        """Record that the log was looked at up to `end`, else to its end."""
        self._journal.append(
            [
                {"kind": "metrics", "end": 1, "generation": 0},
                {"kind": "log", "end": self.written if end is None else end},
            ]
        )

    @property
    def used_bytes(self) -> int:
        """Disk space."""
        return os.stat(self.path).st_blocks * 512

    def close(self) -> None:
        """End the journal."""
        self._journal.close()


def can_punch(folder: Path) -> bool:
    """Whether the file system there has FALLOC_FL_PUNCH_HOLE."""
    path = folder / "probe"
    path.write_bytes(b"x" * 8192)
    library = ctypes.CDLL(None)
    with path.open("r+b") as file:
        done = library.fallocate64(file.fileno(), 3, ctypes.c_int64(0), ctypes.c_int64(4096))
    path.unlink()
    return bool(done == 0)


def punched(log: Log) -> None:
    """Cut the middle out as a supervisor would."""
    log.read_by_daemon()
    limit = LogLimit(log.folder, log.path, 4 * MIB)
    limit.look()
    assert log.used_bytes <= 4 * MIB


def hole_of(path: str) -> tuple[int, int]:
    """Start and end of the first hole."""
    with open(path, "rb") as file:
        start = os.lseek(file.fileno(), 0, os.SEEK_HOLE)
        return start, os.lseek(file.fileno(), start, os.SEEK_DATA)
