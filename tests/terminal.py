"""A program in a real pseudo-terminal: what it writes, when, and what a person would see."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from typing import TYPE_CHECKING

from tests.drawing import QuickScreen, QuickStream

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class AnsweringScreen(QuickScreen):
    """A screen that answers as terminals do when they are asked where the cursor is."""

    answer: Callable[[str], None]

    def write_process_input(self, data: str) -> None:
        """Hand the answer to the program."""
        self.answer(data)


class Terminal:
    """A child process whose standard streams are a pty of a given size, drawn by pyte."""

    def __init__(
        self, argv: Sequence[str], environment: Mapping[str, str], columns: int = 120, rows: int = 40, cwd: str = "/"
    ) -> None:
        self.screen = AnsweringScreen(columns, rows)
        self._stream = QuickStream(self.screen)
        self.screen.answer = self.type
        self.written = bytearray()
        self.started_at_s = time.perf_counter()
        self.pid, self._descriptor = pty.fork()
        if self.pid == 0:
            os.chdir(cwd)
            os.execvpe(argv[0], list(argv), dict(environment))
        self.resize(columns, rows)

    def resize(self, columns: int, rows: int) -> None:
        """Tell the child that the terminal has another size."""
        self.claim_size(columns, rows)
        self.screen.resize(rows, columns)

    def claim_size(self, columns: int, rows: int) -> None:
        """Tell the child a size that nobody draws in, such as none at all."""
        size = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(self._descriptor, termios.TIOCSWINSZ, size)

    def read(self, timeout_s: float) -> bytes:
        """What the child writes next; nothing when it is silent for so long or has ended."""
        if not select.select([self._descriptor], [], [], timeout_s)[0]:
            return b""
        try:
            data = os.read(self._descriptor, 1 << 16)
        except OSError:
            return b""
        self.written += data
        self.draw(data)
        return data

    def draw(self, data: bytes) -> None:
        """Put it on the screen."""
        self._stream.feed(data)

    def read_until(self, accept: Callable[[Terminal], bool], timeout_s: float = 60.0) -> None:
        """Read until the screen is as wanted; fails with a picture of the screen when it never is."""
        deadline_s = time.monotonic() + timeout_s
        while not accept(self):
            if time.monotonic() > deadline_s:
                raise AssertionError("the screen never came:\n" + "\n".join(self.screen.display))
            if not self.read(0.1) and self.has_ended():
                raise AssertionError("the program ended:\n" + "\n".join(self.screen.display))

    def read_for(self, duration_s: float) -> int:
        """Read for so long; returns how many bytes came."""
        before = len(self.written)
        deadline_s = time.monotonic() + duration_s
        while (left_s := deadline_s - time.monotonic()) > 0:
            self.read(left_s)
        return len(self.written) - before

    def shows(self, text: str) -> bool:
        """Whether a line of the screen holds this text."""
        return any(text in line for line in self.screen.display)

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._descriptor, keys.encode())

    def has_ended(self) -> bool:
        """Whether the child is gone; keeps its exit status in `exit_code`."""
        if self.pid == 0:
            return True
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid:
            self.exit_code = os.waitstatus_to_exitcode(status)
            self.pid = 0
        return bool(pid)

    def wait(self, timeout_s: float = 60.0) -> int:
        """The child's exit code, reading what it still writes; negative for a signal."""
        deadline_s = time.monotonic() + timeout_s
        while not self.has_ended():
            if time.monotonic() > deadline_s:
                raise AssertionError("still there:\n" + "\n".join(self.screen.display))
            self.read(0.05)
        while self.read(0.05):
            pass
        return self.exit_code

    def hang_up(self) -> None:
        """What a dropped connection does: the terminal goes away, SIGHUP comes."""
        os.close(self._descriptor)
        self._descriptor = -1

    def close(self) -> None:
        """End the child and the terminal."""
        if not self.has_ended():
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.pid = 0
        if self._descriptor >= 0:
            os.close(self._descriptor)
