"""The one thread that writes: looks after live runs, brings journals into the index, carries out commands."""

from __future__ import annotations

import json
import os
import queue
import shutil
import sys
import threading
import time
import traceback
from concurrent.futures import Future
from typing import TYPE_CHECKING, Final, TypeVar

from ulid import ULID

from console.daemon import launch
from console.daemon.command_journal import CommandJournal
from console.daemon.watched import WatchedRun
from console.jobs import reconcile, spec
from console.protocol import ENDED_STATES
from store import database, identity, paths
from store.ingest import Index

if TYPE_CHECKING:
    from collections.abc import Callable

    from console.daemon.changes import Changes
    from console.daemon.watched import Look
    from console.jobs.options import Adopted
    from console.jobs.spec import Request, Spec

TICK_S: Final = 0.25
"""Between rounds while a run lives."""
IDLE_TICK_S: Final = 30.0
"""Between rounds when none does; commands and the end of the daemon wake the thread."""
COMMANDS_MAX: Final = 1000

Result = TypeVar("Result")


class Keeper:
    """Owns the write side of the store. Start with `start`, end with `close`; `call` from any thread."""

    def __init__(self, home: str, opened: database.Database, changes: Changes) -> None:
        self.home = home
        self.notice = ""
        """One sentence when the last round failed, for the header of every client."""
        self.live_count = 0
        self._database = opened
        self._cursor = opened.cursor()
        self._changes = changes
        self._commands: queue.Queue[Callable[[], None]] = queue.Queue(COMMANDS_MAX)
        self._wake = threading.Event()
        self._ending = False
        self._watched: dict[str, WatchedRun] = {}
        self._thread = threading.Thread(target=self._run, name="keeper")
        self._index = Index(self._cursor)
        self._journal = CommandJournal(home)
        self._adopt_run_dirs()

    @property
    def alive(self) -> bool:
        """Whether the thread still does its work."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin to look after the runs."""
        self._thread.start()

    def close(self) -> None:
        """End the thread after its round; runs go on without us."""
        self._ending = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()
        for watched in self._watched.values():
            watched.close()
        self._journal.close()
        self._cursor.close()

    def call(self, command: Callable[[], Result]) -> Future[Result]:
        """Have the thread run `command` between two rounds. Raises queue.Full when too many wait."""
        future: Future[Result] = Future()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(command())
            except BaseException as error:
                future.set_exception(error)

        self._commands.put_nowait(run)
        self._wake.set()
        return future

    def submit(self, request: Request, actor: str, adopted: Adopted | None = None) -> Spec:
        """Make a run directory, record it, start its supervisor. Raises OSError, duckdb.Error."""
        row = self._cursor.execute("select coalesce(max(no), 0) + 1 from run").fetchone()
        new = spec.Spec(
            format=spec.FORMAT,
            id=str(ULID()),
            no=int(row[0]) if row else 1,
            name=request.name,
            project=request.project,
            argv=request.argv,
            working_dir=request.working_dir,
            grace_s=request.grace_s,
            params=spec.params_of(request.argv),
            created_at_s=time.time(),
            host=os.uname().nodename,
            boot_id=identity.boot_id(),
            options=request.options,
            interpreter=request.interpreter,
            adopted=adopted,
        )
        self._journal.append(actor, "run", run=new.id, argv=list(new.argv), working_dir=new.working_dir)
        run_dir = spec.write_run_dir(self.home, new, request)
        try:
            self._index.add_runs([launch.columns_of_spec(new)])
        except BaseException:
            # Whoever asked is told that it failed: then it must not start with the next daemon either.
            self._delete_run_dir(new.id)
            raise
        watched = self._watched[new.id] = WatchedRun(new, run_dir, "queued")
        watched.start()
        self._changes.tell(["runs"])
        return new

    def stop(self, run_id: str, actor: str) -> bool:
        """Ask a run to end; False when it has ended already. Raises OSError."""
        watched = self._watched.get(run_id)
        if watched is None:
            return False
        self._journal.append(actor, "stop", run=run_id)
        content = json.dumps({"format": spec.FORMAT, "actor": actor, "at_s": time.time()}).encode()
        paths.write_atomically(f"{watched.run_dir}/stop.json", content)
        watched.stop_signalled = False
        return True

    def release(self, run_id: str, actor: str) -> bool:
        """Let a held run start; False when it is not held. Raises OSError."""
        watched = self._watched.get(run_id)
        if watched is None or watched.state != "held":
            return False
        self._journal.append(actor, "release", run=run_id)
        attempt = reconcile.current_attempt(watched.run_dir)
        note = {"format": spec.FORMAT, "actor": actor, "attempt": attempt, "boot_id": identity.boot_id()}
        paths.write_atomically(f"{watched.run_dir}/release.json", json.dumps(note).encode())
        return True

    def remove_project(self, project: str, actor: str) -> int:
        """Delete the ended runs of a project with their directories; returns how many. Raises OSError, RuntimeError."""
        from store import records

        found = records.runs_in_project(self._database, project)
        alive = [f"r{record.no}" for record in found if record.id in self._watched]
        if alive:
            raise RuntimeError(f"{', '.join(alive)} still run; stop them first")
        self._journal.append(actor, "remove", project=project, runs=[record.id for record in found])
        for record in found:
            self._delete_run_dir(record.id)
            for table, column, value in (
                ("metric", "run_no", record.no),
                ("metric_latest", "run_no", record.no),
                ("journal_cursor", "run_id", record.id),
                ("run", "id", record.id),
            ):
                self._cursor.execute(f"delete from {table} where {column} = ?", [value])
            self._index.forget(record.id, record.no)
            self._changes.tell([f"run:{record.id}"])
        self._changes.tell(["runs"])
        return len(found)

    def _delete_run_dir(self, run_id: str) -> None:
        run_dir = paths.run_dir(self.home, run_id)
        if os.path.isdir(run_dir):
            # Renamed first, out of what is scanned at start: a half-deleted run must not come back.
            gone = os.path.join(paths.runs_dir(self.home), f".gone-{run_id}")
            os.rename(run_dir, gone)
            shutil.rmtree(gone)

    def _adopt_run_dirs(self) -> None:
        """Watch every run that the index does not know as ended; index the directories that it does not know."""
        rows = self._cursor.execute("select id, state from run").fetchall()
        states: dict[str, str] = dict(rows)
        unknown: list[Spec] = []
        for name in sorted(os.listdir(paths.runs_dir(self.home))):
            if name.startswith(".") or states.get(name) in ENDED_STATES:
                continue
            run_dir = paths.run_dir(self.home, name)
            try:
                found = spec.read_spec(run_dir)
            except (OSError, ValueError) as error:
                report(f"passed over the run directory {run_dir}: {error}")
                continue
            if name not in states:
                unknown.append(found)
            self._watched[name] = WatchedRun(found, run_dir, states.get(name, "queued"))
        if unknown:
            self._index.add_runs([launch.columns_of_spec(found) for found in unknown])
        for run_id in states.keys() - ENDED_STATES:
            if states[run_id] not in ENDED_STATES and run_id not in self._watched:
                columns = {"state": "failed", "cause": "its run directory is gone", "ended_at_s": time.time()}
                self._index.commit([], {run_id: columns})

    def _run(self) -> None:
        while not self._ending:
            try:
                more = self._round()
            except (OSError, database.Error) as error:
                traceback.print_exc()
                self._set_notice(f"the store is paused: {error}".splitlines()[0][:300])
                more = False
                self._wake.wait(1.0)
            self._carry_out_commands()
            if not more and not self._ending:
                self._wake.wait(TICK_S if self._watched else IDLE_TICK_S)
            self._wake.clear()
            self._carry_out_commands()

    def _carry_out_commands(self) -> None:
        while True:
            try:
                command = self._commands.get_nowait()
            except queue.Empty:
                return
            command()

    def _round(self) -> bool:
        """One look at every run that has not ended; True when there is more to read at once."""
        looks: dict[str, Look] = {}
        problem = ""
        for run_id, watched in self._watched.items():
            try:
                looks[run_id] = watched.look(self._index.cursor_of(run_id))
            except Exception as error:
                # One run that we cannot look after must not keep the others from it.
                if not isinstance(error, OSError) and not watched.broken:
                    traceback.print_exc()
                    watched.broken = True
                problem = problem or f"r{watched.spec.no} cannot be looked after: {error}"
        self._set_notice(problem)
        batches = [look.batch for look in looks.values() if look.batch is not None]
        updates = {run_id: look.columns for run_id, look in looks.items() if look.columns}
        if batches or updates:
            self._index.commit(batches, updates)
        for run_id, columns in updates.items():
            self._watched[run_id].state = columns["state"]
        for run_id in [run_id for run_id, look in looks.items() if look.over]:
            watched = self._watched.pop(run_id)
            self._index.forget(run_id, watched.spec.no)
            watched.leave()
        self.live_count = len(self._watched)
        told = {f"run:{run_id}" for run_id, look in looks.items() if look.changed}
        self._changes.tell(told | ({"runs"} if batches or updates else set()))
        return any(look.more for look in looks.values())

    def _set_notice(self, notice: str) -> None:
        if notice != self.notice:
            self.notice = notice
            self._changes.tell(["runs", *(f"run:{run_id}" for run_id in self._watched)])


def report(words: str) -> None:
    """One line to the daemon's log."""
    print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {words}", file=sys.stderr, flush=True)
