"""How busy the machine is: looks at the host when somebody asks, and at what the sampler says of the GPUs."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any, Final

from console.daemon.sampler_keeping import SamplerKeeping
from console.devices import BUSY_PERCENT
from console.gpu.disks import Disks
from console.gpu.history import History, Moment
from console.gpu.host import Host, HostSample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

LOOKED_S: Final = 60.0
"""For so long after somebody looked the GPUs are sampled."""
FRESH_S: Final = 0.8
"""A look at the host that is younger is not repeated."""
COMPARABLE_S: Final = 30.0
"""A look that is older says nothing of how busy the processors are now."""
FIRST_LOOK_S: Final = 0.2
"""Between the two looks that a first figure takes."""
FIRST_LINE_S: Final = 4.0
"""How long a client that asked for it waits for a sampler that is starting."""
LABELS_MAX: Final = 1024


class DeviceWatch:
    """Belongs to the event loop; what reads files runs in other threads, one at a time."""

    def __init__(
        self,
        home: str,
        places: Callable[[], Iterable[str]],
        label_of: Callable[[str], str],
        report: Callable[[str], None],
    ) -> None:
        self._home = home
        self._places = places
        """Folders whose file systems matter beside that of the state directory."""
        self._label_of = label_of
        """The short name of a run, by its id; empty for one that is none of ours. Reads the index."""
        self._labels: dict[str, str] = {}
        self._host = Host()
        self._host_sample: HostSample | None = None
        self._host_at_s = -1e9
        self._looking = asyncio.Lock()
        self._disks = Disks()
        self._history = History()
        self._looked_s = -1e9
        self._line: dict[str, Any] | None = None
        """What the sampler last said of the cards."""
        self._line_at_s = 0.0
        self._sampler = SamplerKeeping(self._take, report)

    def tick(self, live_count: int) -> None:
        """Every second: have the GPUs sampled while somebody looks or a run lives."""
        self._sampler.tick(wanted=live_count > 0 or time.monotonic() - self._looked_s < LOOKED_S)

    def close(self) -> None:
        """Look no more."""
        self._sampler.close()

    def busy_gpus(self) -> tuple[int, int] | None:
        """How many GPUs work, of how many that say so; None where none does. Counts as a look."""
        self._looked_s = time.monotonic()
        said = [card["utilization_percent"] for card in self._cards() if card["utilization_percent"] is not None]
        return (sum(each >= BUSY_PERCENT for each in said), len(said)) if said else None

    def cards(self) -> list[dict[str, Any]]:
        """The cards as last seen, those that hold them by the ids of runs. Counts as no look."""
        now_s = time.monotonic()
        return [card | {"idle_held_s": self._history.idle_held_s(card["uuid"], now_s)} for card in self._cards()]

    async def look(self, *, wait: bool = False) -> dict[str, Any]:
        """A snapshot as `console.devices.Devices` has it; `wait` for the first figures of a sampler that starts."""
        self._looked_s = time.monotonic()
        self.tick(0)
        async with self._looking:
            host = await self._look_at_host()
            disks = await asyncio.to_thread(self._disks.look, [self._home, *self._places()])
        if wait and self._sampler.pid is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._sampler.heard.wait(), FIRST_LINE_S)
        cards = self._cards()
        await asyncio.to_thread(self._learn_labels, cards)
        now_s = time.monotonic()
        return {
            "cpu_percent": host.cpu_percent,
            "cpu_count": host.cpu_count,
            "load": host.load,
            "memory_used_bytes": host.memory.used_bytes,
            "memory_total_bytes": host.memory.total_bytes,
            "swap_used_bytes": host.memory.swap_used_bytes,
            "swap_total_bytes": host.memory.swap_total_bytes,
            "limits": host.limits,
            "disks": [disk._asdict() for disk in disks],
            "gpus": [self._with_ours(card, now_s) for card in cards],
            "gpu_reason": self._sampler.reason,
            "age_s": now_s - self._line_at_s if cards else None,
            "stalled_s": self._sampler.stalled_s,
        }

    def _cards(self) -> list[dict[str, Any]]:
        """The cards as last seen, while the sampler lives: of one that hangs they stay, with their age."""
        return [] if self._line is None or self._sampler.reason else self._line["gpus"]

    def _take(self, line: dict[str, Any]) -> None:
        self._line, self._line_at_s = line, time.monotonic()
        for card in line["gpus"]:
            figures = (card["utilization_percent"], card["memory_used_bytes"], card["power_w"])
            self._history.add(card["uuid"], Moment(self._line_at_s, *figures))

    def _with_ours(self, card: dict[str, Any], now_s: float) -> dict[str, Any]:
        """A card with what only the daemon knows: for how long it is idle, and which run is which."""
        holders = card["holders"]
        if holders is not None:
            holders = [holder | {"run": self._labels.get(holder["run"], "")} for holder in holders]
        return card | {"idle_held_s": self._history.idle_held_s(card["uuid"], now_s), "holders": holders}

    def _learn_labels(self, cards: list[dict[str, Any]]) -> None:
        ids = {holder["run"] for card in cards for holder in card["holders"] or () if holder["run"]}
        for run_id in ids - self._labels.keys():
            if len(self._labels) >= LABELS_MAX:
                self._labels = {}
            # One that the index does not know yet may be there the next time.
            if label := self._label_of(run_id):
                self._labels[run_id] = label

    async def _look_at_host(self) -> HostSample:
        now_s = time.monotonic()
        if self._host_sample is not None and now_s - self._host_at_s < FRESH_S:
            return self._host_sample
        if now_s - self._host_at_s > COMPARABLE_S:
            await asyncio.to_thread(self._host.look)
            await asyncio.sleep(FIRST_LOOK_S)
        self._host_sample = await asyncio.to_thread(self._host.look)
        self._host_at_s = time.monotonic()
        return self._host_sample
