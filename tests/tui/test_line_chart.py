"""The line chart on a screen."""

import asyncio
from collections.abc import Awaitable, Callable

from rich.cells import cell_len
from textual.app import App, ComposeResult
from textual.strip import Strip

from console.tui.theme import OKABE_DARK, SERIES_COLOURS
from console.tui.widgets.line_chart import ChartLine, LineChart
from tests.tui.pilots import settle


class ChartApp(App[None]):
    def compose(self) -> ComposeResult:
        yield LineChart()

    def on_mount(self) -> None:
        self.register_theme(OKABE_DARK)
        self.theme = OKABE_DARK.name

    @property
    def chart(self) -> LineChart:
        return self.query_one(LineChart)

    def lines(self) -> list[str]:
        return [self.chart.render_line(y).text for y in range(self.chart.size.height)]


def on_screen(
    check: Callable[[ChartApp, Callable[[], Awaitable[None]]], Awaitable[None]], size: tuple[int, int]
) -> None:
    async def run() -> None:
        app = ChartApp()
        async with app.run_test(size=size) as pilot:
            await settle(pilot)
            await check(app, lambda: settle(pilot))

    asyncio.run(run())


def chart_line(label: str, means: list[float], colour: str = SERIES_COLOURS[0]) -> ChartLine:
    steps = [index * 1000 for index in range(len(means))]
    return ChartLine(label, colour, steps, means, means, means)


def test_it_shows_title_legend_axes_and_note() -> None:
    async def check(app: ChartApp, _: Callable[[], Awaitable[None]]) -> None:
        app.chart.set_lines([chart_line("r1 lr=1e-3", [0.7, 0.8, 0.85] * 14)], title="val/acc", note="x: step")
        lines = app.lines()
        assert lines[0].startswith("val/acc  ━ r1 lr=1e-3")
        assert lines[0].rstrip().endswith("x: step")
        assert any(line.startswith("0.80 ┤") for line in lines)
        assert "└" in lines[-2]
        assert lines[-1].split()[:2] == ["0", "10k"]
        assert {cell_len(line) for line in lines} == {80}

    on_screen(check, (80, 24))


def test_without_lines_it_says_so_and_text_is_no_markup() -> None:
    async def check(app: ChartApp, _: Callable[[], Awaitable[None]]) -> None:
        app.chart.set_lines([], empty="no metric yet [/foo]\x1b")
        assert "no metric yet [/foo]␛" in app.lines()[6]
        app.chart.set_lines([chart_line("[@click=app.quit]x[/]\x1b]52;c;AAAA\x07\n", [1, 2])])
        assert "[@click=app.quit]x[/]␛]…" in app.lines()[0]

    on_screen(check, (60, 12))


def test_only_changed_lines_are_drawn_again() -> None:
    async def check(app: ChartApp, pause: Callable[[], Awaitable[None]]) -> None:
        flat = [1.0] * 50
        app.chart.set_lines([chart_line("a", [*flat, 2.0]), chart_line("b", flat)])
        await pause()
        drawn: list[int] = []
        render_line = app.chart.render_line

        def recording(y: int) -> Strip:
            drawn.append(y)
            return render_line(y)

        app.chart.render_line = recording  # type: ignore[method-assign]
        app.chart.set_lines([chart_line("a", [*flat, 2.0]), chart_line("b", flat)])
        await pause()
        assert drawn == []
        app.chart.set_lines([chart_line("renamed", [*flat, 2.0]), chart_line("b", flat)])
        await pause()
        assert drawn == [0]

    on_screen(check, (60, 20))


def test_labels_share_the_width_and_the_rest_is_counted() -> None:
    async def check(app: ChartApp, _: Callable[[], Awaitable[None]]) -> None:
        names = [f"日本語 a long name {n}" for n in range(10)]
        app.chart.set_lines([chart_line(name, [1, 2], SERIES_COLOURS[n]) for n, name in enumerate(names)], focus=9)
        legend = app.lines()[0]
        assert cell_len(legend) == 40
        assert legend.count("━") >= 3
        assert legend.rstrip().split()[-1] == f"+{10 - legend.count('━')}"

    on_screen(check, (40, 10))


def test_ascii_level_has_only_ascii() -> None:
    async def check(app: ChartApp, _: Callable[[], Awaitable[None]]) -> None:
        app.chart.ascii = True
        app.chart.set_lines([chart_line("a" * 60, [1, 2, 3]), chart_line("b", [3, 2, 1])], title="loss")
        assert all(line.isascii() for line in app.lines())

    on_screen(check, (50, 12))


def test_every_size_and_theme_is_survived() -> None:
    async def run() -> None:
        app = ChartApp()
        async with app.run_test(size=(80, 24)) as pilot:
            app.chart.set_lines([chart_line("a", [1, 2, 3], "success"), chart_line("b", [1], "no colour at all")])
            for size in [(1, 1), (3, 2), (12, 4), (200, 60)]:
                await pilot.resize_terminal(*size)
                await settle(pilot)
                assert len(app.lines()) == size[1]
            app.theme = "ansi-dark"
            await settle(pilot)
            app.lines()

    asyncio.run(run())


def test_the_background_is_the_theme_s() -> None:
    async def check(app: ChartApp, pause: Callable[[], Awaitable[None]]) -> None:
        app.chart.set_lines([chart_line("a", [1, 2, 3])])
        await pause()
        for y in range(10):
            for segment in app.chart.render_line(y):
                assert segment.style is not None
                assert segment.style.bgcolor == app.chart.rich_style.bgcolor

    on_screen(check, (50, 10))
