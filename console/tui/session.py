"""What every screen is given: the way to the daemon, the terminal, the clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from console.config import DEFAULTS
from console.tui.acts import Acts
from console.tui.courier import Courier, Feed
from console.tui.link import LinkState

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.message_pump import MessagePump

    from console.config import Settings
    from console.protocol import Json
    from console.tui.courier import ClientFactory
    from console.tui.terminal import TerminalProfile


class Session:
    """One for the life of the app."""

    def __init__(
        self,
        client_factory: ClientFactory,
        profile: TerminalProfile,
        monotonic: Callable[[], float],
        settings: Settings = DEFAULTS,
    ) -> None:
        self.client_factory = client_factory
        self.profile = profile
        self.monotonic = monotonic
        self.settings = settings
        self.courier = Courier(client_factory)
        self.acts = Acts(client_factory, monotonic)
        self.link = LinkState(monotonic, slow=profile.slow, ascii_only=self.ascii_only)
        self.drafts: dict[str, str] = {}
        """Unsent texts by what they are about, such as `note:<id of the run>`."""
        self.away = ""
        """How long the person did not look, in words, while what ended meanwhile is listed; else empty."""

    @property
    def actor(self) -> str:
        """Who acts, for the audit trail."""
        return self.link.status.user if self.link.status else "tui"

    def context(self) -> dict[str, Json]:
        """What a run gets of this terminal: environment, umask and limits, without what the screens added."""
        from console.cli import shell  # here: the first frame does not need it

        found = shell.context()
        if self.profile.environment is not None:
            found["environment"] = dict(self.profile.environment)
        return found

    @property
    def ascii_only(self) -> bool:
        """Braille would show as boxes or question marks."""
        return self.profile.glyphs == "ascii"

    def feed(self, view: str, reply_to: MessagePump) -> Feed:
        """A feed of changes; the caller starts and stops it."""
        return Feed(view, self.client_factory, reply_to, self.profile.change_interval_s)
