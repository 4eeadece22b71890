"""Foreign programs on a leash: their output is cut at a size, they and their children are killed at a time."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import tempfile
import time
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ERROR_MAX_BYTES: Final = 65536


class Answer(NamedTuple):
    """What a program said."""

    output: bytes
    errors: str
    exit_code: int
    """Negative for a signal, as in `subprocess`."""
    timed_out: bool
    truncated: bool
    """There was more output than asked for; the program was killed then."""


def ask(
    argv: Sequence[str],
    *,
    folder: str,
    environment: Mapping[str, str],
    timeout_s: float,
    max_bytes: int,
    stdin: bytes = b"",
) -> Answer:
    """Run a program and return what it said within the limits. Raises OSError when it cannot be started."""
    with tempfile.TemporaryFile() as feed:
        feed.write(stdin)
        feed.seek(0)
        process = subprocess.Popen(
            argv,
            cwd=folder,
            env=dict(environment),
            stdin=feed,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    try:
        output, errors, timed_out, truncated = read_both(process, time.monotonic() + timeout_s, max_bytes)
        if not timed_out and not truncated:
            try:
                process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                timed_out = True
    finally:
        # Its children too: the program may have ended and left one behind that holds on.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
    text = errors.decode("utf-8", "replace")
    return Answer(output, text, process.returncode, timed_out, truncated)


def read_both(process: subprocess.Popen[bytes], deadline_s: float, max_bytes: int) -> tuple[bytes, bytes, bool, bool]:
    """Output, errors, whether the time was over before both ended, whether the output was longer than wanted."""
    output, errors = bytearray(), bytearray()
    with selectors.DefaultSelector() as selector:
        for pipe, target in ((process.stdout, output), (process.stderr, errors)):
            if pipe is not None:
                selector.register(pipe, selectors.EVENT_READ, target)
        while selector.get_map():
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                return bytes(output), bytes(errors), True, False
            for key, _ in selector.select(left_s):
                piece = os.read(key.fd, 1 << 18)
                if not piece:
                    selector.unregister(key.fileobj)
                elif key.data is output:
                    output += piece
                    if len(output) > max_bytes:
                        return bytes(output[:max_bytes]), bytes(errors), False, True
                elif len(errors) < ERROR_MAX_BYTES:
                    errors += piece
    return bytes(output), bytes(errors), False, False
