"""The content ids of files as they were last read, in an SQLite file: a warm look at a folder reads no content.

It is a cache: damaged, foreign or gone, it is begun anew. A row counts only for a file whose inode, size and times are
those of the row, and that was old enough when it was read (git calls younger ones racy: within the resolution of a time
stamp a file can change without showing it).
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

VERSION: Final = 2
RACY_NS: Final = 2_000_000_000
NOT_SYNCHRONOUS: Final = "pragma synchronous = off"
"""Losing it with the power costs one cold look."""


Facts: TypeAlias = tuple[int, int, int, int]
"""What tells a file from what it was: inode, size in bytes, mtime and ctime in ns."""
Row: TypeAlias = tuple[int, int, int, int, int, str]
"""The facts of a file as it was read, when that was in ns, and its id.

The time is 0 when it changed while it was read: the row says what it was and counts for nothing. Plain tuples, because
fifty thousand of them with names take half a second.
"""


class Settled(NamedTuple):
    """A look whose files were all old enough when they were read: the same facts again mean the same ids."""

    facts_id: str
    """Of the facts of all its files, in the order of the walk."""
    file_count: int
    total_bytes: int
    sets: str
    """JSON: id and number of files of each set, by what asks for it."""


def counts_for(row: Row, facts: Facts) -> bool:
    """Whether the id of a row is still that of the file."""
    return row[:4] == facts and max(row[2], row[3]) + RACY_NS <= row[4]


class Cache:
    """One file of rows by path. Raises OSError where none can be made."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._connection = self._open()
        self.looks: dict[str, Settled] = {}
        """Looks as long as no row has changed since, by what asked for them."""
        try:
            self.looks = self._read_looks()
        except (sqlite3.DatabaseError, TypeError, ValueError):
            # It is no database, or rows of another kind are in it.
            self._begin_anew()

    @cached_property
    def rows(self) -> dict[str, Row]:
        """What is known of each file. Read when it is asked for: fifty thousand of them take a tenth of a second."""
        try:
            return self._read_rows()
        except (sqlite3.DatabaseError, TypeError, ValueError):
            self._begin_anew()
            return {}

    def write(self, changed: Iterable[tuple[str, Row]], gone: Iterable[str]) -> None:
        """Bring the file up to date; what cannot be written is read again next time."""
        upserts = [(as_bytes(path), *row) for path, row in changed]
        removals = [(as_bytes(path),) for path in gone]
        if not upserts and not removals:
            return
        self.looks.clear()
        with contextlib.suppress(sqlite3.DatabaseError), self._connection:
            self._connection.execute("delete from look")
            self._connection.executemany("insert or replace into file values (?, ?, ?, ?, ?, ?, ?)", upserts)
            self._connection.executemany("delete from file where path = ?", removals)

    def write_look(self, question: str, look: Settled) -> None:
        """Keep what a whole look came to, now that the rows are those that it was made of."""
        with contextlib.suppress(sqlite3.DatabaseError), self._connection:
            self._connection.execute("insert or replace into look values (?, ?, ?, ?, ?)", (question, *look))

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _open(self) -> sqlite3.Connection:
        os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        return sqlite3.connect(self._path, timeout=30.0)

    def _read_looks(self) -> dict[str, Settled]:
        self._connection.execute(NOT_SYNCHRONOUS)
        if self._version() != VERSION:
            self._take_in()
        columns = "question, facts_id, file_count, total_bytes, sets"
        return {question: Settled(*rest) for question, *rest in self._connection.execute(f"select {columns} from look")}

    def _read_rows(self) -> dict[str, Row]:
        columns = "inode, size_bytes, mtime_ns, ctime_ns, read_at_ns, id"
        # In one transaction: another process may be writing rows of the same folder.
        self._connection.execute("begin")
        paths = self._connection.execute("select path from file order by path").fetchall()
        rows = self._connection.execute(f"select {columns} from file order by path").fetchall()
        self._connection.rollback()
        # Decoded at once: no path holds a NUL.
        names = os.fsdecode(b"\0".join(path for (path,) in paths)).split("\0") if paths else []
        return dict(zip(names, rows, strict=True))

    def _version(self) -> int:
        return int(self._connection.execute("pragma user_version").fetchone()[0])

    def _take_in(self) -> None:
        """Make tables in a file that is new; one that is foreign is begun anew."""
        # Another process may be at it too: a file that it has open must not be taken from under it.
        self._connection.execute("begin immediate")
        is_new = self._connection.execute("select count(*) from sqlite_master").fetchone()[0] == 0
        if self._version() == 0 and is_new:
            self._create()
        is_ours = self._version() == VERSION
        self._connection.commit()
        if not is_ours:
            self._begin_anew()

    def _begin_anew(self) -> None:
        self.looks = {}
        self._connection.close()
        for name in (self._path, f"{self._path}-journal"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)
        self._connection = self._open()
        try:
            self._connection.execute(NOT_SYNCHRONOUS)
            self._connection.execute("begin immediate")
            self._create()
            self._connection.commit()
        except sqlite3.DatabaseError as error:
            self._connection.close()
            raise OSError(errno.EIO, f"the cache cannot be written: {error}", self._path) from error

    def _create(self) -> None:
        self._connection.execute(
            "create table if not exists file (path blob primary key, inode integer, size_bytes integer,"
            " mtime_ns integer, ctime_ns integer, read_at_ns integer, id text) without rowid"
        )
        self._connection.execute(
            "create table if not exists look (question text primary key, facts_id text, file_count integer,"
            " total_bytes integer, sets text) without rowid"
        )
        self._connection.execute(f"pragma user_version = {VERSION}")


def as_bytes(path: str) -> bytes:
    """A path as SQLite can keep it: it need not be UTF-8."""
    return os.fsencode(path)
