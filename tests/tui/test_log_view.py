"""The log on a screen."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from rich.cells import cell_len
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.strip import Strip

from console.protocol import LogLine, LogPage
from console.tui.log_window import MAX_LINES, LogWindow, shown_text
from console.tui.widgets.log_view import LogView
from tests.tui.pilots import press, settle

LINE_BYTES = 10


def lines_of(first: int, count: int) -> tuple[LogLine, ...]:
    """Lines "line 00007", ten bytes each with the line end."""
    return tuple(LogLine(number * LINE_BYTES, f"l {number:07d}", 0) for number in range(first, first + count))


def page_of(first: int, count: int, total: int) -> LogPage:
    """A page out of a log of `total` lines."""
    end = first + count
    return LogPage(first * LINE_BYTES, end * LINE_BYTES, total * LINE_BYTES, False, lines_of(first, count))


def page_of_texts(*texts: str) -> LogPage:
    lines = tuple(LogLine(number * LINE_BYTES, text, 0) for number, text in enumerate(texts))
    return LogPage(0, len(texts) * LINE_BYTES, len(texts) * LINE_BYTES, False, lines)


class LogApp(App[None]):
    """Answers as the daemon would for a log of `total` lines, 200 lines a page."""

    def __init__(self, total: int = 0) -> None:
        super().__init__()
        self.total = total
        self.answers = True
        self.wanted: list[tuple[int | None, int | None]] = []
        self.followed: list[bool] = []

    def compose(self) -> ComposeResult:
        yield LogView()

    def on_mount(self) -> None:
        self.view.focus()

    @property
    def view(self) -> LogView:
        return self.query_one(LogView)

    def on_log_view_lines_wanted(self, message: LogView.LinesWanted) -> None:
        self.wanted.append((message.start, message.before))
        if self.answers:
            self.answer(message.start, message.before)

    def answer(self, start: int | None, before: int | None) -> None:
        if start is not None:
            first = start // LINE_BYTES
            self.view.put_page(page_of(first, min(200, self.total - first), self.total))
        else:
            end = self.total if before is None else before // LINE_BYTES
            first = max(0, end - 200)
            self.view.put_page(page_of(first, end - first, self.total))

    def on_log_view_follow_changed(self, message: LogView.FollowChanged) -> None:
        self.followed.append(message.follow)

    def lines(self) -> list[str]:
        return [self.view.render_line(y).text.rstrip() for y in range(self.view.size.height)]


Check = Callable[[LogApp, Pilot[None]], Awaitable[None]]


def on_screen(check: Check, *, total: int = 0, size: tuple[int, int] = (40, 10)) -> None:
    async def run() -> None:
        app = LogApp(total)
        async with app.run_test(size=size) as pilot:
            await settle(pilot)
            if total:
                app.answer(None, None)
                await settle(pilot)
            await check(app, pilot)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain [/foo] [CLS]", "plain [/foo] [CLS]"),
        ("  1%|\r 50%|#\r100%|##", "100%|##"),
        ("windows\r", "windows"),
        ("\x1b[1;31mred\x1b[0m \x1b[2Kx", "red x"),
        ("\x1b]52;c;AAAA\x07copied", "copied"),
        ("\x1b]0;title\x1b\\named", "named"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPdevice\x1b\\control", "control"),
        ("\x9b31mred", "red"),
        ("\x1b]0;never ends", "0;never ends"),
        ("end\x1b", "end␛"),
        ("a\tb", "a       b"),
        ("bell\x07 back\x08", "bell␇ back␈"),
        ("\u202eevil\u200b", "‹U+202E›evil‹U+200B›"),
        ("\ud800", "‹U+D800›"),
    ],
)
def test_a_line_is_shown_as_a_terminal_leaves_it(text: str, shown: str) -> None:
    assert shown_text(LogLine(0, text, 0)) == shown


def test_a_cut_line_says_how_much_is_missing() -> None:
    assert shown_text(LogLine(0, "abc", 2048)) == "abc ‹+2.0 KiB›"


def test_pages_join_in_any_order_without_duplicates() -> None:
    window = LogWindow()
    for first, count in [(100, 50), (150, 50), (140, 30), (100, 50), (60, 45), (190, 30)]:
        window.put(page_of(first, count, 220), view_line=0)
    assert window.lines == list(lines_of(60, 160))
    assert (window.start_bytes, window.end_bytes) == (600, 2200)


def test_the_window_drops_what_is_far_from_the_view() -> None:
    window = LogWindow()
    window.put(page_of(0, MAX_LINES, 9000), view_line=0)
    window.put(page_of(MAX_LINES, 100, 9000), view_line=0)
    assert (window.start_bytes, len(window.lines)) == (0, MAX_LINES)
    assert window.end_bytes == MAX_LINES * LINE_BYTES
    merged = window.put(page_of(MAX_LINES, 100, 9000), view_line=MAX_LINES)
    assert merged.shifted_lines == -100
    assert (window.start_bytes, len(window.lines)) == (100 * LINE_BYTES, MAX_LINES)


def test_a_shorter_log_starts_again_but_an_overtaken_answer_does_not() -> None:
    window = LogWindow()
    window.put(page_of(0, 100, 100), view_line=0)
    assert not window.put(page_of(0, 50, 50), view_line=0).changed
    assert len(window.lines) == 100
    fresh = LogPage(0, 10, 10, False, (LogLine(0, "restarted", 0),))
    assert window.put(fresh, view_line=0).replaced
    assert [line.text for line in window.lines] == ["restarted"]


def test_a_last_line_that_grew_is_replaced() -> None:
    window = LogWindow()
    window.put(LogPage(0, 4, 4, False, (LogLine(0, "half", 0),)), view_line=0)
    window.put(LogPage(0, 9, 9, False, (LogLine(0, "half done", 0),)), view_line=0)
    assert [line.text for line in window.lines] == ["half done"]


def test_nothing_yet() -> None:
    async def check(app: LogApp, _: Pilot[None]) -> None:
        assert "no output yet" in [line.strip() for line in app.lines()]
        assert app.wanted == []

    on_screen(check)


def test_it_follows_the_end_until_moved_up() -> None:
    async def check(app: LogApp, pilot: Pilot[None]) -> None:
        assert app.lines()[-1] == "l 0000499"
        app.view.put_page(page_of(500, 5, 505))
        await settle(pilot)
        assert app.lines()[-1] == "l 0000504"
        await press(pilot, "k")
        assert app.followed == [False]
        assert app.lines()[-1] == "l 0000503"
        app.view.put_page(page_of(505, 5, 510))
        await settle(pilot)
        assert app.lines()[-1] == "l 0000503"
        app.total = 510
        await press(pilot, "G")
        assert app.lines()[-1] == "l 0000509"
        assert app.followed == [False, True]
        await press(pilot, "f")
        assert app.followed == [False, True, False]

    on_screen(check, total=500)


def test_it_goes_on_following_when_the_size_changes() -> None:
    async def check(app: LogApp, pilot: Pilot[None]) -> None:
        for height in (30, 5, 12):
            await pilot.resize_terminal(50, height)
            await settle(pilot)
            assert app.view.follow
            assert app.lines()[-1] == "l 0000499"

    on_screen(check, total=500)


def test_lines_put_before_the_first_layout_are_followed() -> None:
    class EarlyApp(LogApp):
        def on_mount(self) -> None:
            self.answer(None, None)

    async def run() -> None:
        app = EarlyApp(500)
        async with app.run_test(size=(40, 10)) as pilot:
            await settle(pilot)
            assert app.view.follow
            assert app.lines()[-1] == "l 0000499"

    asyncio.run(run())


def test_the_wheel_stops_following() -> None:
    async def check(app: LogApp, pilot: Pilot[None]) -> None:
        app.view.scroll_up(animate=False)
        await settle(pilot)
        assert app.followed == [False]

    on_screen(check, total=500)


def test_moving_up_reads_on_and_keeps_the_lines_in_place() -> None:
    async def check(app: LogApp, pilot: Pilot[None]) -> None:
        assert app.view.start_bytes == 300 * LINE_BYTES
        app.answers = False
        await press(pilot, *["pageup"] * 12)
        assert app.wanted == [(None, 300 * LINE_BYTES)]
        before = app.lines()
        app.answer(None, 300 * LINE_BYTES)
        await settle(pilot)
        assert app.lines() == before
        assert app.view.start_bytes == 100 * LINE_BYTES
        app.answers = True
        await press(pilot, "g")
        assert app.lines()[0] == "l 0000000"

    on_screen(check, total=500)


def test_from_the_start_down_to_the_end() -> None:
    async def check(app: LogApp, pilot: Pilot[None]) -> None:
        await press(pilot, "g")
        assert app.lines()[0] == "l 0000000"
        assert app.view.end_bytes == 200 * LINE_BYTES
        await press(pilot, *["pagedown"] * 30)
        assert app.lines()[0] == "l 0000270"
        await press(pilot, "end")
        assert app.lines()[-1] == "l 0049999"

    on_screen(check, total=50_000)


def test_an_answer_to_an_older_wish_does_not_undo_a_jump() -> None:
    async def check(app: LogApp, pilot: Pilot[None]) -> None:
        app.answers = False
        await press(pilot, *["pageup"] * 12)
        await press(pilot, "g")
        assert app.wanted[-1] == (0, None)
        app.answer(0, None)
        app.answer(None, 49_800 * LINE_BYTES)
        await settle(pilot)
        assert app.lines()[0] == "l 0000000"

    on_screen(check, total=50_000)


def test_a_hit_far_away_is_fetched_shown_and_marked() -> None:
    async def check(app: LogApp, pilot: Pilot[None]) -> None:
        app.view.highlight = "L 0020000"
        app.view.show_line(20_000 * LINE_BYTES)
        await settle(pilot)
        assert (20_000 * LINE_BYTES, None) in app.wanted
        lines = app.lines()
        assert lines[3] == "l 0020000"
        assert lines[0] == "l 0019997", "lines above the hit were fetched too"
        styles = {segment.text: segment.style for segment in app.view.render_line(3)}
        assert styles["l 0020000"] != app.view.rich_style
        assert app.followed == [False]

    on_screen(check, total=50_000)


def test_long_lines_are_cut_and_move_sideways() -> None:
    async def check(app: LogApp, pilot: Pilot[None]) -> None:
        app.view.put_page(page_of_texts("x" * 40 + "end", "日本語" * 20, "short"))
        await settle(pilot)
        assert app.lines()[0] == "x" * 39 + "›"
        assert {cell_len(app.view.render_line(y).text) for y in range(10)} == {40}
        await press(pilot, "right")
        assert app.lines()[0] == "x" * 24 + "end"
        assert {cell_len(app.view.render_line(y).text) for y in range(10)} == {40}
        await press(pilot, "0")
        assert app.lines()[0].startswith("x" * 39)

    on_screen(check)


def test_only_changed_lines_are_drawn_again() -> None:
    async def check(app: LogApp, pilot: Pilot[None]) -> None:
        app.view.put_page(page_of_texts("a", "b"))
        await settle(pilot)
        drawn: list[int] = []
        render_line = app.view.render_line

        def recording(y: int) -> Strip:
            drawn.append(y)
            return render_line(y)

        app.view.render_line = recording  # type: ignore[method-assign]
        app.view.put_page(page_of_texts("a", "b"))
        await settle(pilot)
        assert drawn == []
        app.view.put_page(page_of_texts("a", "b", "c"))
        await settle(pilot)
        assert drawn == [2]

    on_screen(check)


def test_clear_starts_with_another_log() -> None:
    async def check(app: LogApp, pilot: Pilot[None]) -> None:
        app.view.clear()
        assert "no output yet" in [line.strip() for line in app.lines()]
        app.view.put_page(page_of_texts("other"))
        await settle(pilot)
        assert app.lines()[0] == "other"

    on_screen(check, total=500)


def test_thousands_of_lines_leave_the_last_ones() -> None:
    async def check(app: LogApp, _: Pilot[None]) -> None:
        app.answers = False
        for turn in range(8):
            app.view.put_page(page_of(turn * 1000, 1000, 8000))
        assert app.view.end_bytes == 8000 * LINE_BYTES
        assert app.view.end_bytes - app.view.start_bytes == MAX_LINES * LINE_BYTES

    on_screen(check, size=(120, 40))
