"""What every screen is given: the way to the daemon, the terminal, the clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from console.config import DEFAULTS
from console.tui.courier import Courier, Feed
from console.tui.link import LinkState

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.message_pump import MessagePump

    from console.config import Settings
    from console.tui.courier import ClientFactory
    from console.tui.terminal import TerminalProfile


@dataclass
class Session:
    """One for the life of the app."""

    client_factory: ClientFactory
    profile: TerminalProfile
    monotonic: Callable[[], float]
    settings: Settings = DEFAULTS
    courier: Courier = field(init=False)
    link: LinkState = field(init=False)

    def __post_init__(self) -> None:
        self.courier = Courier(self.client_factory)
        self.link = LinkState(self.monotonic)

    @property
    def ascii_only(self) -> bool:
        """Braille would show as boxes or question marks."""
        return self.profile.glyphs == "ascii"

    def feed(self, view: str, reply_to: MessagePump) -> Feed:
        """A feed of changes; the caller starts and stops it."""
        return Feed(view, self.client_factory, reply_to, self.profile.change_interval_s)
