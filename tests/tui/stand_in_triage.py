"""What the daemon in memory says of triage while a test says nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from console.cli.output import plain
from tests.gpu.looks import machine

if TYPE_CHECKING:
    from console.devices import Devices
    from console.protocol import Json


def empty(now_s: float, run_count: int) -> dict[str, Json]:
    """Nothing wants anybody."""
    lists: dict[str, Json] = {name: [] for name in ("needs", "live", "best", "waiting", "ended")}
    counts = dict.fromkeys(("need_count", "live_count", "waiting_count", "ended_count"), 0)
    absence = {"since_s": now_s - 86_400.0, "away_s": None}
    return {"now_s": now_s, "run_count": run_count, "all_done_s": None, "absence": absence, **lists, **counts}


def devices(found: Devices | None) -> dict[str, Json]:
    """A look at the machine as the daemon sends it."""
    sent: dict[str, Json] = plain(found or machine())
    return sent
