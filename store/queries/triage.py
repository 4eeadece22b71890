"""What triage asks of the index: runs that ended of late, the best ones, and how live runs come on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from store.queries.run_table import SELECT, entry

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from store.database import Cursor
    from store.queries.run_table import RunEntry

CURVE_BINS: Final = 32
RECENT_US: Final = 120_000_000
"""The pace of so long before the last point counts as that of late."""
WENT_WRONG: Final = """run.tracker = '' and (run.state in ('failed', 'interrupted')
    or (run.cause_kind = 'diverged' and run.state = 'finished'))"""


class Best(NamedTuple):
    """A run that did well by the primary metric of its project."""

    project: str
    key_id: int
    key: str
    goal: str
    no: int
    value: float


class Course(NamedTuple):
    """How the primary metric of a live run has come on."""

    bins: tuple[float, ...]
    """Means of bins of equal step width that hold a finite value, in order."""
    rate_per_s: float | None
    """Steps per second of late; None with fewer than two moments."""


class Place(NamedTuple):
    """The newest series of one metric of a run."""

    run_no: int
    key_id: int
    attempt: int
    fold: int


def went_wrong(cursor: Cursor, since_s: float, limit: int) -> list[tuple[int, str, int, float]]:
    """Our own runs that failed, were interrupted or diverged since then, as (number, id, attempt, when)."""
    return cursor.execute(
        f"select run.no, run.id, run.attempt, {ENDED_AT} from run where {WENT_WRONG} and {ENDED_AT} >= ? "
        f"order by {ENDED_AT} desc, run.no desc limit {limit:d}",
        [since_s],
    ).fetchall()


def diverging(cursor: Cursor, limit: int) -> list[RunEntry]:
    """Our own live runs whose primary metric is not finite any more."""
    found = cursor.execute(
        "select run.no from run join metric_latest latest "
        "on latest.run_no = run.no and latest.key_id = run.primary_key_id "
        "where run.tracker = '' and run.state in ('starting', 'running', 'stopping') and not isfinite(latest.value) "
        f"order by run.no desc limit {limit:d}"
    ).fetchall()
    return entries(cursor, [no for (no,) in found])


def ended_since(cursor: Cursor, since_s: float, limit: int) -> tuple[int, list[RunEntry]]:
    """How many of our own runs have ended since then, and the latest of them."""
    condition = "run.tracker = '' and run.state in ('finished', 'failed', 'stopped', 'interrupted', 'skipped') "
    condition += f"and {ENDED_AT} >= ?"
    row = cursor.execute(f"select count(*) from run where {condition}", [since_s]).fetchone()
    return (row[0] if row else 0), ended(cursor, condition, [since_s], limit)


def ended(cursor: Cursor, condition: str, parameters: list[float], limit: int) -> list[RunEntry]:
    """Runs that a condition holds for, the latest first."""
    found = cursor.execute(
        f"select run.no from run where {condition} order by {ENDED_AT} desc, run.no desc limit {limit:d}", parameters
    ).fetchall()
    return entries(cursor, [no for (no,) in found])


def live(cursor: Cursor, limit: int) -> tuple[int, list[RunEntry]]:
    """How many runs are alive, those of trackers too, and the latest of them."""
    condition = "state in ('starting', 'running', 'stopping')"
    row = cursor.execute(f"select count(*) from run where {condition}").fetchone()
    order = "order by coalesce(started_at_s, created_at_s) desc, no desc"
    found = cursor.execute(f"select no from run where {condition} {order} limit {limit:d}").fetchall()
    return (row[0] if row else 0), entries(cursor, [no for (no,) in found])


def entries(cursor: Cursor, numbers: Sequence[int]) -> list[RunEntry]:
    """These runs in this order."""
    if not numbers:
        return []
    # Written out, the numbers tell DuckDB which rows it need not look at.
    rows = cursor.execute(f"{SELECT} where run.no in ({', '.join(map(str, numbers))})").fetchall()
    by_no = {each.no: each for each in map(entry, rows)}
    return [by_no[no] for no in numbers if no in by_no]


def best_runs(cursor: Cursor, projects: Iterable[str]) -> dict[str, list[Best]]:
    """The two best ended runs of each project by its primary metric, the best first; fewer where there are none."""
    rows = cursor.execute(BEST_SQL, {"projects": list(projects)}).fetchall()
    found: dict[str, list[Best]] = {}
    for row in rows:
        found.setdefault(row[0], []).append(Best(*row))
    return found


def places_of(cursor: Cursor, numbers: Sequence[int]) -> dict[int, tuple[Place, int]]:
    """The newest series of the primary metric of each run and its last step, by number of the run."""
    if not numbers:
        return {}
    rows = cursor.execute(
        "select run.no, latest.key_id, latest.attempt, latest.fold, latest.step from run join metric_latest latest "
        "on latest.run_no = run.no and latest.key_id = run.primary_key_id "
        f"where run.no in ({', '.join(map(str, numbers))})"
    ).fetchall()
    return {row[0]: (Place(*row[:4]), row[4]) for row in rows}


def courses(cursor: Cursor, places: Sequence[Place]) -> dict[int, Course]:
    """How primary metrics came on, by the number of the run; runs without a finite point are left out."""
    if not places:
        return {}
    values = ", ".join(f"({place.run_no:d}, {place.key_id:d}, {place.attempt:d}, {place.fold:d})" for place in places)
    numbers = ", ".join(str(place.run_no) for place in places)
    sql = COURSE_SQL.format(values=values, numbers=numbers, bins=CURVE_BINS, recent=RECENT_US)
    return {no: Course(tuple(bins), rate) for no, bins, rate in cursor.execute(sql).fetchall()}


def reached(cursor: Cursor, wanted: Sequence[tuple[int, int, int]]) -> dict[tuple[int, int, int], tuple[float, float]]:
    """The least and the greatest finite value of a metric up to a step, by (number of the run, id of the key, step)."""
    if not wanted:
        return {}
    values = ", ".join(f"({no:d}, {key_id:d}, {step:d})" for no, key_id, step in set(wanted))
    numbers = ", ".join(sorted({str(no) for no, _, _ in wanted}))
    rows = cursor.execute(REACHED_SQL.format(values=values, numbers=numbers)).fetchall()
    return {(no, key_id, step): (low, high) for no, key_id, step, low, high in rows}


ENDED_AT: Final = "coalesce(run.ended_at_s, run.started_at_s, run.created_at_s)"
BEST_SQL: Final = """
    with standing as (
        select run.project, run.primary_key_id as key_id, run.primary_goal as goal, run.no,
            case run.primary_goal when 'maximize' then coalesce(folds.maximum, latest.maximum)
                else coalesce(folds.minimum, latest.minimum) end as value
        from run
        join metric_latest latest on latest.run_no = run.no and latest.key_id = run.primary_key_id
        left join (
            select run_no, key_id, avg(minimum) as minimum, avg(maximum) as maximum from metric_fold group by all
        ) folds on folds.run_no = run.no and folds.key_id = run.primary_key_id
        where run.project in (select unnest($projects::varchar[]))
            and run.state in ('finished', 'failed', 'stopped', 'interrupted')
    )
    select project, key_id, metric_key.name, goal, no, value
    from standing join metric_key on metric_key.id = key_id
    where isfinite(value)
    qualify row_number() over (
        partition by project, key_id order by if(goal = 'maximize', -value, value), no desc
    ) <= 2
    order by project, if(goal = 'maximize', -value, value), no desc
