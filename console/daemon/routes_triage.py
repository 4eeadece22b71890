"""Routes for what wants a person, and for who looks."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from starlette.routing import Route

from console.daemon import people
from console.daemon.http import actor_of, answer, body_of, guarded
from console.daemon.routes_people import object_of, texts
from console.person import whoami

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from console.daemon.changes import Changes
    from console.daemon.device_watch import DeviceWatch
    from console.daemon.keeper import Keeper
    from console.daemon.presence import Onlookers
    from console.daemon.triage_view import TriageView


class TriageRoutes:
    """What the routes share."""

    def __init__(
        self, view: TriageView, onlookers: Onlookers, keeper: Keeper, changes: Changes, devices: DeviceWatch
    ) -> None:
        self._view = view
        self._devices = devices
        self._onlookers = onlookers
        self._keeper = keeper
        self._changes = changes

    def table(self) -> list[Route]:
        """Paths and handlers."""
        return [
            Route("/triage", self.triage),
            Route("/triage/seen", self.seen, methods=["POST"]),
            Route("/triage/clear", self.clear, methods=["POST"]),
            Route("/presence", self.presence, methods=["POST"]),
        ]

    @guarded
    async def triage(self, request: Request) -> Response:
        """What `actor` should look at; without one, whoever the daemon belongs to."""
        actor = request.query_params.get("actor") or whoami()
        return answer(await asyncio.to_thread(self._view.view, actor, self._devices.cards()))

    @guarded
    async def seen(self, request: Request) -> Response:
        """Take needs off the list of a person."""
        data = await object_of(request)
        keys, actor, known_by = texts(data, "keys"), actor_of(data), people.request_of(data)
        await asyncio.wrap_future(
            self._keeper.call(lambda: self._onlookers.mark(self._keeper.record, keys, actor, known_by))
        )
        return self._changed({"keys": keys})

    @guarded
    async def clear(self, request: Request) -> Response:
        """What has ended until now was looked at."""
        actor = actor_of(await body_of(request))
        await asyncio.to_thread(self._onlookers.clear, actor, time.time())
        return self._changed({})

    @guarded
    async def presence(self, request: Request) -> Response:
        """Somebody pressed a key."""
        actor = actor_of(await body_of(request))
        back = await asyncio.to_thread(self._onlookers.press, actor, time.time())
        return self._changed({"back": back}) if back else answer({"back": back})

    def _changed(self, value: dict[str, object]) -> Response:
        self._view.forget()
        self._changes.tell(["runs"])
        return answer(value)
