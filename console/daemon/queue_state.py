"""What people have settled about the queue, in `queue.json`: limits, declared devices, pauses, places."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import Any, Final

from console.jobs import leases
from store import paths

FORMAT: Final = 1
RUNS_MAX: Final = 10_000
DEVICES_MAX: Final = 1024


@dataclass(slots=True)
class QueueState:
    """Belongs to the keeper's thread."""

    home: str
    slots: int | None = None
    """How many runs may take a slot at once; None: as many as suit the machine."""
    devices: tuple[str, ...] = ()
    devices_dir: str = ""
    pauses: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By scope, as in `RunQueue.pauses`: who paused it, when and why."""
    places: dict[str, tuple[int, float]] = field(default_factory=dict)
    """Priority and rank of runs that were moved."""
    problem: str = ""
    """Why the file could not be read; it is then left as it is until something is settled anew."""

    @property
    def slot_count(self) -> int:
        """How many runs may take a slot at once."""
        return self.slots if self.slots is not None else default_slots()

    def save(self) -> None:
        """Write it down. Raises OSError."""
        content = {
            "format": FORMAT,
            "slots": self.slots,
            "devices": list(self.devices),
            "devices_dir": self.devices_dir,
            "pauses": self.pauses,
            "places": {run_id: list(place) for run_id, place in self.places.items()},
        }
        paths.write_atomically(path_of(self.home), json.dumps(content).encode())

    def declare(self, names: tuple[str, ...], folder: str) -> None:
        """Declare the devices that runs can have to themselves. Raises OSError."""
        folder = folder or os.path.join(self.home, "leases")
        if names:
            leases.declare(folder, names)
        self.devices, self.devices_dir = names, folder


def path_of(home: str) -> str:
    """Where it is: beside the index, as each host of a shared home has a queue of its own."""
    return os.path.join(paths.local_dir(home), "queue.json")


def read(home: str) -> QueueState:
    """What was settled; nothing where there is no such file, or none that can be read."""
    state = QueueState(home)
    try:
        with open(path_of(home), "rb") as file:
            found = json.load(file)
        slots = found["slots"]
        state.slots = None if slots is None else max(0, int(slots))
        state.devices = tuple(name for name in found["devices"] if leases.NAME.fullmatch(name))
        state.devices_dir = str(found["devices_dir"])
        state.pauses = {str(scope): dict(said) for scope, said in found["pauses"].items()}
        state.places = {str(run_id): (int(place[0]), float(place[1])) for run_id, place in found["places"].items()}
    except FileNotFoundError:
        pass
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        state = QueueState(home, problem=f"{path_of(home)} cannot be read ({error}): the queue has its defaults")
    return state


def default_slots() -> int:
    """Half of the processors that we may use, at least one."""
    return max(1, len(os.sched_getaffinity(0)) // 2)
