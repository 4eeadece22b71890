"""`python -I -m console.gpu.sampler`: asks the driver for the figures of all cards and prints a line of JSON a second.

The one process in which a call into the driver may hang. Each card has a thread of its own, so one that does not answer
keeps no other from being measured, as long as the driver itself is well; while none answers nothing is printed, and the
daemon sees that the sampler stalls. A line is `{"gpus": [...]}`, each card as
`console.devices.Gpu` has it but for holders, which carry the id of their run; or `{"refused": "why"}` before the end.

It ends with its stdin, and so with the daemon; of a daemon that is gone while the driver hangs, SIGALRM ends it.
"""

from __future__ import annotations

import json
import os
import select
import signal
import threading
import time
from typing import Any, Final

from console.gpu import nvml, presence
from console.gpu.processes import Processes, holder

NICENESS: Final = 5
FAST_S: Final = 1.0
"""Utilization, memory, power, energy, clocks: microseconds a card."""
SLOW_S: Final = 5.0
"""Temperature and processes: a list of processes keeps the driver's lock for milliseconds."""
SELDOM_S: Final = 60.0
"""What a card can, and how it is split."""
TOGETHER_S: Final = 0.3
"""How long a line waits for cards that are being asked."""
OPENING_S: Final = 3.0
"""How long the first one does, whose cards are still to be opened."""
NO_ANSWER_S: Final = 5.0
"""From so long a silence on a card's last figures are not shown any more."""
ALARM_S: Final = 90
CARDS_MAX: Final = 64
OPENING: Final = "the driver is opening the card"
FIGURES: Final = (
    "utilization_percent",
    "memory_used_bytes",
    "memory_total_bytes",
    "power_w",
    "power_limit_w",
    "sm_clock_mhz",
    "energy_j",
    "throttle",
)


