"""How busy the machine is: what clients ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Route

from console.daemon.http import answer, guarded

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from console.daemon.device_watch import DeviceWatch


class DeviceRoutes:
    """What the route needs."""

    def __init__(self, watch: DeviceWatch) -> None:
        self._watch = watch

    def table(self) -> list[Route]:
        """Path and handler."""
        return [Route("/devices", self.devices)]

    @guarded
    async def devices(self, request: Request) -> Response:
        """Processors, memory, disks and GPUs; with `wait` a sampler that is only starting is waited for."""
        return answer(await self._watch.look(wait=request.query_params.get("wait") == "1"))
