"""Runs of foreign trackers: which folders are read, by which processes, and what becomes of what they say."""

from __future__ import annotations

import contextlib
import os
import queue
import select
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from ulid import ULID

from console.daemon import asking, import_state, import_taking
from console.daemon.import_reader import ReaderProcess
from console.daemon.import_state import Import, identity_of, load_imports, project_of, row_of, write_import
from console.daemon.launch import readable
from store import database, import_journal

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from console.daemon.changes import Changes
    from console.daemon.keeper import Keeper
    from console.daemon.registry import Registry
    from store.import_journal import Facts, Points

Result = TypeVar("Result")
READERS_MAX: Final = 4
"""Processes at once; further imports wait for their turn."""
TICK_S: Final = 0.25
BATCH_RUNS: Final = 1000
FIRST_RUNS: Final = 100
"""The first rows of an import do not wait for so many."""
COMMIT_AFTER_S: Final = 0.5
"""What a look finds waits no longer than that, when the look takes longer."""
SHOW_EVERY_S: Final = 0.1
"""How often it is told how far imports are, while they read on."""
TIME_EVERY_S: Final = 15.0
"""How often runs are looked for that have become stale."""
REST_AFTER_S: Final = 30.0
"""An import whose runs are all over is read no more after that."""
WATCHED_REST_S: Final = 600.0
"""The same in a watched folder, which is looked at again from time to time."""
LOOK_AGAIN_S: Final = 600.0
TOUCHED_AGAIN_S: Final = 10.0
"""A watched folder in which something changes is looked at again after that."""
OURSELVES: Final = "footplate"
OWN_EVERY_S: Final = 2.0
TOO_LARGE: Final = frozenset({"/", "/tmp", "/home", "/root"})
"""Where everybody's files lie: a run that works there is known by its log and its metrics file."""
DEATHS_MAX: Final = 3
COMMANDS_MAX: Final = 1000


