"""What the daemon says about itself."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from console import protocol
from console.daemon.http import answer, guarded
from console.version import VERSION
from store import paths

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from console.daemon.keeper import Keeper


class DaemonRoutes:
    """Facts about this process."""

    def __init__(self, home: str, keeper: Keeper) -> None:
        self._home = home
        self._keeper = keeper
        self._started_s = time.monotonic()

    @guarded
    async def facts(self, _: Request) -> Response:
        """What `footplate daemon status` shows."""
        return answer(
            {
                "pid": os.getpid(),
                "version": VERSION,
                "protocol": protocol.PROTOCOL_VERSION,
                "uptime_s": time.monotonic() - self._started_s,
                "live_count": self._keeper.live_count,
                "socket": paths.socket_path(self._home),
                "index": paths.database_path(self._home),
                "notice": self._keeper.notice,
            }
        )
