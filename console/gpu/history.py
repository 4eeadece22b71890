"""What cards did lately, in memory: seconds for ten minutes, minutes for a day, and since when one is idle-held."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from console.devices import BUSY_PERCENT, HELD_BYTES

SECONDS_MAX: Final = 600
MINUTES_MAX: Final = 1440
CARDS_MAX: Final = 256
GAP_S: Final = 60.0
"""Over a longer time without a sample nobody knows what a card did: what was held before does not count."""
BUSY_OVER: Final = 10
"""Samples whose mean must be busy to end an idle stretch: a desktop that draws a window now and then does not."""


class Moment(NamedTuple):
    """One sample, or the means of a minute; None where it was not measured."""

    at_s: float
    utilization_percent: float | None
    memory_used_bytes: float | None
    power_w: float | None


@dataclass(slots=True)
class CardHistory:
    """One card."""

    seconds: deque[Moment] = field(default_factory=lambda: deque(maxlen=SECONDS_MAX))
    minutes: deque[Moment] = field(default_factory=lambda: deque(maxlen=MINUTES_MAX))
    idle_since_s: float | None = None
    """When the present idle-held stretch began."""
    minute: list[Moment] = field(default_factory=list)
    """Samples of the minute that is not over."""

    def add(self, moment: Moment) -> None:
        """Take in a sample; times only grow."""
        if self.seconds and moment.at_s - self.seconds[-1].at_s > GAP_S:
            self.idle_since_s = None
            self.seconds.clear()
        if self.minute and int(moment.at_s // 60) != int(self.minute[0].at_s // 60):
            self.minutes.append(means(self.minute))
            self.minute = []
        self.minute.append(moment)
        self.seconds.append(moment)
        self._settle_idle(moment)

    def _settle_idle(self, moment: Moment) -> None:
        memory, utilization = moment.memory_used_bytes, moment.utilization_percent
        if memory is None or utilization is None:
            return  # a figure that is missing once changes nothing
        if memory <= HELD_BYTES:
            self.idle_since_s = None
        elif utilization < BUSY_PERCENT:
            self.idle_since_s = moment.at_s if self.idle_since_s is None else self.idle_since_s
        elif self.idle_since_s is not None:
            lately = [each.utilization_percent for each in list(self.seconds)[-BUSY_OVER:]]
            known = [value for value in lately if value is not None]
            if sum(known) / len(known) >= BUSY_PERCENT:
                self.idle_since_s = None


class History:
    """All cards, by UUID."""

    def __init__(self) -> None:
        self.cards: dict[str, CardHistory] = {}

    def add(self, uuid: str, moment: Moment) -> None:
        """Take in a sample of a card."""
        if uuid not in self.cards and len(self.cards) >= CARDS_MAX:
            del self.cards[next(iter(self.cards))]
        self.cards.setdefault(uuid, CardHistory()).add(moment)

    def idle_held_s(self, uuid: str, now_s: float) -> float | None:
        """For how long a card is held without being busy; None when it is not."""
        card = self.cards.get(uuid)
        if card is None or card.idle_since_s is None or not card.seconds or now_s - card.seconds[-1].at_s > GAP_S:
            return None
        return now_s - card.idle_since_s


def means(moments: list[Moment]) -> Moment:
    """The mean of each figure over the samples that have it, at the time of the first."""

    def mean(values: list[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return sum(known) / len(known) if known else None

    return Moment(
        moments[0].at_s,
        mean([each.utilization_percent for each in moments]),
        mean([each.memory_used_bytes for each in moments]),
        mean([each.power_w for each in moments]),
    )
