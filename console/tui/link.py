"""How old the picture is: fresh while the daemon answers, stale or reconnecting when it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from console.tui.widgets.header_line import HeaderFacts

if TYPE_CHECKING:
    from collections.abc import Callable

    from console.protocol import Status
    from console.tui.widgets.header_line import Link

STALE_AFTER_S: Final = 6.0
"""The feed hears from the daemon every 5 s when nothing changes; one more second is for the answer."""


class LinkState:
    """When the picture was last known to be true, and why it may not be so now."""

    def __init__(self, monotonic: Callable[[], float], *, slow: bool = False, ascii_only: bool = False) -> None:
        self._monotonic = monotonic
        self._slow = slow
        self._ascii_only = ascii_only
        self._fresh_at_s: float | None = None
        self._away = False
        self.status: Status | None = None
        self.paused = False

    def touch(self) -> None:
        """What is shown is true now."""
        self._fresh_at_s = self._monotonic()
        self._away = False

    def lose(self) -> bool:
        """The daemon does not answer; True when it did until now."""
        was_away, self._away = self._away, True
        return not was_away

    def facts(self) -> HeaderFacts:
        """What the header says."""
        age_s = 0 if self._fresh_at_s is None else int(self._monotonic() - self._fresh_at_s)
        link: Link
        if self._away:
            link = "reconnecting"
        elif self.paused:
            link, age_s = "paused", 0
        elif self._fresh_at_s is None:
            link = "connecting"
        elif age_s >= STALE_AFTER_S:
            link = "stale"
        else:
            link, age_s = "live", 0
        return HeaderFacts(self.status, link, age_s, self._slow, self._ascii_only)
