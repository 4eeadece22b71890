"""One reader process of an import: started, asked, listened to, ended."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

import orjson

from console.jobs.process_tree import environment_of_ours

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

PIECE_BYTES: Final = 1 << 20
LINE_MAX_BYTES: Final = 256 << 20
WAITING_MAX_BYTES: Final = 16 << 20
"""Of what it says and was not heard yet."""


class ReaderProcess:
    """Belongs to the thread of `Imports`; nothing here blocks."""

    def __init__(self, root: str, first: Mapping[str, Any]) -> None:
        # What it prints beside the protocol goes to the daemon's log.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-m", "console.worker", "read", root],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd="/",
            env=environment_of_ours(os.environ),
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin.fileno(), self._process.stdout.fileno()
        with contextlib.suppress(OSError):
            # A reader that is faster than the index is not made to wait for every few runs; not everybody may have it.
            fcntl.fcntl(self._stdout, fcntl.F_SETPIPE_SZ, PIECE_BYTES)
        os.set_blocking(self._stdin, False)
        os.set_blocking(self._stdout, False)
        self._questions = b""
        self._pieces: list[bytes] = []
        """The beginning of a line."""
        self._said_all = False
        self._heard: deque[dict[str, Any]] = deque()
        self._waiting_bytes = 0
        self.started_s = time.monotonic()
        self.ask(first)

    @property
    def descriptor(self) -> int:
        """What becomes readable when it says something."""
        return self._stdout

    @property
    def has_questions(self) -> bool:
        """Whether `push` has something to do."""
        return bool(self._questions)

    def ask(self, question: Mapping[str, Any]) -> None:
        """Send a line, as soon as the pipe takes it."""
        self._questions += json.dumps(question).encode() + b"\n"
        self.push()

    def push(self) -> None:
        """Hand on what waits to be sent."""
        while self._questions:
            try:
                sent = os.write(self._stdin, self._questions)
            except BlockingIOError:
                return
            except OSError:
                self._questions = b""  # it is dead, and that is found out elsewhere
                return
            self._questions = self._questions[sent:]

    @property
    def listens(self) -> bool:
        """Whether more is taken off the pipe: there may be more, and not too much of it was not heard yet."""
        return self._waiting_bytes <= WAITING_MAX_BYTES and not self._said_all

    @property
    def has_words(self) -> bool:
        """Whether `hear` has something."""
        return bool(self._heard)

    def listen(self) -> None:
        """Take what it says off the pipe, so that it need not wait."""
        try:
            piece = os.read(self._stdout, PIECE_BYTES)
        except BlockingIOError:
            return
        self._said_all = not piece
        if b"\n" not in piece:
            self._pieces.append(piece)
            if sum(map(len, self._pieces)) > LINE_MAX_BYTES:
                self._pieces.clear()
            return
        *lines, rest = b"".join((*self._pieces, piece)).split(b"\n")
        self._pieces = [rest]
        for line in lines:
            self._waiting_bytes += len(line)
            with contextlib.suppress(ValueError):
                # The standard library, unlike orjson, takes lone surrogates: paths need not be UTF-8.
                record = json.loads(line) | {"is_odd": True} if b"\\ud" in line else orjson.loads(line)
                if isinstance(record, dict):
                    self._heard.append(record)

    def hear(self, accepts: Callable[[dict[str, Any]], bool] | None = None) -> Iterator[dict[str, Any]]:
        """What it has said and nobody heard yet, as far as it is accepted; lines that are none of ours are passed over.

        What is taken in the midst of other work counts as not heard for how much may wait.
        """
        if accepts is None:
            self._waiting_bytes = 0
        while self._heard and (accepts is None or accepts(self._heard[0])):
            yield self._heard.popleft()

    @property
    def end_code(self) -> int | None:
        """How it ended; None while it lives."""
        return self._process.poll()

    def end(self) -> None:
        """Kill it; it has nothing that could be lost."""
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            # One that hangs in the kernel dies when its server answers; nobody waits for that.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(1.0)
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                if stream is not None:
                    stream.close()
