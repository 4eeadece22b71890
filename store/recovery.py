"""Opening the index whatever became of its file: what is damaged is set aside, never deleted, and replaced.

The run directories and the command journal are the truth. The newest backup that can be read whole is put in the place
of a damaged index, because catching up from there takes less time; without one the index is built anew. Both end in
the same index: how far each run was read stands in the index itself.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from store import archive, backup, database, paths
from store.ingest import TABLES_BY_RUN_NO

if TYPE_CHECKING:
    from collections.abc import Callable

FORMAT: Final = 1
QUARANTINES_KEPT: Final = 3
QUARANTINE: Final = re.compile(r"quarantine-\d{8}T\d{6}Z(-\d+)?")
NOTE: Final = "index.suspect"


class OpenedIndex(NamedTuple):
    """An open index, and what had to be done for it."""

    database: database.Database
    words: str
    """One sentence for the log and for clients; empty when nothing was wrong."""


class Suspicion(NamedTuple):
    """Why the index is looked through, or built anew, at the next start."""

    reason: str
    rebuild: bool
    """Build it anew in any case, from the run directories alone."""


def open_index(home: str, report: Callable[[str], None]) -> OpenedIndex:
    """Open the index of a state directory; `report` is told each step. For the holder of the daemon's lock.

    Raises database.SchemaTooNewError, and database.Error or OSError for what is no damage: another process has the
    file, it may not be read, the disk is full. Then nothing is moved.
    """
    path = paths.database_path(home)
    suspicion = read_suspicion(home)
    words = ""
    rebuilt = suspicion is not None and suspicion.rebuild
    if rebuilt and os.path.exists(path):
        report(f"the index is built anew; the old one is in {quarantine(home)}")
    elif not os.path.exists(path) and os.path.exists(f"{path}.wal"):
        # DuckDB would replay the WAL of the lost file into the new one.
        report(f"the index is gone, its WAL was moved to {quarantine(home)}")
    try:
        opened = _open(home, report, checked=suspicion is not None and not rebuilt)
    except database.Error as error:
        if not database.is_damage(error):
            raise
        report(f"the index is damaged: {str(error).splitlines()[0]}")
        folder = quarantine(home)
        restored = restore_backup(home, report)
        source = f"put back from {os.path.basename(restored)} and caught up from" if restored else "rebuilt from"
        words = f"the index was damaged (kept in {folder}): {source} the run directories"
        opened = _open(home, report, checked=False)
        if restored:
            forget_removed_runs(home, opened)
        report(words)
    if suspicion is not None:
        os.unlink(suspicion_path(home))
    return OpenedIndex(opened, words)


def _open(home: str, report: Callable[[str], None], *, checked: bool) -> database.Database:
    def keep_old_schema(cursor: database.Cursor) -> None:
        try:
            report(f"the schema changes; kept before: {backup.copy_index(cursor, home).path}")
        except OSError as error:
            report(f"the schema changes without a backup before: {error.strerror}")

    opened = database.open_database(paths.database_path(home), keep_old_schema)
    if checked:
        try:
            with opened.reading() as cursor:
                database.scan(cursor)
        except BaseException:
            opened.close()
            raise
    return opened


def suspicion_path(home: str) -> str:
    """The file that tells the next start to distrust the index."""
    return os.path.join(os.path.dirname(paths.database_path(home)), NOTE)


def suspect(home: str, reason: str, *, rebuild: bool = False) -> None:
    """Have the next start read all of the index and replace it if that fails, or with `rebuild` in any case."""
    content = {"format": FORMAT, "at_s": time.time(), "reason": reason, "rebuild": rebuild}
    paths.write_atomically(suspicion_path(home), json.dumps(content).encode())


def read_suspicion(home: str) -> Suspicion | None:
    """What an earlier daemon noted; None as a rule. A note that cannot be read still makes the index suspect."""
    try:
        with open(suspicion_path(home), "rb") as file:
            content = json.load(file)
        return Suspicion(str(content["reason"]), content["rebuild"] is True)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        return Suspicion("a note that cannot be read", rebuild=False)


def quarantine(home: str) -> str:
    """Move the index and its WAL aside; returns the name of the folder. Raises OSError."""
    path = paths.database_path(home)
    parent = os.path.dirname(path)
    stem = f"quarantine-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
    name, count = stem, 1
    while os.path.exists(os.path.join(parent, name)):
        count += 1
        name = f"{stem}-{count}"
    folder = os.path.join(parent, name)
    os.mkdir(folder, 0o700)
    for each in (f"{path}.wal", path):
        # The WAL first: should we die between the two, the file alone opens as of its last checkpoint.
        if os.path.exists(each):
            os.rename(each, os.path.join(folder, os.path.basename(each)))
    paths.sync_dir(parent)
    for old in quarantines(home)[:-QUARANTINES_KEPT]:
        shutil.rmtree(os.path.join(parent, old))
    return name


def quarantines(home: str) -> list[str]:
    """The folders of damaged indexes, oldest first."""
    parent = os.path.dirname(paths.database_path(home))
    return sorted(name for name in os.listdir(parent) if QUARANTINE.fullmatch(name))


def restore_backup(home: str, report: Callable[[str], None]) -> str:
    """Put a copy of the newest backup that can be read whole in the place of the index; returns its path, or ""."""
    path = paths.database_path(home)
    for found in backup.backups(home):
        temporary = f"{path}.restoring"
        try:
            database.check_file(found.path)
            shutil.copyfile(found.path, temporary)
            with open(temporary, "rb+") as file:
                os.fsync(file.fileno())
            os.chmod(temporary, 0o600)
            os.rename(temporary, path)
            paths.sync_dir(os.path.dirname(path))
            return found.path
        except (database.Error, OSError) as error:
            report(f"passed over the backup {found.path}: {str(error).splitlines()[0]}")
            backup.remove_leftovers(temporary)
    return ""


def forget_removed_runs(home: str, opened: database.Database) -> None:
    """Take out of a restored index the runs that were deleted since: directories and archives are the truth."""
    kept = {*os.listdir(paths.runs_dir(home)), *archive.archived_runs(home)}
    cursor = opened.cursor()
    try:
        for run_id, no in cursor.execute("select id, no from run where tracker = ''").fetchall():
            if run_id not in kept:
                forget_run(cursor, run_id, no)
    finally:
        cursor.close()


def forget_run(cursor: database.Cursor, run_id: str, no: int) -> None:
    """Take one run with all that belongs to it out of the index."""
    cursor.execute("begin")
    try:
        for table, column in TABLES_OF_RUNS.items():
            value = no if column == "run_no" else run_id
            cursor.execute(f"delete from {table} where {column} = ?", [value])
        cursor.execute("commit")
    except BaseException:
        cursor.execute("rollback")
        raise


TABLES_OF_RUNS: Final = {
    **dict.fromkeys((*TABLES_BY_RUN_NO, "param"), "run_no"),
    "journal_cursor": "run_id",
    "note": "run_id",
    "tag": "run_id",
    "hand_point": "run_id",
    "literal": "run_id",
    "artifact": "run_id",
    "import_twin": "of_id",
    "run": "id",
}
"""Every table that says something of a run, and the column that names it."""
