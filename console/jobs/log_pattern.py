"""The regular expression that a run's log is read by, as its project had it pinned when it was enqueued."""

from __future__ import annotations

from typing import TYPE_CHECKING

from store.readers.pinned_pattern import PatternError, PinnedPattern

if TYPE_CHECKING:
    from console.jobs.spec import Spec
    from store.derive import LinePattern
    from store.readers.carry import Carry


class Unreadable:
    """A pattern that is not taken any more, as by another Python: it reads nothing, and the grammar has no say."""

    def __init__(self, text: str) -> None:
        self.text = text

    def point(self, line: str, carry: Carry) -> tuple[int, dict[str, float]] | None:  # noqa: ARG002
        """Nothing."""
        return None


def of_run(found: Spec) -> LinePattern | None:
    """What reads the log of a run; None for the grammar."""
    return of_text(found.log_pattern)


def of_text(text: str) -> LinePattern | None:
    """A pattern that was taken before; None for none."""
    if not text:
        return None
    try:
        return PinnedPattern(text, tried=True)
    except PatternError:
        return Unreadable(text)
