"""Everything that triage shows, gathered from the index, the queue, the projects, the imports and the disk."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from console import daemon_process
from console.daemon import needs, queue_view, translate
from console.daemon.disk_watch import DiskWatch
from console.daemon.live_progress import LiveProgress
from console.protocol import encode_number
from console.triage import Gap
from store.queries import triage
from store.queries.durations import typical_durations

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from console.daemon.imports import Imports
    from console.daemon.keeper import Keeper
    from console.daemon.presence import Onlookers
    from console.daemon.projects import Projects
    from console.daemon.upkeep import Upkeep
    from console.triage import Need
    from store import database
    from store.database import Cursor
    from store.queries.run_table import RunEntry
    from store.queries.triage import Best, Course, Place

WRONG_WINDOW_S: Final = 7 * 86_400.0
"""A run that failed longer ago wants nobody any more."""
WRONG_MAX: Final = 200
LIVE_MAX: Final = 100
WAITING_MAX: Final = 200
ENDED_MAX: Final = 100
SLOW_FACTS_S: Final = 5.0
"""What all runs of a project come to is worked out no more often than this."""
COUNT_S: Final = 1.0
COUNTED_MAX: Final = 100


class SlowFacts(NamedTuple):
    """What changes only when runs end."""

    at_s: float
    projects: frozenset[str]
    durations: dict[tuple[str, str], float]
    best: dict[str, list[Best]]


class TriageView:
    """For any thread."""

    def __init__(
        self,
        home: str,
        opened: database.Database,
        keeper: Keeper,
        projects: Projects,
        imports: Imports,
        upkeep: Upkeep,
        onlookers: Onlookers,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._home = home
        self._database = opened
        self._keeper = keeper
        self._projects = projects
        self._imports = imports
        self._upkeep = upkeep
        self._onlookers = onlookers
        self._monotonic = monotonic
        self._disk = DiskWatch(home)
        self._progress = LiveProgress(home)
        self._lock = threading.Lock()
        self._slow: SlowFacts | None = None
        self._counts: dict[str, tuple[float, int]] = {}

    def forget(self) -> None:
        """Something was marked or changed: count anew."""
        with self._lock:
            self._counts.clear()

    def need_count(self, actor: str) -> int:
        """How many things want `actor`; at most a second old. Raises OSError, duckdb.Error."""
        now_s = self._monotonic()
        with self._lock:
            known = self._counts.get(actor)
        if known is not None and now_s - known[0] < COUNT_S:
            return known[1]
        with self._database.reading() as cursor:
            live = triage.live(cursor, LIVE_MAX)[1]
            queue = queue_view.view(self._keeper.scheduler, {}, WAITING_MAX)
            wrong = triage.went_wrong(cursor, time.time() - WRONG_WINDOW_S, WRONG_MAX)
            count = len(self._needs(actor, live, wrong, queue))
        with self._lock:
            if len(self._counts) >= COUNTED_MAX:
                self._counts.clear()
            self._counts[actor] = (now_s, count)
        return count

    def view(self, actor: str) -> dict[str, Any]:
        """All of it as JSON. Raises OSError, duckdb.Error."""
        now_s = time.time()
        since_s, away_s = self._onlookers.absence(actor, now_s)
        with self._database.reading() as cursor:
            live_count, live = triage.live(cursor, LIVE_MAX)
            ended_count, ended = triage.ended_since(cursor, since_s, ENDED_MAX)
            slow = self._slow_facts(cursor, {entry.project for entry in (*live, *ended)})
            queue = queue_view.view(self._keeper.scheduler, slow.durations, WAITING_MAX)
            wrong = triage.went_wrong(cursor, time.time() - WRONG_WINDOW_S, WRONG_MAX)
            wanted = self._needs(actor, live, wrong, queue)
            live_rows = self._live_rows(cursor, live, slow, now_s)
            run_count = (cursor.execute("select count(*) from run").fetchone() or (0,))[0]
        shown = {entry.project for entry in live}
        named = {need.run_id for need in wanted}
        rows = {entry.id: translate.row(entry) for entry in (*wrong, *live) if entry.id in named}
        return {
            "now_s": now_s,
            "run_count": run_count,
            "needs": [need._asdict() | {"row": rows.get(need.run_id)} for need in wanted],
            "need_count": len(wanted),
            "live": live_rows,
            "live_count": live_count,
            "best": [best_row(each[0]) for project, each in sorted(slow.best.items()) if project in shown],
            "waiting": [waiting_row(each) for each in queue["entries"]],
            "waiting_count": queue["waiting_count"],
            "all_done_s": all_done_s(queue["entries"], slow.durations, queue["waiting_count"]),
            "ended": [{"row": translate.row(entry), "gap": gap_row(final_gap(entry, slow.best))} for entry in ended],
            "ended_count": ended_count,
            "absence": {"since_s": since_s, "away_s": away_s},
        }

    def _slow_facts(self, cursor: Cursor, projects: set[str]) -> SlowFacts:
        now_s = self._monotonic()
        with self._lock:
            known = self._slow
        if known is not None and now_s - known.at_s < SLOW_FACTS_S and projects <= known.projects:
            return known
        best = triage.best_runs(cursor, projects) if projects else {}
        found = SlowFacts(now_s, frozenset(projects), typical_durations(cursor), best)
        with self._lock:
            self._slow = found
        return found

    def _needs(
        self, actor: str, live: Sequence[RunEntry], wrong: Sequence[RunEntry], queue: Mapping[str, Any]
    ) -> list[Need]:
        failing = daemon_process.notes(self._home)["failing"]
        died = f"the daemon died again and again: {failing.get('last_words', '')}" if failing else ""
        keeper = self._keeper
        found = [
            *needs.of_notices([keeper.notice, died], [keeper.catching_up.notice, self._upkeep.notice]),
            *needs.of_disk(self._disk.look(self._monotonic())),
            *needs.of_runs(wrong),
            *needs.of_live(live),
            *needs.of_queue(queue),
            *needs.of_projects(self._projects.rows()),
            *needs.of_imports(self._imports.rows()),
        ]
        return needs.ranked(found, self._onlookers.seen(actor))

    def _live_rows(
        self, cursor: Cursor, live: Sequence[RunEntry], slow: SlowFacts, now_s: float
    ) -> list[dict[str, Any]]:
        places = triage.places_of(cursor, [entry.no for entry in live])
        courses = triage.courses(cursor, [place for place, _ in places.values()])
        wanted = [(rival.no, place.key_id, step) for entry, place, step, rival in self._pairs(live, places, slow)]
        reached = triage.reached(cursor, wanted)
        rows = []
        for entry in live:
            known = self._progress.look(entry, now_s, slow.durations.get((entry.project, entry.name)))
            course: Course | None = courses.get(entry.no)
            gap, reason = live_gap(entry, places.get(entry.no), slow.best, reached)
            rows.append(
                {
                    "row": translate.row(entry),
                    "progress": known.progress._asdict() if known.progress is not None else None,
                    "progress_reason": known.reason,
                    "rate_per_s": course.rate_per_s if course is not None else None,
                    "left_s": known.left.seconds,
                    "left_method": known.left.method,
                    "curve": list(course.bins) if course is not None else [],
                    "gap": gap_row(gap),
                    "gap_reason": reason,
                    "devices": list(self._keeper.scheduler.devices.of.get(entry.id, ())),
                }
            )
        return rows

    @staticmethod
    def _pairs(
        live: Sequence[RunEntry], places: Mapping[int, tuple[Place, int]], slow: SlowFacts
    ) -> list[tuple[RunEntry, Place, int, Best]]:
        return [
            (entry, place, step, rival)
            for entry in live
            if entry.no in places
            for place, step in [places[entry.no]]
            for rival in [rival_of(entry, slow.best)]
            if rival is not None and not (entry.metric and entry.metric.folds)
        ]


def rival_of(entry: RunEntry, best: Mapping[str, Sequence[Best]]) -> Best | None:
    """The best other run of the project by the same metric."""
    if entry.metric is None:
        return None
    return next(
        (each for each in best.get(entry.project, ()) if each.no != entry.no and each.key == entry.metric.key), None
    )


def own_best(entry: RunEntry) -> float | None:
    """The best finite value of the primary metric; the mean of its folds' bests where there are folds."""
    if entry.metric is None:
        return None
    found = entry.metric.maximum if maximized(entry) else entry.metric.minimum
    if entry.metric.folds:
        bests = [each.maximum if maximized(entry) else each.minimum for each in entry.metric.folds]
        finite = [each for each in bests if each is not None]
        found = sum(finite) / len(finite) if finite else None
    return found


