"""Keeps a log within its limit by giving back the disk space of its middle. Standard library only.

The first MiB and the tail stay, the middle becomes a hole (fallocate(2), FALLOC_FL_PUNCH_HOLE): the size of the file
and the offsets of its lines never change, so neither the writer nor a reader has to know.

    0      1 MiB                           size - tail     size
    |head  |    hole: takes no disk space      | tail       |

Points in the log must not be lost: what the daemon has not read yet (`end` of the last record of kind "log" in
derived.jsonl) is cut only once the log takes twice its limit and the daemon has not got on for a while, or once it
takes far more; then `notice` says how much.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import stat
import time
from typing import TYPE_CHECKING, Final

from console.jobs.words import size
from store import journal, run_files

if TYPE_CHECKING:
    from collections.abc import Callable

HEAD_BYTES: Final = 1 << 20
"""What stays at the front of every log."""
KEEP_SIZE: Final = 1
PUNCH_HOLE: Final = 2
"""FALLOC_FL_KEEP_SIZE and FALLOC_FL_PUNCH_HOLE of <linux/falloc.h>."""
ALIGNMENT_BYTES: Final = 65536
"""Only whole blocks are given back; blocks are no larger than this on the usual file systems."""
DERIVED_WINDOW_BYTES: Final = 65536
DERIVED_WINDOW_MAX_BYTES: Final = 8 << 20
STALL_S: Final = 5.0
"""A daemon that has read nothing of a log for so long, while there was much to read, is away."""
UNREAD_MAX_BYTES: Final = 256 << 20
"""How far over twice its limit a log may get while a daemon reads it, but not fast enough."""
PAUSE_MIN_S: Final = 0.02
PAUSE_MAX_S: Final = 1.0
FASTEST_BYTES_PER_S: Final = 256 << 20
"""How fast a log is expected to grow after a silence."""


def punch_hole(descriptor: int, start: int, length: int) -> None:
    """Give back the disk space of a stretch of a file, which then reads as NUL bytes. Raises OSError."""
    if _fallocate(descriptor, PUNCH_HOLE | KEEP_SIZE, start, length):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


_fallocate = ctypes.CDLL(None, use_errno=True).fallocate64
_fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)


class LogLimit:
    """Watches one log; one object per attempt, used by the supervisor alone.

    Only `output.log` itself is ever cut: not what somebody put in its place, nor a file elsewhere.
    """

    def __init__(
        self,
        run_dir: str,
        log_path: str,
        limit_bytes: int,
        punch: Callable[[int, int, int], None] = punch_hole,
        stall_s: float = STALL_S,
    ) -> None:
        """`limit_bytes` 0 means no limit; `punch` and `stall_s` are for tests."""
        self.notice = ""
        """For the run's status, one sentence for each thing that is not as asked; empty while all is well."""
        self.pause_s = PAUSE_MAX_S
        """How long the log may go unwatched from now on; grows while it is quiet."""
        self._run_dir = run_dir
        self._log_path = log_path
        self._limit_bytes = limit_bytes if os.path.dirname(log_path) == run_dir else 0
        self._punch = punch
        self._stall_s = stall_s
        self._derived: tuple[int, float] | None = None
        """Up to where the daemon had read when we looked last, and since when."""
        self._inode: tuple[int, int] | None = None
        self._cut_end = HEAD_BYTES
        self._unread_bytes = 0
        self._seen = (0, time.monotonic())
        self._notices: dict[str, str] = {}
        if self._limit_bytes:
            self.pause_s = self._idle_pause_s()

    def look(self) -> None:
        """Cut out the middle when the log nears its limit. Call it every `pause_s`; it never raises."""
        if not self._limit_bytes:
            return
        try:
            descriptor = os.open(self._log_path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return  # deleted, or replaced by something that is no file of ours
        try:
            self._look_at(descriptor)
        except OSError as error:
            self._refused(error)
        finally:
            os.close(descriptor)

    def _look_at(self, descriptor: int) -> None:
        facts = os.fstat(descriptor)
        inode = (facts.st_dev, facts.st_ino)
        if self._inode is None:
            self._inode, self._cut_end = inode, end_of_hole(descriptor)
        if inode != self._inode or not stat.S_ISREG(facts.st_mode):
            self._say(
                "replaced", f"{self._log_path} was replaced, so its limit of {size(self._limit_bytes)} is not held"
            )
            return
        used_bytes = facts.st_blocks * 512
        self._cut_end = self._cut_end if facts.st_size >= self._cut_end else HEAD_BYTES
        growth_bytes = self._watch_growth(facts.st_size, used_bytes)
        spare_bytes = min(max(self._limit_bytes // 4, 4 * growth_bytes), self._limit_bytes // 2)
        if used_bytes < self._limit_bytes - spare_bytes:
            return
        tail_bytes = max(self._limit_bytes - 2 * spare_bytes, self._limit_bytes // 4) - HEAD_BYTES
        wanted = facts.st_size - max(tail_bytes, ALIGNMENT_BYTES)
        read_end = self._derived_end()
        end = wanted if self._must_cut(used_bytes, read_end) else min(wanted, read_end)
        end -= end % max(ALIGNMENT_BYTES, facts.st_blksize)
        if end <= self._cut_end:
            return
        self._punch(descriptor, self._cut_end, end - self._cut_end)
        self._unread_bytes += max(0, end - max(read_end, self._cut_end))
        self._cut_end = end
        if self._unread_bytes:
            self._say(
                "unread",
                f"{self._log_path} grew over twice its limit of {size(self._limit_bytes)} before a daemon had read it: "
                f"{size(self._unread_bytes)} were cut out unread, with the metrics in them",
            )

    def _must_cut(self, used_bytes: int, read_end: int) -> bool:
        """Whether even what no daemon has read has to go."""
        now_s = time.monotonic()
        if self._derived is None or self._derived[0] != read_end:
            self._derived = (read_end, now_s)
        over_bytes = used_bytes - 2 * self._limit_bytes
        return over_bytes >= UNREAD_MAX_BYTES or (over_bytes >= 0 and now_s - self._derived[1] >= self._stall_s)

    def _watch_growth(self, log_bytes: int, used_bytes: int) -> int:
        """Bytes since the last look; sets how long to wait for the next one."""
        before_bytes, before_s = self._seen
        now_s = time.monotonic()
        self._seen = (log_bytes, now_s)
        growth_bytes = max(0, log_bytes - before_bytes) if before_bytes else 0
        self.pause_s = self._idle_pause_s()
        if growth_bytes and now_s > before_s:
            room_bytes = max(0, self._limit_bytes - used_bytes)
            rate = growth_bytes / (now_s - before_s)
            self.pause_s = max(PAUSE_MIN_S, min(self.pause_s, room_bytes / (4 * rate)))
        return growth_bytes

    def _idle_pause_s(self) -> float:
        return max(PAUSE_MIN_S, min(PAUSE_MAX_S, self._limit_bytes / FASTEST_BYTES_PER_S))

    def _derived_end(self) -> int:
        """Up to where the daemon has read the log; 0 where it has not or the record of it cannot be read."""
        path = f"{self._run_dir}/derived.jsonl"
        try:
            length = run_files.size_bytes(path)
            window = DERIVED_WINDOW_BYTES
            while True:
                stretch = run_files.read_stretch(path, max(0, length - window), window)
                for line in reversed(journal.whole_lines(stretch.data)[0]):
                    end = end_of_log_record(line)
                    if end is not None:
                        return end
                if window >= min(length, DERIVED_WINDOW_MAX_BYTES):
                    return 0
                window *= 8
        except OSError:
            return 0

    def _refused(self, error: OSError) -> None:
        if error.errno in (errno.EOPNOTSUPP, errno.ENOSYS):
            held = f"the file system of {self._log_path} cannot give back the middle of a file"
            self._say("refused", f"{held}, so the log limit of {size(self._limit_bytes)} is not held")
            self._limit_bytes = 0
            self.pause_s = PAUSE_MAX_S
        else:
            self._say("refused", f"the middle of {self._log_path} could not be cut out: {error.strerror}")

    def _say(self, subject: str, sentence: str) -> None:
        self._notices[subject] = sentence
        self.notice = "; ".join(self._notices.values())


def end_of_hole(descriptor: int) -> int:
    """Where the hole that an earlier attempt left ends; HEAD_BYTES where there is none."""
    try:
        return max(HEAD_BYTES, os.lseek(descriptor, HEAD_BYTES, os.SEEK_DATA))
    except OSError:  # nothing behind it, or the file system cannot tell
        return HEAD_BYTES


def end_of_log_record(line: bytes) -> int | None:
    """`end` of a sound journal line of kind "log"; None for any other line. See `store.derive`."""
    body = journal.checked_body(line)
    if body is None or b'"log"' not in body:
        return None
    try:
        record = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or record.get("kind") != "log" or not isinstance(record.get("end"), int):
        return None
    return int(record["end"])
