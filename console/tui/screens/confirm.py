"""The question before something that cannot be undone; it names what it is about."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar, Final

from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from console.tui.actions import bindings, key_for
from console.tui.run_cells import arrowed
from console.tui.screens.box import BoxScreen
from console.tui.styles import MUTED
from console.tui.text_format import visible

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from console.protocol import MetricSummary

DEBOUNCE_S: Final = 0.3
"""A yes within this time was typed for something else."""


class ConfirmScreen(BoxScreen[bool]):
    """Asks; the answer is True only for `y`, and only once the question could be read."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("confirm")
    DEFAULT_CSS = """
    ConfirmScreen > Vertical {
        width: 64;
        max-width: 92%;
        height: auto;
        border: round $warning;
        border-title-color: $warning;
        padding: 1 2;
    }
    ConfirmScreen VerticalScroll {
        height: auto;
        max-height: 60vh;
    }
    ConfirmScreen Static {
        height: auto;
        margin-bottom: 1;
    }
    ConfirmScreen #answers {
        margin-bottom: 0;
    }
    """

    def __init__(
        self, title: str, question: Content, verb: str, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """`title` is read as markup, so it is ours; `question` may hold text from outside."""
        super().__init__()
        self._title = title
        self._question = question
        self._verb = verb
        self._monotonic = monotonic
        self._opened_at_s = monotonic()

    def compose(self) -> ComposeResult:
        """Question and answers."""
        with Vertical() as box:
            box.border_title = self._title
            with VerticalScroll():
                yield Static(self._question)
            yield Static(
                Content.assemble(
                    (key_for("confirm.accept"), "bold $accent"),
                    f" {self._verb}     ",
                    (key_for("confirm.decline"), "bold $accent"),
                    " leave it as it is",
                ),
                id="answers",
            )

    def on_mount(self) -> None:
        """The time to read begins when the question is there."""
        self._opened_at_s = self._monotonic()

    def action_accept(self) -> None:
        """Yes."""
        if self._monotonic() - self._opened_at_s >= DEBOUNCE_S:
            self.dismiss(True)

    def action_decline(self) -> None:
        """No."""
        self.dismiss(False)


def pin_question(project: str, metric: MetricSummary) -> Content:
    """What pinning this metric means."""
    better = "higher is better" if metric.goal == "maximize" else "lower is better"
    return Content.assemble(
        (visible(arrowed(metric)), "bold $accent"),
        (f"  {better}\n\n", "$foreground"),
        "It stands for every run of ",
        (visible(project)[:80], "bold $foreground"),
        " that has it, now and later: in the table, in its order, and as the best value.\n\n",
        (f"footplate metric {visible(metric.key)[:80]} --goal ... turns the goal round, --unpin takes it back", MUTED),
    )
