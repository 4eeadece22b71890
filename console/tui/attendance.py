"""Tells the daemon that a person is there, so that it knows later what ended while nobody looked."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from console.tui.messages import LinkQuiet

if TYPE_CHECKING:
    from textual.message_pump import MessagePump

    from console.client import Client
    from console.tui.session import Session

TOLD_EVERY_S: Final = 60.0


class Attendance:
    """One for the life of the app; tells at the first key and then once a minute while keys are pressed."""

    def __init__(self, session: Session, owner: MessagePump) -> None:
        self._session = session
        self._owner = owner
        self._told_at_s = -TOLD_EVERY_S

    def pressed(self) -> None:
        """A key, a click, or the console was opened. A console that only looks tells nothing."""
        now_s = self._session.monotonic()
        if not self._session.settings.readonly and now_s - self._told_at_s >= TOLD_EVERY_S:
            self._told_at_s = now_s
            self._tell()

    def _tell(self) -> None:
        known = self._session.link.status

        def tell(client: Client) -> LinkQuiet:
            from console import triage  # here: the first frame does not need them
            from console.client import DaemonRefused

            actor = known.user if known is not None else client.status().user
            with contextlib.suppress(DaemonRefused):
                # An older daemon keeps no presence: nothing of what the person does needs it.
                triage.tell_presence(client, actor)
            return LinkQuiet()

        self._session.courier.ask("presence", self._owner, tell)
