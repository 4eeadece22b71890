"""Tags of runs: words to put on, words to take off."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, ClassVar, Final

from textual.content import Content
from textual.widgets import Input, Static

from console import asked_of_runs
from console.tui.actions import hints
from console.tui.messages import ActDone
from console.tui.run_acts import named_rows, names
from console.tui.screens.form import FormScreen
from console.tui.styles import MUTED
from console.tui.text_format import visible
from console.tui.widgets.prompt import FieldInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult

    from console.client import Client
    from console.protocol import RunRow
    from console.tui.session import Session

SHOWN_TAGS: Final = 30


class TagScreen(FormScreen):
    """One line: `best -old`."""

    title_words: ClassVar[str] = "Tags"

    def __init__(self, session: Session, rows: Sequence[RunRow]) -> None:
        super().__init__(session)
        self._rows = tuple(rows)

    @property
    def keys_words(self) -> str:
        """What the keys do."""
        return hints("enter sends", ("form.close", "closes"))

    def fields(self) -> ComposeResult:
        """The runs, their tags, the line."""
        yield Static(named_rows(self._rows))
        yield Static(Content.styled(present_tags(self._rows), MUTED))
        yield FieldInput(placeholder="best  seed-1   puts on;   -old   takes off", compact=True)

    def on_mount(self) -> None:
        """Typing goes into the line."""
        self.query_one(FieldInput).focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter."""
        event.stop()
        self.action_submit()

    def action_submit(self) -> None:
        """Send the words."""
        add, remove = split_words(self.query_one(FieldInput).value)
        if not add and not remove:
            self.say("type a word, or - and a word", severe=True)
            return
        rows, actor = self._rows, self.session.actor
        ids = [row.id for row in rows]

        def tag(client: Client) -> ActDone:
            asked_of_runs.tag(client, ids, add, remove, actor)
            words = " ".join([*(f"+{word}" for word in add), *(f"-{word}" for word in remove)])
            return ActDone(f"{names(rows)} tagged {words}")

        self.send(f"tag:{','.join(ids)}", f"tag {names(rows)}", tag)


def present_tags(rows: Sequence[RunRow]) -> str:
    """The tags that the runs have now; of several runs, on how many each is."""
    counts = Counter(tag for row in rows for tag in row.tags)
    shown = [
        visible(tag) + ("" if len(rows) == 1 else f" ({count} of {len(rows)})")
        for tag, count in sorted(counts.items())[:SHOWN_TAGS]
    ]
    return "tags now: " + ("  ".join(shown) or "none") + ("  …" if len(counts) > SHOWN_TAGS else "")


def split_words(text: str) -> tuple[list[str], list[str]]:
    """Words to put on and words to take off; `+word` and `word` mean the same, commas may stand between."""
    words = text.replace(",", " ").split()
    add = [word.removeprefix("+") for word in words if not word.startswith("-")]
    return [word for word in add if word], [word[1:] for word in words if word.startswith("-") and len(word) > 1]
