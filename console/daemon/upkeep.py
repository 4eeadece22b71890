"""What keeps the index safe beside the daily work: backups, which also check every block, and building it anew."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

from console.daemon.keeper import report
from store import backup, database, recovery

if TYPE_CHECKING:
    from store.backup import Backup

FIRST_AFTER_S: Final = 60.0
"""After its start the daemon has better things to do."""
LOOK_INTERVAL_S: Final = 3600.0
TOLD_FOR_S: Final = 86400.0
"""How long clients are told what had to be done to the index."""


class Upkeep:
    """One for the life of a daemon."""

    def __init__(self, home: str, opened: database.Database, words: str) -> None:
        self._home = home
        self._database = opened
        self._words = words
        self._started_s = time.monotonic()
        self.rebuild_asked = False
        """The daemon leaves, and the next one builds the index anew."""

    @property
    def notice(self) -> str:
        """One sentence for the header of every client; empty as a rule."""
        if self._database.damage:
            return "the index is damaged: it is replaced in a moment"
        return self._words if time.monotonic() - self._started_s < TOLD_FOR_S else ""

    def ask_rebuild(self) -> None:
        """Have the next daemon build the index anew, and this one leave. Raises OSError."""
        recovery.suspect(self._home, "a rebuild was asked for", rebuild=True)
        self.rebuild_asked = True

    def make_backup(self) -> Backup:
        """Copy the index now. Raises OSError, duckdb.Error."""
        return backup.make_backup(self._database, self._home)

    def counts(self) -> dict[str, int]:
        """How much the index holds."""
        with self._database.reading() as cursor:
            found = cursor.execute(
                "select (select count(*) from run), (select count(*) from metric), (select count(*) from note), "
                "(select count(*) from tag)"
            ).fetchone()
        return dict(zip(("runs", "points", "notes", "tags"), found or (0, 0, 0, 0), strict=True))

    def facts(self) -> dict[str, Any]:
        """Files of the index, for `footplate backup`."""
        return {
            "size_bytes": backup.index_size_bytes(self._home),
            "backups": [found._asdict() for found in backup.backups(self._home)],
            "quarantines": recovery.quarantines(self._home),
            "notice": self.notice,
        }

    async def run(self) -> None:
        """Look now and then whether a backup is due, until cancelled."""
        await asyncio.sleep(FIRST_AFTER_S)
        while True:
            await asyncio.to_thread(self._look)
            await asyncio.sleep(LOOK_INTERVAL_S)

    def _look(self) -> None:
        try:
            if not backup.is_due(self._home, time.time()):
                return
            made = self.make_backup()
            report(f"backup of the index: {made.path}, {made.size_bytes} bytes")
        except (OSError, database.Error) as error:
            report(f"no backup of the index: {str(error).splitlines()[0]}")
