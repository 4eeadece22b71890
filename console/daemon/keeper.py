"""The one thread that writes: looks after live runs, brings journals into the index, carries out commands."""

from __future__ import annotations

import contextlib
import queue
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

from console.daemon import asking, foreign, launch, pause, run_params
from console.daemon.begun import Begun
from console.daemon.captures import Captures
from console.daemon.catching_up import AT_ONCE, POINTS_AT_ONCE, CatchingUp, may_be_alive
from console.daemon.command_journal import CommandJournal
from console.daemon.data_life import DataLife
from console.daemon.enqueueing import Enqueuer
from console.daemon.imports_taken import ImportsTaken
from console.daemon.people import People
from console.daemon.reparsing import left_unread
from console.daemon.run_commands import RunCommands
from console.daemon.scheduler import Scheduler
from console.daemon.taking_up import fill_queue, take_up
from console.daemon.watched import WatchedRun
from console.protocol import ENDED_STATES
from store import database, import_journal, metric_pins, paths
from store.ingest import Index
from store.queries.literals import put_literals
from store.rollups import roll_up, runs_to_roll_up

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from console.daemon.changes import Changes
    from console.daemon.registry import Registry
    from console.daemon.scheduler import Admission
    from console.daemon.watched import Look
    from console.jobs.spec import Spec
    from console.protocol import Goal

TICK_S: Final = 0.25
"""Between rounds while a run lives."""
WAITING_TICK_S: Final = 1.0
"""Between rounds when runs wait and none lives: for a device that somebody else has, or for a time to come."""
IDLE_TICK_S: Final = 30.0
"""Between rounds when there are none; commands and the end of the daemon wake the thread."""
COMMANDS_MAX: Final = 1000
PARAMS_AT_ONCE: Final = 100
"""Runs whose params are brought in by one round."""
CHECKPOINT_AFTER: Final = "64MB"
"""Of the WAL, as `database.connect` sets it."""

Result = TypeVar("Result")


