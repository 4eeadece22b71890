"""What the stand-in for NVIDIA's driver says, and what the sampler makes of it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GIB = 1 << 30
OPENING = "the driver is opening the card"


class Driver:
    """The text file that the library answers from; see nvml_stub.c for its keys."""

    def __init__(self, library: Path, state: Path) -> None:
        self.environment = {"LD_LIBRARY_PATH": str(library), "FAKE_NVML": str(state)}
        self._state = state
        state.write_text("")

    def say(self, card: int, **values: Any) -> None:
        """From now on; -1 is every card and the library itself. A list stands for several lines."""
        with self._state.open("a") as file:
            for key, value in values.items():
                for each in value if isinstance(value, list) else [value]:
                    file.write(f"{card} {key} {each}\n")

    def fill(self, count: int) -> None:
        """That many cards of one kind, which do nothing."""
        self.say(-1, count=count, name="NVIDIA H100 80GB HBM3", util=0, memtotal=80 * GIB, memused=0, power=71000)
        self.say(-1, temp=34, plimit=700000, clksm=1980, energy=5_000_000, throttle=0, mig=0)
        for card in range(count):
            self.say(card, uuid=f"GPU-{card:08d}", bus=f"00000000:{card + 1:02X}:00.0")


class Sampler:
    """The process that asks the driver, outside of any daemon."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-m", "console.gpu.sampler"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def line(self) -> dict[str, Any]:
        """The next one."""
        assert self.process.stdout is not None
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        return found

    def cards(self) -> list[dict[str, Any]]:
        """Of the next line in which every card has been opened."""
        while True:
            cards: list[dict[str, Any]] = self.line()["gpus"]
            if not any(OPENING in card["reasons"].values() for card in cards):
                return cards


@contextlib.contextmanager
def sampling() -> Iterator[Sampler]:
    """A sampler that ends as it does with its daemon, when its stdin does."""
    sampler = Sampler()
    try:
        yield sampler
    finally:
        assert sampler.process.stdin is not None
        assert sampler.process.stdout is not None
        sampler.process.stdin.close()
        try:
            sampler.process.wait(10)
        except subprocess.TimeoutExpired:
            sampler.process.kill()
            sampler.process.wait()
        sampler.process.stdout.close()


def a_process(**environment: str) -> subprocess.Popen[bytes]:
    """Something that stands for a process on a card."""
    command = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, env=os.environ | environment)
