"""What the watcher takes of watchdog: imported with the first project that is watched, as it takes 35 ms."""

from __future__ import annotations

from typing import Final

from watchdog.observers.inotify_c import CallbackId, InotifyConstants, InotifyFD, Mask

__all__ = ["MASK", "CallbackId", "InotifyFD"]

MASK: Final = Mask(  # not IN_MODIFY: every write of every job would wake us
    InotifyConstants.IN_CLOSE_WRITE
    | InotifyConstants.IN_ATTRIB
    | InotifyConstants.IN_CREATE
    | InotifyConstants.IN_DELETE
    | InotifyConstants.IN_MOVED_FROM
    | InotifyConstants.IN_MOVED_TO
    | InotifyConstants.IN_DELETE_SELF
    | InotifyConstants.IN_MOVE_SELF
    | InotifyConstants.IN_ONLYDIR
    | InotifyConstants.IN_DONT_FOLLOW
    | InotifyConstants.IN_EXCL_UNLINK
)
