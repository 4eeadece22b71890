"""How the console ends when nobody presses a key: the line drops (SIGHUP), or somebody ends it (SIGTERM)."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def heed_signals(settle: Callable[[], None], leave: Callable[[], None]) -> None:
    """Have `settle` called when the line drops, and `leave` when the process is to end; on the running event loop."""
    loop = asyncio.get_running_loop()

    def hang_up() -> None:
        settle()
        # The terminal is gone: whatever would be written to it now only delays the end.
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGHUP)

    loop.add_signal_handler(signal.SIGHUP, hang_up)
    loop.add_signal_handler(signal.SIGTERM, leave)
