"""Whether a widget still has its parts: answers and timers may come while a screen is on its way in or out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textual.screen import Screen
    from textual.widget import Widget


def is_present(widget: Widget, screen: Screen[Any]) -> bool:
    """Composed, and its screen has not been left; children of a screen that is left go before it does."""
    app = widget.app
    # `display` turns false as soon as the removal of a screen begins.
    return widget.is_mounted and widget.is_attached and app.is_running and screen.display and screen in app.screen_stack
