"""The table of many rows on a screen."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from rich.cells import cell_len
from textual.app import App, ComposeResult
from textual.message import Message
from textual.pilot import Pilot
from textual.strip import Strip
from textual.widget import Widget

from console.tui.table_layout import LazyRow, lay_out
from console.tui.theme import OKABE_DARK
from console.tui.widgets.virtual_table import Cell, TableColumn, TableRow, VirtualTable
from tests.tui.pilots import press, settle

COLUMNS = (
    TableColumn("no", "run", 6, pinned=True),
    TableColumn("name", "name", 8, flexible=True, pinned=True),
    TableColumn("metric", "val/acc", 8, "right"),
    TableColumn("step", "step", 6, "right", sortable=False),
)


class TableApp(App[None]):
    """Answers for pages as the daemon would; `keys` are the rows."""

    def __init__(self, keys: list[str], *, answers: bool = True) -> None:
        super().__init__()
        self.keys = keys
        self.answers = answers
        self.messages: list[Message] = []

    def compose(self) -> ComposeResult:
        yield VirtualTable(empty="no run yet\n[/foo]")

    def on_mount(self) -> None:
        self.register_theme(OKABE_DARK)
        self.theme = OKABE_DARK.name
        self.table.set_columns(COLUMNS)
        self.table.set_row_count(len(self.keys))
        self.table.focus()

    @property
    def table(self) -> VirtualTable:
        return self.query_one(VirtualTable)

    def row(self, key: str) -> TableRow:
        return TableRow(key, (Cell(key), Cell(f"name of {key}"), Cell("0.8", "bold error"), Cell("9")))

    def answer(self, offset: int, limit: int) -> None:
        self.table.put_page(offset, [self.row(key) for key in self.keys[offset : offset + limit]])

    def on_virtual_table_page_wanted(self, message: VirtualTable.PageWanted) -> None:
        self.messages.append(message)
        if self.answers:
            self.answer(message.offset, message.limit)

    def on_virtual_table_cursor_moved(self, message: VirtualTable.CursorMoved) -> None:
        self.messages.append(message)

    def on_virtual_table_row_opened(self, message: VirtualTable.RowOpened) -> None:
        self.messages.append(message)

    def on_virtual_table_marks_changed(self, message: VirtualTable.MarksChanged) -> None:
        self.messages.append(message)

    def on_virtual_table_sort_wanted(self, message: VirtualTable.SortWanted) -> None:
        self.messages.append(message)

    def replace(self, keys: list[str]) -> None:
        self.keys = keys
        self.table.set_row_count(len(keys))
        self.table.invalidate()

    def lines(self) -> list[str]:
        return [self.table.render_line(y).text for y in range(self.table.size.height)]

    def seen(self, kind: type[Message]) -> list[dict[str, object]]:
        """What the messages of one kind said so far."""
        return [public(message) for message in self.messages if type(message) is kind]


def recorded_lines(widget: Widget) -> list[int]:
    """Grows by the number of every line that the screen asks for."""
    drawn: list[int] = []
    render_line = widget.render_line

    def recording(y: int) -> Strip:
        drawn.append(y)
        return render_line(y)

    widget.render_line = recording  # type: ignore[method-assign]
    return drawn


def public(message: Message) -> dict[str, object]:
    return {name: value for name, value in vars(message).items() if name in ("offset", "key", "marked", "column_key")}


Check = Callable[[TableApp, Pilot[None]], Awaitable[None]]


def on_screen(keys: list[str], check: Check, *, size: tuple[int, int] = (60, 12), answers: bool = True) -> None:
    async def run() -> None:
        app = TableApp(keys, answers=answers)
        async with app.run_test(size=size) as pilot:
            await settle(pilot)
            await check(app, pilot)

    asyncio.run(run())


def names(count: int, first: int = 0) -> list[str]:
    return [f"r{number}" for number in range(first, first + count)]


def test_100_000_rows_ask_for_two_pages_only() -> None:
    async def check(app: TableApp, pilot: Pilot[None]) -> None:
        assert app.lines()[1].startswith(">  r0     name of r0")
        await press(pilot, "G")
        assert app.table.cursor_key == "r99999"
        assert app.lines()[-1].startswith(">  r99999")
        assert [said["offset"] for said in app.seen(VirtualTable.PageWanted)] == [0, 99_840]

    on_screen(names(100_000), check)


def test_a_page_is_asked_for_once_and_shows_a_placeholder_meanwhile() -> None:
    async def check(app: TableApp, pilot: Pilot[None]) -> None:
        await press(pilot, "j", "j", "k")
        assert app.seen(VirtualTable.PageWanted) == [{"offset": 0}]
        assert app.lines()[2].rstrip() == ">  …"
        assert [app.table.cursor_key] == [None]
        app.answer(0, 256)
        await settle(pilot)
        assert app.table.cursor_key == "r1"
        assert app.seen(VirtualTable.CursorMoved)[-1] == {"key": "r1"}

    on_screen(names(500), check, answers=False)


def test_moving_the_cursor_draws_two_lines() -> None:
    async def check(app: TableApp, pilot: Pilot[None]) -> None:
        drawn = recorded_lines(app.table)
        await press(pilot, "j")
        assert sorted(drawn) == [1, 2]
        drawn.clear()
        app.answer(0, 256)
        app.table.invalidate()
        app.table.set_row_count(500)
        await settle(pilot)
        assert drawn == [], "the same rows again are not sent again"

    on_screen(names(500), check)


@pytest.mark.parametrize(
    ("keys", "row"),
    [
        ("j j j k", 2),
        ("down down up", 1),
        ("G", 499),
        ("G g", 0),
        ("end home", 0),
        ("pagedown", 11),
        ("pagedown pagedown pageup", 11),
        ("ctrl+d", 5),
        ("ctrl+d ctrl+d ctrl+u", 5),
        ("k", 0),
    ],
)
def test_keys_move_the_cursor(keys: str, row: int) -> None:
    async def check(app: TableApp, pilot: Pilot[None]) -> None:
        await press(pilot, *keys.split())
        assert app.table.cursor_row == row
        assert app.table.cursor_key == f"r{row}"
        assert sum(line.startswith(">") for line in app.lines()) == 1

    on_screen(names(500), check)


def test_the_cursor_stays_on_its_run_when_rows_come_above() -> None:
    async def check(app: TableApp, pilot: Pilot[None]) -> None:
        await press(pilot, "j", "j")
        app.messages.clear()
        app.replace(["new", *app.keys])
        await settle(pilot)
        assert (app.table.cursor_key, app.table.cursor_row) == ("r2", 3)
        assert app.seen(VirtualTable.CursorMoved) == []
        assert app.lines()[4].startswith(">  r2")

    on_screen(names(500), check)


def test_a_scrolled_view_does_not_jump_when_rows_come_above() -> None:
    async def check(app: TableApp, pilot: Pilot[None]) -> None:
        await press(pilot, "pagedown", "pagedown", "k")
        before = app.lines()
        app.replace(["new", *app.keys])
        await settle(pilot)
        assert app.lines() == before

    on_screen(names(200), check)


def test_a_run_that_is_gone_hands_the_cursor_to_the_row_in_its_place() -> None:
    async def check(app: TableApp, pilot: Pilot[None]) -> None:
        await press(pilot, "j", "j")
        app.replace([key for key in app.keys if key != "r2"])
        await settle(pilot)
        assert [app.table.cursor_key, app.table.cursor_row] == ["r3", 2]
        assert app.seen(VirtualTable.CursorMoved)[-1] == {"key": "r3"}
        app.replace([])
        await settle(pilot)
        assert app.table.cursor_key is None
        assert app.seen(VirtualTable.CursorMoved)[-1] == {"key": None}

    on_screen(names(5), check)


def test_old_rows_stay_until_the_new_ones_come() -> None:
    async def check(app: TableApp, pilot: Pilot[None]) -> None:
        before = app.lines()
        app.answers = False
        app.table.invalidate()
        await settle(pilot)
        assert app.lines() == before
        assert len(app.seen(VirtualTable.PageWanted)) == 2
        app.keys = ["other", *app.keys[1:]]
        app.answer(0, 256)
        assert app.lines()[1].startswith(">  other")

    on_screen(names(500), check)


def test_single_rows_can_be_replaced() -> None:
    async def check(app: TableApp, pilot: Pilot[None]) -> None:
        app.table.put_page(2, [TableRow("r2", (Cell("r2"), Cell("changed")))])
        await settle(pilot)
        assert "changed" in app.lines()[3]
        assert "name of r3" in app.lines()[4]
        assert len(app.seen(VirtualTable.PageWanted)) == 1

    on_screen(names(500), check)


def test_marks_are_shown_counted_and_cleared() -> None:
    async def check(app: TableApp, pilot: Pilot[None]) -> None:
        app.table.toggle_mark()
        app.table.toggle_mark()
        await settle(pilot)
        assert list(app.table.marked) == ["r0", "r1"]
        assert app.table.cursor_row == 2
        assert [line[:2] for line in app.lines()[1:4]] == [" ●", " ●", "> "]
        assert app.seen(VirtualTable.MarksChanged)[-1] == {"marked": ("r0", "r1")}
        app.table.ascii = True
        assert app.lines()[1][:2] == " *"
        app.table.set_marks(())
        await settle(pilot)
        assert list(app.table.marked) == []
        assert app.seen(VirtualTable.MarksChanged)[-1] == {"marked": ()}

    on_screen(names(5), check)


def test_mouse_clicks_choose_open_mark_and_sort() -> None:
    async def check(app: TableApp, pilot: Pilot[None]) -> None:
        await pilot.click(VirtualTable, offset=(10, 3))
        assert app.table.cursor_key == "r2"
        await pilot.click(VirtualTable, offset=(10, 3), times=2)
        assert app.seen(VirtualTable.RowOpened) == [{"key": "r2"}]
        await pilot.click(VirtualTable, offset=(1, 2))
        assert app.table.marked == ("r1",)
        await pilot.click(VirtualTable, offset=(4, 0))
        await pilot.click(VirtualTable, offset=(57, 0))
        assert app.seen(VirtualTable.SortWanted) == [{"column_key": "no"}]
        await press(pilot, "enter")
        assert app.seen(VirtualTable.RowOpened)[-1] == {"key": "r1"}

    on_screen(names(5), check)


def test_the_header_has_a_sort_arrow() -> None:
    async def check(app: TableApp, _: Pilot[None]) -> None:
        app.table.set_sort("metric", descending=True)
        assert "val/acc▼" in app.lines()[0]
        app.table.set_sort("no", descending=False)
        assert "run▲" in app.lines()[0]
        assert "▼" not in app.lines()[0]

    on_screen(names(5), check)


@pytest.mark.parametrize("width", [20, 30, 41, 60, 120])
def test_every_line_is_as_wide_as_the_table(width: int) -> None:
    async def check(app: TableApp, _: Pilot[None]) -> None:
        assert {cell_len(line) for line in app.lines()} == {width}
        assert "name" in app.lines()[0]
        assert ("step" in app.lines()[0]) == (width >= 41)

    on_screen(names(4), check, size=(width, 12))


def test_hostile_text_is_text() -> None:
    hostile = [
        "[/foo]",
        "[CLS]",
        "[@click=app.quit]x[/]",
        "\x1b]52;c;AAAA\x07",
        "a\nb",
        "\u202eevil",
        "\ud800",
        "👩\u200d👩\u200d👧",
    ]

    async def check(app: TableApp, _: Pilot[None]) -> None:
        app.table.put_page(0, [TableRow(text, (Cell("r1"), Cell(text), Cell("1", "[/nonsense]"))) for text in hostile])
        lines = app.lines()
        assert {cell_len(line) for line in lines} == {70}
        assert all(character.isprintable() for line in lines for character in line)
        assert "[@click=app.quit]x[/]" in lines[3]
        assert "␛]52;c;AAAA␇" in lines[4]

    on_screen(hostile, check, size=(70, 12))


def test_an_empty_table_says_why() -> None:
    async def check(app: TableApp, _: Pilot[None]) -> None:
        lines = [line.strip() for line in app.lines()]
        assert lines[5:7] == ["no run yet", "[/foo]"]
        assert app.table.cursor_key is None
        app.table.empty = "another"
        assert app.lines()[6].strip() == "another"

    on_screen([], check)


def test_flexible_columns_share_what_is_left() -> None:
    columns = (
        TableColumn("a", "a", 4),
        TableColumn("b", "b", 5, flexible=True),
        TableColumn("c", "c", 5, flexible=True),
        TableColumn("d", "d", 3, pinned=True),
    )
    assert [slot.width_cells for slot in lay_out(columns, 33).slots] == [4, 10, 10, 3]
    assert [slot.column for slot in lay_out(columns, 18).slots] == [0, 1, 3]
    assert [slot.column for slot in lay_out(columns, 7).slots] == [3]
    assert lay_out(columns, 3).slots == ()


def test_the_next_page_is_asked_for_before_somebody_pages_to_it() -> None:
    async def check(app: TableApp, pilot: Pilot[None]) -> None:
        await press(pilot, "pagedown", "pagedown")
        assert [said["offset"] for said in app.seen(VirtualTable.PageWanted)] == [0, 256]
        app.table.move_cursor(1050)
        await settle(pilot)
        assert {768, 1024, 1280} <= {said["offset"] for said in app.seen(VirtualTable.PageWanted)}

    on_screen(names(2000), check)


def test_cells_that_nobody_sees_are_not_made() -> None:
    made: list[int] = []
    places: set[int] = set()

    def row(number: int) -> LazyRow:
        def make(place: int) -> Cell:
            made.append(number)
            places.add(place)
            return (Cell(f"r{number}"), Cell("name"), Cell("1"), Cell("2"), Cell("of no column"))[place]

        return LazyRow(f"r{number}", make)

    async def check(app: TableApp, pilot: Pilot[None]) -> None:
        app.table.put_page(0, [row(number) for number in range(256)])
        await settle(pilot)
        assert app.lines()[1].startswith(">  r0     name")
        assert max(made) < 20
        assert places == {0, 1, 2, 3}

    on_screen(names(256), check, answers=False)
