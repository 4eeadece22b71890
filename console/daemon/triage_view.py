"""Everything that triage shows, gathered from the index, the queue, the projects, the imports and the disk."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from console import daemon_process
from console.daemon import gaps, needs, queue_view, translate
from console.daemon.disk_watch import DiskWatch
from console.daemon.gaps import gap_row
from console.daemon.live_progress import LiveProgress
from console.daemon.paced import Paced
from store.queries import run_table, triage
from store.queries.durations import typical_durations

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from console.daemon.changes import Changes
    from console.daemon.imports import Imports
    from console.daemon.keeper import Keeper
    from console.daemon.presence import Onlookers
    from console.daemon.projects import Projects
    from console.daemon.upkeep import Upkeep
    from console.triage import Gap, Need
    from store import database
    from store.database import Cursor
    from store.queries.run_table import RunEntry
    from store.queries.triage import Best, Course

WRONG_WINDOW_S: Final = 7 * 86_400.0
"""A run that failed longer ago wants nobody any more."""
WRONG_MAX: Final = 1000
LIVE_MAX: Final = 100
WAITING_MAX: Final = 200
ENDED_MAX: Final = 100
VIEW: Final = "runs"
"""That clients wait for; whatever triage shows tells it."""
FRESH_S: Final = 0.5
"""Nothing is worked out anew more often than this."""
SLOW_FACTS_S: Final = 5.0
"""What all runs of a project come to changes only when one ends."""


class SlowFacts(NamedTuple):
    """What changes only when runs end."""

    durations: dict[tuple[str, str], float]
    best: dict[str, list[Best]]


class Stands(NamedTuple):
    """How a live run has come on."""

    course: Course | None
    gap: Gap | None
    gap_reason: str


class Wanting(NamedTuple):
    """What wants a person."""

    needs: list[Need]
    need_count: int
    rows: dict[str, RunEntry]
    """Runs that needs are about, by id."""


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
        changes: Changes,
    ) -> None:
        self._home = home
        self._database = opened
        self._keeper = keeper
        self._projects = projects
        self._imports = imports
        self._upkeep = upkeep
        self._onlookers = onlookers
        self._disk = DiskWatch(home)
        self._progress = LiveProgress(home)

        def version() -> int:
            return changes.position_of(VIEW)

        def tell_later(after_s: float) -> None:
            changes.tell_later(VIEW, after_s)

        self._slow: Paced[SlowFacts] = Paced(SLOW_FACTS_S, version, tell_later)
        self._stands: Paced[dict[int, Stands]] = Paced(FRESH_S, version, tell_later)
        self._queue: Paced[dict[str, Any]] = Paced(FRESH_S, version, tell_later)
        self._counts: Paced[int] = Paced(FRESH_S, version, tell_later)

    def forget(self) -> None:
        """A person did something: count anew."""
        self._counts.forget()

    def need_count(self, actor: str, cards: Sequence[Mapping[str, Any]]) -> int:
        """How many things want `actor`, with the GPUs `cards`; about a second old at most. OSError, duckdb.Error."""

        def count() -> int:
            with self._database.reading() as cursor:
                return self._wanting(cursor, actor, self._waiting({}), cards, with_runs=False).need_count

        return self._counts.get(count, actor)

    def view(self, actor: str, cards: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """All of it as JSON. Raises OSError, duckdb.Error."""
        now_s = time.time()
        since_s, away_s = self._onlookers.absence(actor, now_s)
        with self._database.reading() as cursor:
            live_count, live = triage.live(cursor, LIVE_MAX)
            ended_count, ended = triage.ended_since(cursor, since_s, ENDED_MAX)
            slow = self._slow_facts(cursor, [*live, *ended])
            queue = self._waiting(slow.durations)
            wanting = self._wanting(cursor, actor, queue, cards)
            stands = self._stands.get(lambda: stands_of(cursor, live, slow.best))
            run_count = (cursor.execute("select count(*) from run").fetchone() or (0,))[0]
        projects = {entry.project for entry in live}
        rows = {run_id: translate.row(entry) for run_id, entry in wanting.rows.items()}
        return {
            "now_s": now_s,
            "run_count": run_count,
            "needs": [need._asdict() | {"row": rows.get(need.run_id)} for need in wanting.needs],
            "need_count": wanting.need_count,
            "live": [self._live_row(entry, stands.get(entry.no), slow, now_s) for entry in live],
            "live_count": live_count,
            "best": [best_row(each[0]) for project, each in sorted(slow.best.items()) if project in projects],
            "waiting": [waiting_row(each) for each in queue["entries"]],
            "waiting_count": queue["waiting_count"],
            "all_done_s": all_done_s(queue["entries"], slow.durations, queue["waiting_count"]),
            "ended": [{"row": translate.row(each), "gap": gap_row(gaps.final_gap(each, slow.best))} for each in ended],
            "ended_count": ended_count,
            "absence": {"since_s": since_s, "away_s": away_s},
        }

    def _slow_facts(self, cursor: Cursor, runs: Sequence[RunEntry]) -> SlowFacts:
        projects = frozenset(entry.project for entry in runs)
        scheduler = self._keeper.scheduler
        with scheduler.lock:
            waiting = {scheduler.spec_of(each.id).name for each in scheduler.queue.in_order()[:WAITING_MAX]}
        names = waiting | {entry.name for entry in runs if entry.ended_at_s is None}

        def work_out() -> SlowFacts:
            best = triage.best_runs(cursor, projects) if projects else {}
            return SlowFacts(typical_durations(cursor, names), best)

        return self._slow.get(work_out, (projects, frozenset(names)))

    def _waiting(self, durations: Mapping[tuple[str, str], float]) -> dict[str, Any]:
        scheduler = self._keeper.scheduler
        return self._queue.get(lambda: queue_view.view(scheduler, durations, WAITING_MAX), bool(durations))

    def _wanting(
        self,
        cursor: Cursor,
        actor: str,
        queue: Mapping[str, Any],
        cards: Sequence[Mapping[str, Any]],
        *,
        with_runs: bool = True,
    ) -> Wanting:
        seen, retried = self._onlookers.seen(actor), self._onlookers.retried()
        wrong = [
            no
            for no, run_id, attempt, at_s in triage.went_wrong(cursor, time.time() - WRONG_WINDOW_S, WRONG_MAX)
            if needs.key_of_run(run_id, attempt) not in seen and retried.get(run_id, -1.0) < at_s
        ]
        failed = triage.entries(cursor, wrong[: needs.SHOWN_OF_A_KIND]) if with_runs else []
        diverging = triage.diverging(cursor, needs.SHOWN_OF_A_KIND)
        others = [
            *self._notices(),
            *needs.of_disk(self._disk.look(time.monotonic())),
            *needs.of_live(diverging),
            *needs.of_queue(queue),
            *needs.of_projects(self._projects.rows()),
            *needs.of_imports(self._imports.rows()),
            *needs.of_cards(cards),
        ]
        count = len(wrong) + len(needs.ranked(others, seen))
        found = needs.shown(needs.ranked([*others, *needs.of_runs(failed)], seen)) if with_runs else []
        known = {entry.id: entry for entry in (*failed, *diverging)}
        holding = [need.run_id for need in found if need.kind == "device" and need.run_id not in known]
        known |= {entry.id: entry for entry in run_table.runs_by_id(cursor, holding)} if any(holding) else {}
        return Wanting(found, count, known)

    def _notices(self) -> list[Need]:
        failing = daemon_process.notes(self._home)["failing"]
        died = f"the daemon died again and again: {failing.get('last_words', '')}" if failing else ""
        keeper = self._keeper
        return needs.of_notices([keeper.notice, died], [keeper.catching_up.notice, self._upkeep.notice])

    def _live_row(self, entry: RunEntry, stands: Stands | None, slow: SlowFacts, now_s: float) -> dict[str, Any]:
        known = self._progress.look(entry, now_s, slow.durations.get((entry.project, entry.name)))
        course = stands.course if stands is not None else None
        return {
            "row": translate.row(entry),
            "progress": known.progress._asdict() if known.progress is not None else None,
            "progress_reason": known.reason,
            "rate_per_s": course.rate_per_s if course is not None else None,
            "left_s": known.left.seconds,
            "left_method": known.left.method,
            "curve": list(course.bins) if course is not None else [],
            "gap": gap_row(stands.gap) if stands is not None else None,
            "gap_reason": stands.gap_reason if stands is not None else "n/a: not worked out yet",
            "devices": list(self._keeper.scheduler.devices.of.get(entry.id, ())),
        }


def stands_of(cursor: Cursor, live: Sequence[RunEntry], best: Mapping[str, Sequence[Best]]) -> dict[int, Stands]:
    """How live runs have come on, by their number."""
    places = triage.places_of(cursor, [entry.no for entry in live])
    courses = triage.courses(cursor, [place for place, _ in places.values()])
    wanted = []
    for entry in live:
        rival = gaps.comparable(entry, best)
        if rival is not None and entry.no in places:
            place, step = places[entry.no]
            wanted.append((rival.no, place.key_id, step))
    reached = triage.reached(cursor, wanted)
    return {
        entry.no: Stands(courses.get(entry.no), *gaps.live_gap(entry, places.get(entry.no), best, reached))
        for entry in live
    }


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
