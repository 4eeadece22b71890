"""Copies of the index that is written to meanwhile."""

from __future__ import annotations

import os
import shutil
import threading
import time
from typing import TYPE_CHECKING

import pytest

from store import backup, database
from tests.store.samples import counts, fill, make_index

if TYPE_CHECKING:
    from pathlib import Path


def test_a_copy_made_while_somebody_writes_is_one_snapshot(tmp_path: Path) -> None:
    home = str(tmp_path)
    opened = database.open_database(make_index(home))
    ending = threading.Event()

    def write() -> None:
        no = 100
        while not ending.is_set():
            fill(opened, run_count=2, points_each=500, first_no=no)
            no += 2

    writer = threading.Thread(target=write)
    writer.start()
    try:
        made = [backup.make_backup(opened, home) for _ in range(3)]
    finally:
        ending.set()
        writer.join()
    opened.close()
    for each in made:
        database.check_file(each.path)
        copy = database.open_database(each.path)
        with copy.reading() as cursor:
            points = cursor.execute("select count(*) from metric").fetchone()
            latest = cursor.execute("select sum(point_count), count(*) from metric_latest").fetchone()
            runs = cursor.execute("select count(*) from run").fetchone()
        copy.close()
        assert latest is not None
        assert points == (latest[0],)
        assert runs == (latest[1],)
        # The writer adds two runs in one transaction: both or none.
        assert (latest[1] - 3) % 2 == 0
        assert os.stat(each.path).st_mode & 0o777 == 0o600


def test_a_few_are_kept_the_newest_first(tmp_path: Path) -> None:
    home = str(tmp_path)
    opened = database.open_database(make_index(home))
    made = [backup.make_backup(opened, home).path for _ in range(backup.KEPT + 2)]
    assert [found.path for found in backup.backups(home)] == made[: -backup.KEPT - 1 : -1]
    assert sorted(os.listdir(backup.backup_dir(home))) == sorted(map(os.path.basename, made[-backup.KEPT :]))
    opened.close()


def test_what_a_killed_copy_left_is_in_nobodys_way(tmp_path: Path) -> None:
    home = str(tmp_path)
    opened = database.open_database(make_index(home))
    os.mkdir(backup.backup_dir(home))
    for name in ("index.tmp", "index.tmp.wal"):
        with open(f"{backup.backup_dir(home)}/{name}", "wb") as file:
            file.write(b"half a copy")
    made = backup.make_backup(opened, home)
    assert os.listdir(backup.backup_dir(home)) == [os.path.basename(made.path)]
    opened.close()


def test_a_state_directory_with_a_quote_in_its_name(tmp_path: Path) -> None:
    home = str(tmp_path / "ana's 'state'")
    opened = database.open_database(make_index(home))
    made = backup.make_backup(opened, home)
    opened.close()
    copy = database.open_database(made.path)
    assert counts(copy) == (3, 60_000)
    copy.close()


def test_none_is_made_where_the_disk_is_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = str(tmp_path)
    opened = database.open_database(make_index(home))
    free = shutil.disk_usage(home).free
    monkeypatch.setattr(backup, "SPACE_FACTOR", 2 * free // backup.index_size_bytes(home))
    with pytest.raises(OSError, match="a backup needs"):
        backup.make_backup(opened, home)
    assert backup.backups(home) == []
    opened.close()


def test_one_is_due_daily_when_something_changed_and_weekly_to_read_every_block(tmp_path: Path) -> None:
    home = str(tmp_path)
    path = make_index(home)
    assert backup.is_due(home, time.time())
    opened = database.open_database(path)
    made = backup.make_backup(opened, home)
    opened.close()
    moment_s = time.time()
    os.utime(path, (moment_s - 100, moment_s - 100))
    os.utime(made.path, (moment_s, moment_s))
    assert not backup.is_due(home, moment_s + 3600)
    assert not backup.is_due(home, moment_s + 2 * backup.INTERVAL_S)
    assert backup.is_due(home, moment_s + backup.SCRUB_INTERVAL_S + 1)
    os.utime(path, (moment_s + 10, moment_s + 10))
    assert not backup.is_due(home, moment_s + 3600)
    assert backup.is_due(home, moment_s + backup.INTERVAL_S + 1)
    # A clock that was set back must not put backups off for as long.
    assert backup.is_due(home, moment_s - 3600)
