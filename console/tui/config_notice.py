"""Says what is wrong with the configuration once the first frame is painted: saying it well takes pydantic."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from console.tui.courier import deliver
from console.tui.messages import ConfigWrong

if TYPE_CHECKING:
    from textual.message_pump import MessagePump

    from console.config import Loaded


def look(loaded: Loaded, reply_to: MessagePump) -> None:
    """Look at the files in a thread, and post what is wrong with them."""

    def check() -> None:
        from console import config_check

        wrong = config_check.complaints(loaded)
        if wrong:
            more = f"; {len(wrong) - 1} more, `footplate config` lists them" if len(wrong) > 1 else ""
            deliver(reply_to, ConfigWrong(f"{wrong[0]}; until then the default is in force{more}"))

    threading.Thread(target=check, name="footplate-config", daemon=True).start()
