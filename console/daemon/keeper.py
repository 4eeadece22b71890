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
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from ulid import ULID

from console.daemon import launch
from console.daemon.command_journal import CommandJournal
from console.jobs import reconcile, spec
from console.protocol import ENDED_STATES
from store import database, derive, identity, paths
from store.ingest import Index, read_batch

if TYPE_CHECKING:
    from collections.abc import Callable
    from subprocess import Popen

    from console.daemon.changes import Changes
    from console.jobs.reconcile import Facts
    from console.jobs.spec import Request, Spec
    from store.ingest import Batch

TICK_S: Final = 0.25
"""Between rounds while a run lives."""
IDLE_TICK_S: Final = 30.0
"""Between rounds when none does; commands and the end of the daemon wake the thread."""
STARTING_TIMEOUT_S: Final = 30.0
"""How long a supervisor that was started may take to claim its attempt before another one is."""
RELAUNCH_AFTER_S: Final = 1.0
"""How long to wait after a supervisor ended without claiming its attempt."""
LAUNCHES_MAX: Final = 3
COMMANDS_MAX: Final = 1000

Result = TypeVar("Result")


@dataclass(slots=True)
class Watched:
    """A run that has not ended."""

    spec: Spec
    run_dir: str
    state: str
    derivation: derive.Derivation | None = None
    process: Popen[bytes] | None = None
    """Its supervisor, when we started it: ours to reap."""
    launched_at_s: float = 0.0
    """Monotonic time of the last start of a supervisor."""
    launch_count: int = 0
    stop_signalled: bool = False
    log_size_bytes: int = 0


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
        self._watched: dict[str, Watched] = {}
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
            if watched.derivation is not None:
                watched.derivation.close()
        self._journal.close()
        self._cursor.close()

    def call(self, command: Callable[[], Result]) -> Future[Result]:
        """Have the thread run `command` between two rounds. Raises queue.Full when too many wait."""
        future: Future[Result] = Future()

        def run() -> None:
            try:
                future.set_result(command())
            except BaseException as error:
                future.set_exception(error)

        self._commands.put_nowait(run)
        self._wake.set()
        return future

    def submit(self, request: Request, actor: str) -> Spec:
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
        )
        self._journal.append(actor, "run", run=new.id, argv=list(new.argv), working_dir=new.working_dir)
        run_dir = spec.write_run_dir(self.home, new, request)
        self._add([new])
        watched = self._watched[new.id] = Watched(new, run_dir, "queued")
        self._launch(watched)
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

    def remove_project(self, project: str, actor: str) -> int:
        """Delete the ended runs of a project with their directories; returns how many. Raises OSError, RuntimeError."""
        from store import records

        found = records.runs_in_project(self._database, project)
        alive = [f"r{record.no}" for record in found if record.id in self._watched]
        if alive:
            raise RuntimeError(f"{', '.join(alive)} still run; stop them first")
        self._journal.append(actor, "remove", project=project, runs=[record.id for record in found])
        for record in found:
            run_dir = paths.run_dir(self.home, record.id)
            if os.path.isdir(run_dir):
                # First out of the folder that is scanned: a half-deleted run must not come back.
                gone = os.path.join(paths.runs_dir(self.home), f".gone-{record.id}")
                os.rename(run_dir, gone)
                shutil.rmtree(gone)
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

    def _add(self, specs: list[Spec]) -> None:
        from store import records

        records.add_runs(self._database, [launch.columns_of_spec(new) for new in specs])

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
            self._watched[name] = Watched(found, run_dir, states.get(name, "queued"))
        if unknown:
            self._add(unknown)
        for run_id in states.keys() - ENDED_STATES:
            if states[run_id] not in ENDED_STATES and run_id not in self._watched:
                columns = {"state": "failed", "cause": "its run directory is gone", "ended_at_s": time.time()}
                self._index.commit([], {run_id: columns})

    def _run(self) -> None:
        while not self._ending:
            try:
                more = self._round()
                self._set_notice("")
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
        """One look at every run that has not ended; True when a file had more than one round takes."""
        more = False
        batches: list[Batch] = []
        updates: dict[str, dict[str, Any]] = {}
        told: set[str] = set()
        over: list[Watched] = []
        for run_id, watched in list(self._watched.items()):
            if watched.process is not None and watched.process.poll() is not None:
                watched.process = None
            facts = reconcile.gather(watched.run_dir)
            judgement = reconcile.judge(facts)
            if not os.path.isdir(watched.run_dir):
                updates[run_id] = {"state": "failed", "cause": "its run directory is gone", "ended_at_s": time.time()}
                over.append(watched)
                continue
            self._act(watched, facts, judgement)
            ended = judgement in ("ended", "lost", "reboot")
            behind = self._derive(watched, final=ended)
            batch = read_batch(run_id, watched.spec.no, watched.run_dir, self._index.cursor_of(run_id))
            if batch is not None:
                batches.append(batch)
                told.add(f"run:{run_id}")
            # The final state is told only when every point before it is in the index.
            drained = not behind and batch is None
            more = more or behind or (batch is not None and ended)
            size = launch.log_size(watched.run_dir)
            if size != watched.log_size_bytes:
                watched.log_size_bytes = size
                told.add(f"run:{run_id}")
            columns = launch.columns_of(facts, judgement, draining=ended and not drained)
            if columns.get("state", watched.state) != watched.state:
                updates[run_id] = columns
                if ended and drained:
                    over.append(watched)
        if batches or updates:
            self._index.commit(batches, updates)
        for run_id, columns in updates.items():
            self._watched[run_id].state = columns["state"]
        for watched in over:
            self._forget(watched)
        self.live_count = len(self._watched)
        told.update(f"run:{run_id}" for run_id in updates)
        if batches or updates:
            told.add("runs")
        self._changes.tell(told)
        return more

    def _act(self, watched: Watched, facts: Facts, judgement: reconcile.Judgement) -> None:
        """Start what nobody took, pass on a stop, record an end that nobody else can record."""
        stop = None if watched.stop_signalled else reconcile.read_object(f"{watched.run_dir}/stop.json")
        if judgement == "start":
            if stop is not None:
                cause = f"stopped by {stop.get('actor', 'unknown')} before it started"
                launch.record_loss(watched.run_dir, "stopped", cause)
            else:
                self._launch_again(watched)
        elif judgement in reconcile.STATES_AFTER_LOSS:
            state, cause = reconcile.STATES_AFTER_LOSS[judgement]
            launch.record_loss(watched.run_dir, state, cause)
        elif stop is not None:
            if judgement == "adopt" and facts.supervisor is not None:
                watched.stop_signalled = identity.send_signal(facts.supervisor, 15)
            elif judgement == "unattended" and facts.command is not None:
                launch.stop_unattended(facts.command, stop, watched.spec.grace_s)

    def _launch_again(self, watched: Watched) -> None:
        """Nobody has claimed the attempt: start a supervisor unless one is on its way; give up after a few."""
        waited_s = time.monotonic() - watched.launched_at_s
        if watched.launch_count and waited_s < (
            STARTING_TIMEOUT_S if watched.process is not None else RELAUNCH_AFTER_S
        ):
            return
        if watched.launch_count >= LAUNCHES_MAX:
            said = launch.last_line(f"{watched.run_dir}/supervisor.log")
            launch.record_loss(watched.run_dir, "failed", f"its supervisor could not start: {said}")
            return
        self._launch(watched)

    def _launch(self, watched: Watched) -> None:
        watched.launch_count += 1
        watched.launched_at_s = time.monotonic()
        watched.process = launch.start_supervisor(watched.run_dir)

    def _derive(self, watched: Watched, *, final: bool) -> bool:
        """Bring what the run wrote into its journal; True when there is more."""
        if watched.derivation is None:
            watched.derivation = derive.open_derivation(watched.spec.id, watched.run_dir)
        return derive.derive(watched.derivation, time.time_ns() // 1000, final=final)

    def _forget(self, watched: Watched) -> None:
        """A run has ended: let go of its files and its environment."""
        self._watched.pop(watched.spec.id, None)
        self._index.forget(watched.spec.id, watched.spec.no)
        if watched.derivation is not None:
            watched.derivation.close()
        if watched.process is not None and watched.process.poll() is None:
            launch.reap_later(watched.process)
        launch.delete_environment(watched.run_dir)

    def _set_notice(self, notice: str) -> None:
        if notice != self.notice:
            self.notice = notice
            self._changes.tell(["runs", *(f"run:{run_id}" for run_id in self._watched)])


def report(words: str) -> None:
    """One line to the daemon's log."""
    print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {words}", file=sys.stderr, flush=True)
