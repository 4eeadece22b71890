"""Runs that nobody typed start only while their manifest is trusted: it is looked at anew just before they do."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from console.jobs.run_queue import Waiting

HOLDS_S: Final = 5.0
"""For how long a verdict lets runs start."""


class TrustGate:
    """Belongs to the keeper's thread."""

    def __init__(self, ask: Callable[[str], None]) -> None:
        """`ask` has the manifest of a folder looked at, elsewhere: the folder may hang."""
        self._ask = ask
        self._verdicts: dict[str, tuple[float, str]] = {}
        """By folder: until when (monotonic) a verdict holds, and why its runs may not start; empty when they may."""

    def waits(self, waiting: Iterable[Waiting], now_s: float) -> set[str]:
        """Runs whose manifest is to be looked at before they start; asks for that."""
        waits: set[str] = set()
        asked: set[str] = set()
        for each in waiting:
            if concerns(each) and not each.unmet and not each.hold:
                until_s, problem = self._verdicts.get(each.wants.manifest_dir, (0.0, ""))
                if now_s >= until_s or problem:
                    waits.add(each.id)
                    asked.add(each.wants.manifest_dir)
        for folder in asked:
            self._ask(folder)
        return waits

    def answered(self, folder: str, problem: str, waiting: Iterable[Waiting], other_hold: str) -> list[str]:
        """A verdict: holds its runs, or lets them go; returns the ids of those whose standing changes.

        Runs that are held for another reason, `other_hold`, stay so.
        """
        self._verdicts[folder] = (time.monotonic() + HOLDS_S, problem)
        changed = []
        said = f"{problem}: `footplate trust` lets it start" if problem else ""
        for each in waiting:
            concerned = each.wants.manifest_dir == folder and concerns(each)
            if concerned and each.hold not in (other_hold, said):
                each.hold = said
                changed.append(each.id)
        return changed


def concerns(each: Waiting) -> bool:
    """Whether a run starts because its manifest says so: nobody typed it, or nobody typed this attempt."""
    return bool(each.wants.manifest_dir) and (each.wants.needs_trust or each.attempt > 1)
