"""Reading metric points: latest values of a run, and one metric reduced to bins in SQL.

The bins are M4's (Jugel et al., M4: A Visualization-Oriented Time Series Data Aggregation, VLDB 2014): first, last,
minimum and maximum of each, from which a line is drawn as from all points. They are 2^n steps wide and begin at
multiples of their width: then the picture of a live run does not shift with every point, and bins of bins are exact, so
that what `rollups` has kept and what the points say is the same.

Of a step that several attempts wrote, the points of the latest attempt count; in a step the latest arrival is the last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from store.points import HAND_SOURCE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from store.database import Cursor

BINS_MIN: Final = 2
"""Steps on both sides of 0 share no bin, however wide it is."""
BINS_MAX: Final = 2000
ROLLUP_BINS_MAX: Final = 2 * BINS_MAX + 2
"""Of one metric. Halving their number as often as can be never goes below BINS_MAX, so they serve for any request."""


FOLDS_SQL: Final = """(
    select list({{fold: f.fold, minimum: f.minimum, maximum: f.maximum}} order by f.fold)
    from metric_fold f where f.run_no = {latest}.run_no and f.key_id = {latest}.key_id
)"""


class LatestMetric(NamedTuple):
    """Where one metric of a run stands."""

    key: str
    last: float
    last_step: int
    minimum: float | None
    maximum: float | None
    point_count: int
    by_hand: bool = False
    """A person added it; the run says nothing of it."""
    folds: tuple[FoldBests, ...] = ()
    """Empty unless the metric restarted within a process; in their order."""


class FoldBests(NamedTuple):
    """The extremes of one fold of a metric; None while it has no finite value."""

    fold: int
    minimum: float | None
    maximum: float | None


class Bins(NamedTuple):
    """One metric in bins of equal step width; columns in step order, bins without a finite value left out."""

    point_count: int
    """Points that count, the not finite ones included."""
    not_finite_count: int
    steps: list[int]
    """The last step of each bin."""
    means: list[float]
    minimums: list[float]
    maximums: list[float]
    lasts: list[float]
    first_steps: list[int]
    firsts: list[float]
    fold: int = 1
    """That these bins are of."""
    fold_count: int = 1


class Extent(NamedTuple):
    """What the points of one metric span."""

    point_count: int
    not_finite_count: int
    first_step: int | None
    """Of the finite values; None when there is none."""
    last_step: int | None


def latest_metrics(cursor: Cursor, run_no: int) -> list[LatestMetric]:
    """Every metric of a run, by key."""
    rows = cursor.execute(
        f"""
        select k.name, m.value, m.step, m.minimum, m.maximum, m.point_count, m.source = {HAND_SOURCE},
            {FOLDS_SQL.format(latest="m")}
        from metric_latest m join metric_key k on k.id = m.key_id
        where m.run_no = ? order by k.name
        """,
        [run_no],
    ).fetchall()
    return [latest_metric(row) for row in rows]


def latest_metric(row: Sequence[Any]) -> LatestMetric:
    """A metric from the columns of `LatestMetric` in their order, the folds as FOLDS_SQL gives them."""
    key, last, last_step, minimum, maximum, point_count, by_hand, folds = row
    of_folds = tuple(FoldBests(*fold.values()) for fold in folds or ())
    return LatestMetric(key, last, last_step, minimum, maximum, point_count, by_hand, of_folds)


def skipped_lines(cursor: Cursor, run_id: str) -> tuple[int, str]:
    """How many lines of a run's metrics could not be read, and what was wrong with the first."""
    row = cursor.execute(
        "select skipped_lines, skipped_example from journal_cursor where run_id = ?", [run_id]
    ).fetchone()
    return (row[0], row[1]) if row else (0, "")


def binned(
    cursor: Cursor, run_no: int, key: str, bins: int, fold: int | None = None, stretch: tuple[int, int] | None = None
) -> Bins | None:
    """One fold of a metric of a run, the newest unless one is named, in at most `bins` bins (2 to 2000).

    `stretch`: only from the first of these steps to the second, as if the others were not there. None when the run has
    no such metric or fold. The cursor must be in no transaction.
    """
    # One snapshot for all of it: points arrive and roll-ups come and go meanwhile.
    cursor.execute("begin")
    try:
        found = cursor.execute(FIND_SQL, [run_no, key]).fetchone()
        if found is None:
            return None
        key_id, rolled_up, fold_count = found
        if fold is None:
            fold = fold_count
        if not 1 <= fold <= fold_count:
            return None
        place: dict[str, Any] = {"run_no": run_no, "key_id": key_id, "fold": fold}
        if stretch is not None:
            place |= {"step_low": stretch[0], "step_high": stretch[1]}
        # A bin of a roll-up may lie across the end of the stretch.
        kept = rolled_up and stretch is None
        source, extent = span(cursor, place, ROLLUP_SQL) if kept else span_of_points(cursor, place)
        counts = (extent.point_count, extent.not_finite_count)
        if extent.first_step is None or extent.last_step is None:
            return Bins(*counts, [], [], [], [], [], [], [], fold, fold_count)
        width_log2 = width_log2_of(extent.first_step, extent.last_step, max(BINS_MIN, min(bins, BINS_MAX)))
        rows = cursor.execute(f"with {source} {BINS_SQL}", place | {"width_log2": width_log2}).fetchall()
    finally:
        cursor.execute("rollback")
    steps, means, minimums, maximums, lasts, first_steps, firsts = (list(column) for column in zip(*rows, strict=True))
    return Bins(*counts, steps, means, minimums, maximums, lasts, first_steps, firsts, fold, fold_count)


