"""A box over the screen in which something is typed and sent; it stays open with its text until that was accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from console.tui.actions import bindings, hints
from console.tui.screens.box import BoxScreen
from console.tui.styles import MUTED
from console.tui.text_format import visible

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from console.tui.courier import Call
    from console.tui.messages import ActDone, ActFailed, RequestFailed
    from console.tui.session import Session


class FormScreen(BoxScreen[None]):
    """Subclasses give the fields and say what is sent."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("form")
    DEFAULT_CSS = """
    FormScreen > Vertical {
        width: 90;
        height: auto;
        max-height: 96%;
        border-subtitle-color: $foreground 60%;
        padding: 0 1;
    }
    FormScreen Static {
        height: auto;
    }
    FormScreen Input {
        background: $panel;
    }
    FormScreen TextArea {
        background: $panel;
        border: none;
        padding: 0 1;
    }
    FormScreen #form-said {
        margin-top: 1;
    }
    """

    title_words: ClassVar[str] = ""
    takes_text: ClassVar[bool] = True
    """Keys that were typed ahead of it are for its first field."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session

    @property
    def keys_words(self) -> str:
        """What the keys do."""
        return hints(("form.submit", "sends"), ("form.close", "closes"))

    def compose(self) -> ComposeResult:
        """Fields, and a line for what is said about them."""
        with Vertical() as box:
            box.border_title = self.title_words
            box.border_subtitle = Content(self.keys_words).markup
            yield from self.fields()
            yield Static("", id="form-said", markup=False)

    def fields(self) -> ComposeResult:
        """What stands in the box."""
        yield from ()

    def say(self, words: str, *, severe: bool = False) -> None:
        """Put a sentence under the fields."""
        style = "bold $error" if severe else MUTED
        self.query_one("#form-said", Static).update(Content.styled(visible(words)[:600], style))

    def send(self, kind: str, failing: str, call: Call) -> None:
        """Have it carried out; the form closes once that is done."""
        refused = self.session.acts.send(kind, failing, self.app, call, form=self)
        self.say(refused or "sending…", severe=bool(refused))

    def on_act_done(self, _: ActDone) -> None:
        """Accepted; the message goes on to the app, which says so."""
        self.dismiss(None)

    def on_act_failed(self, message: ActFailed) -> None:
        """Nothing that was typed is lost: mend it, or send it again."""
        message.stop()
        self.say(message.words, severe=True)

    def on_request_failed(self, message: RequestFailed) -> None:
        """What a field needs to know was refused, or nobody was there to ask."""
        message.stop()
        self.say(f"{message.reason}: {message.hint}" if message.hint else message.reason, severe=True)

    def action_submit(self) -> None:
        """Send what was typed."""

    def action_close(self) -> None:
        """Leave the form."""
        self.dismiss(None)
