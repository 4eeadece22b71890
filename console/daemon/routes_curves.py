"""The route that has metrics drawn: several of one run in one answer, over any axis, whole or a stretch, smoothed."""

from __future__ import annotations

import asyncio
import json
import math
from typing import TYPE_CHECKING, Any, Final

from starlette.routing import Route

from console.daemon.http import RefusedError, answer, guarded, integer
from console.daemon.launch import readable
from console.daemon.references import run_named
from store.curve_bins import AXES, SMOOTHING_MAX, Ask
from store.curves import curves_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from store.curves import MetricCurves
    from store.database import Database
    from store.queries.run_table import RunEntry

KEYS_MAX: Final = 24
"""As many charts as a large screen shows at once."""


class CurveRoutes:
    """What the route needs: the index, and how the points of an imported run are fetched."""

    def __init__(self, opened: Database, points_of: Callable[[RunEntry], Awaitable[None]]) -> None:
        self._database = opened
        self._points_of = points_of

    def table(self) -> list[Route]:
        """Path and handler."""
        return [Route("/runs/{reference}/curves", self.curves)]

    @guarded
    async def curves(self, request: Request) -> Response:
        """Metrics in bins, in the order asked for; those that the run has not are null."""
        keys, ask = keys_of(request), ask_of(request)

        def find() -> RunEntry:
            with self._database.reading() as cursor:
                return run_named(cursor, request.path_params["reference"])

        found = await asyncio.to_thread(find)
        if found.tracker and not found.is_followed:
            await self._points_of(found)
        ask = ask._replace(started_at_s=found.started_at_s)

        def read() -> list[dict[str, Any] | None]:
            with self._database.reading() as cursor:
                return [encoded(curves_of(cursor, found.no, key, ask)) for key in keys]

        return answer({"no": found.no, "started_at_s": found.started_at_s, "metrics": await asyncio.to_thread(read)})


def encoded(found: MetricCurves | None) -> dict[str, Any] | None:
    """As JSON can carry it."""
    if found is None:
        return None
    curves = [each._asdict() for each in found.curves]
    return found._asdict() | {"curves": curves, "mean": found.mean._asdict() if found.mean else None}


def keys_of(request: Request) -> list[str]:
    """The metrics that are asked for. Raises RefusedError."""
    try:
        keys = json.loads(request.query_params.get("keys", ""))
    except (ValueError, RecursionError):
        keys = None
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys) or not 0 < len(keys) <= KEYS_MAX:
        raise RefusedError(400, f"keys must be a JSON list of 1 to {KEYS_MAX} names of metrics")
    return list(map(readable, keys))


def ask_of(request: Request) -> Ask:
    """What is wanted of them. Raises RefusedError."""
    axis = request.query_params.get("axis", "step")
    if axis not in AXES:
        raise RefusedError(400, f"no axis {axis!r}", f"one of: {', '.join(AXES)}")
    smoothing = real(request, "smooth") or 0.0
    if not 0 <= smoothing <= SMOOTHING_MAX:
        raise RefusedError(400, f"smooth must be from 0 to {SMOOTHING_MAX}, not {smoothing:g}")
    low, high = real(request, "from"), real(request, "to")
    if low is not None and high is not None and low > high:
        raise RefusedError(400, f"from must not be greater than to: {low:g}, {high:g}")
    log_x = request.query_params.get("log_x") == "1"
    return Ask(integer(request, "bins", 200), axis, low, high, smoothing, log_x)


def real(request: Request, name: str) -> float | None:
    """A finite number of the query string; None when it is not given. Raises RefusedError."""
    text = request.query_params.get(name)
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise RefusedError(400, f"{name} must be a finite number, not {text[:40]!r}")
    return value