def width_log2_of(first_step: int, last_step: int, bins: int) -> int:
    """n of the narrowest bins, 2^n steps wide, of which no more than `bins` cover these steps."""
    width_log2 = 0
    while (last_step >> width_log2) - (first_step >> width_log2) >= bins:
        width_log2 += 1
    return width_log2


def span(cursor: Cursor, place: dict[str, Any], source: str) -> tuple[str, Extent]:
    """A common table `bin` of a metric, and what it spans."""
    row = cursor.execute(f"with {source} {EXTENT_SQL}", place).fetchone()
    if row is None:
        raise LookupError(f"no extent of {place}: an aggregate without groups has one row")
    return source, Extent(*row)


def span_of_points(cursor: Cursor, place: dict[str, Any]) -> tuple[str, Extent]:
    """A common table `bin` with one row for each point of a metric that counts, and what it spans.

    Only of the steps from `step_low` to `step_high` where the place names them.
    """
    stretch = "and step between $step_low and $step_high" if "step_low" in place else ""
    row = cursor.execute(POINTS_EXTENT_SQL.format(stretch=stretch), place).fetchone()
    if row is None or row[0]:
        # Several times as dear, so only for runs that were tried more than once.
        return span(cursor, place, POINTS_SQL.format(counted=LATEST_ATTEMPT_SQL, stretch=stretch))
    return POINTS_SQL.format(counted="point", stretch=stretch), Extent(*row[1:])


def roll_up_key(cursor: Cursor, run_no: int, key_id: int) -> None:
    """Keep the bins of one metric of a run that gets no more points, all folds or none. Raises duckdb.Error."""
    cursor.execute("begin")
    try:
        row = cursor.execute(FOLD_COUNT_SQL, [run_no, key_id]).fetchone()
        for fold in range(1, (row[0] if row else 1) + 1):
            place: dict[str, Any] = {"run_no": run_no, "key_id": key_id, "fold": fold}
            source, extent = span_of_points(cursor, place)
            mask = 2 ** width_log2_of(extent.first_step or 0, extent.last_step or 0, ROLLUP_BINS_MAX) - 1
            cursor.execute(f"insert into metric_rollup with {source} {ROLL_UP_SQL}", place | {"mask": mask})
        cursor.execute("commit")
    except BaseException:
        cursor.execute("rollback")
        raise


FOLD_COUNT_SQL: Final = "select coalesce(max(fold), 1) from metric_fold where run_no = ? and key_id = ?"
FIND_SQL: Final = """
    select m.key_id, exists (select 1 from metric_rollup r where r.run_no = m.run_no and r.key_id = m.key_id),
        coalesce((select max(fold) from metric_fold f where f.run_no = m.run_no and f.key_id = m.key_id), 1)
    from metric_latest m join metric_key k on k.id = m.key_id
    where m.run_no = ? and k.name = ?
"""
POINTS_SQL: Final = """
    point as (
        select step, value, attempt, rowid as arrival, isfinite(value) as finite
        from metric where run_no = $run_no and key_id = $key_id and fold = $fold {stretch}
    ), bin as (
        select
            step as start, step::hugeint * 1099511627776 + arrival as place,
            if(finite, step, null) as first_step, first_step as last_step, if(finite, value, null) as minimum,
            minimum as maximum, minimum as first, minimum as last, minimum as total,
            finite::int as finite_count, 1 - finite_count as not_finite_count
        from {counted}
    )
"""
"""1099511627776 is 2^40, more than there will ever be points: the place is by step, then by arrival."""
LATEST_ATTEMPT_SQL: Final = """
    point join (select step, max(attempt) as attempt from point group by step) using (step, attempt)
"""
ROLLUP_SQL: Final = """
    bin as (select *, start as place from metric_rollup where run_no = $run_no and key_id = $key_id and fold = $fold)
"""
POINTS_EXTENT_SQL: Final = """
    select coalesce(min(attempt) <> max(attempt), false), count(*), count(*) filter (not isfinite(value)),
        min(step) filter (isfinite(value)), max(step) filter (isfinite(value))
    from metric
    where run_no = $run_no and key_id = $key_id and fold = $fold {stretch}
"""
EXTENT_SQL: Final = """
    select coalesce(sum(finite_count + not_finite_count), 0)::bigint, coalesce(sum(not_finite_count), 0)::bigint,
        min(first_step), max(last_step)
    from bin
"""
BINS_SQL: Final = """
    select max(last_step),
        -- A sum of large values may overflow, and a rounded mean may lie outside of the values it is made of.
        greatest(min(minimum), least(max(maximum),
            if(isfinite(sum(total)), sum(total) / sum(finite_count), min(minimum) / 2 + max(maximum) / 2))),
        min(minimum), max(maximum), arg_max(last, place), min(first_step), arg_min(first, place)
    from bin
    where finite_count > 0
    group by start >> $width_log2
    order by 1
"""
ROLL_UP_SQL: Final = """
    select $run_no, $key_id, start - (start & $mask) as start, min(first_step), max(last_step), arg_min(first, place),
        arg_max(last, place), min(minimum), max(maximum), sum(total), sum(finite_count), sum(not_finite_count),
        $fold
    from bin
    group by all
    order by 3
"""
