"""What a daemon that starts finds in the run directories: runs to look after, and runs that wait."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from console.daemon import foreign, launch
from console.daemon.packed_run import packed_runs
from console.jobs import reconcile, spec
from console.json_files import read_object
from console.protocol import ENDED_STATES
from store import paths

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping

    from console.daemon.captures import Captures
    from console.daemon.scheduler import Scheduler
    from console.daemon.watched import WatchedRun
    from console.jobs.spec import Spec


@dataclass(slots=True)
class TakenUp:
    """Every run that the index does not know as ended."""

    watched: dict[str, WatchedRun] = field(default_factory=dict)
    """Runs that have started, or whose end the index lacks."""
    waiting: list[tuple[Spec, int]] = field(default_factory=list)
    """Runs that have not, with the attempt that is due."""
    unknown: list[Spec] = field(default_factory=list)
    """Those that the index does not know at all."""
    packed: list[str] = field(default_factory=list)
    """Ids of archived ones among them."""

    def leave_out(self, run_ids: Container[str]) -> None:
        """Runs that wait and are no longer there."""
        self.waiting = [each for each in self.waiting if each[0].id not in run_ids]
        self.unknown = [each for each in self.unknown if each.id not in run_ids]


def take_up(
    home: str, states: Mapping[str, str], captures: Captures, report: Callable[[str], None], *, shared: bool
) -> TakenUp:
    """Read the run directories; `states` is what the index says, `shared` whether other hosts use this home too."""
    found = TakenUp()
    for name in sorted(os.listdir(paths.runs_dir(home))):
        if name.startswith(".") or states.get(name) in ENDED_STATES:
            continue
        run_dir = paths.run_dir(home, name)
        try:
            each = spec.read_spec(run_dir)
        except (OSError, ValueError) as error:
            report(f"passed over the run directory {run_dir}: {error}")
            continue
        if name not in states:
            found.unknown.append(each)
        attempt = reconcile.current_attempt(run_dir)
        if not foreign.is_foreign(each, shared=shared) and reconcile.is_waiting(run_dir, each, attempt):
            found.waiting.append((each, attempt))
        else:
            state = states.get(name, "queued")
            found.watched[name] = foreign.watch(each, run_dir, state, shared=shared, captures=captures)
    packed = packed_runs(home, states, report)
    found.unknown += [run.spec for run in packed if run.spec.id not in states]
    found.watched.update((run.spec.id, run) for run in packed)
    found.packed = [run.spec.id for run in packed]
    return found


def fill_queue(home: str, found: TakenUp, scheduler: Scheduler, states: Mapping[str, str]) -> None:
    """Give the runs that wait their places; what is indexed meanwhile counts as not ended."""
    known = {each.id: "queued" for each in found.unknown} | dict(states)
    scheduler.add([each for each, attempt in found.waiting if attempt == 1], states=known)
    for each, attempt in found.waiting:
        if attempt > 1:
            before = read_object(reconcile.setaside_path(paths.run_dir(home, each.id), attempt - 1)) or {}
            scheduler.add([each], attempt=attempt, note=launch.attempt_words(each, attempt, before), states=known)
    scheduler.retell(each.id for each, _ in found.waiting)
    scheduler.forget_places()
