"""Which run of a job lived when: what changed meanwhile may be its own doing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from console.daemon.sweep_guard import Live


class JobActivity:
    """Written by the keeper's thread; `active_at` may be called from any."""

    def __init__(self, live: Mapping[str, Live]) -> None:
        self._live = live
        self._ended: dict[tuple[str, str], tuple[int, float, float]] = {}
        """By manifest and job: the run that ended last, and from when to when it lived (Unix time)."""

    def note_end(self, lived: Live, columns: Mapping[str, Any]) -> None:
        """A run has ended; `columns` as for the index."""
        wants = lived.spec.queueing
        if wants.manifest_dir:
            ended_at_s = float(columns.get("ended_at_s") or time.time())
            self._ended[wants.manifest_dir, wants.job] = (lived.spec.no, lived.since_unix_s, ended_at_s)

    def active_at(self, manifest_dir: str, jobs: set[str], at_s: float) -> str:
        """A run of these jobs of a manifest, such as r5, that lived at a Unix time; empty for none."""
        for live in list(self._live.values()):
            wants = live.spec.queueing
            if wants.manifest_dir == manifest_dir and wants.job in jobs and live.since_unix_s <= at_s:
                return f"r{live.spec.no}"
        for job in jobs:
            ended = self._ended.get((manifest_dir, job))
            if ended is not None and ended[1] <= at_s <= ended[2]:
                return f"r{ended[0]}"
        return ""
