"""The startup guard: the first run of a sweep goes alone until it has shown that it works; a typo costs one run.

A run has shown that when it finished well, or lived for GUARD_S. One that fails sooner pauses its sweep, and no other.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from console.project.masking import mask_text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from console.jobs.spec import Spec
    from store.database import Cursor

GUARD_S: Final = 10.0


@dataclass(slots=True)
class Live:
    """A run that has started and not ended."""

    spec: Spec
    since_s: float
    """Monotonic."""
    since_unix_s: float = field(default_factory=time.time)


class SweepGuard:
    """Belongs to the keeper's thread."""

    def __init__(self, cursor: Callable[[], Cursor]) -> None:
        self._cursor = cursor
        self._unproven: dict[str, bool] = {}
        """Whether none of its runs has shown yet that it works, by sweep."""

    def meet(self, waiting: Iterable[Spec]) -> None:
        """Take note of sweeps that are new here."""
        for sweep in {each.queueing.sweep for each in waiting} - {""} - self._unproven.keys():
            row = self._cursor().execute(WORKED_SQL, [sweep, GUARD_S]).fetchone()
            self._unproven[sweep] = not (row and row[0])

    def look(self, live: Iterable[Live], now_s: float) -> None:
        """Take note of runs that have lived long enough."""
        for run in live:
            if now_s - run.since_s >= GUARD_S and self._unproven.get(run.spec.queueing.sweep):
                self._unproven[run.spec.queueing.sweep] = False

    @property
    def watches(self) -> bool:
        """Whether the time may let more of a sweep start."""
        return any(self._unproven.values())

    def scouts(self, live: Collection[Live]) -> dict[str, int]:
        """Sweeps that only one run at a time may be started of: the number of the one that runs, or 0."""
        unproven = [sweep for sweep, is_unproven in list(self._unproven.items()) if is_unproven]
        return {
            sweep: next((each.spec.no for each in live if each.spec.queueing.sweep == sweep), 0) for sweep in unproven
        }

    def judge(self, ended: Spec, columns: Mapping[str, Any]) -> str:
        """What the end of a run says about its sweep: why it should be paused, or nothing."""
        sweep, state = ended.queueing.sweep, columns.get("state")
        started_at_s, ended_at_s = columns.get("started_at_s"), columns.get("ended_at_s") or 0.0
        lived_s = max(0.0, ended_at_s - (started_at_s or ended_at_s))
        if state == "finished" or lived_s >= GUARD_S:
            self._unproven[sweep] = False
        elif state == "failed" and self._unproven.get(sweep, True):
            cause = columns.get("cause") or "no cause is known"
            return mask_text(f"its first run r{ended.no} failed after {lived_s:.1f} s: {cause}")
        return ""


WORKED_SQL: Final = """
    select count(*) from run
    where sweep = ? and (state = 'finished' or (started_at_s is not null and ended_at_s - started_at_s >= ?))
"""
