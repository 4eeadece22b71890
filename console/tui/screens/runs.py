"""The table of runs, the curve of the one under the cursor with those that are marked, and its facts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Static

from console import views
from console.tui import runs_asking, runs_memory, runs_order
from console.tui.actions import bindings
from console.tui.messages import PageArrived
from console.tui.pace import Pace, Pause
from console.tui.run_book import RunBook
from console.tui.run_cells import ASCENDING_FIRST, FIRST_STEPS, card_lines
from console.tui.runs_words import empty_words, order_of, title_of
from console.tui.screens import layouts
from console.tui.screens.runs_opening import OpensFromRuns
from console.tui.table_pages import PAGE_ROWS
from console.tui.widgets.header_line import HeaderLine
from console.tui.widgets.key_bar import KeyBar
from console.tui.widgets.query_prompt import QueryPrompt
from console.tui.widgets.rule import Rule
from console.tui.widgets.side_panel import SidePanel
from console.tui.widgets.tab_bar import TabBar
from console.tui.widgets.virtual_table import VirtualTable
from console.views import View

if TYPE_CHECKING:
    from collections.abc import Mapping

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from console.client import Client
    from console.protocol import Json, RunRow
    from console.run_columns import TablePage
    from console.tui.actions import Scope
    from console.tui.messages import ColumnsArrived, MarksRecalled
    from console.tui.session import Session
    from console.tui.widgets.prompt import Prompt


class RunsScreen(OpensFromRuns):
    """Filter, order, marks and cursor live here and outlast every other screen."""

    scope: ClassVar[Scope] = "runs"
    lists: ClassVar[bool] = True
    DEFAULT_CSS = layouts.RUNS
    BINDINGS: ClassVar[list[BindingType]] = bindings("runs")

    def __init__(self, session: Session, filter_text: str = "") -> None:
        super().__init__(session)
        self.filter_text = filter_text
        self.sort = "started"
        self.descending = True
        self._query_no = 0
        self._recalled: Mapping[str, Any] = {}
        self._book = RunBook(session.monotonic, ascii_only=session.ascii_only)

    def compose(self) -> ComposeResult:
        """One tree for every size; the style sheet hides what has no room."""
        yield HeaderLine()
        yield TabBar()
        with Horizontal(id="runs-body"):
            with Vertical(id="runs-left"):
                yield Rule("Runs", id="runs-rule")
                yield QueryPrompt(self.session, self._fetch_first_page, id="runs-filter")
                yield Static(FIRST_STEPS, id="runs-empty")
                yield VirtualTable(id="runs-table", empty="waiting for the daemon…", open_row=self.action_open)
            yield SidePanel(self.session, id="runs-side")
        yield Static(id="runs-card", markup=False)
        yield KeyBar("runs")

    def on_mount(self) -> None:
        """Prepare the pieces; the first data are asked for when the screen is shown."""
        self._rest = Pause(self, runs_asking.CURSOR_REST_S, self._ask_chart)
        self._glance = Pause(self, runs_asking.CURSOR_GLANCE_S, self._show_run)
        self._columns_pace = Pace(self, runs_asking.COLUMNS_INTERVAL_S, self._ask_columns, self.session.monotonic)
        self._open_default_view()
        self._table.ascii = self.session.ascii_only
        self._show_sort()
        self._table.focus()
        self._show_title()

    @property
    def _table(self) -> VirtualTable:
        return self.query_one(VirtualTable)

    @property
    def awaits_rows(self) -> bool:
        """The first page, or the answer to another filter or order, has not come yet."""
        return not self._book.loaded or self._book.matched_count is None

    @property
    def run_under_cursor(self) -> RunRow | None:
        """The run the table's cursor is on."""
        return self._book.row(self._table.cursor_key)

    @property
    def marked_runs(self) -> tuple[RunRow, ...]:
        """Also those that the filter hides."""
        return tuple(self._book.marked.values())

    def remember(self) -> dict[str, Json]:
        """The view, the marks, and where the cursor is."""
        return runs_memory.content_of(self.view, self._table)

    def recall(self, kept: Mapping[str, Any]) -> None:
        """The view at once, marks and cursor with the first page."""
        if kept and not self.filter_text:
            self.apply_view(runs_memory.view_of(kept))
            self._recalled = kept

    def on_marks_recalled(self, message: MarksRecalled) -> None:
        """The runs that were marked, unless a person has marked others meanwhile."""
        if not self._table.marked:
            self._book.marked = {row.id: row for row in message.rows}
            self._table.set_marks([row.id for row in message.rows])

    def refresh_data(self) -> None:
        """Ask again for the pages in view and for curves that still grow."""
        if self._table.row_count:
            self._table.invalidate()
        else:
            self._ask_page(0, PAGE_ROWS)
        self.query_one(SidePanel).grow_chart()

    def refresh_live_cells(self) -> None:
        """Count the seconds of runs in view; the table sends again only the lines that differ."""
        first = self._table.scroll_offset.y
        for offset in {row - row % PAGE_ROWS for row in (first, first + self._table.size.height)}:
            if self._book.counts_seconds(offset):
                self._put_rows(offset)

    def on_virtual_table_page_wanted(self, message: VirtualTable.PageWanted) -> None:
        """The table looks at rows that it does not have, or that are old."""
        message.stop()
        self._ask_page(message.offset, message.limit)

    def _ask_page(self, offset: int, limit: int) -> None:
        asking = runs_asking.asking_for_page(self._query_no, self.view, offset, limit, self._book.asked)
        self.session.courier.ask(f"page:{offset}:{limit}", self, asking)

    def on_page_arrived(self, message: PageArrived) -> None:
        """Show a page unless it answers a question that is no longer asked."""
        if message.query_no != self._query_no or not self.present:
            return
        first_one = not self._book.loaded
        page = message.table_page.page
        self._book.put(message.table_page)
        self.session.link.touch()
        table = self._table
        table.empty = empty_words(self.filter_text)
        table.set_row_count(page.matched_count)
        self._put_rows(page.offset)
        self.set_class(page.total_count == 0, "-no-runs")
        if page.total_count and self.focused is None:
            self.call_after_refresh(table.focus)
        self._show_title()
        if page.offset <= table.cursor_row < page.offset + PAGE_ROWS:
            self._glance.soon()
        self.show_header()
        if first_one:
            runs_memory.recall_cursor(self._table, self._recalled)
            if (asking := runs_memory.asking_for_marks(self._recalled)) is not None:
                self.session.courier.ask("marks", self, asking)
        self._columns_pace.soon()

    def _ask_columns(self) -> None:
        """Which params tell the runs under the filter apart; asked for after the rows, which do not wait for it."""
        if self._book.chosen is None:
            self.session.courier.ask("columns", self, runs_asking.asking_for_columns(self._query_no, self.view))

    def on_columns_arrived(self, message: ColumnsArrived) -> None:
        """Show the params that differ."""
        differing = tuple(each.name for each in message.page.columns)
        if message.query_no == self._query_no and differing != self._book.differing and self.present:
            self._book.differing = differing
            self._put_all_rows()

    def _put_rows(self, offset: int) -> None:
        columns, rows = self._book.table_page(offset, self._table.size.width)
        self._table.set_columns(columns)
        self._table.put_page(offset, rows)

    def _show_title(self) -> None:
        title = title_of(self._book, self.view, len(self._table.marked))
        self.query_one("#runs-rule", Rule).set_title(title, order_of(self.view))

    def _show_run(self) -> None:
        row, now_s = self.run_under_cursor, self._book.now_s
        self.query_one(SidePanel).show_run(row, now_s)
        card = self.query_one("#runs-card", Static)
        text = card_lines(row, now_s, max(1, card.size.width))
        if not isinstance(card.content, Content) or not card.content.is_same(text):
            card.update(text)

    def _ask_chart(self) -> None:
        self._show_run()  # a page that came in between puts a glance off
        self.query_one(SidePanel).ask_chart()

    def on_resize(self) -> None:
        """Other columns may fit, once the new sizes are known."""
        self.call_after_refresh(self._fit_columns)

    def _fit_columns(self) -> None:
        if not self.present:
            return
        self._put_all_rows()
        self._show_run()
        self._rest.soon()

    def _put_all_rows(self) -> None:
        """Columns or widths changed."""
        self._show_sort()
        for offset in self._book.offsets() or (0,):
            self._put_rows(offset)
        if any(map(self._book.lacks_values, self._book.offsets())):
            self._table.invalidate()

    def on_virtual_table_cursor_moved(self, message: VirtualTable.CursorMoved) -> None:
        """Show the facts when the cursor stops, the curve when it rests."""
        message.stop()
        self._glance.soon()
        self._rest.soon()

    def on_virtual_table_marks_changed(self, message: VirtualTable.MarksChanged) -> None:
        """Draw the curves of the marked runs."""
        message.stop()
        self._book.mark(message.marked)
        self.query_one(SidePanel).mark(self._book.marked)
        self._show_title()
        self._rest.soon()

    def on_virtual_table_sort_wanted(self, message: VirtualTable.SortWanted) -> None:
        """A click on a column's title."""
        message.stop()
        if order := runs_order.clicked(message.column_key, self.sort, descending=self.descending):
            self._set_sort(*order)

    def action_mark(self) -> None:
        """Mark the run or take the mark away."""
        self._table.toggle_mark()
        self._book.mark(self._table.marked)  # at once: the next key may be about the marked runs

    def set_columns(self, chosen: tuple[str, ...] | None) -> None:
        """Show these columns; None for those that choose themselves."""
        if chosen != self._book.chosen:
            self._book.choose(chosen)
            self._columns_pace.forget()
            self._columns_pace.soon()
            self._put_all_rows()
            self._show_title()

    @property
    def view(self) -> View:
        """What the table shows, as it can be kept."""
        return View("", self.filter_text, self.sort, self.descending, self._book.chosen)

    def apply_view(self, view: View) -> None:
        """Show what a view says."""
        self.filter_text, self.sort, self.descending = view.filter.strip(), view.sort, view.descending
        self._book.choose(view.columns)
        if self.present:
            self._put_all_rows()
            self._start_query()

    def _open_default_view(self) -> None:
        """The view of that name, unless the console was opened with a filter."""
        view = None if self.filter_text else views.default()
        if isinstance(view, View):
            self.apply_view(view)
        elif view is not None:
            self.say(view.problem, severe=True)

    def action_filter(self) -> None:
        """Type a filter."""
        self.query_one(QueryPrompt).open(self.filter_text)

    def _fetch_first_page(self, client: Client, text: str) -> TablePage:
        """Of a query that is being typed; runs in the thread of the courier."""
        rows = runs_asking.glance_rows(self._table)
        return runs_asking.fetch_page(client, self.view._replace(filter=text), 0, rows, self._book.asked)

    async def on_query_prompt_accepted(self, message: QueryPrompt.Accepted) -> None:
        """Filter while typing: the first page of the query is there already."""
        self.query_one(QueryPrompt).settle()
        if message.text != self.filter_text:
            self.filter_text = message.text
            self._forget_pages()
            self._table.begin_anew()
            self.on_page_arrived(PageArrived(self._query_no, message.table_page))
        await self.release()

    async def on_query_prompt_refused(self, message: QueryPrompt.Refused) -> None:
        """What was typed and kept does not count."""
        self.query_one(QueryPrompt).settle()
        await self.release()
        self.say(message.words, severe=True)

    def on_prompt_left(self, message: Prompt.Left) -> None:
        """Typing is over; what is kept counts once it is answered."""
        if message.kept:
            self.hold()
        else:
            self._set_filter("")
        self.call_after_refresh(self._table.focus)  # the rows first

    def show_only(self, text: str) -> None:
        """Filter by a text, as if it had been typed."""
        self._set_filter(text)

    def _set_filter(self, text: str) -> None:
        if text.strip() != self.filter_text:
            self.filter_text = text.strip()
            self._start_query()

    def action_sort(self) -> None:
        """Sort by the next column."""
        field = runs_order.next_field(self.sort, self.drawn_names)
        self._set_sort(field, field not in ASCENDING_FIRST)

    def action_reverse(self) -> None:
        """Turn the order around."""
        self._set_sort(self.sort, not self.descending)

    def _set_sort(self, key: str, descending: bool) -> None:
        self.sort, self.descending = key, descending
        self.query_one(QueryPrompt).ask_anew()
        self._show_sort()
        self._start_query()

    def _show_sort(self) -> None:
        """The arrow stands in the column that says what is sorted by, if there is one."""
        self._book.sort = self.sort
        key = runs_order.column_with_arrow(self.sort, self._book.names)
        self._table.set_sort(key, self.descending)

    @property
    def drawn_names(self) -> list[str]:
        return [self._book.names[column.cell] for column in self._table.drawn_columns]

    def _forget_pages(self) -> None:
        self._query_no += 1
        self._book.forget()
        self._columns_pace.forget(runs_asking.COLUMNS_AFTER_S)

    def _start_query(self) -> None:
        self._forget_pages()
        self._show_title()
        if self._table.row_count and not self._table.scroll_offset.y:
            self._table.begin_anew()
            asking = runs_asking.asking_for_page(
                self._query_no, self.view, 0, runs_asking.glance_rows(self._table), self._book.asked
            )
            self.session.courier.ask_at_once("glance", self, asking)
        else:
            self.refresh_data()

    def action_back(self) -> None:
        """Clear the filter, then the marks."""
        if self.filter_text:
            self._set_filter("")
        else:
            self._table.set_marks(())
