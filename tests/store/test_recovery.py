"""Damage of every part of the index, as DuckDB meets it, and what is done about it."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from store import backup, database, paths, recovery
from tests.store.samples import ID, counts, fill, make_index

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KILLED_WRITER = """
import os, sys
from store import database
from tests.store.samples import fill
opened = database.open_database(sys.argv[1])
fill(opened, first_no=100)
fill(opened, first_no=200)
os._exit(0)
"""


def overwrite(path: str, offset: int, length: int = 64) -> None:
    """Other bytes than there were."""
    with open(path, "r+b") as file:
        file.seek(offset)
        before = file.read(length)
        file.seek(offset)
        file.write(bytes(byte ^ 0xFF for byte in before))


def leave_wal(path: str) -> None:
    """Add runs to an index by a process that is killed before it could write its WAL into the file."""
    subprocess.run([sys.executable, "-c", KILLED_WRITER, path], check=True, cwd=os.getcwd())
    assert os.path.getsize(f"{path}.wal") > 1000


def damage_of(path: str) -> database.Error | None:
    """What reading all of a file meets."""
    try:
        database.check_file(path)
    except database.Error as error:
        return error
    return None


def nothing(_: str) -> None:
    """Tell nobody."""


def cut_in_half(path: str) -> None:
    os.truncate(path, os.path.getsize(path) // 2)


def empty(path: str) -> None:
    os.truncate(path, 0)


def write_text(path: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write("no database\n" * 1000)


def main_header(path: str) -> None:
    overwrite(path, 8)


def database_headers(path: str) -> None:
    overwrite(path, 4096 + 8)
    overwrite(path, 8192 + 8)


def middle_of_wal(path: str) -> None:
    # Within the second of two transactions of one size: a length between them that is wrong is a torn end to DuckDB,
    # which drops the rest with its cursors, and that is read again.
    overwrite(f"{path}.wal", os.path.getsize(f"{path}.wal") * 5 // 8, 1)


DAMAGES = [cut_in_half, empty, write_text, main_header, database_headers, middle_of_wal]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("with_backup", [True, False])
def test_a_damaged_index_is_set_aside_and_replaced(
    tmp_path: Path, damage: Callable[[str], None], *, with_backup: bool
) -> None:
    home = str(tmp_path)
    path = make_index(home)
    for no in (1, 2, 3):
        os.mkdir(paths.run_dir(home, f"{ID[:20]}{no:06d}"))
    if with_backup:
        opened = database.open_database(path)
        backup.make_backup(opened, home)
        opened.close()
    leave_wal(path)
    damage(path)
    said: list[str] = []
    found = recovery.open_index(home, said.append)
    (folder,) = recovery.quarantines(home)
    assert os.path.exists(f"{home}/{folder}/index.duckdb")
    assert os.path.exists(f"{home}/{folder}/index.duckdb.wal")
    assert found.words.startswith(f"the index was damaged (kept in {folder}): ")
    assert said[-1] == found.words
    # The backup knows three runs that have a directory; without it the run directories fill the index later.
    assert counts(found.database) == ((3, 60_000) if with_backup else (0, 0))
    found.database.close()
    again = recovery.open_index(home, nothing)
    assert again.words == ""
    again.database.close()


def test_a_backup_that_is_damaged_too_is_passed_over(tmp_path: Path) -> None:
    home = str(tmp_path)
    path = make_index(home)
    for no in (1, 2, 3):
        os.mkdir(paths.run_dir(home, f"{ID[:20]}{no:06d}"))
    opened = database.open_database(path)
    older = backup.make_backup(opened, home)
    newer = backup.make_backup(opened, home)
    opened.close()
    # A block in the middle: it opens, and only reading all of it shows the damage.
    for offset in range(12288 + 131072, os.path.getsize(newer.path), 262144):
        overwrite(newer.path, offset)
    empty(path)
    said: list[str] = []
    found = recovery.open_index(home, said.append)
    assert counts(found.database) == (3, 60_000)
    assert os.path.basename(older.path) in found.words
    assert any("passed over the backup" in words for words in said)
    found.database.close()


def test_a_restored_index_forgets_runs_that_were_deleted_since(tmp_path: Path) -> None:
    home = str(tmp_path)
    path = make_index(home)
    os.mkdir(paths.run_dir(home, f"{ID[:20]}000002"))
    opened = database.open_database(path)
    backup.make_backup(opened, home)
    opened.close()
    empty(path)
    found = recovery.open_index(home, nothing)
    assert counts(found.database) == (1, 20_000)
    with found.database.reading() as cursor:
        assert cursor.execute("select sum(point_count) from metric_latest").fetchone() == (20_000,)
    found.database.close()


def test_every_flipped_byte_is_found_by_reading_all_or_changes_nothing(tmp_path: Path) -> None:
    home = str(tmp_path)
    path = make_index(home)
    with open(path, "rb") as file:
        whole = file.read()
    chance = random.Random(11)
    found_count = 0
    for _ in range(25):
        offset = chance.randrange(12288, len(whole))
        with open(path, "wb") as file:
            file.write(whole)
        overwrite(path, offset, 1)
        found = damage_of(path)
        assert found is None or database.is_damage(found), found
        found_count += found is not None
    assert found_count > 10


def test_a_wal_without_its_file_is_not_replayed_into_a_new_one(tmp_path: Path) -> None:
    home = str(tmp_path)
    path = make_index(home)
    leave_wal(path)
    os.unlink(path)
    said: list[str] = []
    found = recovery.open_index(home, said.append)
    assert counts(found.database) == (0, 0)
    assert "its WAL was moved to quarantine-" in said[0]
    found.database.close()


def test_a_file_without_its_wal_opens_as_of_its_last_checkpoint(tmp_path: Path) -> None:
    home = str(tmp_path)
    path = make_index(home)
    leave_wal(path)
    os.unlink(f"{path}.wal")
    found = recovery.open_index(home, nothing)
    assert counts(found.database) == (3, 60_000)
    assert found.words == ""
    found.database.close()


def test_a_locked_file_is_not_touched(tmp_path: Path) -> None:
    home = str(tmp_path)
    path = make_index(home)
    holder = subprocess.Popen(
        [sys.executable, "-c", f"import duckdb; c = duckdb.connect({path!r}); print('open', flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    assert holder.stdin is not None
    holder.stdout.readline()
    try:
        with pytest.raises(database.Error, match="lock"):
            recovery.open_index(home, nothing)
    finally:
        holder.communicate(b"\n")
    assert recovery.quarantines(home) == []
    assert os.path.exists(path)


def test_a_newer_schema_is_not_touched(tmp_path: Path) -> None:
    home = str(tmp_path)
    path = make_index(home)
    opened = database.open_database(path)
    opened.cursor().execute("insert into schema_version values (999, 0.0)")
    opened.close()
    with pytest.raises(database.SchemaTooNewError):
        recovery.open_index(home, nothing)
    assert recovery.quarantines(home) == []


@pytest.mark.parametrize(
    "words",
    [
        'IO Error: Could not set lock on file "x.duckdb": Conflicting lock is held in python (PID 7)',
        'IO Error: Trying to read "x.duckdb" which was created with a newer version of DuckDB',
        'Failure while replaying WAL file "x.duckdb.wal": Could not write file "x.duckdb": No space left on device',
        'IO Error: Cannot open file "x.duckdb": Permission denied',
        'IO Error: Cannot open file "x.duckdb": Too many open files',
        'IO Error: Could not read from file "x.duckdb": Input/output error',
        "Out of Memory Error: failed to allocate data of size 256.0 KiB",
    ],
)
def test_what_is_wrong_around_a_file_is_no_damage(words: str) -> None:
    assert not database.is_damage(database.Error(words))


def test_a_suspicion_that_proves_wrong_changes_nothing(tmp_path: Path) -> None:
    home = str(tmp_path)
    make_index(home)
    recovery.suspect(home, "a reader met a damaged block")
    with open(recovery.suspicion_path(home), "rb") as file:
        assert json.load(file)["format"] == 1
    found = recovery.open_index(home, nothing)
    assert (found.words, counts(found.database)) == ("", (3, 60_000))
    found.database.close()
    assert not os.path.exists(recovery.suspicion_path(home))
    assert recovery.quarantines(home) == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"reason": 1}'])
def test_a_suspicion_that_cannot_be_read_makes_the_index_suspect(tmp_path: Path, content: bytes) -> None:
    home = str(tmp_path)
    path = make_index(home)
    for offset in range(12288 + 131072, os.path.getsize(path), 262144):
        overwrite(path, offset)
    with open(recovery.suspicion_path(home), "wb") as file:
        file.write(content)
    found = recovery.open_index(home, nothing)
    assert found.words.startswith("the index was damaged (kept in quarantine-")
    found.database.close()


def test_only_the_last_quarantines_are_kept(tmp_path: Path) -> None:
    home = str(tmp_path)
    names = []
    for _ in range(recovery.QUARANTINES_KEPT + 2):
        path = make_index(home)
        names.append(recovery.quarantine(home))
        assert not os.path.exists(path)
    assert sorted(recovery.quarantines(home)) == sorted(names[-recovery.QUARANTINES_KEPT :])


def test_a_reader_that_meets_damage_tells_the_database(tmp_path: Path) -> None:
    home = str(tmp_path)
    path = make_index(home)
    for offset in range(12288 + 131072, os.path.getsize(path), 262144):
        overwrite(path, offset)
    opened = database.open_database(path)
    with pytest.raises(database.Error), opened.reading() as cursor:
        database.scan(cursor)
    assert "orrupt" in opened.damage
    opened.close()


def test_reopening_closes_every_cursor_and_readers_go_on(tmp_path: Path) -> None:
    opened = database.open_database(make_index(str(tmp_path)))
    old = opened.cursor()
    ending = threading.Event()
    answers: list[int] = []
    failures: list[str] = []

    def read() -> None:
        while not ending.is_set():
            try:
                answers.append(counts(opened)[0])
            except database.Error as error:
                failures.append(str(error))

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for _ in range(5):
        opened.reopen()
    ending.set()
    for reader in readers:
        reader.join()
    with pytest.raises(database.Error):
        old.execute("select 1")
    assert set(answers) == {3}
    assert all("nterrupt" in words or "losed" in words for words in failures), failures
    fill(opened, first_no=50)
    assert counts(opened)[0] == 6
    opened.close()