class CardSampler:
    """One card and the thread that asks for its figures; `ask` and `snapshot` belong to the main thread."""

    def __init__(self, index: int, answered: threading.Condition) -> None:
        self._card = nvml.Card(index)
        self._processes = Processes()
        self._answered = answered
        self._due = threading.Semaphore(0)
        self._snapshot: dict[str, Any] = {}
        self._asked_s = time.monotonic()
        self.is_idle = True
        """Whether it has answered the last question."""
        self._slow_at_s = self._seldom_at_s = -1e9
        self._is_open = False
        self._slow: dict[str, Any] = {}
        threading.Thread(target=self._work, name=f"gpu {index}", daemon=True).start()

    def ask(self) -> None:
        """Have it take a sample, unless it still waits for one."""
        if self.is_idle:
            self.is_idle = False
            self._asked_s = time.monotonic()
            self._due.release()

    def snapshot(self) -> dict[str, Any]:
        """The last sample; without figures when the card has not answered for a while."""
        silence_s = 0.0 if self.is_idle else time.monotonic() - self._asked_s
        if silence_s < NO_ANSWER_S:
            return self._snapshot or self._unmeasured(OPENING)
        return self._blank(f"no answer from the driver for {silence_s:.0f} s")

    def _work(self) -> None:
        while True:
            self._due.acquire()
            try:
                self._snapshot = self._sample()
            except Exception as error:
                self._snapshot = self._blank(f"it cannot be measured ({type(error).__name__}: {error})")
            with self._answered:
                self.is_idle = True
                self._answered.notify()

    def _sample(self) -> dict[str, Any]:
        card, now_s = self._card, time.monotonic()
        if self._is_asleep():
            return self._unmeasured(presence.ASLEEP)
        if not self._is_open:
            if now_s - self._seldom_at_s < SLOW_S:
                return self._snapshot
            self._seldom_at_s = now_s
            self._is_open = card.open()
            if not self._is_open:
                return self._blank(card.gone)
        if now_s - self._seldom_at_s >= SELDOM_S:
            self._seldom_at_s = now_s
            card.reprobe()
        found = card.figures()
        if card.gone:
            self._slow, self._slow_at_s = {}, -1e9
            return self._blank(card.gone)
        if now_s - self._slow_at_s >= SLOW_S - FAST_S / 2:
            # Cards take turns, so that their lists of processes do not hold the driver's lock one after the other.
            turn_s = 0.0 if self._slow else card.index % int(SLOW_S) * FAST_S
            self._slow_at_s = now_s - turn_s
            self._slow = self._ask_slow()
        reasons = {name: answer.reason for name, answer in found.items() if answer.reason} | self._slow["reasons"]
        return {
            **self._who(),
            **{name: found[name].value for name in FIGURES},
            "temperature_c": self._slow["temperature_c"],
            "holders": self._slow["holders"],
            "slices": self._slow["slices"],
            "problem": "",
            "reasons": reasons,
        }

    def _ask_slow(self) -> dict[str, Any]:
        card, reasons = self._card, {}
        temperature, processes = card.temperature(), card.processes()
        if temperature.reason:
            reasons["temperature_c"] = temperature.reason
        holders = None
        if processes.reason:
            reasons["holders"] = processes.reason
        else:
            used = card.process_utilization()
            holders = []
            for process in processes.value:
                # Who is not among the samples used nothing; where there are none at all, nobody knows.
                share = None if used.reason else used.value.get(process.pid, 0.0)
                facts = self._processes.who(process.pid)
                holders.append(holder(process.pid, process.memory_used_bytes, facts, share))
        return {
            "temperature_c": temperature.value,
            "holders": holders,
            "slices": card.slices(),
            "reasons": reasons,
        }

    def _is_asleep(self) -> bool:
        return bool(self._card.bus_id) and presence.is_asleep(presence.card_folder(self._card.bus_id))

    def _who(self) -> dict[str, Any]:
        card = self._card
        return {"number": card.index, "uuid": card.uuid or f"index {card.index}", "name": card.name}

    def _unmeasured(self, reason: str) -> dict[str, Any]:
        """Nothing is wrong with the card, and yet there are no figures."""
        return self._blank("") | {"reasons": dict.fromkeys((*FIGURES, "temperature_c", "holders"), reason)}

    def _blank(self, problem: str) -> dict[str, Any]:
        return {
            **self._who(),
            **dict.fromkeys(FIGURES),
            "temperature_c": None,
            "holders": None,
            "slices": [],
            "problem": problem,
            "reasons": {},
        }


def main() -> int:
    """Print lines until stdin ends; 1 when the driver refuses."""
    os.umask(0o077)
    os.nice(NICENESS)
    signal.alarm(ALARM_S)
    try:
        nvml.start()
        count = min(nvml.card_count(), CARDS_MAX)
    except nvml.RefusedError as error:
        say({"refused": str(error)})
        return 1
    if not count:
        say({"refused": "the NVIDIA driver finds no card"})
        return 1
    answered = threading.Condition()
    cards = [CardSampler(index, answered) for index in range(count)]
    next_s, patience_s = time.monotonic(), OPENING_S
    while True:
        signal.alarm(ALARM_S)
        for card in cards:
            card.ask()
        with answered:
            answered.wait_for(lambda: all(card.is_idle for card in cards), patience_s)
        if any(card.is_idle for card in cards) and not say({"gpus": [card.snapshot() for card in cards]}):
            return 0
        patience_s = TOGETHER_S
        next_s = max(next_s + FAST_S, time.monotonic())
        if select.select([0], [], [], max(0.0, next_s - time.monotonic()))[0] and not os.read(0, 4096):
            return 0


def say(line: dict[str, Any]) -> bool:
    """One line for the daemon; False when it is gone."""
    try:
        os.write(1, json.dumps(line).encode() + b"\n")
    except OSError:
        return False
    return True


if __name__ == "__main__":
    code = main()
    # Threads that hang in the driver are not waited for.
    os._exit(code)