"""
COURSE_SQL: Final = """
    with wanted(run_no, key_id, attempt, fold) as (values {values}),
    point as (
        select metric.run_no, metric.step, metric.at_us, metric.value
        from metric join wanted using (run_no, key_id, attempt, fold)
        where metric.run_no in ({numbers})
    ),
    span as (
        select run_no, min(step) as low, max(step) as high, max(at_us) as last_us,
            arg_max(step, at_us) as last_step from point group by run_no
    ),
    pace as (
        select run_no,
            (any_value(last_step)::double - min(step)) * 1e6 / nullif(any_value(last_us) - min(at_us), 0) as rate
        from point join span using (run_no)
        where at_us >= last_us - {recent}
        group by run_no
    ),
    binned as (
        select run_no, (step::hugeint - low) * {bins} // (high::hugeint - low + 1) as bin, avg(value) as mean
        from point join span using (run_no)
        where isfinite(value)
        group by all
    )
    select binned.run_no, list(mean order by bin), any_value(nullif(rate, 0))
    from binned join pace using (run_no)
    group by binned.run_no
"""
"""Steps may be times in nanoseconds, whose range times the number of bins takes more than 64 bits."""
REACHED_SQL: Final = """
    with wanted(run_no, key_id, up_to) as (values {values})
    select metric.run_no, metric.key_id, up_to, min(value), max(value)
    from metric join wanted on wanted.run_no = metric.run_no and wanted.key_id = metric.key_id and step <= up_to
    where metric.run_no in ({numbers}) and isfinite(value)
    group by all
"""