class Keeper:
    """Owns the write side of the store. Start with `start`, end with `close`; `call` from any thread."""

    def __init__(self, home: str, opened: database.Database, changes: Changes, registry: Registry) -> None:
        self.home = home
        self.notice = ""
        """One sentence when the last round failed, for the header of every client."""
        self.live_count = 0
        self.waiting_count = 0
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
        self.scheduler = Scheduler(home, lambda: self._cursor, report, registry.ask_trust)
        self._begun = Begun(home, self.scheduler)
        self._enqueuer = Enqueuer(home, self.record, self.data_life, lambda: self._index, registry.around)
        self.commands = RunCommands(
            home,
            self.record,
            self._enqueuer,
            self.scheduler,
            self.captures,
            self._watched,
            self._begun,
            lambda: self._cursor,
            self._move_queue_on,
        )
        self.imports_taken = ImportsTaken(home, lambda: self._cursor, lambda: self._index, self.data_life, changes)
        self.data_life.forget_import = self.imports_taken.forget
        self._queue_has_more = False
        """There is more to do for the queue at once."""
        self._owed: dict[str, dict[str, Any]] = {}
        """What the index should say of runs that wait, or that ended without starting."""
        self._neighbours = foreign.Neighbours(home)
        try:
            self.data_life.settle(lambda: self._ending)
        except (OSError, database.Error) as error:
            report(f"what was begun with deleted and archived runs cannot be finished yet: {error}")
        self._adopt_run_dirs()
        for import_id in import_journal.import_ids(home):
            try:
                self.imports_taken.catch_up(import_id)
            except (OSError, database.Error, ValueError, KeyError, TypeError) as error:
                report(f"the import {import_id} cannot be brought into the index yet: {error}")
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
        self.imports_taken.close()
        self._cursor.close()

    def call(self, command: Callable[[], Result]) -> Future[Result]:
        """Have the thread run `command` between two rounds. Raises queue.Full when too many wait."""
        future = asking.ask(self._commands, command)
        self._wake.set()
        return future

    def record(self, actor: str, action: str, **details: Any) -> None:
        """Write a command into the audit trail, before it is carried out. Raises OSError."""
        self._journal.append(actor, action, **details)

    def settle_metric(self, project: str, key: str | None, goal: Goal | None) -> None:
        """The manifest of a project names this primary metric, or none. Raises duckdb.Error."""
        metric_pins.set_by_manifest(self._cursor, project, key, goal, time.time())
        self._changes.tell(["runs"])

    def _settle_by_hand(self) -> None:
        self._index.settle_by_hand()

    def _forget(self, run_id: str, no: int) -> None:
        self._index.forget(run_id, no)

    def _move_queue_on(self) -> None:
        self._owed.update(self._look_at_queue())
        self._changes.tell(["runs"])

    def _look_at_queue(self) -> dict[str, dict[str, Any]]:
        """Start what may start and end what never will; returns what the index should say."""
        for each in self._begun.take_claimed():
            run_dir = paths.run_dir(self.home, each.id)
            self._watched[each.id] = WatchedRun(each, run_dir, "queued", captures=self.captures)
        found = self.scheduler.round()
        self._queue_has_more = found.more
        for admission in found.starts:
            self._start(admission)
        for each in found.over:
            launch.delete_environment(paths.run_dir(self.home, each.id))
            self._index.forget(each.id, each.no)
            if each.options.isolate:
                self.captures.ask(paths.run_dir(self.home, each.id), "forget-copy", copies=True)
        return found.columns

    def _start(self, admission: Admission) -> None:
        found, attempt = admission.spec, admission.attempt
        run_dir = paths.run_dir(self.home, found.id)
        watched = WatchedRun(found, run_dir, "queued", captures=self.captures, leases=admission.leases)
        self._watched[found.id] = watched
        try:
            watched.begin(attempt)
        except OSError as error:
            # The next rounds try again, and say so when it stays like that.
            report(f"no supervisor for r{found.no} yet: {error}")

    def _adopt_run_dirs(self) -> None:
        """Watch every run that the index does not know as ended; index the directories that it does not know."""
        rows = self._cursor.execute("select id, state from run where tracker = ''").fetchall()
        states: dict[str, str] = dict(rows)
        states |= left_unread(self.home, states, lambda run_id: self._index.cursor_of(run_id).offset_bytes)
        found = take_up(self.home, states, self.captures, report, shared=self._neighbours.shared)
        self._watched.update(found.watched)
        found.leave_out(self._enqueuer.take_back_unfinished([each for each, _ in found.waiting]))
        if found.unknown:
            self._index.add_runs([launch.columns_of_spec(each) for each in found.unknown])
            self.people.expect(each.id for each in found.unknown)
            unknown = [paths.run_dir(self.home, each.id) for each in found.unknown]
            self._params_due += filter(may_be_alive, unknown)
        for run_id, watched in self._watched.items():
            if not isinstance(watched, foreign.ForeignRun) and may_be_alive(paths.run_dir(self.home, run_id)):
                self.scheduler.started(watched.spec)
        fill_queue(self.home, found, self.scheduler, states)
        self._begun.expect(found.waiting)
        self.catching_up.expect(self._watched)
        if len(found.unknown) > AT_ONCE:
            ended = {*found.packed, *(each.id for each in found.unknown)} & self._watched.keys()
            ended -= {run_id for run_id in ended if may_be_alive(paths.run_dir(self.home, run_id))} - {*found.packed}
            self.catching_up.postpone((run_id, self._watched.pop(run_id)) for run_id in sorted(ended))
        for run_id, state in states.items():
            if state not in ENDED_STATES and run_id not in self._watched and run_id not in self.scheduler:
                columns = {"state": "failed", "cause": "its run directory is gone", "ended_at_s": time.time()}
                self._index.commit([], {run_id: columns})
        self.captures.sweep({*self._watched, *(each.id for each, _ in found.waiting)})

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
                    self._wake.wait(self._tick_s)
            self._wake.clear()
            self._carry_out_commands()

    @property
    def _tick_s(self) -> float:
        if self._watched or self.captures.busy or self._params_due:
            return TICK_S
        return WAITING_TICK_S if len(self.scheduler) else IDLE_TICK_S

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
        self._owed.update(self._look_at_queue())
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
        updates = self._owed | {run_id: look.columns for run_id, look in looks.items() if look.columns}
        put_literals(self._cursor, {run_id: look.literals for run_id, look in looks.items() if look.literals})
        if batches or updates:
            self._index.commit(batches, updates)
        # Not before: a store that is paused must not look sound for as long as it tries.
        self._set_notice(problem)
        told = {f"run:{run_id}" for run_id in self._owed}
        self._owed = {}
        for run_id, look in looks.items():
            if look.columns:
                self._watched[run_id].state = look.columns["state"]
            if look.next_attempt:
                watched = self._watched.pop(run_id)
                watched.retire()
                self.scheduler.requeue(watched.spec, look.next_attempt, look.columns["cause"])
        for run_id in [run_id for run_id, look in looks.items() if look.over]:
            watched = self._watched.pop(run_id)
            self.scheduler.ended(watched.spec, looks[run_id].columns)
            self._index.forget(run_id, watched.spec.no)
            self._to_roll_up.append(watched.spec.no)
            watched.leave()
        for run_id, look in looks.items():
            self.catching_up.saw(run_id, look)
        self.live_count = sum(not isinstance(each, foreign.ForeignRun) for each in self._watched.values())
        self.waiting_count = len(self.scheduler)
        told |= {f"run:{run_id}" for run_id, look in looks.items() if look.changed}
        self._changes.tell(told | ({"runs"} if batches or updates else set()))
        more = self._queue_has_more or any(look.more for look in looks.values())
        return bool(postponed) or self.catching_up.waits or more

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
