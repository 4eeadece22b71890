"""The DuckDB file: open, migrate, close. The only module that connects to DuckDB."""

from __future__ import annotations

import contextlib
import importlib.resources
import os
from typing import TYPE_CHECKING, Any, Final

import duckdb

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl
    from sqlalchemy import Engine

Error = duckdb.Error
Cursor = duckdb.DuckDBPyConnection

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

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def cursor(self) -> Cursor:
        """A new connection to the same open file."""
        return self._connection.cursor()

    @contextlib.contextmanager
    def reading(self) -> Iterator[Cursor]:
        """A cursor for one request."""
        cursor = self.cursor()
        try:
            yield cursor
        finally:
            cursor.close()

    def engine(self) -> Engine:
        """A SQLAlchemy engine over this open file, for SQLModel records; imports SQLAlchemy (300 ms)."""
        from duckdb_engine import ConnectionWrapper
        from sqlalchemy import NullPool, create_engine

        return create_engine("duckdb://", creator=lambda: ConnectionWrapper(self.cursor()), poolclass=NullPool)

    def close(self) -> None:
        """Write everything into the file proper and close it."""
        with contextlib.suppress(duckdb.Error):
            self._connection.execute("checkpoint")
        self._connection.close()


def open_database(path: str) -> Database:
    """Open or create the file and bring its schema up to date.

    Raises SchemaTooNewError, or duckdb.Error with DuckDB's own words (locked, damaged, no space).
    """
    old_mask = os.umask(0o077)
    try:
        connection = duckdb.connect(path, config=CONFIG)
    finally:
        os.umask(old_mask)
    try:
        connection.execute("set wal_autocheckpoint = '64MB'")
        # GLOBAL, or cursors do not inherit it.
        connection.execute("set global TimeZone = 'UTC'")
        migrate(connection)
    except BaseException:
        connection.close()
        raise
    return Database(connection)


def migrations() -> list[tuple[int, str]]:
    """Number and SQL of every migration, in order."""
    folder = importlib.resources.files("store").joinpath("migrations")
    files = sorted((file.name, file) for file in folder.iterdir() if file.name.endswith(".sql"))
    return [(int(name[:4]), file.read_text(encoding="utf-8")) for name, file in files]


def migrate(connection: duckdb.DuckDBPyConnection) -> None:
    """Apply the migrations that the file lacks, each in one transaction with the note that it was applied."""
    connection.execute("create table if not exists schema_version (version integer primary key, applied_at_s double)")
    row = connection.execute("select coalesce(max(version), 0) from schema_version").fetchone()
    present = int(row[0]) if row else 0
    steps = migrations()
    if present > steps[-1][0]:
        raise SchemaTooNewError(
            f"the index has schema {present}, this footplate knows {steps[-1][0]}: use the newer footplate"
        )
    for version, sql in steps:
        if version <= present:
            continue
        connection.execute("begin")
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
