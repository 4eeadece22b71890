"""The command palette: every action of the present screen, by its description."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from textual.command import DiscoveryHit, Hit, Hits, Provider

from console.tui.actions import SCOPE_TITLES, key_names, palette_actions

if TYPE_CHECKING:
    from console.tui.actions import Action, Scope


class ActionCommands(Provider):
    """Offers what the registry allows here; nothing from outside, because the palette reads its texts as markup."""

    async def discover(self) -> Hits:
        """All actions, before anything is typed."""
        for action in self._actions():
            yield DiscoveryHit(title(action), partial(self._perform, action), help=self._explanation(action))

    async def search(self, query: str) -> Hits:
        """The actions whose description matches."""
        matcher = self.matcher(query)
        for action in self._actions():
            score = matcher.match(title(action))
            if score > 0:
                yield Hit(
                    score,
                    matcher.highlight(title(action)),
                    partial(self._perform, action),
                    help=self._explanation(action),
                )

    def _actions(self) -> tuple[Action, ...]:
        scope: Scope = getattr(self.screen, "scope", "app")
        return palette_actions(scope)

    def _explanation(self, action: Action) -> str:
        session = getattr(self.app, "session", None)
        readonly = action.writes and session is not None and session.settings.readonly
        return explanation(action) + "   refused: this console only looks" * readonly

    async def _perform(self, action: Action) -> None:
        namespace = "app" if action.scope == "app" else "screen"
        await self.app.run_action(f"{namespace}.{action.name}")


def title(action: Action) -> str:
    """How an action is listed."""
    return action.description[:1].upper() + action.description[1:]


def explanation(action: Action) -> str:
    """Its keys, so that next time the palette is not needed; `\\[` keeps a bracket a bracket."""
    keys = key_names(action).replace("[", "\\[")
    return f"{keys}   {SCOPE_TITLES[action.scope]}"
