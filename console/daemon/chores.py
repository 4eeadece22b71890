"""Long work on the disk, each piece in a thread of its own: it says how far it is and leaves off when told to.

What changes the index or the names of directories is handed to the keeper in short steps; only reading, packing and
taking away what is nobody's any more happens here.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import re
import shutil
import threading
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

from console.daemon import budget
from console.daemon.data_life import CapturingError
from console.daemon.http import RefusedError
from console.daemon.leftovers import leftover_path, leftover_paths, remove_all
from console.daemon.references import run_named
from store import archive, blob_use, disk_use, holes, paths, recovery, removal
from store.state_names import ULID
from store.tarballs import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from console.daemon.data_life import Facts
    from console.daemon.keeper import Keeper
    from store.database import Database

QUARANTINE_AGE_S: Final = 7 * 86400.0
"""A damaged index that was replaced is looked at within a week, or not at all."""
LOOK_S: Final = 0.2
CLOCK_SLACK_S: Final = 2.0
"""File systems keep times coarser than the clock."""
Result = TypeVar("Result")
Json = dict[str, Any]


class Work:
    """What a piece of work and those who wait for it share."""

    def __init__(self, ending: Callable[[], bool]) -> None:
        self.progress = ""
        """One line for a person."""
        self.cancelled = False
        self._ending = ending

    def ending(self) -> bool:
        """Whether to leave off at the next safe point."""
        return self.cancelled or self._ending()

    def say(self, words: str) -> None:
        """How far it is."""
        self.progress = words


class Chores:
    """The pieces of work; each takes what the client sent and returns what it is told. Run in threads."""

    def __init__(self, home: str, opened: Database, keeper: Keeper) -> None:
        self.home = home
        self._database = opened
        self.keeper = keeper

    def find(self, reference: str) -> Facts:
        """A run by any of its names. Raises RefusedError."""
        with self._database.reading() as cursor:
            found = run_named(cursor, reference)
        return self.on_keeper(lambda: self.keeper.data_life.facts(found.id))

    def delete_run(self, work: Work, asked: Json) -> Json:
        """One run, for good."""
        found = self.find(str(asked.get("run")))
        with self.claimed(found, work, "deleted", unpinned=True):
            self._refuse_obstacle(found, "deleted")
            size = disk_use.measure_run(self.home, found.id).total
            if work.ending():
                raise removal.InterruptedRemoval
            self.on_keeper(lambda: self.keeper.data_life.withdraw(found.id, actor_in(asked)))
            work.say(f"removing the files of {found.words}")
            self._remove_leftovers_of(found, work)
        return {"run": found.id, "no": found.no, "name": found.name, "freed_bytes": size}

    def delete_project(self, project: str, actor: str) -> int:
        """All runs of a project; returns how many. Raises RefusedError, OSError, duckdb.Error."""
        gone = self.on_keeper(lambda: self.keeper.data_life.withdraw_project(project, actor))
        remove_all([path for path in leftover_paths(self.home) if run_id_in(path) in gone], removal.never)
        return len(gone)

    def pack_run(self, work: Work, asked: Json) -> Json:
        """Pack one run."""
        found = self.find(str(asked.get("run")))
        if found.archived_at_s is not None:
            raise RefusedError(409, f"{found.words} is archived already", f"`footplate archive --restore r{found.no}`")
        with self.claimed(found, work, "archived", unpinned=bool(asked.get("unpinned"))):
            self._refuse_obstacle(found, "archived")
            size = disk_use.measure_run(self.home, found.id).total
            packed = self._packed(found, work)
            try:
                self.on_keeper(lambda: self.keeper.data_life.archived(found.id, actor_in(asked), packed))
            finally:
                archive.discard(self.home, found.id)
            self._remove_leftovers_of(found, work)
        freed = size - disk_use.measure_run(self.home, found.id).total
        left_out = list(packed.left_out)
        return {"run": found.id, "no": found.no, "name": found.name, "freed_bytes": freed, "left_out": left_out}

    def unpack_run(self, work: Work, asked: Json) -> Json:
        """Unpack one run."""
        found = self.find(str(asked.get("run")))
        if found.archived_at_s is None:
            raise RefusedError(409, f"{found.words} is not archived")
        with self.claimed(found, work, "restored", unpinned=False):
            work.say(f"unpacking {found.words}")
            fresh = leftover_path(self.home, "new", found.id)
            try:
                removal.remove_tree(fresh)
                archive.unpack(self.home, found.id, fresh, work.ending)
            except ArchiveError as error:
                hint = "metrics and results of the run are still in the index"
                raise RefusedError(500, f"{found.words} cannot be restored: {error}", hint) from error
            self.on_keeper(lambda: self.keeper.data_life.restored(found.id, actor_in(asked)))
        taken = disk_use.measure_run(self.home, found.id).total
        return {"run": found.id, "no": found.no, "name": found.name, "taken_bytes": taken}

    def usage(self, work: Work, _: Json) -> Json:
        """What takes the disk, run by run."""
        use = self._measure(work)
        known = {run.id: run for run in self._all_runs()}
        runs = [
            {**found._asdict(), **use.runs[run_id].to_json()} for run_id, found in known.items() if run_id in use.runs
        ]
        strangers = [{"id": run_id, **found.to_json()} for run_id, found in use.runs.items() if run_id not in known]
        return {
            "home": self.home,
            "total_bytes": use.total,
            "free_bytes": use.free_bytes,
            "unreadable_count": use.unreadable_count,
            "runs": runs,
            "not_in_index": strangers,
            "shared": {f"{name}_bytes": size for name, size in sorted(use.shared.items())},
        }

    def finish_captures(self, work: Work, _: Json) -> Json:
        """Wait until no code is being captured: those workers outlive the daemon and would write on."""
        while self.keeper.captures.busy:
            work.say("waiting for the capture of code")
            if work.ending():
                raise removal.InterruptedRemoval
            time.sleep(LOOK_S)
        return {}

    def gc_plan(self, work: Work, asked: Json) -> Json:
        """What would be done to come within a budget."""
        limit = asked.get("budget_bytes")
        if not isinstance(limit, int) or limit < 0:
            raise RefusedError(400, "budget_bytes must be a number of bytes")
        use = self._measure(work)
        including = asked.get("including_metrics") is True
        plan = budget.make_plan(
            use,
            self._all_runs(),
            limit,
            self._expendable(),
            unused_blobs=sum(self._unused_blobs(work).values()),
            including_metrics=including,
        )
        return plan.to_json()

    def gc_step(self, work: Work, asked: Json) -> Json:
        """Do one step of a plan, if it may still be done."""
        kind, target = asked.get("kind"), str(asked.get("target"))
        before = disk_use.free_bytes(self.home)
        if kind == "leftovers":
            remove_all(leftover_paths(self.home), work.ending)
        elif kind == "expendable":
            if target not in self._expendable():
                raise RefusedError(409, f"{target} is not what it was any more")
            removal.remove_tree(os.path.join(paths.local_dir(self.home), target), work.ending)
        elif kind == "blobs":
            return self._remove_unused_blobs(work)
        elif kind == "log":
            return self._cut_log(target, work, asked)
        elif kind == "code":
            return self._drop_code(target, work, asked)
        elif kind == "archive":
            return self.pack_run(work, {**asked, "run": target, "unpinned": True})
        elif kind == "delete":
            return self.delete_run(work, {**asked, "run": target})
        else:
            raise RefusedError(400, f"no step {kind!r} is known")
        return {"freed_bytes": max(0, disk_use.free_bytes(self.home) - before)}

    def _cut_log(self, run_id: str, work: Work, asked: Json) -> Json:
        found = self.find(run_id)
        path = os.path.join(paths.run_dir(self.home, run_id), "output.log")
        with self.claimed(found, work, "cut", unpinned=True):
            self.on_keeper(lambda: self.keeper.data_life.record(actor_in(asked), "cut-log", found))
            freed = holes.cut_middle(path, budget.LOG_KEPT_BYTES, budget.LOG_KEPT_BYTES)
        return {"freed_bytes": freed}

    def _remove_unused_blobs(self, work: Work) -> Json:
        began_s = time.time() - CLOCK_SLACK_S
        found = self._unused_blobs(work)

        def remove() -> int:
            if self.keeper.captures.busy:
                raise RefusedError(409, "the code of a run is being captured at this moment", "try again")
            spared = blob_use.referenced_since(self.home, began_s)
            gone = {path: size for path, size in found.items() if os.path.basename(path) not in spared}
            for path in gone:
                os.unlink(path)
            return sum(gone.values())

        return {"freed_bytes": self.on_keeper(remove)}

    def _unused_blobs(self, work: Work) -> dict[str, int]:
        # On a home that several hosts share, another one may be capturing what refers to them.
        if paths.local_dirs(self.home):
            return {}
        work.say("looking for captured code that no run refers to")
        try:
            return blob_use.unused(self.home, work.ending)
        except ArchiveError as error:
            work.say(str(error))
            return {}

    def _drop_code(self, run_id: str, work: Work, asked: Json) -> Json:
        found = self.find(run_id)
        before = disk_use.measure_run(self.home, run_id).total
        with self.claimed(found, work, "cut", unpinned=True):
            self.on_keeper(lambda: self.keeper.data_life.record(actor_in(asked), "drop-code", found))
            with contextlib.suppress(FileNotFoundError):
                os.unlink(archive.code_path_of(self.home, run_id))
            folder = os.path.join(paths.run_dir(self.home, run_id), "code")
            for name in os.listdir(folder) if os.path.isdir(folder) and not os.path.islink(folder) else ():
                path = os.path.join(folder, name)
                if os.path.isdir(path) and not os.path.islink(path):
                    removal.remove_tree(path)
                elif not name.endswith(".json"):
                    os.unlink(path)
        return {"freed_bytes": before - disk_use.measure_run(self.home, run_id).total}

    def _packed(self, found: Facts, work: Work) -> archive.Packed:
        total = max(1, disk_use.measure_run(self.home, found.id).total)
        free = shutil.disk_usage(self.home).free

        def tell(count: int) -> None:
            work.say(f"packing {found.words}: {min(99, 100 * count // total)} %")

        try:
            return archive.pack(self.home, found.id, work.ending, tell)
        except ArchiveError as error:
            raise RefusedError(409, f"{found.words} is not archived: {error}", "nothing was changed") from error
        except OSError as error:
            words = f"{found.words} cannot be packed: {error}; {free} bytes are free"
            raise RefusedError(500, words, "nothing was changed") from error

    def _remove_leftovers_of(self, found: Facts, work: Work) -> None:
        """There is no way back any more: when nobody wants to wait for it, it goes on in the background."""
        mine = [path for path in leftover_paths(self.home) if run_id_in(path) == found.id and ".new-" not in path]
        remove_all(mine, work.ending)
        left = [path for path in mine if os.path.lexists(path)]
        if left and work.ending():
            rest = (left, lambda: self.keeper.ending)
            threading.Thread(target=remove_all, args=rest, name="leftovers", daemon=True).start()
        elif left:
            hint = (
                "the run is out of the index; remove what is left by hand, or leave it to the next start of the daemon"
            )
            raise RefusedError(500, f"{left[0]} cannot be removed, see daemon.log for the reason", hint)

    def _refuse_obstacle(self, found: Facts, doing: str) -> None:
        run_dir = paths.run_dir(self.home, found.id)
        obstacle = removal.obstacle(run_dir) if os.path.isdir(run_dir) else ""
        if obstacle:
            raise RefusedError(409, f"{found.words} cannot be {doing}: {obstacle}", "nothing was changed")

    def _measure(self, work: Work) -> disk_use.HomeUse:
        return disk_use.measure(self.home, work.ending, lambda count: work.say(f"{count:,} runs looked at"))

    def _all_runs(self) -> list[budget.RunFacts]:
        with self._database.reading() as cursor:
            rows = cursor.execute(
                "select id, no, name, project, state, pinned, ended_at_s, archived_at_s is not null "
                "from run where tracker = '' order by no"
            ).fetchall()
        return [budget.RunFacts(*row) for row in rows]

    def _expendable(self) -> dict[str, int]:
        """Old quarantines and caches, by name in the directory of the index, with their bytes."""
        parent = paths.local_dir(self.home)
        ages = dict.fromkeys(recovery.quarantines(self.home), QUARANTINE_AGE_S)
        now_s = time.time()
        old = [name for name, age_s in ages.items() if now_s - os.lstat(os.path.join(parent, name)).st_mtime > age_s]
        return {name: disk_use.size_of(os.path.join(parent, name)) for name in old}

    @contextlib.contextmanager
    def claimed(self, found: Facts, work: Work, doing: str, *, unpinned: bool) -> Iterator[None]:
        """Keep a run for one piece of work. Raises RefusedError when that may not be done."""
        life = self.keeper.data_life
        while True:
            try:
                self.on_keeper(lambda: life.claim(found.id, doing, unpinned=unpinned))
                break
            except CapturingError as error:
                work.say(str(error))
                if work.ending():
                    raise
                time.sleep(LOOK_S)
        try:
            yield
        finally:
            with contextlib.suppress(removal.InterruptedRemoval):
                self.on_keeper(lambda: life.release(found.id))

    def on_keeper(self, command: Callable[[], Result]) -> Result:
        """Have the keeper's thread do something; raises what that raises, InterruptedRemoval when it has ended."""
        future = self.keeper.call(command)
        while True:
            done, _ = concurrent.futures.wait([future], LOOK_S)
            if done:
                return future.result()
            if not self.keeper.alive:
                raise removal.InterruptedRemoval


def actor_in(asked: Json) -> str:
    """Who asks, as the client says."""
    actor = asked.get("actor")
    return actor[:100] if isinstance(actor, str) and actor else "unknown"


def run_id_in(path: str) -> str:
    """The run id in the name of a leftover."""
    match = re.search(ULID, os.path.basename(path))
    return match.group() if match else ""
