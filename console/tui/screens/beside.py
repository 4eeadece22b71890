"""The marked runs side by side: what differs of their params, where their metrics stand, how they ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from textual.content import Content

from console import run_diff
from console.protocol import LIVE_STATES
from console.tui.actions import bindings, key_for
from console.tui.messages import SidesArrived
from console.tui.pace import Pace
from console.tui.run_cells import ARROWS, elapsed_s, outcome_style, outcome_text, state_style
from console.tui.screens.base import FootplateScreen
from console.tui.styles import MUTED
from console.tui.table_layout import GAP_CELLS, GUTTER_CELLS, Cell, TableColumn, TableRow
from console.tui.text_format import cell_width, clock, duration, number, state_glyph
from console.tui.widgets.header_line import HeaderLine
from console.tui.widgets.key_bar import KeyBar
from console.tui.widgets.rule import Rule
from console.tui.widgets.tab_bar import TabBar
from console.tui.widgets.virtual_table import VirtualTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from console.client import Client
    from console.protocol import RunRow
    from console.run_diff import MetricLine, Sides
    from console.tui.actions import Scope
    from console.tui.session import Session

ASK_INTERVAL_S: Final = 2.0
"""Runs that are alive are looked at that often."""
NAME_MAX_CELLS: Final = 28
RUN_LEAST_CELLS: Final = 16
"""A metric with how far it is from the first."""
VALUE_CELLS: Final = 8


class BesideScreen(FootplateScreen):
    """A column for each run; the others are held against the first."""

    scope: ClassVar[Scope] = "beside"
    lists: ClassVar[bool] = True
    BINDINGS: ClassVar[list[BindingType]] = bindings("beside")
    DEFAULT_CSS = """
    BesideScreen VirtualTable { height: 1fr; }
    """

    def __init__(self, session: Session, runs: Sequence[RunRow]) -> None:
        super().__init__(session)
        self._runs = tuple(runs)[: run_diff.RUNS_MAX]
        self._sides: Sides | None = None
        self._with_equal = False

    def compose(self) -> ComposeResult:
        """One table."""
        yield HeaderLine()
        yield TabBar()
        yield Rule("Side by side", id="beside-rule")
        yield VirtualTable(id="beside-table", empty="waiting for the daemon…")
        yield KeyBar("beside")

    def on_mount(self) -> None:
        """The cursor starts in the table."""
        self._pace = Pace(self, ASK_INTERVAL_S, self._ask, self.session.monotonic)
        table = self.query_one(VirtualTable)
        table.ascii = self.session.ascii_only
        table.focus()

    @property
    def awaits_rows(self) -> bool:
        """Nothing has come yet."""
        return self._sides is None

    @property
    def trail(self) -> str:
        """What the tab bar says after the name of the tab."""
        return " ".join(row.label for row in self._runs)

    def refresh_data(self) -> None:
        """Ask for the runs again, soon."""
        self._pace.soon()

    def _ask(self) -> None:
        ids = [row.id for row in self._runs]

        def fetch(client: Client) -> SidesArrived:
            return SidesArrived(run_diff.load(client, ids))

        self.session.courier.ask("beside", self, fetch)

    def on_sides_arrived(self, message: SidesArrived) -> None:
        """Show them."""
        self._sides = message.sides
        self.session.link.touch()
        self._show()
        self.show_header()

    def _show(self) -> None:
        sides = self._sides
        if sides is None or not self.present:
            return
        table = self.query_one(VirtualTable)
        rows = lines_of(sides, with_equal=self._with_equal, ascii_only=self.session.ascii_only)
        table.set_columns(columns_of(sides.runs, rows, table.size.width))
        table.set_row_count(len(rows))
        table.put_page(0, rows)
        equal_count = sum(not line.differs for line in sides.params)
        differing = f"  {len(sides.params) - equal_count} of {len(sides.params)} params differ"
        words, them = ("param is equal", "it") if equal_count == 1 else ("params are equal", "them")
        shown = f"{key_for('beside.equal_params')} {'hides' if self._with_equal else 'shows'} {them}"
        note = f"{equal_count} {words}, {shown}" if equal_count else ""
        title = Content.assemble("Side by side", (differing, MUTED))
        self.query_one("#beside-rule", Rule).set_title(title, note)

    def on_resize(self) -> None:
        """Other widths, once they are known."""
        self.call_after_refresh(self._show)

    def on_virtual_table_page_wanted(self, message: VirtualTable.PageWanted) -> None:
        """All rows are in memory."""
        message.stop()

    def on_virtual_table_cursor_moved(self, message: VirtualTable.CursorMoved) -> None:
        """Nothing hangs on it."""
        message.stop()

    def on_virtual_table_row_opened(self, message: VirtualTable.RowOpened) -> None:
        """A line leads nowhere."""
        message.stop()

    def action_equal_params(self) -> None:
        """Show the params that are the same in all runs, or hide them."""
        self._with_equal = not self._with_equal
        self._show()
        if self._sides is not None and all(line.differs for line in self._sides.params):
            self.say("every param differs" if self._sides.params else "these runs have no params")

    def action_back(self) -> None:
        """Back to the table."""
        self.app.pop_screen()


def columns_of(runs: Sequence[RunRow], rows: Sequence[TableRow], width_cells: int) -> tuple[TableColumn, ...]:
    """The name of a line, then a column for each run, as wide as what is in it where there is room; those that have
    none are scrolled to."""
    titles = [f"{row.label} {row.name}" for row in runs]
    name_cells = min(NAME_MAX_CELLS, max((cell_width(row.cell(0).text) for row in rows), default=0))
    wanted = [
        max(RUN_LEAST_CELLS, cell_width(title), *(cell_width(row.cell(place).text) for row in rows))
        for place, title in enumerate(titles, 1)
    ]
    widths = shares(wanted, width_cells - GUTTER_CELLS - name_cells - GAP_CELLS)
    return (
        TableColumn("line", "", name_cells, sortable=False, pinned=True),
        *(
            TableColumn(row.id, title, cells, sortable=False)
            for row, title, cells in zip(runs, titles, widths, strict=True)
        ),
    )


def shares(wanted: Sequence[int], room_cells: int) -> list[int]:
    """Widths of columns, each with a gap before it: what one does not want is there for the others. Pure."""
    seen = max(1, min(len(wanted), room_cells // (RUN_LEAST_CELLS + GAP_CELLS)))
    left_cells = room_cells - seen * GAP_CELLS
    given = [min(cells, max(RUN_LEAST_CELLS, room_cells // seen - GAP_CELLS)) for cells in wanted]
    for count, place in zip(range(seen, 0, -1), sorted(range(seen), key=lambda each: wanted[each]), strict=True):
        given[place] = max(1, min(wanted[place], left_cells // count))
        left_cells -= given[place]
    return given


def lines_of(sides: Sides, *, with_equal: bool, ascii_only: bool) -> list[TableRow]:
    """Facts, params, metrics."""
    lines = [
        TableRow(f"fact {name}", (Cell(name, "$text-muted"), *cells)) for name, cells in facts_of(sides, ascii_only)
    ]
    for line in sides.params:
        if line.differs or with_equal:
            style = "bold $foreground" if line.differs else "$text-muted"
            values = [Cell("-", "$text-muted") if value is None else Cell(value, style) for value in line.values]
            lines.append(TableRow(f"param {line.key}", (Cell(line.key, "$primary"), *values)))
    for metric in sides.metrics:
        arrow = ("^" if metric.goal == "maximize" else "v") if ascii_only else ARROWS.get(metric.goal, "")
        for name, found in (("last", metric.lasts), ("best", metric.bests)):
            title = Cell(f"{metric.key} {arrow} {name}", "$accent")
            lines.append(TableRow(f"{name} {metric.key}", (title, *metric_cells(metric, found))))
    return lines


def facts_of(sides: Sides, ascii_only: bool) -> list[tuple[str, list[Cell]]]:
    """What every run has."""
    runs, now_s = sides.runs, sides.now_s
    return [
        (
            "state",
            [Cell(f"{state_glyph(row.state, ascii_only=ascii_only)[0]} {row.state}", state_style(row)) for row in runs],
        ),
        ("outcome", [Cell(outcome_text(row), outcome_style(row)) for row in runs]),
        ("project", [Cell(row.project, "$text-muted") for row in runs]),
        ("started", [Cell(clock(row.started_at_s, now_s) or "-", "$text-muted") for row in runs]),
        (
            "time",
            [
                Cell(
                    duration(elapsed_s(row, now_s)) or "-", "$foreground" if row.state in LIVE_STATES else "$text-muted"
                )
                for row in runs
            ],
        ),
    ]


def metric_cells(metric: MetricLine, values: Sequence[float | None]) -> list[Cell]:
    """The values of a metric, with how far each is from the first and whether that is better."""
    cells = []
    for place, value in enumerate(values):
        if value is None:
            cells.append(Cell("-", "$text-muted"))
            continue
        found = run_diff.difference(values, place)
        text = number(value, VALUE_CELLS).rjust(VALUE_CELLS)
        style = "$foreground"
        if found is not None:
            text += f" {found:+.2g}"
            better = found > 0 if metric.goal == "maximize" else found < 0
            style = "$foreground" if found == 0 or found != found else "$success" if better else "$error"
        cells.append(Cell(text, style))
    return cells
