"""output.log: where the output of a run goes. Standard library only."""

from __future__ import annotations

import errno
import fcntl
import os
import stat

from console.jobs.exit_cause import LOG_TAIL_BYTES
from store import run_files


def open_log(run_dir: str) -> tuple[int, str]:
    """A descriptor that appends to the log, and a notice.

    Where the log cannot be opened it leads to /dev/null, and the notice says why: no file of ours may fail a job.
    """
    path = f"{run_dir}/output.log"
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        log = os.open(path, flags, 0o600)
        if not stat.S_ISREG(os.fstat(log).st_mode):
            os.close(log)
            raise OSError(errno.EINVAL, "is no regular file", path)
        fcntl.fcntl(log, fcntl.F_SETFL, os.O_APPEND)
        return log, ""
    except OSError as error:
        notice = f"its output is not kept: {path} cannot be opened: {error.strerror}"
        return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC), notice


def share_log(run_dir: str, path: str) -> str:
    """Give the file that an adopted process writes to a second name in the run directory; returns a notice.

    A second name and not a symbolic link, as readers of a run directory follow none.
    """
    if not path:
        return "its output goes to no file, so there is no log"
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return f"its output stays in {path} alone: that is no regular file"
        os.link(path, f"{run_dir}/output.log", follow_symlinks=False)
    except OSError as error:
        return f"its output stays in {path} alone: {error.strerror}"
    return ""


def size_of(path: str) -> int:
    """Bytes of a file of a run; 0 when it cannot be read."""
    try:
        return run_files.size_bytes(path)
    except OSError:
        return 0


def tail_of(path: str, since_bytes: int) -> str:
    """The end of what a file of a run holds past a byte, for the cause of an attempt; empty when it cannot be read.

    A file that has become shorter was replaced: all of it counts.
    """
    try:
        size = run_files.size_bytes(path)
        start = max(since_bytes if since_bytes <= size else 0, size - LOG_TAIL_BYTES)
        return run_files.read_stretch(path, start, LOG_TAIL_BYTES).data.decode("utf-8", "replace")
    except OSError:
        return ""
