"""The one thread that writes: looks after live runs, brings journals into the index, carries out commands."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import sys
import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final, TypeVar

from ulid import ULID

from console.daemon import adoption, foreign, launch, pause, run_params
from console.daemon.captures import Captures
from console.daemon.catching_up import AT_ONCE, POINTS_AT_ONCE, CatchingUp, may_be_alive
from console.daemon.command_journal import CommandJournal
from console.daemon.data_life import DataLife
from console.daemon.packed_run import packed_runs
from console.daemon.people import People
from console.daemon.watched import WatchedRun
from console.jobs import reconcile, spec
from console.project.masking import mask_argv
from console.protocol import ENDED_STATES
from store import database, identity, local_home, paths, removal
from store.ingest import Index
from store.queries.literals import put_literals
from store.rollups import roll_up, runs_to_roll_up

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
PARAMS_AT_ONCE: Final = 100
"""Runs whose params are brought in by one round."""
CHECKPOINT_AFTER: Final = "64MB"
"""Of the WAL, as `database.connect` sets it."""

Result = TypeVar("Result")


class Keeper:
    """Owns the write side of the store. Start with `start`, end with `close`; `call` from any thread."""

    def __init__(self, home: str, opened: database.Database, changes: Changes) -> None:
        self.home = home
        self.notice = ""
        """One sentence when the last round failed, for the header of every client."""
        self.live_count = 0
        self.catching_up = CatchingUp()
        self._database = opened
        self._cursor = opened.cursor()
        self._changes = changes
        self._commands: queue.Queue[Callable[[], None]] = queue.Queue(COMMANDS_MAX)
        self._wake = threading.Event()
        self._ending = False
        self._watched: dict[str, WatchedRun] = {}
        self._params_due: list[str] = []
        """Run directories whose files say more of their params than the index."""
        self._postponed: set[str] = set()
        """Runs that the last round had no room for; the next one begins with them."""
        self.captures = Captures(home)
        self._thread = threading.Thread(target=self._run, name="keeper")
        self._index = Index(self._cursor)
        self._journal = CommandJournal(home)
        self.people = People(self._journal, changes, lambda: self._cursor, self._settle_by_hand)
        self.data_life = DataLife(
            home,
            lambda: self._cursor,
            self._journal.append,
            changes,
            self._watched,
            self._forget,
            self.captures.is_pending,
        )
        self._neighbours = foreign.Neighbours(home)
        try:
            self.data_life.settle(lambda: self._ending)
        except (OSError, database.Error) as error:
            report(f"what was begun with deleted and archived runs cannot be finished yet: {error}")
        self._adopt_run_dirs()
        for run_dir in run_params.still_pending(self._cursor, home):
            self.captures.ask(run_dir, "ended")
        self._to_roll_up = runs_to_roll_up(self._cursor, ENDED_STATES)
        try:
            self.people.catch_up()
        except (OSError, database.Error) as error:
            report(f"the notes, tags and pins cannot be brought into the index yet: {error}")

    @property
    def alive(self) -> bool:
        """Whether the thread still does its work."""
        return self._thread.is_alive()

    @property
    def ending(self) -> bool:
        """Whether the daemon is on its way out: long work in other threads leaves off."""
        return self._ending

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
        new = spec.Spec(
            format=spec.FORMAT,
            id=str(ULID()),
            no=local_home.claim_number(self.home, self.data_life.next_no()),
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
        recorded = {"run": new.id, "no": new.no, "argv": mask_argv(new.argv), "working_dir": new.working_dir}
        self._journal.append(actor, "run" if adopted is None else "adopt", **recorded)
        run_dir = spec.write_run_dir(self.home, new, request)
        try:
            self._index.add_runs([launch.columns_of_spec(new)])
        except BaseException:
            # Whoever asked is told that it failed: then it must not start with the next daemon either.
            self._delete_run_dir(new.id)
            raise
        watched = self._watched[new.id] = WatchedRun(new, run_dir, "queued", captures=self.captures)
        if not new.options.isolate:
            watched.start()
        self.captures.ask(run_dir, "enqueue", copies=bool(new.options.isolate))
        self._changes.tell(["runs"])
        return new

    def adopt(self, pid: int, asked: dict[str, Any]) -> Spec:
        """Make a process that already runs a run. Raises AdoptionError, SpecError, OSError, duckdb.Error."""
        live = [watched.spec.adopted for watched in self._watched.values()]
        request, adopted = adoption.look_at(pid, asked, [each.process for each in live if each is not None])
        return self.submit(request, str(asked.get("actor", "unknown"))[:100], adopted)

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

    def _settle_by_hand(self) -> None:
        self._index.settle_by_hand()

    def _forget(self, run_id: str, no: int) -> None:
        self._index.forget(run_id, no)

    def _delete_run_dir(self, run_id: str) -> None:
        run_dir = paths.run_dir(self.home, run_id)
        if os.path.isdir(run_dir):
            # Renamed first, out of what is scanned at start: a half-deleted run must not come back.
            gone = os.path.join(paths.runs_dir(self.home), f".gone-{run_id}")
            os.rename(run_dir, gone)
            removal.remove_tree(gone)

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
            state = states.get(name, "queued")
            self._watched[name] = foreign.watch(
                found, run_dir, state, shared=self._neighbours.shared, captures=self.captures
            )
        packed = packed_runs(self.home, states, report)
        unknown += [run.spec for run in packed if run.spec.id not in states]
        self._watched.update((run.spec.id, run) for run in packed)
        if unknown:
            self._index.add_runs([launch.columns_of_spec(found) for found in unknown])
            self.people.expect(found.id for found in unknown)
            live = [found.id for found in unknown if may_be_alive(paths.run_dir(self.home, found.id))]
            self._params_due += [paths.run_dir(self.home, run_id) for run_id in live]
        self.catching_up.expect(self._watched)
        if len(unknown) > AT_ONCE:
            ended = [run.spec.id for run in packed]
            ended += [found.id for found in unknown if not may_be_alive(paths.run_dir(self.home, found.id))]
            self.catching_up.postpone((run_id, self._watched.pop(run_id)) for run_id in ended)
        for run_id in states.keys() - ENDED_STATES:
            if states[run_id] not in ENDED_STATES and run_id not in self._watched:
                columns = {"state": "failed", "cause": "its run directory is gone", "ended_at_s": time.time()}
                self._index.commit([], {run_id: columns})
        self.captures.sweep(self._watched)

    def _take_in(self, found: list[Spec]) -> None:
        """Index and watch runs that another host has made meanwhile."""
        if not found:
            return
        self._index.add_runs([launch.columns_of_spec(each) for each in found])
        self.people.expect(each.id for each in found)
        for each in found:
            run_dir = paths.run_dir(self.home, each.id)
            self._watched[each.id] = foreign.ForeignRun(each, run_dir, "queued")
        self._changes.tell(["runs"])

    def _take_in_params(self) -> None:
        """Bring what workers found in files into the index. Raises duckdb.Error."""
        self._params_due += self.captures.take_done()
        due = self._params_due[:PARAMS_AT_ONCE]
        if due:
            ids = run_params.take_in(self._cursor, self._index, due, self.captures)
            del self._params_due[: len(due)]
            self._changes.tell(["runs", *(f"run:{run_id}" for run_id in ids)])

    def _run(self) -> None:
        pause_s = 0.0
        while not self._ending:
            more = False
            try:
                if not pause.is_alive(self._cursor):
                    self._reopen()
                more = self._round()
                if self.notice == pause.FULL:
                    pause_s = pause.longer(pause_s)
                elif pause_s:
                    pause_s = 0.0
                    self._cursor.execute(f"set wal_autocheckpoint = '{CHECKPOINT_AFTER}'")
                    report("the store goes on")
            except (OSError, database.Error) as error:
                # A damaged file makes the daemon leave; the next one replaces it.
                self._database.notice_damage(error)
                notice = pause.words_of(error) or f"the store is paused: {error}".splitlines()[0][:300]
                if notice != self.notice:
                    pause.print_traceback()
                self._set_notice(notice)
                pause_s = pause.longer(pause_s)
            if not self._carry_out_commands() and not more and not self._ending and not self._roll_up():
                if pause_s:
                    pause.wait(self._wake, pause_s, self.home)
                else:
                    self._wake.wait(TICK_S if self._watched or self.captures.busy or self._params_due else IDLE_TICK_S)
            self._wake.clear()
            self._carry_out_commands()

    def _reopen(self) -> None:
        """Go on after a fatal error of DuckDB, such as a checkpoint on a full disk. Raises duckdb.Error."""
        self._database.reopen()
        self._cursor = self._database.cursor()
        # A commit on a full disk fails cleanly, a checkpoint kills the instance: none until a round has gone well.
        self._cursor.execute("set wal_autocheckpoint = '1TB'")
        self._index = Index(self._cursor)

    def _carry_out_commands(self) -> bool:
        """Carry out what waits; whether there was any."""
        count = 0
        while True:
            try:
                command = self._commands.get_nowait()
            except queue.Empty:
                return count > 0
            command()
            count += 1

    def _round(self) -> bool:
        """One look at every run that has not ended; True when there is more to read at once."""
        looks: dict[str, Look] = {}
        problem = ""
        self.people.catch_up()
        self.captures.look()
        self._take_in_params()
        self._take_in(self._neighbours.newcomers(self._cursor))
        self._watched.update(self.catching_up.take(self._watched))
        point_count, postponed = 0, set()
        for run_id, watched in sorted(self._watched.items(), key=lambda item: item[0] not in self._postponed):
            if point_count > POINTS_AT_ONCE:
                postponed.add(run_id)
                continue
            try:
                look = looks[run_id] = watched.look(self._index.cursor_of(run_id))
                point_count += look.batch.points.count if look.batch is not None else 0
            except Exception as error:
                # One run that we cannot look after must not keep the others from it.
                if not isinstance(error, (OSError, database.Error)) and not watched.broken:
                    pause.print_traceback()
                    watched.broken = True
                paused = pause.words_of(error)
                problem = paused or problem or f"r{watched.spec.no} cannot be looked after: {error}"
                self.catching_up.saw(run_id, None)
        self._postponed = postponed
        batches = [look.batch for look in looks.values() if look.batch is not None]
        updates = {run_id: look.columns for run_id, look in looks.items() if look.columns}
        put_literals(self._cursor, {run_id: look.literals for run_id, look in looks.items() if look.literals})
        if batches or updates:
            self._index.commit(batches, updates)
        # Not before: a store that is paused must not look sound for as long as it tries.
        self._set_notice(problem)
        for run_id, columns in updates.items():
            self._watched[run_id].state = columns["state"]
        for run_id in [run_id for run_id, look in looks.items() if look.over]:
            watched = self._watched.pop(run_id)
            self._index.forget(run_id, watched.spec.no)
            self._to_roll_up.append(watched.spec.no)
            watched.leave()
        for run_id, look in looks.items():
            self.catching_up.saw(run_id, look)
        self.live_count = sum(not isinstance(each, foreign.ForeignRun) for each in self._watched.values())
        told = {f"run:{run_id}" for run_id, look in looks.items() if look.changed}
        self._changes.tell(told | ({"runs"} if batches or updates else set()))
        return bool(postponed) or self.catching_up.waits or any(look.more for look in looks.values())

    def _roll_up(self) -> bool:
        """When there is nothing better to do, roll up one long metric of an ended run; False when none waits."""
        if not self._to_roll_up or self.notice:
            return False
        try:
            if not roll_up(self._cursor, self._to_roll_up[-1]):
                self._to_roll_up.pop()
        except database.Error as error:
            # Curves are right without it; the next daemon tries again.
            self._database.notice_damage(error)
            report(f"no roll-up of run {self._to_roll_up.pop()}: {str(error).splitlines()[0]}")
        return bool(self._to_roll_up)

    def _set_notice(self, notice: str) -> None:
        if notice != self.notice:
            self.notice = notice
            self._changes.tell(["runs", *(f"run:{run_id}" for run_id in self._watched)])


def report(words: str) -> None:
    """One line to the daemon's log, where there is room for it."""
    with contextlib.suppress(OSError):
        print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {words}", file=sys.stderr, flush=True)
