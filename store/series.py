"""Reading metric points: latest values of a run, and one metric reduced to bins in SQL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from store.database import Cursor

BINS_MAX: Final = 2000


@dataclass(frozen=True, slots=True)
class LatestMetric:
    """Where one metric of a run stands."""

    key: str
    last: float
    last_step: int
    minimum: float | None
    maximum: float | None
    point_count: int


class Bins(NamedTuple):
    """One metric in bins of equal step width; columns in step order, bins without a finite value left out."""

    point_count: int
    not_finite_count: int
    steps: list[int]
    means: list[float]
    minimums: list[float]
    maximums: list[float]
    lasts: list[float]


def latest_metrics(cursor: Cursor, run_no: int) -> list[LatestMetric]:
    """Every metric of a run, by key."""
    rows = cursor.execute(
        """
        select k.name, m.value, m.step, m.minimum, m.maximum, m.point_count
        from metric_latest m join metric_key k on k.id = m.key_id
        where m.run_no = ? order by k.name
        """,
        [run_no],
    ).fetchall()
    return [LatestMetric(*row) for row in rows]


def skipped_lines(cursor: Cursor, run_id: str) -> tuple[int, str]:
    """How many lines of a run's metrics could not be read, and what was wrong with the first."""
    row = cursor.execute(
        "select skipped_lines, skipped_example from journal_cursor where run_id = ?", [run_id]
    ).fetchone()
    return (row[0], row[1]) if row else (0, "")


def binned(cursor: Cursor, run_no: int, key: str, bins: int) -> Bins | None:
    """One metric of a run in at most `bins` bins; None when the run has no such metric."""
    found = cursor.execute(
        """
        select m.key_id, m.point_count from metric_latest m join metric_key k on k.id = m.key_id
        where m.run_no = ? and k.name = ?
        """,
        [run_no, key],
    ).fetchone()
    if found is None:
        return None
    key_id, point_count = found
    rows = cursor.execute(BIN_SQL, {"run_no": run_no, "key_id": key_id, "bins": max(1, min(bins, BINS_MAX))}).fetchall()
    columns = list(zip(*rows, strict=True)) if rows else [()] * 6
    finite_count = sum(columns[5])
    return Bins(point_count, point_count - finite_count, *(list(column) for column in columns[:5]))


BIN_SQL: Final = """
    with points as (
        select step, value, at_us from metric where run_no = $run_no and key_id = $key_id and isfinite(value)
    ), extent as (
        select min(step)::double as low, greatest(max(step)::double - min(step)::double + 1, 1) as width from points
    )
    select max(step), avg(value), min(value), max(value), arg_max(value, step), count(*)
    from points, extent
    group by least(floor((step - low) / width * $bins), $bins - 1)
    order by 1
"""
"""Steps as double: their difference may not fit into 64 bits."""
