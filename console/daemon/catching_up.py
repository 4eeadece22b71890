"""Ended runs that the index lacks, as after a rebuild: brought in a few at a time, so that commands need not wait."""

from __future__ import annotations

import os
from collections import deque
from typing import TYPE_CHECKING, Final

from console.json_files import read_object

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from console.daemon.watched import Look, WatchedRun

AT_ONCE: Final = 64
"""How many ended runs are looked at in one round beside the live ones."""
POINTS_AT_ONCE: Final = 2_000_000
"""After how many points a round ends: what it has read lies in memory until the commit."""


class CatchingUp:
    """Belongs to the keeper's thread; the counts may be read from any."""

    def __init__(self) -> None:
        self.total_count = 0
        """Runs that were to be brought in when the daemon started; 0 once all are."""
        self._left: set[str] = set()
        self._waiting: deque[tuple[str, WatchedRun]] = deque()

    def expect(self, run_ids: Iterable[str]) -> None:
        """Runs of which the index may lack something."""
        self._left.update(run_ids)
        self.total_count = len(self._left)

    def postpone(self, runs: Iterable[tuple[str, WatchedRun]]) -> None:
        """Those of them that have ended and can wait, newest last; the newest are brought in first."""
        self._waiting.extend(runs)

    def take(self, watched: Mapping[str, WatchedRun]) -> list[tuple[str, WatchedRun]]:
        """Runs to look after from now on beside those that are looked after."""
        room = AT_ONCE - sum(run_id in self._left for run_id in watched) if self._waiting else 0
        return [self._waiting.pop() for _ in range(min(room, len(self._waiting)))]

    def saw(self, run_id: str, look: Look | None) -> None:
        """What looking at a run came to, None when it failed; what it found is in the index."""
        if run_id in self._left and (look is None or look.over or not look.more):
            self._left.discard(run_id)
            if not self._left:
                self.total_count = 0

    @property
    def waits(self) -> bool:
        """Whether there are runs that nobody looks after yet."""
        return bool(self._waiting)

    @property
    def left_count(self) -> int:
        """Runs that are not in the index yet."""
        return len(self._left)

    @property
    def notice(self) -> str:
        """One sentence for the header of every client; empty when all is in, or soon will be."""
        total = self.total_count
        if total <= AT_ONCE:
            return ""
        return f"the index is being built: {total - self.left_count:,} of {total:,} runs are in"


def may_be_alive(run_dir: str) -> bool:
    """Whether something of a run may still need looking after: its environment is deleted when no attempt is left."""
    return os.path.exists(f"{run_dir}/environment.json")


def has_recorded_end(run_dir: str) -> bool:
    """Whether the end of a run stands in its directory, so that nothing of it needs looking after."""
    if os.path.exists(f"{run_dir}/reconciled.json"):
        return True
    status = read_object(f"{run_dir}/status.json")
    return status is not None and status.get("ended_at_s") is not None
