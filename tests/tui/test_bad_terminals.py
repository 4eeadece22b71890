"""Terminals that can little, and clocks that move: the keys that act still work."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.support import FOOTPLATE
from tests.terminal import Terminal
from tests.tui.pilots import opened, run
from tests.tui.stand_in import example_box

if TYPE_CHECKING:
    from tests.support import Home

COLOUR = b"\x1b[38;"
MOUSE_ON = b"\x1b[?1000h"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variables", "arguments"),
    [
        ({"TERM": "xterm-256color", "LC_ALL": "C"}, ()),
        ({"TERM": "screen", "TMUX": "/tmp/tmux-0/default,1,0", "LC_ALL": "C.UTF-8", "NO_COLOR": "1"}, ("--no-mouse",)),
    ],
    ids=["locale C", "tmux without colour and mouse"],
)
def test_a_note_is_written_on_a_terminal_that_can_little(
    home: Home, variables: dict[str, str], arguments: tuple[str, ...]
) -> None:
    home.wait_ended(home.submit("true", name="only one"))
    terminal = Terminal([FOOTPLATE, *arguments], home.environment(**variables))
    try:
        terminal.read_until(lambda seen: seen.shows("1Triage") and seen.shows("live"))
        terminal.type("2")
        terminal.read_until(lambda seen: seen.shows("only one") and seen.shows("Runs 1"))
        terminal.type("n")
        terminal.read_until(lambda seen: seen.shows("ctrl+d sends"))
        terminal.type("seen here")
        terminal.read_until(lambda seen: seen.shows("seen here"))
        terminal.type("\x04")
        terminal.read_until(lambda seen: seen.shows("noted at r1 only one"))
        assert [note.text for note in home.client().run("r1").notes] == ["seen here"]
        if "NO_COLOR" in variables:
            # What is left of colours are shades of grey.
            assert COLOUR + b"5;" not in terminal.written
        assert (MOUSE_ON in terminal.written) == (not arguments)
        terminal.type("q")
        assert terminal.wait() == 0
    finally:
        terminal.close()


def test_another_time_zone_is_noticed_while_it_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()

    async def drive() -> None:
        async with opened(example_box()) as (app, _):
            monkeypatch.setenv("TZ", "Asia/Tokyo")
            assert time.localtime().tm_gmtoff == 0
            app._seconds = 59
            app._count_seconds()
            assert time.localtime().tm_gmtoff == 9 * 3600

    try:
        run(drive)
    finally:
        monkeypatch.undo()
        time.tzset()
