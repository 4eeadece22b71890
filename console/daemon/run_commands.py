"""What people and manifests ask of runs and of the queue: recorded in the audit trail, then carried out."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from console.daemon import adoption, launch
from console.daemon.http import RefusedError
from console.daemon.watched import WatchedRun
from console.jobs import reconcile, spec
from store import derive, identity, paths
from store.run_files import size_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, MutableMapping, Sequence

    from console.daemon.begun import Begun
    from console.daemon.captures import Captures
    from console.daemon.data_life import Record
    from console.daemon.enqueueing import Enqueuer
    from console.daemon.scheduler import Scheduler
    from console.jobs.options import Adopted
    from console.jobs.spec import Request, Spec
    from store.database import Cursor


class RunCommands:
    """Belongs to the keeper's thread. Commands raise OSError when they cannot be recorded, and then changed nothing."""

    def __init__(
        self,
        home: str,
        record: Record,
        enqueuer: Enqueuer,
        scheduler: Scheduler,
        captures: Captures,
        watched: MutableMapping[str, WatchedRun],
        begun: Begun,
        cursor: Callable[[], Cursor],
        look_at_queue: Callable[[], None],
    ) -> None:
        """`look_at_queue` starts what may start now."""
        self._home = home
        self._record = record
        self._enqueuer = enqueuer
        self._scheduler = scheduler
        self._captures = captures
        self._watched = watched
        self._begun = begun
        self._cursor = cursor
        self._look_at_queue = look_at_queue

    def submit(self, request: Request, actor: str, adopted: Adopted | None = None) -> Spec:
        """Make a run directory, record it, let it start. Raises OSError, duckdb.Error."""
        return self.submit_all([request], actor, "run" if adopted is None else "adopt", adopted)[0]

    def submit_all(
        self, requests: Sequence[Request], actor: str, action: str, adopted: Adopted | None = None, **details: Any
    ) -> list[Spec]:
        """Enqueue runs, all or none; those that need not wait start at once. Raises OSError, duckdb.Error."""
        states = self._states_of(after.run for each in requests for after in each.queueing.after)
        new = self._enqueuer.enqueue(requests, actor, action, adopted, **details)
        self._scheduler.add(new, states=states)
        # The runs of a sweep differ in their params only: what one of them runs on is what all of them run on.
        alike = [each for each in new if each.queueing.sweep and not each.options.isolate]
        self._captures.ask_all([paths.run_dir(self._home, each.id) for each in alike])
        for each in new:
            if each not in alike:
                run_dir = paths.run_dir(self._home, each.id)
                self._captures.ask(run_dir, "enqueue", copies=bool(each.options.isolate))
        self._look_at_queue()
        return new

    def adopt(self, pid: int, asked: dict[str, Any]) -> Spec:
        """Make a process that already runs a run. Raises AdoptionError, SpecError, OSError, duckdb.Error."""
        live = [watched.spec.adopted for watched in self._watched.values()]
        request, adopted = adoption.look_at(pid, asked, [each.process for each in live if each is not None])
        return self.submit(request, str(asked.get("actor", "unknown"))[:100], adopted)

    def stop(self, run_id: str, actor: str) -> bool:
        """Ask a run to end; False when it has ended already."""
        if run_id not in self._scheduler and run_id not in self._watched:
            return False
        self._record(actor, "stop", run=run_id)
        self._end(run_id, actor)
        return True

    def stop_sweep(self, label: str, actor: str) -> list[str]:
        """Ask every run of a sweep to end that has not; returns their ids."""
        waiting = self._scheduler.of_sweep(label)
        live = [run_id for run_id, each in self._watched.items() if each.spec.queueing.sweep == label]
        if not waiting and not live:
            return []
        self._record(actor, "stop", sweep=label, runs=[*waiting, *live])
        # Those that wait first, or they would start in the place of those that end.
        for run_id in [*waiting, *live]:
            self._end(run_id, actor)
        self._look_at_queue()
        return [*waiting, *live]

    def release(self, run_id: str, actor: str) -> bool:
        """Let a held run start; False when it is not held since a reboot."""
        if not self._scheduler.is_held(run_id):
            return False
        self._record(actor, "release", run=run_id)
        run_dir = paths.run_dir(self._home, run_id)
        attempt = reconcile.current_attempt(run_dir)
        note = {"format": spec.FORMAT, "actor": actor, "attempt": attempt, "boot_id": identity.boot_id()}
        paths.write_atomically(f"{run_dir}/release.json", json.dumps(note).encode())
        return self._scheduler.release(run_id)

    def pause(self, scope: str, actor: str, reason: str) -> None:
        """Start nothing more of a scope; what runs goes on."""
        self._record(actor, "pause", scope=scope, reason=reason)
        self._scheduler.pause(scope, actor, reason)

    def resume(self, scope: str, actor: str) -> bool:
        """Go on with a scope; False when it was not paused."""
        if scope not in self._scheduler.state.pauses:
            return False
        self._record(actor, "resume", scope=scope)
        found = self._scheduler.resume(scope)
        self._look_at_queue()
        return found

    def place(self, run_ids: Sequence[str], actor: str, *, priority: int | None, before: str | None) -> None:
        """Give waiting runs another place; those that do not wait any more are left as they are."""
        waiting = [run_id for run_id in run_ids if run_id in self._scheduler]
        if waiting:
            self._record(actor, "place", runs=waiting, priority=priority, before=before)
            self._scheduler.place(waiting, priority=priority, before=before)
            self._look_at_queue()

    def settle_limits(self, slots: int | None, devices: tuple[str, ...] | None, devices_dir: str, actor: str) -> None:
        """Another number of slots, other devices; None leaves one as it is."""
        named = {"slots": slots, "devices": devices, "devices_dir": devices_dir}
        self._record(actor, "limits", **{name: value for name, value in named.items() if value})
        self._scheduler.settle_limits(slots, devices, devices_dir)
        self._look_at_queue()

    def reparse(self, its_spec: Spec, fresh: str, old_bytes: int, pattern: str, actor: str) -> None:
        """Put the journal in the folder `fresh` in the place of that of an ended run, and have the index follow.

        Raises OSError, RefusedError.
        """
        run_dir = paths.run_dir(self._home, its_spec.id)
        path = derive.derived_path(run_dir)
        if its_spec.id in self._watched or size_bytes(path) != old_bytes:
            raise RefusedError(409, f"r{its_spec.no} was written to while its log was read", "try again")
        self._record(actor, "reparse", run=its_spec.id, no=its_spec.no, pattern=pattern)
        os.rename(derive.derived_path(fresh), path)
        self._watched[its_spec.id] = WatchedRun(its_spec, run_dir, "queued", captures=self._captures)
        paths.sync_dir(run_dir)

    def is_live(self, run_id: str) -> bool:
        """Whether a run is looked after: it has not ended, or is not in the index as a whole."""
        return run_id in self._watched

    def _end(self, run_id: str, actor: str) -> None:
        watched = self._watched.get(run_id)
        if watched is not None or run_id in self._begun:
            # Where it waits too: should a supervisor claim it this very moment, that one finds the note and ends it.
            launch.ask_to_end(watched.run_dir if watched is not None else paths.run_dir(self._home, run_id), actor)
        if watched is not None:
            watched.stop_signalled = False
        else:
            self._scheduler.stop(run_id, actor)

    def _states_of(self, run_ids: Iterable[str]) -> dict[str, str]:
        wanted = sorted(set(run_ids))
        if not wanted:
            return {}
        rows = self._cursor().execute("select id, state from run where id in (select unnest($ids))", {"ids": wanted})
        return dict(rows.fetchall())
