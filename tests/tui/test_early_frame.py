"""The first frame of the last console is on the terminal before Textual is, and goes where it must not stay."""

from __future__ import annotations

import json
import os
import pty
import signal
import sys
import termios
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from console import remembered
from console.config import DEFAULTS
from console.tui import early_frame
from console.tui.early_frame import ENTER, LEAVE, NO_CURSOR, EarlyFrame, Kept
from console.tui.terminal import TerminalProfile, slowed
from tests.support import FOOTPLATE
from tests.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.support import Home

PROJECT: Final = str(Path(__file__).parents[2])
HELD = """
import sys, time
from console.tui.early_frame import EarlyFrame, Kept
with EarlyFrame(Kept("this", "a frame"), "this", (120, 40)).shown():
    time.sleep(60)
"""
"""A console that never comes to Textual's first frame."""
INTERRUPTED: Final = """
import time
from console.tui.early_frame import EarlyFrame, Kept
class Named:
    def __set_name__(self, owner, name): time.sleep(60)
class Dropped:
    def __del__(self): time.sleep(60)
early = EarlyFrame(Kept("this", "a frame"), "this", (120, 40))
try:
    with early.shown():
        WHERE
        early.heed_interrupt()
        print("nobody has pressed it")
except KeyboardInterrupt:
    print("interrupted")
"""
"""Where Python makes something else of `ctrl+c`, or nothing."""
CHANGED: Final = """
import os, signal, sys
from textual.app import App
from console.tui.screens.triage import TriageScreen
from console.__main__ import main
def fail(self): raise ValueError("the cause is here")
def end(self, session, make=TriageScreen.__init__):
    make(self, session)
    os.kill(os.getpid(), signal.SIGTERM)
CHANGE
sys.exit(main([]))
"""
"""A console in which something happens at a certain moment."""


def started(home: Home, *options: str, columns: int = 120, **environment: str) -> Terminal:
    """The console on a terminal whose size it can see at once."""
    return opened(home, (FOOTPLATE, *options), columns, environment)


def opened(home: Home, argv: Sequence[str], columns: int, environment: Mapping[str, str]) -> Terminal:
    """A program on such a terminal."""
    wanted = home.environment(TERM="xterm-256color", COLORTERM="truecolor", **environment)
    waiting = ["/bin/sh", "-c", 'while [ "$(stty size)" != "40 $1" ]; do :; done; shift; exec "$@"', "sh"]
    return Terminal([*waiting, str(columns), *argv], wanted, columns, cwd=PROJECT)


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


@pytest.mark.parametrize(
    ("ending", "code"),
    [(signal.SIGTERM, -signal.SIGTERM), (signal.SIGHUP, -signal.SIGHUP), (signal.SIGINT, 1)],
)
def test_whoever_ends_it_before_textual_gets_the_terminal_back(home: Home, ending: signal.Signals, code: int) -> None:
    terminal = Terminal([sys.executable, "-c", HELD], home.environment(), cwd=PROJECT)
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


@pytest.mark.parametrize("where", ["type('Made', (), {'it': Named()})", "Dropped()"])
def test_an_interrupt_counts_whatever_python_is_at(home: Home, where: str) -> None:
    source = INTERRUPTED.replace("WHERE", where)
    terminal = Terminal([sys.executable, "-c", source], home.environment(), cwd=PROJECT)
    terminal.read_until(lambda seen: seen.shows("a frame"))
    terminal.type("\x03")
    assert terminal.wait() == 0
    assert terminal.shows("interrupted")
    terminal.close()


@pytest.mark.parametrize(("change", "code"), [("TriageScreen.__init__ = end", 0), ("App.on_load = fail", 1)])
def test_what_happens_while_textual_starts_is_said_where_it_stays(home: Home, change: str, code: int) -> None:
    for is_kept in (False, True):
        if is_kept:
            left(started(home))
        terminal = opened(home, (sys.executable, "-c", CHANGED.replace("CHANGE", change)), 120, {})
        assert terminal.wait() == code
        assert terminal.written.startswith((ENTER + NO_CURSOR).encode()) == is_kept
        assert terminal.shows("the cause is here") == (code == 1)
        assert code == 1 or b"Traceback" not in terminal.written
        terminal.close()


def test_keys_may_come_from_another_terminal_than_that_drawn_on() -> None:
    drawn_on, typed_at = pty.openpty(), pty.openpty()
    before = [termios.tcgetattr(each[1]) for each in (drawn_on, typed_at)]
    with EarlyFrame(Kept("this", "a frame"), "this", (120, 40), drawn_on[1], typed_at[1]).shown():
        assert termios.tcgetattr(drawn_on[1]) == before[0]
        assert not termios.tcgetattr(typed_at[1])[3] & termios.ECHO
    assert [termios.tcgetattr(each[1]) for each in (drawn_on, typed_at)] == before
    for descriptor in (*drawn_on, *typed_at):
        os.close(descriptor)


def test_a_changed_source_counts_and_bytecode_does_not(tmp_path: Path) -> None:
    (tmp_path / "line.py").touch()
    first = early_frame.newest_change_ns(str(tmp_path))
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "line.pyc").touch()
    (tmp_path / ".#line.py").symlink_to("ana@box.4711")  # as an editor locks a file
    assert early_frame.newest_change_ns(str(tmp_path)) == first
    os.utime(tmp_path / "line.py", ns=(first + 10**9, first + 10**9))
    assert early_frame.newest_change_ns(str(tmp_path)) == first + 10**9


def test_without_a_terminal_there_is_nothing_to_show(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file:
        early = EarlyFrame(Kept("this", "a frame"), "this", (120, 40), file.fileno(), file.fileno())
        with early.shown():
            assert not early.is_shown
            assert early.driver_class is None
    assert (tmp_path / "file").read_text(encoding="utf-8") == ""


def test_another_driver_a_thin_line_and_who_only_looks_go_without_and_lose_nothing() -> None:
    kept = {"first_frame": {"painted_for": "", "text": "a frame"}}
    usual = TerminalProfile(environment={"TERM": "xterm"})
    other = TerminalProfile(environment={"TERM": "xterm", "TEXTUAL_DRIVER": "my:Driver"})
    looks_only = DEFAULTS._replace(readonly=True)
    for profile, settings in ((other, DEFAULTS), (slowed(usual), DEFAULTS), (usual, looks_only)):
        early = early_frame.of(profile, settings, kept)
        assert not early.is_true
        assert early.kept_after(lambda: "another", (80, 24)) == kept["first_frame"]
