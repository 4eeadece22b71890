"""The part of the app that knows no screen: refuses acts where it only looks, themes, plain text to copy."""

from __future__ import annotations

import sys
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Final, get_args

from textual import events
from textual.actions import parse
from textual.app import App, SuspendNotSupported

from console.config import Theme
from console.tui import type_ahead
from console.tui.actions import WRITING
from console.tui.ascii_glyphs import AsciiGlyphs
from console.tui.held_keys import HeldKeys
from console.tui.theme import THEMES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from textual.actions import ActionParseResult
    from textual.dom import DOMNode
    from textual.filter import LineFilter

    from console.tui.early_frame import EarlyFrame
    from console.tui.screens.base import FootplateScreen
    from console.tui.session import Session

LOOKS_ONLY: Final = "this console only looks: open one without readonly to act"
THEME_NAMES: Final[tuple[str, ...]] = get_args(Theme)


class GuardedApp(App[int]):
    """The part of the app that knows no screen."""

    session: Session
    _in_256_colours: LineFilter | None = None

    def __init__(self, early: EarlyFrame | None = None) -> None:
        """`early`: the frame that may be on the terminal already."""
        self.early_frame = early
        self._is_whole = self._leaves = False
        super().__init__(early.driver_class if early is not None else None)
        self._held_keys = HeldKeys(self)

    def leave(self) -> None:
        """Somebody ends it: exit, but not before the screen is whole, as Textual fails at one that it stops making."""
        self._leaves = True
        if self._is_whole:
            self.exit()

    def has_to_leave_now(self) -> bool:
        """The screen is whole; exits if that was waited for."""
        self._is_whole = True
        if self._leaves:
            self.exit()
        return self._leaves

    def _print_error_renderables(self) -> None:
        # What Textual says before it has taken the terminal would go with the early frame.
        if self.early_frame is not None:
            self.early_frame.withdraw()
        super()._print_error_renderables()

    def paint_for_terminal(self) -> None:
        """Where the terminal has 256 colours, choose among them; once, before the first frame."""
        if self.console.color_system == "256" and not self.no_color:
            from console.tui.eight_bit import EightBit  # here: most terminals have all colours

            self._in_256_colours = EightBit()

    def get_line_filters(self) -> Sequence[LineFilter]:
        """What every painted line goes through."""
        glyphs = (AsciiGlyphs(),) if self.session.ascii_only else ()
        colours = () if self._in_256_colours is None else (self._in_256_colours,)
        return (*glyphs, *super().get_line_filters(), *colours)

    def refresh_css(self, animate: bool = True) -> None:
        """Read the style sheets with other colours. Before there is a screen nothing was read: Textual would read them
        once more than needed."""
        if self.screen_stack:
            super().refresh_css(animate)
        else:
            self.stylesheet.set_variables(self.get_css_variables())

    def get_css_variables(self) -> dict[str, str]:
        """The colours of the theme; none while the app is being made, as they would be those of Textual's own."""
        return super().get_css_variables() if hasattr(self, "session") else {}

    def begin_theme(self, kept: Mapping[str, Any]) -> None:
        """The configured theme, or the one that a person switched to since it was configured so."""
        for theme in THEMES:
            self.register_theme(theme)
        configured = self.session.settings.theme
        chosen = kept.get("chosen")
        follows = kept.get("configured") == configured and chosen in THEME_NAMES
        self.theme = str(chosen) if follows else configured

    @property
    def theme_kept(self) -> dict[str, str]:
        """What is to be kept of the choice."""
        configured = self.session.settings.theme
        return {} if self.theme == configured else {"chosen": self.theme, "configured": configured}

    @property
    @abstractmethod  # held by mypy alone: Textual's metaclass is no ABCMeta
    def front(self) -> FootplateScreen:
        """The full screen in front, below any question or help."""

    def action_next_theme(self) -> None:
        """Dark, light, the terminal's own colours."""
        self.theme = THEME_NAMES[(THEME_NAMES.index(self.theme) + 1) % len(THEME_NAMES)]
        self.front.say(f"theme {self.theme}")

    def action_command_palette(self) -> None:
        """Find an action by its name."""
        from console.tui.screens.palette import Palette  # here: the first frame does not need it

        if not isinstance(self.screen, Palette):
            self.push_screen(Palette())

    def action_lofi(self) -> None:
        """The screen as plain text in the terminal itself, whose own selecting and copying then works."""
        from console.tui import lofi  # here: the first frame does not need it

        text = lofi.text_of(self.screen)
        try:
            with self.suspend():
                lofi.show(text, sys.stdin.fileno(), sys.stderr)
        except (SuspendNotSupported, OSError) as error:
            self.front.say(f"plain text cannot be shown here: {error or 'the terminal cannot be handed back'}")

    async def run_action(
        self,
        action: str | ActionParseResult,
        default_namespace: DOMNode | None = None,
        namespaces: Mapping[str, DOMNode] | None = None,
    ) -> bool:
        """Perform an action, unless it changes something and this console only looks."""
        if self.session.settings.readonly:
            namespace, name, _ = parse(action) if isinstance(action, str) else action
            node = {"app": self, "screen": self.screen, "": default_namespace or self}.get(namespace)
            if (getattr(node, "scope", "app"), name) in WRITING:
                self.front.say(LOOKS_ONLY)
                return True
        return await super().run_action(action, default_namespace, namespaces)

    async def on_event(self, event: events.Event) -> None:
        """A key that no field has taken, on its way up: it waits when what it is for has not come yet."""
        if isinstance(event, events.Key) and event.is_forwarded and self._held_keys.take(event):
            return
        await super().on_event(event)

    def on_key(self, event: events.Key) -> None:
        """A key that nobody used may have been typed ahead of a field."""
        type_ahead.redirect(self, event)
