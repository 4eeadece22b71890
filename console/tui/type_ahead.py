"""Keys that come in one piece: over a slow line `/lr<1` arrives at once, before the line that `/` opens has the focus.

Textual hands each key to the widget that has the focus when it arrives. One that was typed ahead would be taken for a
command, and `R` for a retry, so a key that comes back unused goes on to the field that has the focus by then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from textual import events

if TYPE_CHECKING:
    from textual.app import App
    from textual.message_pump import MessagePump
    from textual.widget import Widget

AIM: Final = "aimed_at"
A_LETTER: Final = ("a", "a")
"""What only a field that is typed into keeps for itself; to ask so spares the first frame the import of fields."""


def aim(event: events.Key, target: MessagePump) -> None:
    """Remember where a key goes first."""
    setattr(event, AIM, target)


def redirect(app: App[Any], event: events.Key) -> None:
    """Hand a key that nobody used to the field that has got the focus since it arrived."""
    screen, field = app.screen, app.focused
    aimed_at = getattr(event, AIM, field)
    if field is None and getattr(screen, "takes_text", False):
        # The form is still being made; what was typed ahead is for it.
        event.stop().prevent_default()
        screen.call_after_refresh(again, app, event)
    elif field is not None and field is not aimed_at and field.check_consume_key(*A_LETTER):
        again(app, event)


def again(app: App[Any], event: events.Key) -> None:
    """Send a key to what has the focus now."""
    if (field := app.focused) is not None:
        pass_on(event, field)


def pass_on(event: events.Key, target: Widget) -> None:
    """Send a key to another widget instead."""
    event.stop().prevent_default()
    copy = events.Key(event.key, event.character)
    aim(copy, target)
    target._forward_event(copy)
