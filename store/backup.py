"""Copies of the index: taken while it is written to, a few kept, put back by `recovery` when the index is damaged.

A copy is made by DuckDB itself from one snapshot. Copying the file would be wrong twice: it is no snapshot, and closing
a second descriptor of the file drops DuckDB's lock on it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import threading
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from store import paths

if TYPE_CHECKING:
    from store.database import Cursor, Database

KEPT: Final = 3
SPACE_FACTOR: Final = 2
"""A backup is made only where this many times the size of the index is free."""
INTERVAL_S: Final = 86400.0
SCRUB_INTERVAL_S: Final = 7 * 86400.0
"""An index that does not change is copied this often: the copy reads, and so checks, every block of it."""
NAME: Final = re.compile(r"index-\d{8}T\d{9}Z\.duckdb")

_one_at_a_time = threading.Lock()


class Backup(NamedTuple):
    """One copy of the index."""

    path: str
    size_bytes: int
    made_at_s: float


def backup_dir(home: str) -> str:
    """Where the copies lie: beside the index, on the same local disk."""
    return os.path.join(os.path.dirname(paths.database_path(home)), "backup")


def backups(home: str) -> list[Backup]:
    """The copies that are there, newest first."""
    try:
        names = sorted(filter(NAME.fullmatch, os.listdir(backup_dir(home))), reverse=True)
    except FileNotFoundError:
        return []
    files = [os.path.join(backup_dir(home), name) for name in names]
    return [Backup(path, facts.st_size, facts.st_mtime) for path, facts in ((path, os.stat(path)) for path in files)]


def index_size_bytes(home: str) -> int:
    """Disk use of the index with its WAL."""
    size = 0
    for path in (paths.database_path(home), f"{paths.database_path(home)}.wal"):
        with contextlib.suppress(FileNotFoundError):
            size += os.stat(path).st_size
    return size


def make_backup(database: Database, home: str) -> Backup:
    """Copy the open index as it is at this moment; writers go on meanwhile. Raises OSError (no space), duckdb.Error."""
    with database.reading() as cursor:
        return copy_index(cursor, home)


def copy_index(cursor: Cursor, home: str) -> Backup:
    """As `make_backup`, over a cursor of the open index that has no transaction under way."""
    with _one_at_a_time:
        folder = backup_dir(home)
        paths.make_private_dir(folder)
        temporary = os.path.join(folder, "index.tmp")
        remove_leftovers(temporary)
        needed = SPACE_FACTOR * index_size_bytes(home)
        free = shutil.disk_usage(folder).free
        if free < needed:
            message = f"a backup needs {needed >> 20} MiB of free disk, {free >> 20} MiB are free"
            raise OSError(errno.ENOSPC, message, folder)
        try:
            _copy(cursor, temporary)
            with open(temporary, "rb") as file:
                os.fsync(file.fileno())
            os.chmod(temporary, 0o600)
            now_s = time.time()
            stamp = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime(now_s))}{int(now_s % 1 * 1000):03d}"
            final = os.path.join(folder, f"index-{stamp}Z.duckdb")
            os.rename(temporary, final)
        finally:
            remove_leftovers(temporary)
        paths.sync_dir(folder)
        found = backups(home)
        for old in found[KEPT:]:
            os.unlink(old.path)
        return found[0]


def _copy(cursor: Cursor, path: str) -> None:
    source = (cursor.execute("select current_database()").fetchone() or ("",))[0]
    cursor.execute(f"attach '{path.replace(chr(39), chr(39) * 2)}' as backup_copy")
    try:
        cursor.execute(f'copy from database "{source}" to backup_copy')
    finally:
        cursor.execute("detach backup_copy")


def remove_leftovers(temporary: str) -> None:
    """Take away what a copy left that did not come to its end."""
    for path in (temporary, f"{temporary}.wal"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def is_due(home: str, now_s: float) -> bool:
    """Whether a copy should be made: a day after the last one if the index changed since, else a week after it."""
    found = backups(home)
    if not found:
        return True
    age_s = now_s - found[0].made_at_s
    if not 0 <= age_s <= INTERVAL_S:
        return age_s < 0 or age_s > SCRUB_INTERVAL_S or _changed_since(home, found[0].made_at_s)
    return False


def _changed_since(home: str, moment_s: float) -> bool:
    for path in (paths.database_path(home), f"{paths.database_path(home)}.wal"):
        with contextlib.suppress(FileNotFoundError):
            if os.stat(path).st_mtime > moment_s:
                return True
    return False
