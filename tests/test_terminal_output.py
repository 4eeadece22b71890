"""What a hostile job prints, or is called, is only text on a terminal."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
from typing import TYPE_CHECKING

from console.tui import text_format
from tests.odd_output import HOSTILE, printed
from tests.support import FOOTPLATE, Home

if TYPE_CHECKING:
    from pathlib import Path


def on_terminal(home: Home, *arguments: str, **variables: str) -> bytes:
    """What `footplate` writes to a terminal."""
    master, slave = pty.openpty()
    environment = home.environment(TERM="xterm-256color", **variables)
    process = subprocess.Popen([FOOTPLATE, *arguments], stdin=slave, stdout=slave, stderr=slave, env=environment)
    os.close(slave)
    shown = b""
    with contextlib.suppress(OSError):  # EIO: the other side has closed
        while data := os.read(master, 65536):
            shown += data
    os.close(master)
    assert process.wait() == 0, shown.decode("utf-8", "replace")
    return shown


def assert_only_text(shown: bytes) -> None:
    """No byte that a terminal would act upon, but the ends of lines."""
    text = shown.decode("utf-8").replace("\r\n", "\n")
    odd = {character for character in text if character != "\n" and not character.isprintable()}
    assert not odd, sorted(map(ascii, odd))
    assert not text_format.REORDERING & set(text)


def test_a_followed_log_shows_nothing_but_text_on_a_terminal(house: Home, tmp_path: Path) -> None:
    shown = on_terminal(house, "logs", "-f", printed(house, HOSTILE, tmp_path))
    assert_only_text(shown)
    lines = shown.decode().split("\r\n")
    assert lines[0] == "before"
    assert lines[-2] == "after"
    assert len(lines) - 1 == HOSTILE.count(b"\n")
    for said in ("clip", "title", "red", "[/foo] [CLS] [@click=app.quit]", "100%"):
        assert said in lines
    assert b"owned\x07" not in shown


def test_a_line_that_is_still_growing_is_followed_to_its_end(house: Home) -> None:
    script = "printf 'one '; sleep 0.3; printf 'line\\nno end'"
    run_id = house.submit("sh", "-c", script)
    assert on_terminal(house, "logs", "-f", run_id) == b"one line\r\nno end\r\n"


def test_what_a_hostile_run_is_called_is_only_text_on_a_terminal(house: Home) -> None:
    name = "\x1b]0;owned\x07\x1b[2Jname\n\u202elld"
    script = "echo '\x1b[31mTraceback'; echo \"$0\" '=1'; exit 3"
    run_id = house.submit("sh", "-c", script, "\x1b[A--\x9b2Jlr=\x1b[31m", name=name, project=name)
    house.wait_ended(run_id)
    for arguments in (("show", run_id), ("runs", "-n", "3"), ("show", run_id, "--json")):
        shown = on_terminal(house, *arguments)
        text = shown.decode("utf-8").replace("\r\n", "\n")
        assert not [character for character in text if character != "\n" and not character.isprintable()], arguments
        assert "\u202e" not in text, arguments


def test_a_terminal_that_knows_only_ascii_still_shows_logs_and_runs(house: Home, tmp_path: Path) -> None:
    run_id = printed(house, "größer \x1b漢字\n".encode(), tmp_path)
    for arguments in (("logs", run_id), ("show", run_id), ("runs",)):
        assert on_terminal(house, *arguments, PYTHONIOENCODING="ascii").isascii()
