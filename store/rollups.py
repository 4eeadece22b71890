"""Roll-ups: long metrics of ended runs kept as a few thousand bins, so that their curves cost as little as short ones.

Made once a run has ended, by the keeper, one metric at a time between two rounds. A roll-up says what the points say;
`series.binned` takes it wherever there is one. Points that arrive after all (a run read again) take it away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from store.points import FOREIGN_SOURCE
from store.series import roll_up_key

if TYPE_CHECKING:
    from collections.abc import Collection

    from store.database import Cursor

POINTS_MIN: Final = 200_000
"""Of one metric. A roll-up is read in 15 ms; of a million points the bins take 105 ms, about in proportion."""


def roll_up(cursor: Cursor, run_no: int) -> int:
    """Roll up one metric of a run that has ended; returns how many of its long metrics still wait. Raises duckdb.Error.

    Took 190 ms for a million points of the metric, on two slow cores that others used too.
    """
    waiting = cursor.execute(f"select key_id {WAITING_SQL} and run_no = ? order by 1", [run_no]).fetchall()
    if not waiting:
        return 0
    roll_up_key(cursor, run_no, waiting[0][0])
    return len(waiting) - 1


def runs_to_roll_up(cursor: Cursor, ended_states: Collection[str]) -> list[int]:
    """Numbers of the ended runs with long metrics that no roll-up was made of, the newest last. Raises duckdb.Error."""
    rows = cursor.execute(
        f"select distinct run_no {WAITING_SQL} and run_no in (select no from run where list_contains(?, state)) "
        "order by 1",
        [list(ended_states)],
    ).fetchall()
    return [run_no for (run_no,) in rows]


WAITING_SQL: Final = f"""
    from metric_latest anti join metric_rollup using (run_no, key_id)
    where point_count >= {POINTS_MIN} and source <> {FOREIGN_SOURCE}
"""
"""Those of imported runs are left out: their points need not be here."""
