"""The keeper's side of imports: numbers, journals, and the index brought up to them. On the keeper's thread."""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from store import import_journal, imported, journal, journal_json, local_home, paths, twins

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from console.daemon.changes import Changes
    from console.daemon.data_life import DataLife
    from store.database import Cursor
    from store.ingest import Index


JUST_ENDED_S: Final = 15.0
OWN_FOLDERS_SQL: Final = """
    select distinct working_dir from run
    where tracker = '' and (state in ('starting', 'running', 'stopping') or ended_at_s > ?)
"""


class Memory(NamedTuple):
    """What the index knows of an import; everything by place and key."""

    runs: list[imported.Known]
    forgotten: set[tuple[str, str]]
    joined: dict[tuple[str, str], tuple[str, str, int]]
    """Id of the imported run, id and number of the run of ours that it is."""
    twins: dict[tuple[str, str], str]


class Outcome(NamedTuple):
    """What became of records that were taken in."""

    numbers: dict[str, int]
    """Of new runs, by id."""
    joined: dict[str, twins.OwnRun]
    """Runs of our own that a tracker wrote down as well, by the id that was meant for the imported one."""
    twins: dict[str, str]
    """Ids of runs that turned out to be another one, and that one's."""


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

    def known(self, import_id: str) -> Memory:
        """What is known of an import."""
        cursor = self._cursor()
        known, forgotten = imported.known_runs(cursor, import_id), imported.forgotten(cursor, import_id)
        numbers = dict(cursor.execute("select id, no from run where tracker = ''").fetchall())
        joined, settled = {}, {}
        for place, key, run_id, of_id in imported.twins_of(cursor, import_id):
            if of_id in numbers:
                joined[place, key] = (run_id, of_id, numbers[of_id])
            else:
                settled[place, key] = of_id
        return Memory(known, forgotten, joined, settled)

    def own_folders(self) -> list[str]:
        """Working directories of runs of ours that are alive, or have just ended. Raises duckdb.Error."""
        rows = self._cursor().execute(OWN_FOLDERS_SQL, [time.time() - JUST_ENDED_S]).fetchall()
        return [folder for (folder,) in rows if os.path.isabs(folder)]

    def take(
        self,
        import_id: str,
        durable: list[dict[str, Any]],
        passing: list[dict[str, Any]],
        *,
        only_own: bool = False,
    ) -> Outcome:
        """Take records in; with `only_own` those of runs of ours alone. Raises OSError, duckdb.Error.

        `durable` ones go through the journal. `passing` ones of live runs are in the index until the next durable one.
        """
        joined = self._join([*durable, *passing])
        if only_own:
            durable = [each for each in durable if each["no"] is not None]
            passing = [each for each in passing if each["no"] is not None]
            if not durable and not passing:
                return Outcome({}, joined, {})
        numbers = self._number([*durable, *passing])
        end = self._journal(import_id).append(durable, journal_json.encoded)
        ids = {each.get("of") or each["id"] for each in (*durable, *passing)}
        imported.put(self._cursor(), self._index(), import_id, durable, end, list(map(unsigned, passing)))
        found = self._find_twins(import_id, [each["id"] for each in durable if each["kind"] == "run"])
        self._changes.tell(["runs", *(f"run:{run_id}" for run_id in ids)])
        return Outcome(numbers, joined, found)

    def _number(self, records: Sequence[dict[str, Any]]) -> dict[str, int]:
        """Give new runs their numbers."""
        new = dict.fromkeys(each["id"] for each in records if each["kind"] == "run" and each["no"] is None)
        numbers: dict[str, int] = {}
        if new:
            claimed = local_home.claim_numbers(self._home, self._data_life.next_no(), len(new))
            numbers = dict(zip(new, claimed, strict=True))
            self._data_life.took_no(claimed[-1])
        for record in records:
            if record.get("no") is None:
                record["no"] = numbers.get(record["id"])
        return numbers

    def _join(self, records: Sequence[dict[str, Any]]) -> dict[str, twins.OwnRun]:
        """Turn new runs that are runs of our own into what their tracker says of those."""
        new = [each for each in records if each["kind"] == "run" and each["no"] is None]
        own = twins.own_runs(self._cursor()) if new else []
        joined: dict[str, twins.OwnRun] = {}
        for record in new if own else ():
            facts = record["facts"]
            found = joined.get(record["id"]) or twins.owner_of(
                own, facts["path"], facts["started_at_s"], facts["written_at_s"]
            )
            if found is not None:
                joined[record["id"]] = found
                join(record, found.id, found.no)
        for record in records:
            # Of the same batch: points of a run that was just found to be ours.
            if record["kind"] == "points" and record["id"] in joined:
                record["no"], record["id"] = joined[record["id"]].no, joined[record["id"]].id
        return joined

    def _find_twins(self, import_id: str, ids: Sequence[str]) -> dict[str, str]:
        cursor = self._cursor()
        found = {each.id: each.of_id for each in twins.find(cursor, import_id, ids)}
        if not found:
            return {}
        columns = "id, import_place, import_key, tracker, source_path"
        rows = cursor.execute(f"select {columns} from run where id in (select unnest($ids))", {"ids": list(found)})
        records = [
            {"kind": "twin", "id": run_id, "of": found[run_id], "no": None}
            | {"place": place, "key": key, "tracker": tracker, "path": path}
            for run_id, place, key, tracker, path in rows.fetchall()
        ]
        end = self._journal(import_id).append(records)
        imported.put(cursor, self._index(), import_id, records, end)
        return found

    def forget(self, run_id: str) -> None:
        """A person deletes a run: it must not come back while its files are there. Raises OSError, duckdb.Error."""
        row = (
            self._cursor()
            .execute("select import_id, import_place, import_key from run where id = ?", [run_id])
            .fetchone()
        )
        gone = [tuple(row)] if row is not None and row[0] else []
        gone += (
            self._cursor().execute("select import_id, place, key from import_twin where of_id = ?", [run_id]).fetchall()
        )
        for import_id, place, key in gone:
            record = {"kind": "forgotten", "id": run_id, "place": place, "key": key}
            end = self._journal(import_id).append([record])
            imported.put(self._cursor(), self._index(), import_id, [record], end)
        if gone:
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


def join(record: dict[str, Any], of_id: str, no: int) -> None:
    """Make what was said of an imported run what its tracker says of a run of our own."""
    facts = record["facts"]
    said = {"place": record["place"], "key": facts["key"], "tracker": facts["tracker"], "path": facts["path"]}
    record.update({"kind": "joined", "of": of_id, "no": no, **said})


def tell_nobody(_: str) -> None:
    """Nobody reads yet."""


def unsigned(record: dict[str, Any]) -> dict[str, Any]:
    """A record that the next daemon must not take for what the journal holds."""
    if record["kind"] != "run":
        return record
    return record | {"facts": record["facts"] | {"signature": ""}}
