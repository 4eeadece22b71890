"""The first frame of the last console is on the terminal before Textual is, and goes where it must not stay."""

from __future__ import annotations

import json
import os
import signal
import sys
import termios
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from console import remembered
from console.config import DEFAULTS
from console.tui import early_frame
from console.tui.early_frame import ENTER, LEAVE, NO_CURSOR, EarlyFrame, Kept
from console.tui.terminal import TerminalProfile, slowed
from tests.support import FOOTPLATE
from tests.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support import Home

HELD = """
import sys, time
from console.tui.early_frame import EarlyFrame, Kept
with EarlyFrame(Kept("this", "a frame"), "this", (120, 40)).shown():
    time.sleep(60)
"""
"""A console that never comes to Textual's first frame."""


def started(home: Home, *options: str, columns: int = 120, **environment: str) -> Terminal:
    """The console on a terminal whose size it can see at once."""
    wanted = home.environment(TERM="xterm-256color", COLORTERM="truecolor", **environment)
    waiting = ["/bin/sh", "-c", 'while [ "$(stty size)" != "40 $1" ]; do :; done; shift; exec "$@"', "sh"]
    return Terminal([*waiting, str(columns), FOOTPLATE, *options], wanted, columns)


def left(terminal: Terminal) -> bytes:
    """What a console has written by the time it is at rest and `q` has ended it."""
    terminal.read_until(lambda seen: seen.shows("live"))
    terminal.type("q")
    assert terminal.wait() == 0
    terminal.close()
    return bytes(terminal.written)


def kept_frame(home: Home) -> bytes:
    """The frame in the file."""
    text = early_frame.read(remembered.load(path_of(home)).content).text
    assert text
    return text.encode().replace(b"\n", b"\r\n")


def path_of(home: Home) -> str:
    """Where the console of this box keeps it."""
    return str(next(Path(home.path).glob("console-*.json")))


def modes(terminal: Terminal) -> list[object]:
    """How the terminal is set."""
    return list(termios.tcgetattr(terminal._descriptor))


def test_the_second_console_shows_it_first_and_enters_the_other_page_once(home: Home) -> None:
    first = left(started(home))
    text = kept_frame(home)
    early = (ENTER + NO_CURSOR).encode() + text
    assert not first.startswith(early)
    written = left(started(home))
    assert written.startswith(early)
    assert written.count(ENTER.encode()) == 1
    assert written.count(b"\x1b[?1049l") == 1
    # Textual's own first frame is the same, so that nothing jumps.
    lines = text.removeprefix(b"\x1b[H").split(b"\r\r\n")
    assert len(lines) == 40
    assert all(line in written[len(early) :] for line in lines)


def test_a_key_typed_at_it_counts_and_is_not_seen_and_the_terminal_is_given_back(home: Home) -> None:
    left(started(home))
    terminal = started(home)
    terminal.read_until(lambda seen: seen.shows("Triage"))
    terminal.type("2")
    terminal.read_until(lambda seen: seen.shows("Runs 0") or seen.shows("no runs"))
    terminal.type("q")
    assert terminal.wait() == 0
    lflag = modes(terminal)[3]
    assert isinstance(lflag, int)
    assert lflag & termios.ECHO
    assert lflag & termios.ICANON
    terminal.close()


@pytest.mark.parametrize(
    ("options", "columns", "environment"),
    [
        ((), 100, {}),
        ((), 120, {"NO_COLOR": "1"}),
        ((), 120, {"FOOTPLATE_GLYPHS": "ascii"}),
        (("--theme", "okabe-light"), 120, {}),
        (("--slow",), 120, {}),
    ],
)
def test_it_is_not_shown_where_the_frame_to_come_is_another(
    house: Home, options: tuple[str, ...], columns: int, environment: Mapping[str, str]
) -> None:
    left(started(house))
    assert kept_frame(house)
    assert not left(started(house, *options, columns=columns, **environment)).startswith((ENTER + NO_CURSOR).encode())


def test_the_frame_is_that_of_the_terminal_that_was_used_last(house: Home) -> None:
    for columns in (90, 120):
        left(started(house, columns=columns))
        text = kept_frame(house)
        assert left(started(house, columns=columns)).startswith((ENTER + NO_CURSOR).encode() + text)


def test_one_that_only_looks_keeps_none(home: Home) -> None:
    left(started(home, "--readonly"))
    assert not list(Path(home.path).glob("console-*.json"))


def test_fresh_keeps_it(home: Home) -> None:
    left(started(home))
    text = kept_frame(home)
    assert left(started(home, "--fresh")).startswith((ENTER + NO_CURSOR).encode() + text)
    assert kept_frame(home) == text


def test_what_is_no_frame_is_not_shown(home: Home) -> None:
    left(started(home))
    path = path_of(home)
    found = json.loads(Path(path).read_text(encoding="utf-8"))
    painted_for = found["first_frame"]["painted_for"]
    for wrong in ({"painted_for": painted_for, "text": 7}, {"painted_for": painted_for}, "x", None):
        assert early_frame.read({"first_frame": wrong}) == Kept()
    long = {"painted_for": painted_for, "text": "x" * (early_frame.TEXT_MAX_CHARACTERS + 1)}
    remembered.save(path, found | {"first_frame": long})
    assert b"xxx" not in left(started(home))
    assert len(kept_frame(home)) < early_frame.TEXT_MAX_CHARACTERS


@pytest.mark.parametrize(("ending", "code"), [(signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, 1)])
def test_whoever_ends_it_before_textual_gets_the_terminal_back(home: Home, ending: signal.Signals, code: int) -> None:
    terminal = Terminal([sys.executable, "-c", HELD], home.environment(), cwd=str(Path(__file__).parents[2]))
    terminal.read_until(lambda seen: seen.shows("a frame"))
    lflag = modes(terminal)[3]
    assert isinstance(lflag, int)
    assert not lflag & termios.ECHO
    if ending == signal.SIGINT:
        terminal.type("\x03")
    else:
        os.kill(terminal.pid, ending)
    exit_code = terminal.wait()
    assert exit_code in (code, -ending)
    lflag = modes(terminal)[3]
    assert isinstance(lflag, int)
    assert lflag & termios.ECHO
    assert LEAVE.encode() in terminal.written
    terminal.close()


def test_a_changed_source_counts_and_bytecode_does_not(tmp_path: Path) -> None:
    (tmp_path / "line.py").touch()
    first = early_frame.newest_change_ns(str(tmp_path))
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "line.pyc").touch()
    assert early_frame.newest_change_ns(str(tmp_path)) == first
    os.utime(tmp_path / "line.py", ns=(first + 10**9, first + 10**9))
    assert early_frame.newest_change_ns(str(tmp_path)) == first + 10**9


def test_without_a_terminal_there_is_nothing_to_show(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file:
        early = EarlyFrame(Kept("this", "a frame"), "this", (120, 40), file.fileno())
        with early.shown():
            assert not early.is_shown
            assert early.driver_class is None
    assert (tmp_path / "file").read_text(encoding="utf-8") == ""


def test_another_driver_and_a_thin_line_go_without_and_lose_nothing() -> None:
    kept = {"first_frame": {"painted_for": "", "text": "a frame"}}
    usual = TerminalProfile(environment={"TERM": "xterm"})
    other = TerminalProfile(environment={"TERM": "xterm", "TEXTUAL_DRIVER": "my:Driver"})
    for profile in (other, slowed(usual)):
        early = early_frame.of(profile, DEFAULTS, kept)
        assert not early.is_true
        assert early.kept_after(lambda: "another", (80, 24)) == kept["first_frame"]
