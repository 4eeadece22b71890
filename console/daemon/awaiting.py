"""What new runs wait for, as far as it has happened already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from console.jobs.queueing import outcome_of
from console.protocol import ENDED_STATES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from console.jobs.run_queue import RunQueue
    from console.jobs.spec import Spec
    from store.database import Cursor


def settle(
    queue: RunQueue, new: Sequence[str], known: Mapping[str, Spec], states: Mapping[str, str], cursor: Cursor
) -> None:
    """Tell the queue of ends that came before it knew these runs, by `states`; of runs that are not there, too.

    `known` are runs that wait or live; the others' numbers come from the index. Raises duckdb.Error.
    """
    waiting = [queue.waiting[run_id] for run_id in new]
    awaited = {run_id for each in waiting for run_id in each.unmet}
    others = sorted(awaited - known.keys())
    numbers = {run_id: known[run_id].no for run_id in awaited & known.keys()}
    if others:
        rows = cursor.execute("select id, no from run where id in (select unnest($ids))", {"ids": others}).fetchall()
        numbers.update(rows)
    for each in waiting:
        each.awaited = {run_id: numbers.get(run_id, 0) for run_id in each.unmet}
    for run_id in others:
        state = states.get(run_id)
        if state is None:
            queue.settle(run_id, "gone")
        elif state in ENDED_STATES:
            queue.settle(run_id, outcome_of(state))
