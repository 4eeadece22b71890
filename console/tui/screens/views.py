"""The saved views: use one, keep what the table shows as one, delete one."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from textual.containers import Vertical
from textual.content import Content

from console import views
from console.tui.actions import bindings, hints, key_for
from console.tui.messages import RequestFailed, ViewsArrived
from console.tui.presence import is_present
from console.tui.screens.box import BoxScreen
from console.tui.screens.confirm import ConfirmScreen
from console.tui.table_layout import Cell, TableColumn, TableRow
from console.tui.text_format import visible
from console.tui.widgets.prompt import Prompt
from console.tui.widgets.virtual_table import VirtualTable
from console.views import Broken, View, ViewError

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from console.client import Client
    from console.tui.actions import Scope
    from console.tui.session import Session

COLUMNS: Final = (
    TableColumn("name", "view", 14, sortable=False, pinned=True),
    TableColumn("filter", "filter", 12, flexible=True, sortable=False, pinned=True),
    TableColumn("sort", "sorted by", 16, sortable=False),
    TableColumn("columns", "columns", 9, align="right", sortable=False),
)


class ViewsScreen(BoxScreen["View | None"]):
    """Says which view was chosen, None for none."""

    scope: ClassVar[Scope] = "views"
    BINDINGS: ClassVar[list[BindingType]] = bindings("views")
    DEFAULT_CSS = """
    ViewsScreen > Vertical {
        width: 84;
        height: 60%;
        min-height: 12;
    }
    """

    def __init__(self, session: Session, present: View) -> None:
        """`present` is what the table shows now."""
        super().__init__()
        self._session = session
        self._present = present
        self._views: dict[str, View | Broken] | None = None

    def compose(self) -> ComposeResult:
        """The list, and a line for a new name."""
        with Vertical() as box:
            box.border_title = "Views"
            box.border_subtitle = Content(
                hints(
                    ("table.open", "uses"),
                    ("views.save", "keeps what is shown"),
                    ("views.delete_view", "deletes"),
                    ("views.close", "back"),
                )
            ).markup
            yield Prompt("keep as", "a name; one that there is is replaced", id="view-name")
            yield VirtualTable(COLUMNS, id="views-table", empty="reading…")

    def on_mount(self) -> None:
        """Read the files, which may lie on a slow disk, beside the event loop."""
        self._table.ascii = self._session.ascii_only
        self._table.focus()
        self._ask(lambda: "")

    @property
    def awaits_rows(self) -> bool:
        """The files have not been read yet; keys wait for that."""
        return self._views is None

    @property
    def _table(self) -> VirtualTable:
        return self.query_one(VirtualTable)

    def _ask(self, do: Callable[[], str]) -> None:
        """Do something to the files, then read them all."""

        def work(_: Client) -> ViewsArrived | RequestFailed:
            try:
                words = do()
                return ViewsArrived(tuple(views.read_all()), words)
            except ViewError as error:
                return RequestFailed("views", str(error), "", unavailable=False)

        self._session.courier.ask("views", self, work)

    def on_request_failed(self, message: RequestFailed) -> None:
        """A file could not be written or read."""
        message.stop()
        self.notify(visible(message.reason), severity="error", markup=False)

    def on_views_arrived(self, message: ViewsArrived) -> None:
        """Show them."""
        if not is_present(self, self):
            return
        self._views = found = {each.name: each for each in message.views}
        table = self._table
        table.empty = f"no views yet\n{key_for('views.save')} keeps filter, order and columns of the table as one"
        table.set_row_count(len(found))
        table.put_page(0, [row_of(each) for each in found.values()])
        if message.words:
            self.notify(visible(message.words), markup=False)

    def on_virtual_table_page_wanted(self, message: VirtualTable.PageWanted) -> None:
        """All rows are in memory."""
        message.stop()

    def on_virtual_table_cursor_moved(self, message: VirtualTable.CursorMoved) -> None:
        """Nothing hangs on it."""
        message.stop()

    def on_virtual_table_row_opened(self, message: VirtualTable.RowOpened) -> None:
        """Use the view, or say what is wrong with it."""
        message.stop()
        chosen = (self._views or {}).get(message.key)
        if isinstance(chosen, View):
            self.dismiss(chosen)
        elif chosen is not None:
            self.notify(visible(chosen.problem), severity="error", markup=False)

    def action_save(self) -> None:
        """Ask for a name."""
        self.query_one(Prompt).open("")

    def on_prompt_typed(self, message: Prompt.Typed) -> None:
        """A name counts once it is complete."""
        message.stop()

    def on_prompt_left(self, message: Prompt.Left) -> None:
        """Keep what the table shows."""
        name, present = message.text.strip(), self._present
        if message.kept and name:

            def keep() -> str:
                return f"kept as {name}: {views.write(present._replace(name=name))}"

            self._ask(keep)
        self._table.focus()

    def action_delete_view(self) -> None:
        """Ask, then take the file away."""
        name = self._table.cursor_key
        if name is None:
            return

        def decided(delete: bool | None) -> None:
            if delete:
                self._ask(lambda: remove(name))

        question = Content(f"Delete the view {name}?\n\n{visible(views.path_of(name))}")
        self.app.push_screen(ConfirmScreen("Delete the view?", question, "delete it", self._session.monotonic), decided)

    def action_close(self) -> None:
        """Nothing was chosen."""
        self.dismiss(None)


def remove(name: str) -> str:
    """Delete a view and say so. Raises ViewError."""
    views.delete(name)
    return f"the view {name} is gone"


def row_of(view: View | Broken) -> TableRow:
    """A view as a line; one that cannot be used says why."""
    if isinstance(view, Broken):
        return TableRow(view.name, (Cell(view.name, "$error"), Cell(f"! {view.problem}", "$error"), Cell(""), Cell("")))
    order = f"{view.sort} {'▼' if view.descending else '▲'}"
    columns = "automatic" if view.columns is None else str(len(view.columns))
    return TableRow(
        view.name,
        (
            Cell(view.name, "bold $foreground"),
            Cell(view.filter or "-", "$foreground" if view.filter else "$text-muted"),
            Cell(order, "$text-muted"),
            Cell(columns, "$text-muted"),
        ),
    )
