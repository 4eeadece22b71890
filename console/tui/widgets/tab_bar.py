"""The second line: the screens that exist, where we are, and what the daemon has to say."""

from __future__ import annotations

from typing import Final

from textual.content import Content

from console.tui.actions import key_for
from console.tui.styles import MUTED
from console.tui.text_format import visible
from console.tui.widgets.line import EMPTY, Line

TABS: Final = (("app.show_triage", "Triage"), ("app.show_runs", "Runs"), ("app.show_projects", "Projects"))
"""The action that leads to each screen that is built, and its name."""


class TabBar(Line):
    """One entry per built screen; below an open run its name."""

    DEFAULT_CSS = """
    TabBar {
        background: $surface;
    }
    """

    def show(self, tab: str, trail: str = "", notice: str = "", away: str = "") -> None:
        """`tab` is where we are, `trail` the way into it, `notice` one sentence of the daemon, `away` for how long."""
        parts: list[tuple[str, str]] = []
        for action, name in TABS:
            parts += [(f" {key_for(action)}", "$accent"), (f"{name} ", "bold $foreground" if name == tab else MUTED)]
            if trail and name == tab:
                parts += [("› ", MUTED), (f"{visible(trail)} ", "bold $primary")]
        right = Content.styled(f"{away} ", "$secondary") if away else EMPTY
        if notice:
            right = Content.styled(f"! {visible(notice)} ", "bold $warning")
        self.set_parts(Content.assemble(*parts), right)
