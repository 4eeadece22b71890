"""Keeps the sampler of the GPUs alive while somebody needs it, and says what is wrong while it does not answer.

A call into a sick driver may hang for good, even through a KILL: the sampler is then given up, and one that did die is
replaced, after pauses that grow. Nothing here waits; the daemon calls `tick` every second.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import TYPE_CHECKING, Any, Final

from console.daemon.sampler_process import SamplerProcess
from console.gpu import presence

if TYPE_CHECKING:
    from collections.abc import Callable

PRESENCE_EVERY_S: Final = 15.0
STALLED_AFTER_S: Final = 5.0
"""From so long a silence on it counts as stalled."""
OPENING_S: Final = 20.0
"""One that has said nothing yet may be opening the driver, which takes seconds where persistence mode is off."""
KILL_AFTER_S: Final = 30.0
"""Of being stalled."""
FIRST_PAUSE_S: Final = 2.0
LONGEST_PAUSE_S: Final = 300.0
SETTLED_S: Final = 60.0
"""One that lived for so long was well: the next starts without a pause that grew."""
REFUSED_PAUSE_S: Final = 60.0
"""Before a driver that could not be opened is tried again."""
STARTING: Final = "the sampler is starting"
HUNG: Final = "the driver did not answer; the sampler is started again"


class SamplerKeeping:
    """Belongs to the event loop."""

    def __init__(self, on_line: Callable[[dict[str, Any]], None], report: Callable[[str], None]) -> None:
        self.reason = ""
        """Why there are no figures of GPUs; empty while there are."""
        self.heard = asyncio.Event()
        """Set once there are figures, or a reason why there will be none."""
        self._on_line = on_line
        self._report = report
        self._process: SamplerProcess | None = None
        self._presence_at_s = -1e9
        self._absence = ""
        self._spoke = False
        """Whether this life of the sampler has said anything of cards."""
        self._pause_s = FIRST_PAUSE_S
        self._next_start_s = -1e9

    @property
    def pid(self) -> int | None:
        """The process of the sampler."""
        return None if self._process is None else self._process.pid

    @property
    def stalled_s(self) -> float | None:
        """For how long it has not answered; None while it does, or when there is none."""
        process = self._process
        silence_s = 0.0 if process is None else time.monotonic() - process.heard_s
        return silence_s if silence_s > self._patience_s() else None

    def tick(self, *, wanted: bool) -> None:
        """Start it, end it, or give it up."""
        process = self._process
        if process is not None and (process.is_over or process.end_code is not None):
            self._after_end(process)
        elif process is not None and not process.told_to_end:
            stalled_s = self.stalled_s or 0.0
            if stalled_s > KILL_AFTER_S:
                self._report(f"the GPU sampler, pid {process.pid}, has not answered for {stalled_s:.0f} s: killing it")
                self.reason = HUNG
                process.kill()
            elif not wanted:
                process.kill()
        if self._process is None and wanted:
            self._start_if_due()

    def close(self) -> None:
        """End it; one that cannot be killed is left behind."""
        if self._process is not None:
            self._forget(self._process)
            self._process.kill()
            self._process.close()
            self._process = None

    def _start_if_due(self) -> None:
        now_s = time.monotonic()
        if now_s - self._presence_at_s > PRESENCE_EVERY_S:
            self._presence_at_s, self._absence = now_s, presence.reason_for_none(os.environ)
            if self._absence:
                self.reason = self._absence
                self.heard.set()
        if self._absence or now_s < self._next_start_s:
            return
        try:
            self._process = SamplerProcess()
        except OSError as error:
            self.reason = f"the sampler cannot be started: {error.strerror or error}"
            self._pause()
            return
        if not self.reason or self.reason == self._absence:
            self.reason = STARTING
        self._spoke = False
        asyncio.get_running_loop().add_reader(self._process.descriptor, self._hear)

    def _hear(self) -> None:
        process = self._process
        if process is None:
            return
        line = process.hear()
        if process.is_over:
            self._forget(process)
        if line is None or process.told_to_end:
            return
        if "refused" in line:
            self.reason = str(line["refused"])
            self._pause_s = max(self._pause_s, REFUSED_PAUSE_S)
        else:
            self.reason = ""
            self._spoke = True
            if time.monotonic() - process.started_s > SETTLED_S:
                self._pause_s = FIRST_PAUSE_S
            self._on_line(line)
        self.heard.set()

    def _after_end(self, process: SamplerProcess) -> None:
        self._hear()
        self._forget(process)
        code = process.end_code
        if code is None:
            process.kill()  # it has closed its output, and has nothing else to do
            return
        process.close()
        self._process = None
        self.heard.clear()
        if self.reason == HUNG or not process.told_to_end:
            self._pause()
        if process.told_to_end and self.reason != HUNG:
            self.reason = STARTING  # the next look starts another one
        elif self.reason in ("", STARTING):
            how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
            self.reason = f"the sampler ended ({how}) and is started again"
            self._report(f"the GPU sampler, pid {process.pid}, ended with {how}")

    def _patience_s(self) -> float:
        return STALLED_AFTER_S if self._spoke else OPENING_S

    def _pause(self) -> None:
        self._next_start_s = time.monotonic() + self._pause_s
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)

    def _forget(self, process: SamplerProcess) -> None:
        asyncio.get_running_loop().remove_reader(process.descriptor)
