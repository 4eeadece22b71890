"""SQLite databases of others, read without a lock that their writers could meet. Standard library only.

A reader that holds SQLite's shared lock makes a writer wait, or fail; so none is taken. A database with a rollback
journal is opened as if it never changed, and what was read counts only when nothing was written meanwhile: the counter
of commits in its header and its date are the same, and no journal says that pages are being written. Otherwise the read
is done again. A write-ahead log is read with SQLite's own means, which never stop a writer; where there is none at the
moment, the first way is taken, because SQLite would leave files behind.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import struct
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import quote

from store.readers.foreign import UnreadableSourceError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

MAGIC: Final = b"SQLite format 3\0"
HEADER_BYTES: Final = 100
VALUE_MAX_BYTES: Final = 16 << 20
"""Rows with longer values are not read."""
PATIENCE_S: Final = 0.1
"""How long a statement is tried again."""
PAUSE_S: Final = 0.002
STATEMENT_MAX_S: Final = 8.0
INDEX_HEADER_BYTES: Final = 48
INDEX_VERSION: Final = 3_007_000
CLOCK_TICK_NS: Final = 20_000_000
"""Two writes within it may leave one date."""


class BusyError(Exception):
    """The database was written to all the time; there is nothing to wait for but the next look."""


class Stamp(NamedTuple):
    """What tells a database from what it was."""

    inode: int
    size: int
    modified_ns: int
    commits: bytes
    log: tuple[int, int]
    """Size and date of its write-ahead log, zeros where there is none or an empty one."""


class QuietDatabase:
    """One database; not for several threads."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._real_path = os.path.realpath(path)
        self._connection: sqlite3.Connection | None = None
        self._opened: object = None
        self._is_lenient = False
        self.left_out = ""
        """What of the database could not be taken into account, in words."""
        self._deadline_s = 0.0

    def stamp(self) -> Stamp | None:
        """How it stands; None while a commit may be under way. Raises UnreadableSourceError."""
        try:
            descriptor = os.open(self._real_path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                facts = os.fstat(descriptor)
                header = os.pread(descriptor, HEADER_BYTES, 0) if stat.S_ISREG(facts.st_mode) else b""
            finally:
                os.close(descriptor)
        except OSError as error:
            raise UnreadableSourceError(f"{self.path} cannot be read: {error.strerror}") from error
        if not facts.st_size:
            raise UnreadableSourceError(f"{self.path} is empty; a SQLite database was expected")
        if len(header) < HEADER_BYTES or not header.startswith(MAGIC):
            raise UnreadableSourceError(f"{self.path} is no SQLite database")
        log = (0, 0)
        if header[18] == 2:
            with contextlib.suppress(OSError):
                found = os.stat(f"{self._real_path}-wal")
                log = (found.st_size, found.st_mtime_ns) if found.st_size else log
            if not log[0] and 0 <= time.time_ns() - facts.st_mtime_ns < CLOCK_TICK_NS:
                return None
        elif self._is_being_committed():
            return None
        return Stamp(facts.st_ino, facts.st_size, facts.st_mtime_ns, header[24:28], log)

    def _is_being_committed(self) -> bool:
        """Whether a journal says that pages are being written.

        SQLite fills in its beginning before it touches the first page, and removes or clears it after the last.
        """
        try:
            descriptor = os.open(f"{self._real_path}-journal", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return False
        try:
            return any(os.pread(descriptor, 12, 0))
        except OSError:
            return True
        finally:
            os.close(descriptor)

    def rows(self, statement: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """All rows of a statement, as they were between two commits. Raises BusyError, UnreadableSourceError."""
        until_s = time.monotonic() + PATIENCE_S
        while True:
            before = self.stamp()
            if before is not None:
                found = self._try(statement, values, before)
                if found is not None:
                    return found
            if time.monotonic() >= until_s:
                raise BusyError(f"{self.path} is being written to all the time, or a writer died while it wrote")
            time.sleep(PAUSE_S)

    def _try(self, statement: str, values: Sequence[object], before: Stamp) -> list[tuple[Any, ...]] | None:
        # Without its index no writer is alive, and SQLite would make one beside it.
        index = has_sound_index(f"{self._real_path}-shm") if before.log[0] else None
        if index is False:
            return None  # it is being written, or damaged: SQLite itself would sleep for ten seconds
        has_log = index is True
        self.left_out = (
            f"{self.path}-wal is not read: there is no {self.path}-shm" if before.log[0] and not has_log else ""
        )
        try:
            connection = self._connect(before, has_log)
            self._deadline_s = time.monotonic() + STATEMENT_MAX_S
            found = connection.execute(statement, values).fetchall()
        except (sqlite3.Error, UnicodeDecodeError) as error:
            # The second is what Python says when SQLite's own words hold a name that is no UTF-8.
            self.close()
            if "decode" in str(error) and not self._is_lenient and isinstance(error, sqlite3.Error):
                self._is_lenient = True
            elif "interrupted" in str(error):
                raise UnreadableSourceError(f"{self.path}: reading it takes too long") from error
            elif self.stamp() == before and "locked" not in str(error) and "busy" not in str(error):
                raise UnreadableSourceError(f"{self.path} is damaged or cut off: {error}") from error
            return None
        if has_log or self.stamp() == before:
            return found
        self.close()
        return None

    def _connect(self, stamp: Stamp, has_log: bool) -> sqlite3.Connection:
        # What is opened as never changing keeps its pages in memory, so a change needs a new connection.
        wanted: object = ("log", stamp.inode) if has_log else stamp
        if self._connection is not None and self._opened == wanted:
            return self._connection
        self.close()
        how = "mode=ro&readonly_shm=1" if has_log else "mode=ro&immutable=1"
        connection = sqlite3.connect(
            f"file:{quote(self._real_path)}?{how}", uri=True, timeout=0.05, isolation_level=None
        )
        self._connection, self._opened = connection, wanted
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, VALUE_MAX_BYTES)
        connection.set_progress_handler(lambda: int(time.monotonic() > self._deadline_s), 200_000)
        self._deadline_s = time.monotonic() + STATEMENT_MAX_S
        for pragma in ("query_only=1", "trusted_schema=0", "cell_size_check=1"):
            connection.execute(f"pragma {pragma}")
        if self._is_lenient:
            connection.text_factory = lambda data: data.decode("utf-8", "replace")
        return connection

    def require(self, tables: Mapping[str, Collection[str]], version: str = "") -> None:
        """Check that there are these columns in these tables. Raises BusyError, UnreadableSourceError."""
        names = {
            name for name, root in self.rows("select name, rootpage from sqlite_master where type = 'table'") if root
        }
        for table, columns in tables.items():
            found = {str(row[1]) for row in self.rows(f"pragma table_info({table})")} if table in names else set()
            missing = [column for column in columns if column not in found]
            if missing:
                what = f"its table {table} has no {', '.join(missing)}" if found else f"it has no table {table}"
                have = f"; it has {', '.join(sorted(found or names))[:200] or 'no tables'}"
                raise UnreadableSourceError(f"{self.path} cannot be read: {what}{version}{have}")

    def close(self) -> None:
        """Let go of it."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def has_sound_index(path: str) -> bool | None:
    """Whether the index of a write-ahead log can be read; None where there is none.

    It begins with two copies of a header of 48 bytes, the last 8 of which are a checksum over the first 40, in the byte
    order of the machine (SQLite's file format, 2.3.1 of the WAL-index).
    """
    try:
        with open(path, "rb") as file:
            head = file.read(2 * INDEX_HEADER_BYTES)
    except OSError:
        return None
    if len(head) < 2 * INDEX_HEADER_BYTES:
        return None if not head else False
    first, second = head[:INDEX_HEADER_BYTES], head[INDEX_HEADER_BYTES:]
    if not any(head):
        return None
    words = struct.unpack("=12I", first)
    one = two = 0
    for position in range(0, 10, 2):
        one = (one + words[position] + two) & 0xFFFFFFFF
        two = (two + words[position + 1] + one) & 0xFFFFFFFF
    return first == second and words[0] == INDEX_VERSION and (one, two) == words[10:]
