"""Taking away directories that runs wrote: never through a link, never into another file system, however deep.

Standard library only.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import stat
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEPTH_MAX: Final = 48
"""Directories below this are moved up first: each level that is open costs a descriptor."""
CHUNK_ENTRIES: Final = 4096
RETRIES: Final = 3
OPEN_DIR: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class InterruptedRemoval(Exception):
    """Told to end before all was gone; what is left is removed by the next try."""


def never() -> bool:
    """Nobody wants us to end."""
    return False


def obstacle(path: str) -> str:
    """Why the directory at `path` cannot be taken away whole, as a sentence; empty when nothing is known of one.

    Looks before anything is touched: mount points, and directories of other users in which we may delete nothing.
    """
    mounted = mounts_below(path)
    if mounted:
        return f"{mounted[0]} is a mount point; unmount it first"
    user = os.geteuid()
    waiting = [(path, 0)]
    while waiting:
        folder, depth = waiting.pop()
        facts = os.lstat(folder)
        if facts.st_uid != user and not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            return (
                f"{folder} belongs to uid {facts.st_uid} and may not be emptied by uid {user}; have its owner remove it"
            )
        sticky = bool(facts.st_mode & stat.S_ISVTX) and user not in (0, facts.st_uid)
        try:
            entries = os.scandir(folder)
        except PermissionError:
            continue  # our own with a mode that keeps us out: the removal changes the mode
        with entries:
            for entry in entries:
                if sticky and entry.stat(follow_symlinks=False).st_uid != user:
                    return f"{entry.path} belongs to another user and lies in a sticky directory; have it removed first"
                # Deeper ones cannot be named by a path for ever; the removal gets there.
                if depth < DEPTH_MAX and entry.is_dir(follow_symlinks=False):
                    waiting.append((entry.path, depth + 1))
    return ""


def mounts_below(path: str) -> list[str]:
    """Mount points inside a directory, bind mounts of files and of the same file system included."""
    start = os.path.realpath(path) + "/"
    found = []
    with open("/proc/self/mountinfo", "rb") as table:
        for line in table:
            # Blank, tab, LF and backslash come as octal escapes (proc_pid_mountinfo(5)).
            point = os.fsdecode(line.split(b" ")[4].decode("unicode_escape").encode("latin-1"))
            if point.startswith(start):
                found.append(point)
    return found


def remove_tree(path: str, ending: Callable[[], bool] = never) -> int:
    """Remove a directory with all in it; returns how many entries went. One that is not there is no error.

    Raises InterruptedRemoval once `ending` says so, OSError for what cannot be removed: the rest stays then.
    """
    parent = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        top = open_dir(os.path.basename(path), parent)
        try:
            count = 0
            device = os.fstat(top).st_dev
            numbers = itertools.count()

            def empty() -> None:
                nonlocal count
                count += _empty(top, 0, top, device, numbers, ending)

            remove_empty(os.path.basename(path), parent, empty)
        finally:
            os.close(top)
    except FileNotFoundError:
        return 0
    finally:
        os.close(parent)
    return count


def remove_empty(name: str, parent: int, empty: Callable[[], None]) -> None:
    """Empty a directory and remove it, again where something was put into it meanwhile."""
    for attempt in range(RETRIES + 1):
        empty()
        try:
            os.rmdir(name, dir_fd=parent)
        except OSError as error:
            if error.errno != errno.ENOTEMPTY or attempt == RETRIES:
                raise
        else:
            return


def open_dir(name: str, parent: int) -> int:
    """A descriptor of a directory that is no link, with a mode that lets us work in it where it is ours."""
    try:
        descriptor = os.open(name, OPEN_DIR, dir_fd=parent)
    except PermissionError:
        handle = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        try:
            os.chmod(f"/proc/self/fd/{handle}", 0o700)
        finally:
            os.close(handle)
        return os.open(name, OPEN_DIR, dir_fd=parent)
    facts = os.fstat(descriptor)
    if facts.st_uid == os.geteuid() and stat.S_IMODE(facts.st_mode) & 0o700 != 0o700:
        os.fchmod(descriptor, 0o700)
    return descriptor


def _empty(folder: int, depth: int, top: int, device: int, numbers: Iterator[int], ending: Callable[[], bool]) -> int:
    count = 0
    while True:
        # In chunks from the start: nothing is assumed of listings while their entries go.
        with os.scandir(folder) as found:
            chunk = itertools.islice(found, CHUNK_ENTRIES)
            entries = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in chunk]
        if not entries:
            return count
        for name, is_dir in entries:
            if ending():
                raise InterruptedRemoval
            # A process of the run may still be at work and remove things itself.
            with contextlib.suppress(FileNotFoundError):
                if is_dir:
                    count += _remove_dir(name, folder, depth, top, device, numbers, ending)
                else:
                    os.unlink(name, dir_fd=folder)
                count += 1


def _remove_dir(
    name: str, folder: int, depth: int, top: int, device: int, numbers: Iterator[int], ending: Callable[[], bool]
) -> int:
    count = 0
    child = open_dir(name, folder)
    try:
        if os.fstat(child).st_dev != device:
            raise OSError(errno.EXDEV, "is another file system; unmount it first", name)
        if depth >= DEPTH_MAX:
            os.rename(name, f".deep-{next(numbers)}", src_dir_fd=folder, dst_dir_fd=top)
            return 0

        def empty() -> None:
            nonlocal count
            count += _empty(child, depth + 1, top, device, numbers, ending)

        remove_empty(name, folder, empty)
    finally:
        os.close(child)
    return count
