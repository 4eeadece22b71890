"""Choosing the columns of the run table: searched, toggled, put in order; usable with ten thousand keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, TypeAlias

from textual.containers import Vertical
from textual.content import Content

from console import run_columns
from console.run_columns import COLUMNS_MAX, FACTS, parse_column
from console.tui.actions import bindings, hints, key_for
from console.tui.messages import ColumnListArrived
from console.tui.presence import is_present
from console.tui.screens.box import BoxScreen
from console.tui.styles import MUTED
from console.tui.table_columns import PINNED
from console.tui.table_layout import Cell, TableColumn, TableRow
from console.tui.text_format import visible
from console.tui.widgets.prompt import Prompt
from console.tui.widgets.rule import Rule
from console.tui.widgets.virtual_table import VirtualTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from console.client import Client
    from console.run_columns import ColumnInfo
    from console.tui.session import Session

Choice: TypeAlias = "tuple[str, ...] | None"
"""Names of the columns that a person wants; None for those that choose themselves."""
COLUMNS: Final = (
    TableColumn("place", "", 2, align="right", sortable=False, pinned=True),
    TableColumn("name", "column", 16, flexible=True, sortable=False, pinned=True),
    TableColumn("what", "shows", 8, flexible=True, sortable=False),
    TableColumn("values", "values", 6, align="right", sortable=False),
    TableColumn("runs", "runs", 6, align="right", sortable=False),
)
SEPARATOR: Final = ""
"""Stands among the names of columns for the line between the chosen ones and all."""


class ColumnsScreen(BoxScreen[Choice]):
    """The chosen columns in their order, below them everything that can be one."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("columns")
    DEFAULT_CSS = """
    ColumnsScreen > Vertical {
        width: 76;
        height: 90%;
    }
    """

    def __init__(self, session: Session, text: str, chosen: Choice, automatic: Sequence[str]) -> None:
        """`text` is the filter of the table, `automatic` what it shows by itself."""
        super().__init__()
        self._session = session
        self._text = text
        self._automatic = tuple(name for name in automatic if name not in PINNED)
        self._is_automatic = chosen is None
        self._chosen = list(self._automatic if chosen is None else chosen)
        self._search = ""
        self._query_no = 0
        self._total_count = 0
        self._run_count: int | None = None
        self._listed: dict[int, ColumnInfo] = {}
        self._known: dict[str, ColumnInfo] = {}

    def compose(self) -> ComposeResult:
        """One list; a line to search in comes when it is wanted."""
        with Vertical() as box:
            box.border_title = "Columns"
            box.border_subtitle = Content(hint_line()).markup
            yield Rule("", id="columns-rule")
            yield Prompt("/", "a part of a param's or a metric's name", id="columns-search")
            yield VirtualTable(COLUMNS, id="columns-table", empty="waiting for the daemon…")

    def on_mount(self) -> None:
        """The cursor starts in the list."""
        self._table.ascii = self._session.ascii_only
        self._table.focus()
        self._ask(0, 256)
        self._show()

    @property
    def _table(self) -> VirtualTable:
        return self.query_one(VirtualTable)

    @property
    def _top(self) -> tuple[str, ...]:
        """The chosen columns and a line, above the others unless something is searched."""
        return () if self._search or not self._chosen else (*self._chosen, SEPARATOR)

    @property
    def _name_under_cursor(self) -> str:
        return (self._table.cursor_key or "").partition(" ")[2]

    def _ask(self, offset: int, limit: int) -> None:
        query_no, text, search = self._query_no, self._text, self._search

        def fetch(client: Client) -> ColumnListArrived:
            page = run_columns.list_columns(client, text=text, search=search, offset=offset, limit=limit)
            return ColumnListArrived(query_no, offset, page)

        self._session.courier.ask(f"columns:{offset}", self, fetch)

    def on_column_list_arrived(self, message: ColumnListArrived) -> None:
        """Show a window of the list."""
        if message.query_no != self._query_no or not is_present(self, self):
            return
        page = message.page
        self._total_count, self._run_count = page.total_count, page.run_count
        self._listed |= dict(enumerate(page.columns, message.offset))
        self._known |= {each.name: each for each in page.columns}
        self._show()

    def on_virtual_table_page_wanted(self, message: VirtualTable.PageWanted) -> None:
        """The list looks at rows that are not in memory."""
        message.stop()
        first = max(0, message.offset - len(self._top))
        wanted = range(first, min(self._total_count, first + message.limit))
        if all(place in self._listed for place in wanted):
            self._put(message.offset, message.limit)
        else:
            self._ask(first, message.limit)

    def _show(self) -> None:
        """Bring title and rows up to date."""
        table = self._table
        table.empty = f"no column holds {visible(self._search)}" if self._search else "waiting for the daemon…"
        table.set_row_count(len(self._top) + self._total_count)
        table.invalidate()
        how = "automatic" if self._is_automatic else f"{len(self._chosen)} chosen"
        title = Content.assemble(how, (f"  {self._total_count} that can be", MUTED))
        note = "" if self._run_count is None else f"in {self._run_count} runs"
        self.query_one("#columns-rule", Rule).set_title(title, note)

    def _put(self, offset: int, limit: int) -> None:
        top = self._top
        rows = [self._row("chosen", name) for name in top[offset : offset + limit]]
        places = range(max(0, offset - len(top)), max(0, offset + limit - len(top)))
        rows += [self._row("listed", self._listed[place].name) for place in places if place in self._listed]
        self._table.put_page(offset, rows)

    def _row(self, part: str, name: str) -> TableRow:
        if name == SEPARATOR:
            return TableRow(SEPARATOR, (Cell(""), Cell("everything that can be one:", "$text-muted"), *[Cell("")] * 3))
        info = self._known.get(name)
        place = self._chosen.index(name) + 1 if name in self._chosen else 0
        style = "bold $primary" if place and part == "chosen" else "$foreground"
        column = parse_column(name)
        shows = FACTS[name] if column.kind == "fact" else column.kind
        values = "" if info is None or info.distinct_count is None else str(info.distinct_count)
        runs = "" if info is None or info.run_count is None else str(info.run_count)
        title = column.key + f" {column.aggregate}" * bool(column.aggregate)
        return TableRow(
            f"{part} {name}",
            (
                Cell(str(place) if place else "", "bold $accent"),
                Cell(title, style),
                Cell(shows, "$text-muted"),
                Cell(values, "$text-muted"),
                Cell(runs, "$text-muted"),
            ),
        )

    def on_virtual_table_cursor_moved(self, message: VirtualTable.CursorMoved) -> None:
        """Nothing hangs on it."""
        message.stop()

    def on_virtual_table_row_opened(self, message: VirtualTable.RowOpened) -> None:
        """Enter does what space does."""
        message.stop()
        self.action_toggle_column()

    def action_toggle_column(self) -> None:
        """Choose the column under the cursor, or choose it no more."""
        name = self._name_under_cursor
        if not name:
            return
        if name in self._chosen:
            self._chosen.remove(name)
        elif len(self._chosen) < COLUMNS_MAX:
            self._chosen.append(name)
        else:
            self.notify(f"a table has at most {COLUMNS_MAX} columns", severity="warning", markup=False)
            return
        self._is_automatic = False
        self._show()

    def action_move_column(self, places: int) -> None:
        """Put the column under the cursor before or behind its neighbour."""
        name = self._name_under_cursor
        if name not in self._chosen:
            return
        place = self._chosen.index(name)
        other = place + places
        if 0 <= other < len(self._chosen):
            self._chosen[place], self._chosen[other] = self._chosen[other], name
            self._is_automatic = False
            self._show()

    def action_automatic(self) -> None:
        """Let the table choose by itself again."""
        self._is_automatic, self._chosen = True, list(self._automatic)
        self._show()

    def action_search(self) -> None:
        """Type a part of a name."""
        self.query_one(Prompt).open(self._search)

    def on_prompt_typed(self, message: Prompt.Typed) -> None:
        """Search while typing."""
        self._set_search(message.text)

    def on_prompt_left(self, message: Prompt.Left) -> None:
        """Typing is over."""
        self._set_search(message.text if message.kept else "")
        self._table.focus()

    def _set_search(self, text: str) -> None:
        if text.strip() != self._search:
            self._search = text.strip()
            self._query_no += 1
            self._total_count = 0
            self._listed.clear()
            self._ask(0, 256)

    def action_close(self) -> None:
        """Drop the search, then take the choice to the table."""
        if self._search:
            self._set_search("")
        else:
            self.dismiss(None if self._is_automatic else tuple(self._chosen))


def hint_line() -> str:
    """What the keys do."""
    return hints(
        ("columns.toggle_column", "toggles"),
        f"{key_for('columns.move_column(1)')} {key_for('columns.move_column(-1)')} move",
        ("columns.automatic", "automatic"),
        ("columns.search", "searches"),
        ("columns.close", "done"),
    )