class Imports:
    """Owns a thread; what other threads may call says so."""

    def __init__(
        self,
        home: str,
        registry: Registry,
        keeper: Keeper,
        changes: Changes,
        report: Callable[[str], None],
    ) -> None:
        self.home = home
        self._registry = registry
        self._keeper = keeper
        self._taken = keeper.imports_taken
        self._taken.tell_forgotten = self._hear_forgotten
        self._changes = changes
        self._report = report
        self._imports: dict[str, Import] = {}
        self._owner: dict[tuple[str, str], str] = {}
        """Which import has a run that is the same wherever it lies, by tracker and key."""
        self._inbox: queue.Queue[Callable[[], None]] = queue.Queue(COMMANDS_MAX)
        self._wakers = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._ending = False
        self._time_s = self._own_s = self._shown_s = 0.0
        self._own_alive = False
        """Runs of ours were alive at the last look: what they wrote last is to be read."""
        self._rows: tuple[dict[str, Any], ...] = ()
        self._thread = threading.Thread(target=self._run, name="imports")

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def close(self) -> None:
        """End the thread and its processes."""
        self._ending = True
        self._wake()
        self._thread.join(timeout=10.0)

    @property
    def needed(self) -> bool:
        """Whether runs are followed, so that the daemon must stay; for any thread."""
        return any(row["reading"] for row in self._rows)

    def rows(self) -> tuple[dict[str, Any], ...]:
        """Every import as JSON; for any thread."""
        return self._rows

    def call(self, command: Callable[[], Result]) -> Future[Result]:
        """Have the thread run `command`; from any thread. Raises queue.Full."""
        future = asking.ask(self._inbox, command)
        self._wake()
        return future

    def read_watched(self, root: str, by: str) -> None:
        """A folder is watched, or something in it has changed; from any thread. What is too much is left out."""
        with contextlib.suppress(queue.Full):
            self.call(lambda: self._look_at_watched(root, by))

    def _look_at_watched(self, root: str, by: str) -> None:
        found = next((each for each in self._imports.values() if each.root == root), None)
        if found is None or not found.watched:
            self.add(root, by, watched=True)
        elif found.process is None and not found.cancelled:
            found.wanted, found.again_s = True, max(time.monotonic(), found.rested_s + TOUCHED_AGAIN_S)

    def leave_watched(self, root: str) -> None:
        """A folder is watched no more; from any thread. Raises queue.Full."""
        self.call(lambda: self.release(root))

    def _hear_forgotten(self, run_id: str) -> None:
        self.call(lambda: self.forget(run_id))

    def add(self, root: str, by: str, *, watched: bool = False) -> str:
        """Read a folder or file, now; returns the id of the import. Raises OSError."""
        found = next((each for each in self._imports.values() if each.root == root), None)
        if found is None:
            found = Import(str(ULID()), root, by, time.time(), watched, by == OURSELVES)
            write_import(self.home, found)
            self._imports[found.id] = found
        elif (watched and not found.watched) or (found.only_own and by != OURSELVES):
            if found.only_own and by != OURSELVES:
                self._rest(found)  # the next reader says again what was not taken in
            found.watched, found.only_own = found.watched or watched, found.only_own and by == OURSELVES
            write_import(self.home, found)
        found.ask_for_look()
        self._show()
        return found.id

    def cancel(self, import_id: str) -> None:
        """Leave off reading; what was read stays."""
        found = self._imports[import_id]
        found.cancelled, found.wanted = True, False
        self._rest(found)
        self._commit(found)
        self._show()

    def release(self, root: str) -> None:
        """A folder is watched no more: its runs stay, and an import without any goes."""
        for found in [each for each in self._imports.values() if each.root == root and each.watched]:
            found.watched, found.wanted = False, False
            self._rest(found)
            if found.is_empty:
                import_state.remove_import(self.home, found)
                del self._imports[found.id]
            else:
                write_import(self.home, found)
        self._show()

    def follow(self, run_id: str) -> bool:
        """Take in the points of a run, now and as they come; whether that can be."""
        for found in self._imports.values():
            for (place, key), known in found.runs.items():
                if known.id == run_id:
                    found.runs[place, key] = known._replace(is_followed=True)
                    found.cancelled, found.again_s = False, 0.0
                    if found.process is not None:
                        found.process.ask({"follow": place, "key": key})
                    else:
                        found.wanted = True
                    return os.path.exists(place.partition(" ")[2])
        return False

    def forget(self, run_id: str) -> None:
        """A run was deleted here."""
        for found in self._imports.values():
            import_taking.forget(found, run_id)

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._wakers[1], b".")

    def _run(self) -> None:
        try:
            self._load()
            while not self._ending:
                try:
                    self._round()
                except (OSError, database.Error) as error:
                    self._report(f"imports: {str(error).splitlines()[0]}")
                    time.sleep(TICK_S)
        finally:
            self._leave()

    def _leave(self) -> None:
        for found in self._imports.values():
            if found.process is not None:
                found.process.end()
                found.process = None
            found.durable += found.unwritten.values()
            found.unwritten = {}
            try:
                self._commit(found)
            except (OSError, database.Error, queue.Full, TimeoutError) as error:
                self._report(f"imports: {found.root}: {error}")

    def _load(self) -> None:
        """What earlier daemons read, and what watched projects have."""
        for found in load_imports(self.home, self._report):
            memory = self._keeper.call(partial(self._taken.known, found.id)).result()
            known, found.forgotten, found.joined, found.twins = memory
            found.runs = {(each.place, each.key): each for each in known}
            for each in known:
                self._owner.setdefault(identity_of(each.tracker, each.key, each.source_path), found.id)
            found.wanted = found.watched or any(each.state == "running" for each in known)
            self._imports[found.id] = found
        self._show()

    def _look_at_own(self) -> None:
        """Read what trackers write where runs of ours are alive, and once more after they have ended."""
        now_s = time.monotonic()
        if now_s - self._own_s < OWN_EVERY_S or not (self._keeper.live_count or self._own_alive):
            return
        self._own_s, self._own_alive = now_s, self._keeper.live_count > 0
        for folder in self._keeper.call(self._taken.own_folders).result():
            if any(folder == each.root or folder.startswith(f"{each.root}/") for each in self._imports.values()):
                around = [each for each in self._imports.values() if f"{folder}/".startswith(f"{each.root}/")]
                for found in around:
                    if found.process is None and not found.cancelled:
                        found.wanted, found.again_s = True, 0.0
            elif folder not in TOO_LARGE and folder != os.path.expanduser("~"):
                self.add(folder, OURSELVES)

    def _round(self) -> None:
        self._look_at_own()
        self._start_readers()
        waits = any(each.process is not None and each.process.has_words for each in self._imports.values())
        self._listen(0.0 if waits or not self._inbox.empty() else TICK_S)
        while not self._inbox.empty():
            self._inbox.get_nowait()()
        for found in self._imports.values():
            for record in found.process.hear() if found.process is not None else ():
                self._take(found, record)
            count = len(found.durable) + len(found.passing)
            if not count:
                found.look_ended = False
            elif not found.waiting_since_s:
                found.waiting_since_s = time.monotonic()
            is_late = time.monotonic() - found.waiting_since_s > COMMIT_AFTER_S
            # What one look has found goes together: a commit costs more than the rows in it.
            enough = BATCH_RUNS if found.committed else FIRST_RUNS
            if count and (count >= enough or is_late or found.look_ended or found.process is None):
                self._commit(found, goes_on=True)
            if found.process is not None:
                found.process.push()
                if found.process.end_code is not None:
                    self._died(found)
        if time.monotonic() - self._time_s > TIME_EVERY_S:
            self._time_s = time.monotonic()
            for found in self._imports.values():
                import_taking.let_time_pass(found)
        # While more comes, counting thousands for every few of them would take a tenth of the time.
        if time.monotonic() - self._shown_s > SHOW_EVERY_S or not self._listen(0.0):
            self._show()

    def _listen(self, patience_s: float) -> bool:
        """Wait until readers speak, or there is something to do, and take off what they say; whether they did."""
        processes = [each.process for each in self._imports.values() if each.process is not None]
        by_descriptor = {each.descriptor: each for each in processes if each.listens}
        ready, _, _ = select.select([self._wakers[0], *by_descriptor], [], [], patience_s)
        if self._wakers[0] in ready:
            os.read(self._wakers[0], 4096)
        for descriptor in ready:
            if descriptor in by_descriptor:
                by_descriptor[descriptor].listen()
        return any(descriptor in by_descriptor for descriptor in ready)

    def _start_readers(self) -> None:
        now_s = time.monotonic()
        at_work = sum(each.process is not None for each in self._imports.values())
        # Those that somebody waits for first.
        for found in sorted(self._imports.values(), key=lambda each: each.only_own):
            if found.process is not None or found.cancelled or at_work >= READERS_MAX or now_s < found.again_s:
                continue
            if not (found.wanted or (found.watched and now_s >= found.rested_s + LOOK_AGAIN_S)):
                continue
            known: dict[str, dict[str, str]] = {}
            followed: dict[str, list[str]] = {}
            for (place, key), each in found.runs.items():
                known.setdefault(place, {})[key] = each.signature
                if each.is_followed:
                    followed.setdefault(place, []).append(key)
            for place, key in found.joined:
                followed.setdefault(place, []).append(key)
            first = {"known": known, "followed": followed, "look": found.look_no}
            found.process = ReaderProcess(found.root, first)
            found.changed_s = now_s
            found.project = project_of(found.root)
            at_work += 1
            # What its runs will need is loaded while it starts; a daemon that has run for a second has it.
            import polars  # noqa: F401

    def _rest(self, found: Import) -> None:
        """Stop reading for now."""
        if found.process is not None:
            found.process.end()
            found.process = None
        found.rested_s = time.monotonic()
        found.wanted = False

    def _died(self, found: Import) -> None:
        code = found.process.end_code if found.process is not None else 0
        if found.process is not None:
            found.process.end()
            found.process = None
        found.deaths += 1
        found.again_s = time.monotonic() + 2.0**found.deaths
        if found.deaths >= DEATHS_MAX:
            found.problems[found.root] = f"its reader has ended {found.deaths} times, last with {code}; see daemon.log"
            found.cancelled = True

    def _take(self, found: Import, record: dict[str, Any]) -> None:
        if "run" in record:
            try:
                points = import_journal.points_in(record["run"])
                said = import_journal.checked_facts(record["run"])
            except (TypeError, ValueError, KeyError, AttributeError) as error:
                found.problems[str(record.get("place"))] = f"its reader said something that is none: {error}"
                return
            found.changed_s = time.monotonic()
            self._take_run(found, str(record["place"]), said, points, is_odd="is_odd" in record)
        elif "places" in record:
            found.places, found.stopped = record["places"], record["stopped"]
            found.problems = {}
        elif "problem" in record:
            found.problems[record["place"]] = record["problem"]
        elif "looked" in record:
            found.looked = found.looked or record.get("asked") == found.look_no
            found.look_ended = True
            found.deaths = 0
            live = any(each.state == "running" for each in found.runs.values())
            # A folder without a tracker is looked at again when something in it changes.
            patience_s = (WATCHED_REST_S if found.places else 0.0) if found.watched else REST_AFTER_S
            if found.joined:
                patience_s = WATCHED_REST_S  # a run of ours may be at it, and say nothing for minutes
            if not live and time.monotonic() - found.changed_s > patience_s:
                self._commit(found)
                self._rest(found)

    def _take_run(self, found: Import, place: str, said: Facts, points: Points, *, is_odd: bool) -> None:
        """`is_odd`: it has texts that UTF-8 cannot carry."""
        key, path = said["key"], said["path"]
        at = (place, key)
        if at in found.forgotten or at in found.twins or (said["is_deleted"] and at not in found.runs):
            return
        owner = self._owner.setdefault(identity_of(said["tracker"], key, path), found.id)
        if owner != found.id and owner in self._imports:
            found.elsewhere[at] = self._imports[owner].root
            return
        project = readable(self._registry.name_of(path) or found.project)
        import_taking.take_run(found, place, said, points, project, is_odd=is_odd)

    def _commit(self, found: Import, *, goes_on: bool = False) -> None:
        """Have the keeper take in what waits. When it `goes_on`, more runs are made ready meanwhile."""
        durable, passing = found.durable, found.passing
        found.waiting_since_s, found.look_ended = 0.0, False
        if not durable and not passing:
            return
        found.durable, found.passing = [], []
        try:
            taking = self._keeper.call(lambda: self._taken.take(found.id, durable, passing, only_own=found.only_own))
            taking.add_done_callback(lambda _: self._wake())
            while not taking.done():
                self._listen(TICK_S)
                if goes_on and found.process is not None:
                    for record in found.process.hear(partial(import_taking.is_new, found)):
                        self._take(found, record)
            outcome = taking.result()
        except BaseException:
            found.durable, found.passing = durable + found.durable, passing + found.passing
            raise
        import_taking.settle(found, outcome)
        found.committed = True

    def _show(self) -> None:
        self._shown_s = time.monotonic()
        rows = tuple(row_of(each) for each in self._imports.values())
        if rows != self._rows:
            self._rows = rows
            self._changes.tell(["imports", "runs"])
