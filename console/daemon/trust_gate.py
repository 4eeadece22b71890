"""Runs that nobody typed start only while their manifest is trusted: it is looked at anew just before they do."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from console.jobs.run_queue import Waiting

HOLDS_S: Final = 2.0
"""For how long a verdict that was asked for lets runs start; it is used up by the first round that starts some."""


class TrustGate:
    """Belongs to the keeper's thread."""

    def __init__(self, ask: Callable[[str], None]) -> None:
        """`ask` has the manifest of a folder looked at, elsewhere: the folder may hang."""
        self._ask = ask
        self._asked: set[str] = set()
        self._verdicts: dict[str, float] = {}
        """Folders whose manifest was trusted when it was looked at for runs that may start: when (monotonic)."""

    def waits(self, candidates: Iterable[Waiting], now_s: float) -> set[str]:
        """Runs that could start and whose manifest is to be looked at before they do; asks for that.

        Only an answer to this question counts: an older one may be about an older text.
        """
        waits: set[str] = set()
        for each in candidates:
            folder = each.wants.manifest_dir
            if concerns(each) and now_s - self._verdicts.get(folder, -HOLDS_S) >= HOLDS_S:
                waits.add(each.id)
                self._asked.add(folder)
                self._ask(folder)
        return waits

    def use_up(self, started: Iterable[Waiting]) -> None:
        """These start: the next ones ask anew."""
        for each in started:
            self._verdicts.pop(each.wants.manifest_dir, None)

    def answered(self, folder: str, problem: str, waiting: Iterable[Waiting], other_hold: str) -> list[str]:
        """What looking at a manifest came to: holds its runs, or lets them go; returns those whose standing changes.

        Runs that are held for another reason, `other_hold`, stay so.
        """
        if folder in self._asked and not problem:
            self._verdicts[folder] = time.monotonic()
        self._asked.discard(folder)
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
