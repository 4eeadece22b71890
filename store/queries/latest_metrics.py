"""Where some metrics of some runs stand, as rows of the run table need them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from store.points import HAND_SOURCE
from store.series import FoldBests, LatestMetric

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from store.database import Cursor

LATEST_SQL: Final = f"""
    select run_no, key_id, name, value, step, minimum, maximum, point_count, source = {HAND_SOURCE}, null::smallint
    from metric_latest join metric_key on metric_key.id = key_id
    where key_id in ({{keys}}) and run_no in (select unnest($numbers::integer[]))
    union all
    select run_no, key_id, null, null, null, minimum, maximum, null, null, fold
    from metric_fold
    where key_id in ({{keys}}) and run_no in (select unnest($numbers::integer[]))
"""
"""Where metrics stand, then their folds: one statement takes DuckDB less time than two.

Few keys are passed on to the scan; joined with the runs, it reads the other columns only of what it finds, in a
third of the time that it takes with the numbers written out."""


def latest_of_runs(
    cursor: Cursor, numbers: Sequence[int], key_ids: Iterable[int]
) -> dict[tuple[int, int], LatestMetric]:
    """Metrics by the number of the run and of the key; what a run does not have is left out. Raises duckdb.Error."""
    keys = ", ".join(map(str, sorted(set(key_ids))))
    if not numbers or not keys:
        return {}
    found: dict[tuple[int, int], LatestMetric] = {}
    folds: dict[tuple[int, int], list[FoldBests]] = {}
    rows = cursor.execute(LATEST_SQL.format(keys=keys), {"numbers": list(numbers)}).fetchall()
    for no, key_id, name, last, step, minimum, maximum, point_count, by_hand, fold in rows:
        if fold is None:
            found[no, key_id] = LatestMetric(name, last, step, minimum, maximum, point_count, by_hand)
        else:
            folds.setdefault((no, key_id), []).append(FoldBests(fold, minimum, maximum))
    for place in folds.keys() & found.keys():
        found[place] = found[place]._replace(folds=tuple(sorted(folds[place], key=lambda each: each.fold)))
    return found
