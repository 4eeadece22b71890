"""The process that speaks to the NVIDIA driver: started, listened to, ended. Nothing here waits for it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from typing import Any, Final

import orjson

from console.jobs.process_tree import environment_of_ours

PIECE_BYTES: Final = 1 << 16
LINE_MAX_BYTES: Final = 4 << 20
END_WAIT_S: Final = 0.5
"""How long the end of the daemon waits for one that was killed; one that hangs in the kernel is left behind."""


class SamplerProcess:
    """One life of it."""

    def __init__(self) -> None:
        # What it prints beside its lines goes to the daemon's log.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-m", "console.gpu.sampler"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd="/",
            env=environment_of_ours(os.environ),
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self.descriptor = self._process.stdout.fileno()
        """What becomes readable when it says something."""
        os.set_blocking(self.descriptor, False)
        self._data = b""
        self.started_s = self.heard_s = time.monotonic()
        """When it was started, and when it last said something."""
        self.is_over = False
        """Its output has come to an end."""
        self.told_to_end = False

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def hear(self) -> dict[str, Any] | None:
        """The newest line since the last call; older ones say nothing that it does not."""
        newest = None
        while True:
            try:
                piece = os.read(self.descriptor, PIECE_BYTES)
            except BlockingIOError:
                return newest
            if not piece:
                self.is_over = True
                return newest
            *lines, self._data = (self._data + piece).split(b"\n")
            if len(self._data) > LINE_MAX_BYTES:
                self._data = b""
            for line in lines:
                with contextlib.suppress(ValueError):
                    found = orjson.loads(line)
                    if isinstance(found, dict):
                        newest, self.heard_s = found, time.monotonic()

    @property
    def end_code(self) -> int | None:
        """How it ended; None while it lives, which in the depths of a sick driver may be long after a KILL."""
        return self._process.poll()

    def kill(self) -> None:
        """KILL it; it has nothing that could be lost. `end_code` says when that has come to pass."""
        self.told_to_end = True
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Let go of its pipes, and of itself once it has ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(END_WAIT_S)
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                if stream is not None:
                    stream.close()
