"""Questions to the terminal itself: where the cursor is, and how long an answer takes. Standard library only."""

from __future__ import annotations

import os
import re
import select
import time
from typing import Final, NamedTuple

TIMEOUT_S: Final = 1.0
WHERE: Final = b"\x1b[6n"
"""DSR 6: the terminal says where its cursor is (ECMA-48, 8.3.35)."""
PLACE: Final = re.compile(rb"\x1b\[(\d+);(\d+)R")


class Answer(NamedTuple):
    """Where the cursor was, and after how long the terminal said so."""

    column: int
    """From 1."""
    took_s: float


def cursor_after(text: str, descriptor: int = 0, timeout_s: float = TIMEOUT_S) -> Answer | None:
    """Write a text at the start of a line and ask where the cursor is then; the line is blank afterwards.

    None where no terminal answers in time. What the person types meanwhile is dropped.
    """
    import termios
    import tty

    try:
        before = termios.tcgetattr(descriptor)
    except termios.error:
        return None
    try:
        tty.setcbreak(descriptor, termios.TCSANOW)
        began_s = time.monotonic()
        os.write(descriptor, b"\r" + text.encode() + WHERE)
        said = b""
        while (found := PLACE.search(said)) is None:
            left_s = began_s + timeout_s - time.monotonic()
            if left_s <= 0 or not select.select([descriptor], [], [], left_s)[0]:
                break
            said += os.read(descriptor, 1024)
        took_s = time.monotonic() - began_s
        if text:
            os.write(descriptor, b"\r\x1b[K")
        return Answer(int(found.group(2)), took_s) if found else None
    except OSError:
        return None
    finally:
        # An answer that comes later must not be taken for keys.
        termios.tcsetattr(descriptor, termios.TCSAFLUSH, before)
