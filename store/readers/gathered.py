"""Points of one run as a reader finds them: summed up for every metric, and kept as they are while somebody follows."""

from __future__ import annotations

from typing import Final

from store.readers.foreign import KEYS_MAX, Column, MetricFinal, Tally

POINTS_AT_ONCE: Final = 1_000_000
"""So many are held in memory; a reader hands on what it has and goes on."""
KEY_MAX_CHARACTERS: Final = 1024


class Gathered:
    """The metrics of one run. Not for several threads."""

    def __init__(self) -> None:
        self.waiting_count = 0
        """Points added since the last `take`."""
        self.left_out_count = 0
        """Points of metrics beyond `KEYS_MAX`, or with a name that is none."""
        self._tallies: dict[str, Tally] = {}
        self._waiting: dict[str, Column] = {}

    def add(self, key: str, step: int, at_us: int, value: float) -> None:
        """One more point."""
        column = self._waiting.get(key)
        if column is None:
            if key not in self._tallies:
                if len(self._tallies) >= KEYS_MAX or not 0 < len(key) <= KEY_MAX_CHARACTERS:
                    self.left_out_count += 1
                    return
                self._tallies[key] = Tally()
            column = self._waiting[key] = Column([], [], [])
        column.steps.append(step)
        column.at_us.append(at_us)
        column.values.append(value)
        self.waiting_count += 1

    def take(self) -> dict[str, Column]:
        """The points added since the last call; from then on they are in `finals`."""
        taken, self._waiting, self.waiting_count = self._waiting, {}, 0
        for key, column in taken.items():
            self._tallies[key].add(column)
        return taken

    def finals(self) -> dict[str, MetricFinal]:
        """Where each metric stands."""
        return {key: tally.final() for key, tally in self._tallies.items() if tally.count}