def maximized(entry: RunEntry) -> bool:
    """More is better."""
    return entry.primary_goal == "maximize"


def live_gap(
    entry: RunEntry,
    placed: tuple[Place, int] | None,
    best: Mapping[str, Sequence[Best]],
    reached: Mapping[tuple[int, int, int], tuple[float, float]],
) -> tuple[Gap | None, str]:
    """How far a live run is from the best ended one up to the same step, or why that cannot be told."""
    mine, rival = own_best(entry), rival_of(entry, best)
    if entry.metric is None or placed is None:
        return None, "n/a: no metric yet"
    if mine is None:
        return None, f"n/a: {entry.metric.key} has no finite value yet"
    if rival is None:
        return None, f"n/a: no ended run of {entry.project} has {entry.metric.key}"
    if entry.metric.folds:
        return None, "n/a: folds are at no common step"
    place, step = placed
    values = reached.get((rival.no, place.key_id, step))
    if values is None:
        return None, f"n/a: r{rival.no}, the best, has no point up to step {step}"
    return gap_of(mine, values[1] if maximized(entry) else values[0], rival.no, step, maximize=maximized(entry)), ""


def final_gap(entry: RunEntry, best: Mapping[str, Sequence[Best]]) -> Gap | None:
    """How far an ended run is from the best other one of its project."""
    mine, rival = own_best(entry), rival_of(entry, best)
    if mine is None or rival is None:
        return None
    return gap_of(mine, rival.value, rival.no, None, maximize=maximized(entry))


def gap_of(mine: float, theirs: float, no: int, step: int | None, *, maximize: bool) -> Gap:
    """The difference and what it means."""
    value = mine - theirs
    return Gap(value, None if value == 0 else (value > 0) == maximize, no, step)


def gap_row(gap: Gap | None) -> dict[str, Any] | None:
    """A gap as JSON."""
    return gap._asdict() | {"value": encode_number(gap.value)} if gap is not None else None


def best_row(best: Best) -> dict[str, Any]:
    """The best run of a project as JSON."""
    return {"project": best.project, "key": best.key, "goal": best.goal, "no": best.no, "value": best.value}


def waiting_row(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A waiting run as JSON."""
    names = ("id", "no", "name", "project", "state", "reason", "params", "expected_start_s")
    return {name: entry[name] for name in names}


def all_done_s(
    entries: Sequence[Mapping[str, Any]], durations: Mapping[tuple[str, str], float], waiting_count: int
) -> float | None:
    """When the last waiting run has ended, if that can be told of all of them."""
    ends = []
    for entry in entries:
        typical_s = durations.get((entry["project"], entry["name"]))
        if entry["expected_start_s"] is None or typical_s is None:
            return None
        ends.append(entry["expected_start_s"] + typical_s)
    return max(ends) if ends and len(ends) == waiting_count else None
