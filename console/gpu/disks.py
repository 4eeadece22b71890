"""How full file systems are, asked so that one which does not answer, such as a dead NFS mount, holds nobody up."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from console.devices import Disk

if TYPE_CHECKING:
    from collections.abc import Iterable

PATIENCE_S: Final = 0.5
"""How long a caller waits for file systems that have not answered yet."""
LOOK_EVERY_S: Final = 15.0
DISKS_MAX: Final = 64


@dataclass(slots=True)
class _Look:
    """One question to one place, in a thread of its own."""

    asked_s: float
    done: threading.Event = field(default_factory=threading.Event)
    device: int = -1
    used_bytes: int | None = None
    free_bytes: int | None = None
    mount: str = ""
    problem: str = ""


class Disks:
    """Remembers what each place answered; a place is asked again only after it has answered."""

    def __init__(self) -> None:
        self._looks: dict[str, _Look] = {}
        self._lock = threading.Lock()

    def look(self, places: Iterable[str]) -> tuple[Disk, ...]:
        """One entry for each file system that the places lie in, in their order. Takes `PATIENCE_S` at most."""
        wanted = list(dict.fromkeys(places))[:DISKS_MAX]
        with self._lock:
            self._looks = {place: look for place, look in self._looks.items() if place in wanted}
            looks = [(place, self._asked(place)) for place in wanted]
        deadline_s = time.monotonic() + PATIENCE_S
        found: dict[int | str, Disk] = {}
        for place, look in looks:
            if not look.done.wait(max(0.0, deadline_s - time.monotonic())):
                waited_s = time.monotonic() - look.asked_s
                found.setdefault(place, Disk(place, None, None, problem=f"no answer for {waited_s:.0f} s"))
            elif look.problem:
                found.setdefault(place, Disk(place, None, None, problem=look.problem))
            else:
                found.setdefault(look.device, Disk(place, look.used_bytes, look.free_bytes, look.mount))
        return tuple(found.values())

    def _asked(self, place: str) -> _Look:
        """The last question, or a new one where that is old and answered."""
        look = self._looks.get(place)
        if look is None or (look.done.is_set() and time.monotonic() - look.asked_s > LOOK_EVERY_S):
            look = self._looks[place] = _Look(time.monotonic())
            # A daemon thread: one that hangs in the kernel must not keep the process from ending.
            threading.Thread(target=ask, args=(place, look), name="disk", daemon=True).start()
        return look


def ask(place: str, look: _Look) -> None:
    """Fill in what the file system says of itself."""
    try:
        facts = os.statvfs(place)
        look.device = os.stat(place).st_dev
        look.mount = mount_of(place, look.device)
        look.used_bytes = (facts.f_blocks - facts.f_bfree) * facts.f_frsize
        look.free_bytes = facts.f_bavail * facts.f_frsize
    except OSError as error:
        look.problem = error.strerror or str(error)
    finally:
        look.done.set()


def mount_of(place: str, device: int) -> str:
    """The highest folder above a place that lies in the same file system."""
    found = os.path.realpath(place)
    while (above := os.path.dirname(found)) != found and os.stat(above).st_dev == device:
        found = above
    return found
