"""The DuckDB file: open, migrate, close. The only module that connects to DuckDB."""

from __future__ import annotations

import contextlib
import importlib.resources
import os
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any, Final

import duckdb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import polars as pl
    from sqlalchemy import Engine

Error = duckdb.Error
FatalError = duckdb.FatalException
"""The open instance is dead, as after a checkpoint on a full disk; the file is sound: `Database.reopen` goes on."""
Cursor = duckdb.DuckDBPyConnection

READERS_TIMEOUT_S: Final = 10.0
"""How long `reopen` waits for readers that were told to end."""
DAMAGE_WORDS: Final = (
    "corrupt",
    "checksum",
    "could not read enough bytes",
    "not a valid duckdb database file",
    "failure while replaying wal",
)
OTHER_WORDS: Final = (
    "could not set lock",
    "newer version",
    "no space left",
    "quota",
    "permission denied",
    "read-only file system",
    "too many open files",
    "out of memory",
    "cannot allocate memory",
    "input/output error",
)
"""In the error of a file that may be sound: what is wrong is around it."""

CONFIG: Final[dict[str, str | bool | int | float | list[str]]] = {
    "memory_limit": "2GB",
    "threads": "2",
    # Keeps the way back to DuckDB 1.5 open while 2.0 is young; costs nothing.
    "storage_compatibility_version": "v1.5.0",
}


class SchemaTooNewError(RuntimeError):
    """The file was written by a newer footplate."""


