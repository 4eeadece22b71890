"""When nothing can be written: the same words for the header of every client and for the command that was refused."""

from __future__ import annotations

import contextlib
import errno
import os
import time
import traceback
from typing import TYPE_CHECKING, Final

from store import database

if TYPE_CHECKING:
    import threading

FIRST_RETRY_S: Final = 1.0
LONGEST_RETRY_S: Final = 30.0
"""Between tries to write again; each wait is twice the one before."""
LOOK_FOR_ROOM_S: Final = 1.0
ROOM_BYTES: Final = 1 << 20
"""So much more room than before ends a wait early."""
FULL: Final = "the store is paused: the disk of the state directory is full"
REOPENING: Final = "the store is paused: the index is being opened again"
HINT: Final = "make room and repeat the command; what runs goes on, and what it writes is taken in later"
DEAD_WORDS: Final = ("database has been invalidated", "connection already closed", "connection has already been closed")
"""DuckDB's words for an instance that only opening the file anew brings back, and for a cursor of it."""


def words_of(error: BaseException) -> str:
    """What to say of an error that stands for a store that is paused; empty for any other."""
    text = str(error).lower()
    if isinstance(error, OSError):
        return FULL if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
    if not isinstance(error, database.Error):
        return ""
    if "no space left on device" in text or "disk quota exceeded" in text:
        return FULL
    dead = isinstance(error, database.FatalError) or any(words in text for words in DEAD_WORDS)
    return REOPENING if dead or type(error).__name__ == "InterruptException" else ""


def longer(pause_s: float) -> float:
    """The wait after a wait that was in vain; 0 is that before the first."""
    return min(2 * pause_s, LONGEST_RETRY_S) or FIRST_RETRY_S


def wait(wake: threading.Event, pause_s: float, home: str) -> None:
    """Wait for a command, for room that somebody has made on the disk, or for `pause_s`."""
    before = room_bytes(home)
    deadline_s = time.monotonic() + pause_s
    while (left_s := deadline_s - time.monotonic()) > 0:
        if wake.wait(min(left_s, LOOK_FOR_ROOM_S)) or room_bytes(home) >= before + ROOM_BYTES:
            return


def room_bytes(home: str) -> int:
    """What we may still write to the disk of the state directory; 0 when it does not say."""
    try:
        facts = os.statvfs(home)
    except OSError:
        return 0
    return facts.f_bavail * facts.f_frsize


def print_traceback() -> None:
    """The present exception to the daemon's log, which may lie on the full disk itself."""
    with contextlib.suppress(OSError):
        traceback.print_exc()


def is_alive(cursor: database.Cursor) -> bool:
    """Whether the instance behind a cursor still answers, and no transaction hangs in it."""
    try:
        cursor.execute("select 1").fetchone()
    except database.Error:
        return False
    return True
