"""How far a run is from the best of its project, in words; the command line imports this module too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from console.tui.text_format import number

if TYPE_CHECKING:
    from console.triage import Gap


def gap_words(gap: Gap | None) -> str:
    """`-0.9? behind r214`; the `?` because it is one seed each."""
    if gap is None:
        return "ok"
    if gap.ahead is None:
        return f"level with r{gap.best_no}"
    sign = "+" if gap.value > 0 else "-"
    return f"{sign}{number(abs(gap.value), 6)}? {'ahead of' if gap.ahead else 'behind'} r{gap.best_no}"
