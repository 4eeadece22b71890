"""The screen as plain text on the terminal's normal page, where selecting and copying is the terminal's own."""

from __future__ import annotations

import os
import termios
import tty
from typing import TYPE_CHECKING, Any, Final, TextIO

if TYPE_CHECKING:
    from textual.screen import Screen

LEAVING: Final = frozenset(b"\x1bq\r\n\x03\x04\x0c")
"""esc, q, enter, ctrl+c, ctrl+d and ctrl+l."""
HINT: Final = "plain text: select and copy it with the terminal; esc goes back"


def text_of(screen: Screen[Any]) -> str:
    """What is painted, without colours and without blanks at the ends of lines."""
    lines = [strip.text.rstrip() for strip in screen._compositor.render_strips()]
    return "\n".join(lines).rstrip("\n")


def show(text: str, descriptor: int, stream: TextIO) -> None:
    """Write it, and wait for a key that leaves; ends also when the terminal goes away. Raises OSError."""
    encoding = stream.encoding or "ascii"
    before = termios.tcgetattr(descriptor)
    try:
        # Before the hint is there, and without dropping what was typed: a quick key must count.
        tty.setcbreak(descriptor, termios.TCSADRAIN)
        # A locale that knows no "▶" shows a question mark in its place.
        stream.write(text.encode(encoding, "replace").decode(encoding) + f"\n\n{HINT}\n")
        stream.flush()
        while (key := os.read(descriptor, 1)) and key[0] not in LEAVING:
            pass
    finally:
        termios.tcsetattr(descriptor, termios.TCSAFLUSH, before)
