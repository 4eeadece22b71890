"""From the screens to what is kept of them, and back when the console opens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from console.tui import memory
from console.tui.messages import RunRecalled
from console.tui.screens.base import FootplateScreen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from console.client import Client
    from console.protocol import Json
    from console.tui.app import FootplateApp
    from console.tui.early_frame import EarlyFrame

HOME: Final = "\x1b[H"
"""The cursor goes to the first cell (CUP of ECMA-48)."""


def content_of(app: FootplateApp, before: Mapping[str, Any]) -> dict[str, Json]:
    """What is to be kept now; screens that are not open keep what is in `before`."""
    screens = {scope: memory.table(before, "screens", scope) for scope in memory.table(before, "screens")}
    for screen in app.screen_stack:
        if isinstance(screen, FootplateScreen) and screen.present and screen.children:
            screens[screen.scope] = screen.remember()
    drafts = dict(list(app.session.drafts.items())[-memory.DRAFTS_MAX :])
    full = [each.scope for each in app.screen_stack if isinstance(each, FootplateScreen)]
    beneath = full[-2] if len(full) > 1 else ""
    return {
        "screen": app.front.scope,
        "beneath": beneath,
        "screens": screens,
        "drafts": drafts,
        "theme": app.theme_kept,
        "first_frame": memory.table(before, "first_frame"),
    }


def first_frame(app: FootplateApp, early: EarlyFrame) -> dict[str, Json]:
    """What is to be kept of the first frame, which is on the terminal now."""

    def paint() -> str:
        # Not by a full update: that would forget what is still to be painted.
        return HOME + "\r\n".join(strip.render(app.console) for strip in app.screen._compositor.render_strips())

    return early.kept_after(paint, app.size)


def reopen(app: FootplateApp, kept: dict[str, Any]) -> None:
    """Bring the screen to the front that was there, and beneath the one of a run that from which it was opened."""
    scope = memory.text(kept, "screen")
    if scope == "run":
        show(app, memory.text(kept, "beneath"))
        run_id = memory.text(memory.table(kept, "screens", "run"), "run")

        def fetch(client: Client) -> RunRecalled:
            return RunRecalled(client.run(run_id).row)

        if run_id:
            app.session.courier.ask("recalled-run", app, fetch)
    else:
        show(app, scope)


def show(app: FootplateApp, scope: str) -> None:
    """Each screen has an action of its name; one that this version does not have is left alone."""
    action = getattr(app, f"action_show_{scope}", None) if scope.isidentifier() else None
    if action is not None and scope != app.front.scope:
        action()
