"""The keeper's side of imports: numbers, journals, and the index brought up to them. On the keeper's thread."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

from store import import_journal, imported, journal, local_home, paths

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from console.daemon.changes import Changes
    from console.daemon.data_life import DataLife
    from store.database import Cursor
    from store.ingest import Index


class ImportsTaken:
    """Belongs to the keeper's thread."""

    def __init__(
        self,
        home: str,
        cursor: Callable[[], Cursor],
        index: Callable[[], Index],
        data_life: DataLife,
        changes: Changes,
    ) -> None:
        self._home = home
        self._cursor = cursor
        self._index = index
        self._data_life = data_life
        self._changes = changes
        self._journals: dict[str, journal.Journal] = {}
        self.tell_forgotten: Callable[[str], None] = tell_nobody
        """Whoever reads learns of runs that a person deleted."""

    def catch_up(self, import_id: str) -> None:
        """Bring the index up to the journal. Raises OSError, duckdb.Error."""
        if imported.catch_up(self._cursor(), self._index(), self._home, import_id):
            self._changes.tell(["runs"])

    def known(self, import_id: str) -> tuple[list[imported.Known], set[tuple[str, str]]]:
        """What is known of an import: its runs, and place and key of those that a person deleted."""
        cursor = self._cursor()
        return imported.known_runs(cursor, import_id), imported.forgotten(cursor, import_id)

    def take(
        self, import_id: str, durable: Sequence[dict[str, Any]], passing: Sequence[dict[str, Any]]
    ) -> dict[str, int]:
        """Take records in; returns the numbers that new runs got, by id. Raises OSError, duckdb.Error.

        `durable` ones go through the journal. `passing` ones of live runs are in the index until the next durable one.
        """
        new = [each for each in (*durable, *passing) if each["kind"] == "run" and each["no"] is None]
        numbers: dict[str, int] = {}
        wanted = self._data_life.next_no() if new else 0
        for record in new:
            if record["id"] not in numbers:
                numbers[record["id"]] = local_home.claim_number(self._home, wanted)
                wanted = numbers[record["id"]] + 1
        if new:
            self._data_life.took_no(max(numbers.values()))
        for record in (*durable, *passing):
            record["no"] = record.get("no") or numbers.get(record["id"])
        end = self._journal(import_id).append(durable)
        ids = {each["id"] for each in (*durable, *passing)}
        if passing:
            before = imported.offset_of(self._cursor(), import_id)
            imported.put(self._cursor(), self._index(), import_id, [unsigned(each) for each in passing], before)
        if durable:
            imported.put(self._cursor(), self._index(), import_id, durable, end)
        self._changes.tell(["runs", *(f"run:{run_id}" for run_id in ids)])
        return numbers

    def forget(self, run_id: str) -> None:
        """A person deletes a run: it must not come back while its files are there. Raises OSError, duckdb.Error."""
        row = (
            self._cursor()
            .execute("select import_id, import_place, import_key from run where id = ?", [run_id])
            .fetchone()
        )
        if row is None or not row[0]:
            return
        record = {"kind": "forgotten", "id": run_id, "place": row[1], "key": row[2]}
        end = self._journal(row[0]).append([record])
        imported.put(self._cursor(), self._index(), row[0], [record], end)
        self.tell_forgotten(run_id)

    def drop(self, import_id: str) -> None:
        """An import is over."""
        found = self._journals.pop(import_id, None)
        if found is not None:
            found.close()

    def close(self) -> None:
        """Close the journals."""
        for import_id in list(self._journals):
            self.drop(import_id)

    def _journal(self, import_id: str) -> journal.Journal:
        if import_id not in self._journals:
            folder = import_journal.folder_of(self._home, import_id)
            for each in (os.path.dirname(folder), folder):
                paths.make_private_dir(each)
            opened = journal.Journal(import_journal.path_of(self._home, import_id))
            if not opened.size_bytes:
                header = {"kind": "header", "format": import_journal.FORMAT, "import": import_id}
                with contextlib.suppress(OSError):
                    opened.append([header])
            self._journals[import_id] = opened
        return self._journals[import_id]


def tell_nobody(_: str) -> None:
    """Nobody reads yet."""


def unsigned(record: dict[str, Any]) -> dict[str, Any]:
    """A record that the next daemon must not take for what the journal holds."""
    if record["kind"] != "run":
        return record
    return record | {"facts": record["facts"] | {"signature": ""}}
