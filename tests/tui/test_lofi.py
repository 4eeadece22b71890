"""The screen as plain text on the terminal's normal page."""

from __future__ import annotations

import io
import os
import termios
import threading

from console.tui import lofi


def test_a_key_that_was_typed_before_the_hint_came_leaves() -> None:
    master, slave = os.openpty()
    try:
        before = termios.tcgetattr(slave)
        os.write(master, b"\x1b")
        written = io.StringIO()
        showing = threading.Thread(target=lofi.show, args=("rows", slave, written), daemon=True)
        showing.start()
        showing.join(timeout=30)
        assert not showing.is_alive(), "esc was lost"
        assert written.getvalue() == f"rows\n\n{lofi.HINT}\n"
        assert termios.tcgetattr(slave) == before
    finally:
        os.close(master)
        os.close(slave)
