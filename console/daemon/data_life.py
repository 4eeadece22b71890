"""The part of deleting and archiving that belongs to the keeper's thread: short steps, each sound by itself.

A run directory leaves by being renamed, which is the moment that counts: `.gone-<id>` is deleted, `.packed-<id>` is
archived. What bears such a name is nobody's any more and is taken away afterwards, at the latest by the next daemon.
A run directory that is there is the truth, whatever lies in the archive beside it.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from console.daemon.http import RefusedError
from console.daemon.leftovers import (
    deleted_runs,
    gone_runs,
    highest_recorded_no,
    leftover_path,
    leftover_paths,
    leftovers,
    list_dir,
    remove_all,
)
from console.protocol import ENDED_STATES
from store import archive, paths, recovery

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from console.daemon.changes import Changes
    from store.database import Cursor


class Facts(NamedTuple):
    """What decides whether a run may go."""

    id: str
    no: int
    name: str
    project: str
    state: str
    pinned: bool
    archived_at_s: float | None
    tracker: str

    @property
    def words(self) -> str:
        """How messages call it."""
        return f"r{self.no} {self.name}"


class CapturingError(RefusedError):
    """It will be over in a moment."""


class Record(Protocol):
    """The append of the command journal."""

    def __call__(self, actor: str, action: str, **details: Any) -> None:
        """Record a command before it is carried out."""


def no_import(_: str) -> None:
    """There are no imports to tell."""


class DataLife:
    """Belongs to the keeper's thread."""

    def __init__(
        self,
        home: str,
        cursor: Callable[[], Cursor],
        record: Record,
        changes: Changes,
        live: Mapping[str, object],
        forget: Callable[[str, int], None],
        capturing: Callable[[str], bool],
    ) -> None:
        """`live` holds the runs that have not ended by id; `forget` drops what is kept at hand for a run.

        `capturing` says of a run directory whether code is being captured into it.
        """
        self._home = home
        self._cursor = cursor
        self._record = record
        self._changes = changes
        self._live = live
        self._forget = forget
        self._capturing = capturing
        self.forget_import: Callable[[str], None] = no_import
        """Told of each run that is deleted: an imported one must not come back."""
        self._busy: dict[str, str] = {}
        self._highest_no: int | None = None

    def next_no(self) -> int:
        """The number of the next run: higher than any that was given before, also to runs that are deleted."""
        row = self._cursor().execute("select coalesce(max(no), 0) from run").fetchone()
        if self._highest_no is None:
            self._highest_no = highest_recorded_no(paths.command_journal_path(self._home))
        self._highest_no = max(int(row[0]) if row else 0, self._highest_no) + 1
        return self._highest_no

    def took_no(self, no: int) -> None:
        """Numbers up to this one are given."""
        self._highest_no = max(self._highest_no or 0, no)

    def facts(self, run_id: str) -> Facts:
        """What the index says of a run. Raises RefusedError when it has none."""
        found = self._facts("id", run_id)
        if not found:
            raise RefusedError(404, f"no run {run_id!r}", "`footplate runs` lists them")
        return found[0]

    def claim(self, run_id: str, doing: str, *, unpinned: bool) -> Facts:
        """Keep a run for one piece of work, until `release`. Raises RefusedError when that may not be done."""
        found = self.facts(run_id)
        self.check(found, doing, unpinned=unpinned)
        if self._capturing(paths.run_dir(self._home, run_id)):
            raise CapturingError(409, f"the code of {found.words} is still being captured", "try again in a moment")
        if run_id in self._busy:
            words = f"{found.words} is being {self._busy[run_id]} at this moment"
            raise RefusedError(409, words, "try again afterwards")
        self._busy[run_id] = doing
        return found

    def release(self, run_id: str) -> None:
        """The work on a run is over."""
        self._busy.pop(run_id, None)

    def check(self, found: Facts, doing: str, *, unpinned: bool) -> None:
        """Raises RefusedError for a run that has not ended, and with `unpinned` for one that is pinned."""
        label = f"r{found.no}"
        if found.tracker and doing != "deleted":
            words = f"{found.words} was imported: its files are those of its tracker, and nothing of them is {doing}"
            raise RefusedError(409, words, f"`footplate delete {label}` takes it out of the table")
        # Whatever its tracker says of it: nothing that we do to it touches what still runs.
        if not found.tracker and (found.id in self._live or found.state not in ENDED_STATES):
            words = f"{found.words} is {found.state}: only runs that have ended can be {doing}"
            raise RefusedError(409, words, f"`footplate stop {label}` ends it")
        if unpinned and found.pinned:
            words = f"{found.words} is pinned: pinned runs are never {doing}"
            raise RefusedError(409, words, f"`footplate pin --off {label}` first, if it may go")

    def withdraw(self, run_id: str, actor: str) -> Facts:
        """Delete a run but for the work of removing its files, which bear other names then; all of it or nothing.

        Raises RefusedError, OSError, duckdb.Error.
        """
        found = self.facts(run_id)
        self.check(found, "deleted", unpinned=True)
        self._record(actor, "delete", run=found.id, no=found.no, name=found.name)
        moved: list[tuple[str, str]] = []
        try:
            for old, new in self.departures(run_id):
                if os.path.lexists(old):
                    os.rename(old, new)
                    moved.append((old, new))
            self._sync_folders()
            self.forget_import(run_id)
            self._forget_rows([(found.id, found.no)])
        except BaseException:
            for old, new in reversed(moved):
                os.rename(new, old)
            raise
        self._changes.tell([f"run:{run_id}", "runs"])
        return found

    def departures(self, run_id: str) -> list[tuple[str, str]]:
        """Present and last name of directory and packs of a run that is deleted."""
        packs = (archive.path_of(self._home, run_id), archive.code_path_of(self._home, run_id))
        moves = [(path, os.path.join(os.path.dirname(path), f".gone-{os.path.basename(path)}")) for path in packs]
        return [(paths.run_dir(self._home, run_id), leftover_path(self._home, "gone", run_id)), *moves]

    def withdraw_project(self, project: str, actor: str) -> list[str]:
        """Delete all runs of a project; returns their ids. Raises RefusedError, OSError, duckdb.Error."""
        found = self._facts("project", project)
        for each in found:
            self.check(each, "deleted", unpinned=True)
        for each in found:
            self.withdraw(each.id, actor)
        return [each.id for each in found]

    def archived(self, run_id: str, actor: str, packed: archive.Packed) -> None:
        """From now on the packs are the truth about a run. Raises RefusedError, OSError, duckdb.Error."""
        found = self.facts(run_id)
        self.check(found, "archived", unpinned=False)
        run_dir = paths.run_dir(self._home, run_id)
        if archive.fingerprint_of(run_dir) != packed.fingerprint:
            words = f"{found.words} was written to while it was packed; nothing was changed"
            raise RefusedError(409, words, "try again when no process of it is left")
        self._record(actor, "archive", run=found.id, no=found.no)
        try:
            at_s = archive.publish(self._home, run_id)
            os.rename(run_dir, leftover_path(self._home, "packed", run_id))
        except OSError:
            archive.remove_packs(self._home, run_id)
            raise
        self._sync_folders()
        self._set_archived({run_id: at_s})

    def restored(self, run_id: str, actor: str) -> None:
        """From now on the directory that was unpacked as `.new-<id>` is the truth. Raises OSError, duckdb.Error."""
        found = self.facts(run_id)
        self._record(actor, "restore", run=found.id, no=found.no)
        os.rename(leftover_path(self._home, "new", run_id), paths.run_dir(self._home, run_id))
        self._sync_folders()
        archive.remove_packs(self._home, run_id)
        self._set_archived({run_id: None})

    def record(self, actor: str, action: str, found: Facts) -> None:
        """Note in the command journal what is about to be done to a run. Raises OSError."""
        self._record(actor, action, run=found.id, no=found.no)

    def settle(self, ending: Callable[[], bool]) -> None:
        """Finish or undo what an earlier daemon had begun; for the start, before runs are looked at.

        What is left of deleted and packed runs goes in the background, until `ending`. Raises OSError, duckdb.Error.
        """
        names = set(os.listdir(paths.runs_dir(self._home)))
        for kind, run_id in leftovers(self._home):
            if kind == "packed" and run_id not in names and not os.path.exists(archive.path_of(self._home, run_id)):
                os.rename(leftover_path(self._home, kind, run_id), paths.run_dir(self._home, run_id))
                names.add(run_id)
        for run_id in {archive.run_id_of(name) for name in list_dir(archive.folder(self._home))} & names:
            archive.remove_packs(self._home, run_id)
        archived = archive.archived_runs(self._home)
        rows = self._cursor().execute("select id, no, state, archived_at_s from run where tracker = ''").fetchall()
        missing = [(run_id, no) for run_id, no, *_ in rows if run_id not in names and run_id not in archived]
        if missing:
            deleted = deleted_runs(paths.command_journal_path(self._home)) | gone_runs(self._home)
            self._forget_rows([each for each in missing if each[0] in deleted])
        self._set_archived(
            {run_id: archived.get(run_id) for run_id, _, _, at_s in rows if at_s != archived.get(run_id)}
        )
        remaining = leftover_paths(self._home)
        if remaining:
            threading.Thread(target=remove_all, args=(remaining, ending), name="leftovers", daemon=True).start()

    def _facts(self, column: str, value: str) -> list[Facts]:
        columns = ", ".join(Facts._fields)
        rows = self._cursor().execute(f"select {columns} from run where {column} = ? order by no", [value]).fetchall()
        return [Facts(*row) for row in rows]

    def _sync_folders(self) -> None:
        paths.sync_dir(paths.runs_dir(self._home))
        if os.path.isdir(archive.folder(self._home)):
            paths.sync_dir(archive.folder(self._home))

    def _forget_rows(self, runs: Sequence[tuple[str, int]]) -> None:
        for run_id, no in runs:
            recovery.forget_run(self._cursor(), run_id, no)
            self._forget(run_id, no)

    def _set_archived(self, changed: Mapping[str, float | None]) -> None:
        for run_id, at_s in changed.items():
            self._cursor().execute("update run set archived_at_s = ? where id = ?", [at_s, run_id])
            self._changes.tell([f"run:{run_id}", "runs"])
