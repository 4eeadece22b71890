"""The one-line input under a rule: filters and searches, live while typing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from console.tui import type_ahead
from console.tui.actions import bindings, in_scope
from console.tui.pace import Pause
from console.tui.text_format import visible

if TYPE_CHECKING:
    from textual import events
    from textual.app import ComposeResult
    from textual.binding import BindingType

TYPING_PAUSE_S: Final = 0.12
MOMENT_S: Final = 0.03
"""Between letters that arrive together, as of a paste; the next one of a person comes later."""
FIELD_MAX_CHARACTERS: Final = 4096


class FieldInput(Input):
    """One line that does not blink, and that takes the first line of a paste, as much of it as there is room for."""

    def __init__(self, value: str = "", *, placeholder: str = "", compact: bool = True, id: str | None = None) -> None:  # noqa: A002
        super().__init__(value, placeholder=placeholder, compact=compact, select_on_focus=False, id=id)

    def on_mount(self) -> None:
        """A blinking cursor would write to the terminal twice a second while nothing happens."""
        self.cursor_blink = False

    def _on_paste(self, event: events.Paste) -> None:
        event.prevent_default()
        event.stop()
        room = max(0, FIELD_MAX_CHARACTERS - len(self.value) + len(self.selected_text))
        line = next(iter(event.text[: room + 1].splitlines()), "")
        self.replace(visible(line[:room]), *self.selection)


class PromptInput(FieldInput):
    """An input that hands its end to the prompt around it."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("input")

    async def on_key(self, event: events.Key) -> None:
        """The keys that leave act at once, and those that arrived together with them are not for this field."""
        if not self.can_focus:
            event.stop().prevent_default()
            type_ahead.pass_on(event, self.screen)
            return
        leaving = next((action for action in in_scope("input") if event.key in action.keys), None)
        if leaving is not None:
            event.stop().prevent_default()
            await self.run_action(leaving.name)

    def check_consume_key(self, key: str, character: str | None) -> bool:
        """Once it was left, it does not keep keys from the screen."""
        return self.can_focus and super().check_consume_key(key, character)

    def action_keep_filter(self) -> None:
        """Keep the text and leave."""
        self.can_focus = False
        self.post_message(Prompt.Left(kept=True, text=self.value))

    def action_drop_filter(self) -> None:
        """Drop the text and leave."""
        self.can_focus = False
        self.post_message(Prompt.Left(kept=False, text=self.value))

    def action_take_completion(self) -> None:
        """Take the first completion, where there are some."""
        self.post_message(Prompt.Wanted("completion"))

    def action_earlier_filter(self) -> None:
        """Type again what was typed before."""
        self.post_message(Prompt.Wanted("earlier"))

    def action_cursor_right(self, select: bool = False) -> None:
        """Behind the last character there is nothing but a completion to go to."""
        if self.cursor_at_end and not select:
            self.action_take_completion()
        else:
            super().action_cursor_right(select)


class Prompt(Horizontal):
    """Hidden until opened; says what is typed after a short pause, and when typing is over."""

    DEFAULT_CSS = """
    Prompt {
        height: 1;
        background: $panel;
    }
    Prompt > Static {
        width: auto;
        color: $accent;
        text-style: bold;
    }
    Prompt > PromptInput {
        width: 1fr;
        background: $panel;
    }
    """

    @dataclass
    class Letters(Message):
        """The text after each letter: what it may need can be fetched, nothing is to be shown yet."""

        text: str

    @dataclass
    class Typed(Message):
        """The text after a pause in typing."""

        text: str

    @dataclass
    class Wanted(Message):
        """A key asks for what only some prompts have."""

        what: Literal["completion", "earlier"]

    @dataclass
    class Left(Message):
        """Typing is over; the text counts only when it is kept."""

        kept: bool
        text: str

    def __init__(self, label: str, placeholder: str, *, hides: bool = True, id: str | None = None) -> None:  # noqa: A002
        """`hides`: it is in sight only while somebody types; else whatever it is part of sees to that."""
        super().__init__(id=id)
        self._hides = hides
        self.display = not hides
        self._label = label
        self._placeholder = placeholder

    def compose(self) -> ComposeResult:
        """A label and the input."""
        yield Static(Content(f" {self._label} "))
        yield PromptInput(placeholder=self._placeholder)

    def on_mount(self) -> None:
        """No debounce before there is something to debounce."""
        # Hidden it must not take the keys: Textual hands the focus of a table that hides to whatever can have it.
        self.text_input.can_focus = False
        self._pause = Pause(self, TYPING_PAUSE_S, self._say)
        self._moment = Pause(self, MOMENT_S, self._tell)

    @property
    def text_input(self) -> PromptInput:
        """The input itself."""
        return self.query_one(PromptInput)

    def open(self, text: str = "") -> None:
        """Show the prompt with a text and take the focus."""
        self.display = True
        with self.prevent(Input.Changed):
            self.text_input.value = text
        self.text_input.cursor_position = len(text)
        self.text_input.can_focus = True
        # At once: `focus` would come after the keys that arrived together with the one that opens the prompt.
        self.screen.set_focus(self.text_input)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Wait for a pause."""
        event.stop()
        self._moment.soon()
        self._pause.soon()

    def on_prompt_left(self) -> None:
        """Say what was typed last, then hide; the message goes on to the screen."""
        self._moment.cancel()
        self._pause.cancel()
        self.display = not self._hides
        self.text_input.can_focus = False

    def _tell(self) -> None:
        self.post_message(self.Letters(self.text_input.value))

    def _say(self) -> None:
        self.post_message(self.Typed(self.text_input.value))
