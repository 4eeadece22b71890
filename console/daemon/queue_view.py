"""What the queue looks like from outside: why each run waits, and about when it will start.

The estimate gives runs their turn one after the other, each for the median time of its kind, without overtaking; it
ends at the first run whose kind has never finished, because nothing after that can be known.
"""

from __future__ import annotations

import heapq
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from console.daemon.scheduler import Scheduler
    from console.jobs.run_queue import Waiting

ESTIMATED_MAX: Final = 2000
"""Runs beyond this place get no estimate."""


class Lane(NamedTuple):
    """A run in the forecast: when it ends and what it then gives back."""

    ends_at_s: float
    slots: int
    devices: int


def view(scheduler: Scheduler, durations: Mapping[tuple[str, str], float], limit: int) -> dict[str, Any]:
    """The queue as JSON; may be called from any thread."""
    now_s = time.time()
    with scheduler.lock:
        order = scheduler.queue.in_order()
        why: dict[str, str] = {}
        starting = {each.id for each in scheduler.queue.review(scheduler.free(), now_s, why=why)}
        standings = {each.id: scheduler.queue.standing(each.id) for each in order}
        specs = {each.id: scheduler.spec_of(each.id) for each in order}
        free = scheduler.free()
        lives = list(scheduler.live.values())
    expected = forecast(order, specs, standings, scheduler, durations, now_s)
    entries = []
    for position, each in enumerate(order[:limit], 1):
        spec, standing = specs[each.id], standings[each.id]
        reason = "; ".join(filter(None, [standing.reason, why.get(each.id) if standing.state == "queued" else ""]))
        entries.append(
            {
                "position": position,
                "id": each.id,
                "no": each.no,
                "name": spec.name,
                "project": spec.project,
                "state": standing.state,
                "reason": reason or ("it starts now" if each.id in starting else ""),
                "releasable": scheduler.is_held(each.id),
                "priority": each.priority,
                "sweep": each.wants.sweep,
                "job": each.wants.job,
                "origin": each.wants.origin,
                "devices": each.wants.devices,
                "mutex": list(each.wants.mutex),
                "after": [each.awaited.get(run_id, 0) for run_id in each.unmet],
                "params": dict(spec.params),
                "expected_start_s": expected.get(each.id),
            }
        )
    state = scheduler.state
    return {
        "now_s": now_s,
        "waiting_count": len(order),
        "live_count": len(lives),
        "slots": state.slot_count,
        "slots_chosen": state.slots is not None,
        "slots_free": free.slots,
        "devices": [device_of(scheduler, name, lives) for name in state.devices],
        "pauses": [{"scope": scope, **said} for scope, said in sorted(state.pauses.items())],
        "entries": entries,
    }


def device_of(scheduler: Scheduler, name: str, lives: Sequence[Any]) -> dict[str, Any]:
    """One declared device and who has it."""
    from console.jobs import leases

    path = leases.path_of(scheduler.state.devices_dir, name)
    taken = leases.is_taken(scheduler.state.devices_dir, name)
    pid = leases.holders([path]).get(path) if taken else None
    run = next((each.spec.no for each in lives if name in scheduler.devices.of.get(each.spec.id, ())), None)
    return {"name": name, "taken": taken, "run": run, "pid": pid}


def forecast(
    order: Iterable[Waiting],
    specs: Mapping[str, Any],
    standings: Mapping[str, Any],
    scheduler: Scheduler,
    durations: Mapping[tuple[str, str], float],
    now_s: float,
) -> dict[str, float]:
    """About when each run starts (Unix seconds), by id; those that cannot be told are left out."""
    running: list[Lane] = []
    ends: dict[str, float] = {}
    slots, devices = scheduler.state.slot_count, len(scheduler.state.devices)
    now_monotonic_s = time.monotonic()
    for live in list(scheduler.live.values()):
        spec = live.spec
        typical_s = durations.get((spec.project, spec.name))
        wants = spec.queueing
        slots -= wants.takes_slot
        devices -= wants.devices
        if typical_s is not None:
            ends[spec.id] = now_s + max(0.0, typical_s - (now_monotonic_s - live.since_s))
            heapq.heappush(running, Lane(ends[spec.id], int(wants.takes_slot), wants.devices))
    found: dict[str, float] = {}
    for place, each in enumerate(order):
        if place >= ESTIMATED_MAX:
            break
        if standings[each.id].state == "held" or each.wants.devices > len(scheduler.state.devices):
            continue
        if any(run_id not in ends for run_id in each.unmet):
            continue
        start_s = max([now_s, each.due_at_s, *(ends[run_id] for run_id in each.unmet)])
        needs_slot = int(each.wants.takes_slot)
        while (needs_slot > max(0, slots) or each.wants.devices > max(0, devices)) and running:
            lane = heapq.heappop(running)
            slots, devices = slots + lane.slots, devices + lane.devices
            start_s = max(start_s, lane.ends_at_s)
        if needs_slot > max(0, slots) or each.wants.devices > max(0, devices):
            break
        found[each.id] = start_s
        spec = specs[each.id]
        typical_s = durations.get((spec.project, spec.name))
        slots, devices = slots - needs_slot, devices - each.wants.devices
        if typical_s is not None:
            ends[each.id] = start_s + typical_s
            heapq.heappush(running, Lane(ends[each.id], needs_slot, each.wants.devices))
    return found
