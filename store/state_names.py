"""Which names in a state directory are ours: nothing else is ever taken away. Standard library only."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from store import paths, removal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ULID: Final = "[0-9A-HJKMNP-TV-Z]{26}"
RUN: Final = re.compile(rf"{ULID}|\.(gone|packed|new|index)-{ULID}")
PACK: Final = re.compile(rf"(\.(gone|new)-)?{ULID}(\.code)?\.tar\.gz")
BACKUP: Final = re.compile(r"index-\d{8}T\d{9}Z\.duckdb|index\.tmp(\.wal)?")
FILE: Final = re.compile(
    r"(index\.duckdb(\.wal|\.restoring)?|index\.suspect|commands[^/]*\.(jsonl|head)|socket\.path|local\.json"
    r"|queue\.json|export-\d+\.parquet|daemon\.(sock|json|log|stopped|failing|deaths))(\.\d+\.tmp)?"
)
LOCK: Final = "daemon.lock"
"""Goes last: who holds it keeps daemons away meanwhile."""
WHOLE: Final = re.compile(
    r"quarantine-\d{8}T\d{6}Z(-\d+)?|blobs|packages|worktrees|numbers|fingerprints|projects|sweeps|leases|imports"
)
"""Directories that are ours with all in them."""
FOLDERS: Final = {"runs": RUN, "archive": PACK, "backup": BACKUP}
"""Directories in which only such names are ours."""


def own_entries(home: str) -> Iterator[str]:
    """Paths of everything that is ours, the lock and the directories themselves left out; links are never ours."""
    for name in names_in(home):
        path = os.path.join(home, name)
        if os.path.islink(path):
            continue
        if name in FOLDERS and os.path.isdir(path):
            yield from (
                os.path.join(path, each)
                for each in names_in(path)
                if FOLDERS[name].fullmatch(each) and not os.path.islink(os.path.join(path, each))
            )
        elif (WHOLE if os.path.isdir(path) else FILE).fullmatch(name):
            yield path


def take_away(home: str, progress: Callable[[int], None] = lambda _: None) -> list[str]:
    """Remove all that is ours from a directory, and the directory when nothing else is in it; returns what stays.

    The caller holds the lock, whose file goes last. Raises OSError for what cannot be removed: repeat it then.
    """
    for count, path in enumerate(own_entries(home)):
        if os.path.isdir(path):
            removal.remove_tree(path)
        else:
            os.unlink(path)
        progress(count)
    for name in FOLDERS:
        path = os.path.join(home, name)
        if os.path.isdir(path) and not os.path.islink(path) and not os.listdir(path):
            os.rmdir(path)
    lock = os.path.join(home, LOCK)
    if os.path.lexists(lock):
        os.unlink(lock)
    left = names_in(home)
    if not left:
        os.rmdir(home)
    return [os.path.join(home, name) for name in left]


def names_in(path: str) -> list[str]:
    """The names in a directory; none where there is no directory."""
    try:
        return sorted(os.listdir(path))
    except (FileNotFoundError, NotADirectoryError):
        return []


def outside_dirs(home: str) -> list[str]:
    """Directories of this state outside of it: on a local disk for a home on a network, and for a short socket path."""
    found = [paths.local_dir(home), os.path.dirname(paths.socket_path(home))]
    return [path for path in dict.fromkeys(found) if path != home and os.path.isdir(path)]
