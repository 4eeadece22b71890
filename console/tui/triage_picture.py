"""A triage as its screen shows it; nothing of that is imported before the first answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from console.tui.text_format import duration
from console.tui.triage_cells import Look, rows_of, sections_of, ticks
from console.tui.triage_facts import facts_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from console.protocol import RunRow
    from console.triage import Need, Triage
    from console.tui.sections import Section
    from console.tui.widgets.facts import Fact


class TriagePicture:
    """One answer of the daemon."""

    def __init__(self, triage: Triage, keys: Mapping[str, str], *, ascii_only: bool) -> None:
        """`keys` are names of keys by the act of a need, and by `seen` and `clear`."""
        self.triage = triage
        self._keys = keys
        self._ascii_only = ascii_only

    @property
    def is_empty(self) -> bool:
        """Nothing has run yet, and nothing is wanted."""
        found = self.triage
        return not (found.run_count or found.needs or found.live or found.waiting)

    @property
    def ticks(self) -> bool:
        """Something of it counts seconds."""
        return ticks(self.triage)

    @property
    def away(self) -> str:
        """How long the person did not look, in words; empty when that is no absence."""
        away_s = self.triage.absence.away_s
        return "" if away_s is None else f"away {duration(away_s)}"

    def need(self, key: str) -> Need | None:
        """What wants a person, when the row with this key is that."""
        kind, _, name = key.partition(" ")
        return next((need for need in self.triage.needs if kind == "need" and need.key == name), None)

    def run(self, key: str) -> RunRow | None:
        """The run of the row with this key."""
        need = self.need(key)
        run_id = need.run_id if need is not None else key.removeprefix("run ")
        rows = (*rows_of(self.triage), *(run.row for run in self.triage.waiting))
        return next((row for row in rows if run_id and row.id == run_id), None)

    def sections(self, now_s: float, width_cells: int) -> tuple[Section, ...]:
        """The lists."""
        return sections_of(self.triage, now_s, self._look(width_cells))

    def facts(self, key: str, now_s: float, width_cells: int) -> tuple[Fact, ...]:
        """What is known about the row with this key."""
        return facts_of(self.triage, key, now_s, self._look(width_cells))

    def _look(self, width_cells: int) -> Look:
        return Look(max(40, width_cells), self._keys, ascii_only=self._ascii_only)
