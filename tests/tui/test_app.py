"""The link to the daemon, the header, sizes of the terminal, and what the app does with what it hears."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from console.client import DaemonRefused
from console.tui.courier import WAITING_LIMIT, Courier
from console.tui.link import LinkState
from console.tui.messages import LinkQuiet
from console.tui.screens.run import RunScreen
from console.tui.screens.runs import RunsScreen
from console.tui.screens.too_small import TooSmallScreen
from console.tui.terminal import TerminalProfile
from console.tui.widgets.header_line import HeaderFacts, HeaderLine, counts, freshness
from tests.tui.pilots import opened, press, screen_lines, screen_text, send, settle, until
from tests.tui.stand_in import Box, StandIn, example_box
from tests.tui.stand_in_runs import summary

if TYPE_CHECKING:
    from textual.message_pump import MessagePump
    from textual.pilot import Pilot

    from console.client import Client
    from tests.tui.pilots import WatchedApp


async def seconds_pass(app: WatchedApp, pilot: Pilot[int], count: int) -> None:
    """Wait until the app has had its chance to count so many seconds."""
    wanted = app.seconds_counted + count
    await until(pilot, lambda: app.seconds_counted >= wanted)
    await settle(pilot)


def test_the_header_counts_and_says_live() -> None:
    async def drive() -> None:
        async with opened(example_box()) as (app, _pilot):
            header = screen_text(app).splitlines()[0]
            assert header.split() == ["gpu-03", "ana", "▶", "3", "…", "1", "✗", "1", "disk", "94%", "!", "live"]

    asyncio.run(drive())


def test_the_header_keeps_the_age_where_the_line_is_short() -> None:
    status = StandIn(example_box()).status()
    facts = HeaderFacts(status._replace(host="a-host-with-a-very-long-name.example.org"), "stale", 12)
    assert freshness(facts).plain == "! stale 12s "
    assert counts(facts.status).plain.startswith(" a-host")
    assert freshness(HeaderFacts(status, "reconnecting", 75)).plain == "! reconnecting… 1m15 "


def test_data_are_live_then_stale_then_live() -> None:
    now_s = [100.0]
    link = LinkState(lambda: now_s[0])
    assert link.facts().link == "connecting"
    link.touch()
    assert link.facts().link == "live"
    now_s[0] += 5.9
    assert link.facts() == HeaderFacts(None, "live", 0)
    now_s[0] += 6.1
    assert link.facts() == HeaderFacts(None, "stale", 12)
    assert link.lose()
    assert not link.lose()
    assert link.facts() == HeaderFacts(None, "reconnecting", 12)
    link.touch()
    assert link.facts().link == "live"
    link.paused = True
    assert link.facts() == HeaderFacts(None, "paused", 0)


def test_a_daemon_that_goes_away_and_comes_back() -> None:
    async def drive() -> None:
        box = example_box()
        async with opened(box) as (app, pilot):
            box.away = True
            box.tell()
            await until(pilot, lambda: "reconnecting" in screen_text(app))
            assert "vit-b lr=1e-3" in screen_text(app), "the last data stay"
            box.details[0] = box.details[0]._replace(row=box.details[0].row._replace(name="renamed now"))
            box.away = False
            await until(pilot, lambda: "renamed now" in screen_text(app))
            await until(pilot, lambda: screen_text(app).splitlines()[0].endswith("live"))

    asyncio.run(drive())


def test_a_daemon_that_is_away_from_the_start() -> None:
    async def drive() -> None:
        box = example_box()
        box.away = True
        async with opened(box) as (app, pilot):
            assert "reconnecting" in screen_text(app)
            box.away = False
            await until(pilot, lambda: "vit-b lr=1e-3" in screen_text(app))

    asyncio.run(drive())


def test_a_refusal_is_said_once() -> None:
    async def drive() -> None:
        box = example_box()
        box.refusal = DaemonRefused("the index is being rebuilt [/foo]", "wait a minute", 503)
        async with opened(box) as (app, pilot):
            await until(pilot, lambda: "the index is being rebuilt [/foo]" in screen_text(app))
            box.tell()
            box.tell()
            await settle(pilot)
            assert len(app._notifications) == 1

    asyncio.run(drive())


def test_a_notice_of_the_daemon_is_on_the_second_line() -> None:
    async def drive() -> None:
        box = example_box()
        box.notice = "the disk is full: nothing new is recorded"
        async with opened(box) as (app, pilot):
            await until(pilot, lambda: box.notice in screen_text(app).splitlines()[1])

    asyncio.run(drive())


def test_too_small_says_both_sizes_and_comes_back() -> None:
    async def drive() -> None:
        async with opened(example_box(), size=(80, 24)) as (app, pilot):
            await press(pilot, "down", "down", "space")
            await pilot.resize_terminal(59, 14)
            await until(pilot, lambda: isinstance(app.screen, TooSmallScreen))
            await settle(pilot)
            said = [line.strip() for line in screen_text(app).strip().splitlines()]
            assert said == ["footplate needs 60x15, this is 59x14", "q quits"]
            await pilot.resize_terminal(40, 10)
            await settle(pilot)
            assert "this is 40x10" in screen_text(app)
            await pilot.resize_terminal(60, 15)
            await until(pilot, lambda: isinstance(app.screen, RunsScreen))
            await settle(pilot)
            assert "1 marked" in screen_text(app)

    asyncio.run(drive())


@pytest.mark.parametrize("key", ["q", "ctrl+c"])
def test_a_small_terminal_can_be_left(key: str) -> None:
    async def drive() -> None:
        async with opened(example_box(), size=(50, 12)) as (app, pilot):
            send(pilot, key)
            await until(pilot, lambda: app._exit)

    asyncio.run(drive())


def test_a_start_in_a_small_terminal() -> None:
    async def drive() -> None:
        async with opened(example_box(), size=(50, 12)) as (app, pilot):
            assert "footplate needs 60x15, this is 50x12" in screen_text(app)
            await pilot.resize_terminal(80, 24)
            await until(pilot, lambda: "vit-b lr=1e-3" in screen_text(app))

    asyncio.run(drive())


def test_pause_freezes_the_picture_and_resume_catches_up() -> None:
    async def drive() -> None:
        box = example_box()
        async with opened(box) as (app, pilot):
            await press(pilot, "equals_sign")
            before = screen_text(app)
            assert "= paused" in before
            first = box.details[0]
            box.replace_run(first._replace(row=first.row._replace(metric=summary("val/acc", 0.9123, 50_000))))
            await settle(pilot)
            await seconds_pass(app, pilot, 2)
            assert screen_text(app) == before
            await press(pilot, "equals_sign")
            await until(pilot, lambda: "0.9123" in screen_text(app))

    asyncio.run(drive())


def test_nothing_is_painted_while_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    async def drive() -> None:
        box = example_box()
        box.details = [detail for detail in box.details if detail.row.state != "running"]
        async with opened(box) as (app, pilot):
            painted: list[object] = []
            display = app._display

            def record(screen: object, what: object) -> None:
                painted.append(what)
                display(screen, what)  # type: ignore[arg-type]

            monkeypatch.setattr(app, "_display", record)
            await seconds_pass(app, pilot, 3)
            assert painted == []

    asyncio.run(drive())


def test_quitting_does_not_wait_for_the_feed() -> None:
    async def drive() -> None:
        async with opened(example_box()) as (app, pilot):
            await press(pilot, "q")
            assert app._exit

    asyncio.run(drive())


def test_no_color_leaves_no_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    async def drive() -> None:
        async with opened(example_box(), profile=TerminalProfile(no_color=True)) as (app, _pilot):
            svg = app.export_screenshot()
            text = screen_text(app)
            assert app.no_color
            assert "✗" in text
            assert "▶" in text
            assert "#56b4e9" not in svg.lower()

    monkeypatch.setenv("NO_COLOR", "1")
    asyncio.run(drive())


def test_ascii_glyphs_where_braille_is_missing() -> None:
    async def drive() -> None:
        async with opened(example_box(), profile=TerminalProfile(glyphs="ascii")) as (app, pilot):
            await press(pilot, "down", "down", "down")
            text = screen_text(app)
            assert not any("\u2800" <= character <= "\u28ff" for character in text)
            assert " > r218" in text

    asyncio.run(drive())


def test_nothing_but_ascii_is_drawn_where_the_terminal_has_no_glyphs() -> None:
    async def drive() -> None:
        async with opened(example_box(), profile=TerminalProfile(glyphs="ascii")) as (app, pilot):
            for keys in (("1",), ("2",), ("enter",), ("d",), ("9",), ("question_mark",), ("escape", "2", "n"), ()):
                await press(pilot, *keys)
                assert [line for line in screen_text(app).splitlines() if not line.isascii()] == [], keys
            assert "> 1" in screen_text(app) or "> 2" in screen_text(app) or "> 3" in screen_text(app)

    asyncio.run(drive())


def test_a_screen_of_a_run_ends_its_feed() -> None:
    async def drive() -> None:
        async with opened(example_box()) as (app, pilot):
            await press(pilot, "down", "down", "down", "enter")
            screen = app.screen
            assert isinstance(screen, RunScreen)
            await press(pilot, "2")
            assert isinstance(app.screen, RunsScreen)
            assert screen._feed._stopped.is_set()

    asyncio.run(drive())


def test_requests_of_one_kind_coalesce_and_the_queue_is_bounded() -> None:
    courier = Courier(lambda: StandIn(Box()))
    nobody: MessagePump = None  # type: ignore[assignment]
    for number in range(100):
        courier.ask("page:0", nobody, lambda _client: LinkQuiet())
        courier.ask(f"page:{number}", nobody, lambda _client: LinkQuiet())
    assert len(courier._waiting) == WAITING_LIMIT


def test_what_is_asked_at_once_does_not_stand_behind_what_is_slow() -> None:
    async def drive() -> None:
        async with opened(example_box()) as (app, pilot):
            slow, asked = threading.Event(), threading.Event()

            def wait(_client: Client) -> LinkQuiet:
                slow.wait(30)
                return LinkQuiet()

            def ask(_client: Client) -> LinkQuiet:
                asked.set()
                return LinkQuiet()

            try:
                app.session.courier.ask("slow", app, wait)
                app.session.courier.ask("query", app, ask)
                app.session.courier.ask_at_once("query", app, ask)
                assert await asyncio.to_thread(asked.wait, 30)
                assert "query" not in app.session.courier._waiting, "once is enough"
            finally:
                slow.set()
            await settle(pilot)

    asyncio.run(drive())


def test_the_header_paints_only_when_it_differs() -> None:
    async def drive() -> None:
        async with opened(example_box()) as (app, _pilot):
            header = app.screen.query_one(HeaderLine)
            shown = header._left
            app.front.show_header()
            assert header._left is shown
            assert screen_lines(app)[0]

    asyncio.run(drive())
