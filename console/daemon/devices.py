"""The declared devices of this machine: which are free, and which run was given which."""

from __future__ import annotations

from typing import TYPE_CHECKING

from console.jobs import leases

if TYPE_CHECKING:
    from console.daemon.queue_state import QueueState
    from console.jobs.leases import Lease


class Devices:
    """Belongs to the keeper's thread; `of` may be read from any."""

    def __init__(self, state: QueueState) -> None:
        self._state = state
        self.of: dict[str, tuple[str, ...]] = {}
        """Names of the devices of a live run, by its id, as far as this daemon gave them."""

    def take_free(self) -> list[Lease]:
        """Every device that nobody has: only what is taken is known to be free; what is not given is let go again."""
        taken = [leases.take(self._state.devices_dir, name) for name in self._state.devices]
        return [lease for lease in taken if lease is not None]

    def give(self, run_id: str, count: int, in_hand: list[Lease]) -> tuple[Lease, ...]:
        """Give a run its devices out of those at hand."""
        given = tuple(in_hand.pop(0) for _ in range(count))
        if given:
            self.of[run_id] = tuple(lease.name for lease in given)
        return given
