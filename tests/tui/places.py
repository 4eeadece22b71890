"""How to get to where the keys of a scope count, and back to the first screen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.tui.pressing import Step, cursor, gone, has, repainted, step, typed, walk
from tests.tui.promises import UNSENT_NOTE

if TYPE_CHECKING:
    from console.tui.actions import Scope
    from tests.tui.pressing import Stage


@dataclass(frozen=True)
class Place:
    """Keys from where the one before it left off."""

    there: tuple[Step, ...] = ()
    back: tuple[Step, ...] = ()
    has_key_bar: bool = False


def has_its_curve(stage: Stage) -> bool:
    """The chart beside the table, where there is room for it, shows the run under the cursor."""
    return stage.screen.columns < COLUMNS_WITH_CHART or stage.shows("━ r218")


COLUMNS_WITH_CHART: Final = 110
PLACES: Final[dict[Scope, Place]] = {
    "triage": Place(has_key_bar=True),
    "app": Place(),
    "table": Place((step("2", cursor("r222")),)),
    "runs": Place((walk("j", cursor("r218")), Step((), has_its_curve)), has_key_bar=True),
    "input": Place(
        (step("slash", has(" / words, or")), typed("sweep", has("of 32"))), (step("escape", gone("sweep val")),)
    ),
    "columns": Place(
        (
            step("2", cursor("r222")),
            step("c", has("╭─ Columns", "in 32 runs")),
        ),
        (step("escape", gone("╭─ Columns")),),
    ),
    "views": Place((step("v", has("no views yet")),), (step("escape", gone("╭─ Views")),)),
    "beside": Place(
        (
            walk("j", cursor("r217")),
            step("space", has("1 marked")),
            step("space", has("2 marked")),
            step("b", has("─ Side by side", "params differ")),
        ),
        has_key_bar=True,
    ),
    "run": Place(
        (step("2", cursor("r222")), walk("j", cursor("r218")), step("enter", has("following", "[199]"))),
        has_key_bar=True,
    ),
    "log": Place(
        (
            step("2", cursor("r222")),
            walk("j", cursor("r218")),
            step("enter", has("following", "[199]")),
            step("tab", repainted),
        ),
        (step("shift+tab", repainted),),
    ),
    "artifacts": Place((step("a", has("numbers.csv")),), (step("escape", gone("numbers.csv")),)),
    "details": Place((step("d", has("About")),), has_key_bar=True),
    "projects": Place((step("9", has("─ Projects 3")),), has_key_bar=True),
    "confirm": Place((step("u", has("Watch it no more?")),), (step("n", gone("Watch it no more?")),)),
    "help": Place((step("question_mark", has("╭─ Keys")),), (step("escape", gone("╭─ Keys")),)),
    "form": Place(
        (step("2", cursor("r222")), walk("j", cursor("r218")), *UNSENT_NOTE),
        (step("escape", gone("ctrl+d sends")),),
    ),
}
TOURS: Final[dict[str, tuple[Scope, ...]]] = {
    "triage": ("triage", "app"),
    "runs": ("table", "runs", "input"),
    "lists": ("projects", "confirm", "help", "form"),
    "run": ("run",),
    "log": ("log", "artifacts", "details"),
    "table": ("columns", "views", "beside"),
}
QUITS: Final = dict.fromkeys(TOURS, "q") | {"runs": "ctrl+c"}
