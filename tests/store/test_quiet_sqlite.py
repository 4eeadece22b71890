"""Databases of others whose write-ahead log has a damaged index."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from store.readers.quiet_sqlite import BusyError, QuietDatabase, has_sound_index


@pytest.fixture
def logged(tmp_path: Path) -> Path:
    """A database whose rows stand in its write-ahead log, as a writer that was killed leaves it."""
    source = tmp_path / "written.db"
    with contextlib.closing(sqlite3.connect(source)) as writer:
        writer.execute("pragma journal_mode=wal")
        writer.execute("create table t(a)")
        writer.executemany("insert into t values (?)", [(number,) for number in range(100)])
        writer.commit()
        for ending in ("", "-wal", "-shm"):
            (tmp_path / f"left.db{ending}").write_bytes(Path(f"{source}{ending}").read_bytes())
    return tmp_path / "left.db"


def test_what_stands_in_the_log_is_read(logged: Path) -> None:
    assert has_sound_index(f"{logged}-shm") is True
    assert len(QuietDatabase(str(logged)).rows("select a from t")) == 100


@pytest.mark.parametrize("position", [0, 8, 20, 41, 48, 95])
def test_a_damaged_index_is_seen_before_sqlite_waits_for_it(logged: Path, position: int) -> None:
    index = Path(f"{logged}-shm")
    data = bytearray(index.read_bytes())
    data[position] ^= 0xFF
    index.write_bytes(data)
    assert has_sound_index(str(index)) is False
    with pytest.raises(BusyError):
        QuietDatabase(str(logged)).rows("select a from t")


def test_no_index_and_an_empty_one_are_none(logged: Path) -> None:
    index = Path(f"{logged}-shm")
    index.write_bytes(bytes(32768))
    assert has_sound_index(str(index)) is None
    index.unlink()
    assert has_sound_index(str(index)) is None