class Database:
    """One open DuckDB file. Cursors are snapshots of their own and belong to one thread each."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, path: str) -> None:
        self.path = path
        self.damage = ""
        """What DuckDB said when it met a damaged block; empty as a rule. The daemon then leaves, see `recovery`."""
        self._connection = connection
        self._cursors: weakref.WeakSet[duckdb.DuckDBPyConnection] = weakref.WeakSet()
        self._reader_count = 0
        self._reopening = False
        self._state = threading.Condition()

    def cursor(self) -> Cursor:
        """A new connection to the same open file; waits while it is opened again. Raises duckdb.Error."""
        with self._state:
            return self._new_cursor()

    @contextlib.contextmanager
    def reading(self) -> Iterator[Cursor]:
        """A cursor for one request. Raises duckdb.Error."""
        with self._state:
            cursor = self._new_cursor()
            self._reader_count += 1
        try:
            yield cursor
        except duckdb.Error as error:
            self.notice_damage(error)
            raise
        finally:
            cursor.close()
            with self._state:
                self._reader_count -= 1
                self._state.notify_all()

    def engine(self) -> Engine:
        """A SQLAlchemy engine over this open file, for SQLModel records; imports SQLAlchemy (300 ms)."""
        from duckdb_engine import ConnectionWrapper
        from sqlalchemy import NullPool, create_engine

        return create_engine("duckdb://", creator=lambda: ConnectionWrapper(self.cursor()), poolclass=NullPool)

    def reopen(self) -> None:
        """Close a dead instance with all its cursors and open the same file again; for the thread that writes.

        Cursors made before are closed, also that of the caller; readers at work get an error of DuckDB. Raises
        duckdb.Error when the file cannot be opened (no space): so does every cursor(), until a later reopen works.
        """
        with self._state:
            self._reopening = True
            try:
                self._close_cursors()
                self._connection.close()
                self._connection = connect(self.path)
            finally:
                self._reopening = False
                self._state.notify_all()

    def notice_damage(self, error: BaseException) -> None:
        """Remember an error that says that the file is damaged; any other changes nothing."""
        if not self.damage and is_damage(error):
            self.damage = str(error).splitlines()[0]

    def close(self) -> None:
        """Write everything into the file proper and close it."""
        with contextlib.suppress(duckdb.Error):
            self._connection.execute("checkpoint")
        self._connection.close()

    def _new_cursor(self) -> Cursor:
        while self._reopening:
            self._state.wait()
        cursor = self._connection.cursor()
        self._cursors.add(cursor)
        return cursor

    def _close_cursors(self) -> None:
        """DuckDB hands out the dead instance again as long as one cursor of it is open."""
        deadline_s = time.monotonic() + READERS_TIMEOUT_S
        while self._reader_count and time.monotonic() < deadline_s:
            for cursor in list(self._cursors):
                # A reader may close its cursor at the same moment.
                with contextlib.suppress(duckdb.Error):
                    cursor.interrupt()
            self._state.wait(0.05)
        for cursor in list(self._cursors):
            cursor.close()
        self._cursors.clear()


def connect(path: str) -> duckdb.DuckDBPyConnection:
    """Open or create the file with our settings, readable to us alone. Raises duckdb.Error."""
    old_mask = os.umask(0o077)
    try:
        connection = duckdb.connect(path, config=CONFIG)
    finally:
        os.umask(old_mask)
    try:
        connection.execute("set wal_autocheckpoint = '64MB'")
        # GLOBAL, or cursors do not inherit it.
        connection.execute("set global TimeZone = 'UTC'")
    except BaseException:
        connection.close()
        raise
    return connection


def open_database(path: str, before_migration: Callable[[Cursor], None] | None = None) -> Database:
    """Open or create the file and bring its schema up to date; `before_migration` sees a file of an older schema first.

    Raises SchemaTooNewError, or duckdb.Error with DuckDB's own words (locked, damaged, no space).
    """
    connection = connect(path)
    try:
        migrate(connection, before_migration)
    except BaseException:
        connection.close()
        raise
    return Database(connection, path)


def is_damage(error: BaseException) -> bool:
    """Whether an error of DuckDB says that file or WAL is damaged, not that it is locked, too new or short of room."""
    words = str(error).lower()
    return any(each in words for each in DAMAGE_WORDS) and not any(each in words for each in OTHER_WORDS)


def scan(cursor: Cursor) -> None:
    """Read every value of every table, so that every block meets its checksum. Raises duckdb.Error when one fails."""
    tables = cursor.execute("select table_name from duckdb_tables() where not temporary and not internal").fetchall()
    for (table,) in tables:
        cursor.execute(f'select max(hash(columns(*))) from "{table}"').fetchall()


def check_file(path: str) -> None:
    """Read all of a file that is not open. Raises duckdb.Error when it is damaged or cannot be opened."""
    with contextlib.closing(duckdb.connect(path, read_only=True, config=CONFIG)) as connection:
        scan(connection)


def migrations() -> list[tuple[int, str]]:
    """Number and SQL of every migration, in order."""
    folder = importlib.resources.files("store").joinpath("migrations")
    files = sorted((file.name, file) for file in folder.iterdir() if file.name.endswith(".sql"))
    return [(int(name[:4]), file.read_text(encoding="utf-8")) for name, file in files]


def migrate(connection: Cursor, before: Callable[[Cursor], None] | None = None, last: int | None = None) -> None:
    """Apply the migrations that the file lacks, up to number `last`.

    Each runs in one transaction with the note that it was applied, on a fresh file all of them in one; `before` is
    called once, when a file that has a schema already is about to change.
    """
    connection.execute("create table if not exists schema_version (version integer primary key, applied_at_s double)")
    row = connection.execute("select coalesce(max(version), 0) from schema_version").fetchone()
    present = int(row[0]) if row else 0
    steps = migrations()
    if present > steps[-1][0]:
        raise SchemaTooNewError(
            f"the index has schema {present}, this footplate knows {steps[-1][0]}: use the newer footplate"
        )
    missing = [(version, sql) for version, sql in steps if version > present and (last is None or version <= last)]
    if missing and present and before is not None:
        before(connection)
    # Every commit waits for the disk, and a fresh file has nothing that a half of them would keep.
    for together in [missing] if missing and not present else [[step] for step in missing]:
        connection.execute("begin")
        for version, sql in together:
            connection.execute(sql)
            connection.execute("insert into schema_version values (?, epoch(now()))", [version])
        connection.execute("commit")
        # No schema change stays in the WAL, where a crash would have to replay it.
        connection.execute("checkpoint")


class ArrowStream:
    """Hands a Polars frame to DuckDB through the Arrow C stream, without pyarrow."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self._frame = frame

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """The frame as a PyCapsule (Arrow PyCapsule interface)."""
        return self._frame.__arrow_c_stream__(requested_schema)


def insert_frame(cursor: Cursor, frame: Any, sql: str) -> None:
    """Run a statement that reads the frame under the name `frame`."""
    cursor.register("frame", ArrowStream(frame))
    try:
        cursor.execute(sql)
    finally:
        cursor.unregister("frame")
