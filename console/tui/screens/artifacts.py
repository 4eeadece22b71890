"""What an imported run left behind: a list, and a look at what a terminal can show of each."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, ClassVar, Final

from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from console import artifact_preview
from console.tui.actions import bindings, hints
from console.tui.messages import PreviewArrived, RequestFailed
from console.tui.presence import is_present
from console.tui.screens.box import BoxScreen
from console.tui.styles import MUTED
from console.tui.text_format import bytes_size, cell_width, cut, visible
from console.tui.widgets.picture import Picture
from console.tui.widgets.virtual_table import Cell, TableColumn, TableRow, VirtualTable

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from console.artifact_preview import Preview
    from console.client import Client
    from console.protocol import Artifact, RunDetail
    from console.tui.session import Session

REQUEST: Final = "artifact-preview"
COLUMNS: Final = (
    TableColumn("name", "name", 12, flexible=True, sortable=False, pinned=True),
    TableColumn("kind", "kind", 6, sortable=False),
    TableColumn("size", "size", 9, align="right", sortable=False),
)
FRAME_CELLS: Final = 6
"""Border, padding and the room that a title leaves."""
KIND_STYLES: Final = {"image": "accent", "text": "foreground", "table": "foreground"}
"""Kinds that can be looked at stand out; the others are muted."""


class ArtifactsScreen(BoxScreen[None]):
    """A list that makes way for what was chosen in it."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("artifacts")
    DEFAULT_CSS = """
    ArtifactsScreen > Vertical {
        width: 100;
        max-width: 92%;
        height: auto;
        max-height: 90%;
        padding: 0 1;
    }
    ArtifactsScreen.-preview > Vertical { width: 96%; max-width: 96%; height: 94%; max-height: 94%; }
    ArtifactsScreen VirtualTable { height: auto; }
    ArtifactsScreen Picture, ArtifactsScreen VerticalScroll { display: none; }
    ArtifactsScreen.-preview VirtualTable { display: none; }
    ArtifactsScreen.-image Picture { display: block; }
    ArtifactsScreen.-words VerticalScroll { display: block; height: 1fr; scrollbar-size-vertical: 1; }
    ArtifactsScreen #artifact-text { height: auto; }
    """

    def __init__(self, session: Session, detail: RunDetail) -> None:
        super().__init__()
        self._session = session
        self._detail = detail
        self._shown: int | None = None
        """The place in the list of what is looked at."""

    @property
    def _artifacts(self) -> tuple[Artifact, ...]:
        return self._detail.artifacts

    def compose(self) -> ComposeResult:
        """The list, and the two ways to show one."""
        with Vertical():
            yield VirtualTable(COLUMNS, id="artifact-table")
            yield Picture(id="artifact-picture")
            with VerticalScroll():
                yield Static(id="artifact-text", markup=False)

    def on_mount(self) -> None:
        """Begin with the list."""
        profile = self._session.profile
        table = self._table
        table.ascii = self._session.ascii_only
        self.query_one(Picture).ascii = self._session.ascii_only or profile.no_color
        table.styles.height = len(self._artifacts) + 1
        table.styles.max_height = max(4, self.app.size.height * 9 // 10 - 2)
        table.set_row_count(len(self._artifacts))
        table.put_page(0, [row_of(place, each) for place, each in enumerate(self._artifacts)])
        self._show_list()

    @property
    def _table(self) -> VirtualTable:
        return self.query_one(VirtualTable)

    @property
    def _box(self) -> Vertical:
        return self.query_one(Vertical)

    @property
    def _present(self) -> bool:
        return is_present(self, self)

    def _show_list(self) -> None:
        self._shown = None
        self.remove_class("-preview", "-image", "-words")
        count, row = len(self._artifacts), self._detail.row
        total = bytes_size(sum(each.size_bytes for each in self._artifacts))
        self._say_title(
            f"{row.label} left {count} file{'s' if count != 1 else ''}, {total}",
            hints(("table.open", "shows it"), ("artifacts.close", "closes")),
        )
        self._table.focus()

    def _say_title(self, title: str, subtitle: str) -> None:
        room = max(8, self.app.size.width - FRAME_CELLS)
        shown = visible(title)
        shown = shown if cell_width(shown) <= room else cut(shown, room, ellipsis=self._ellipsis)
        # What Textual makes of a text here is markup; of a Content it is not.
        self._box.border_title = Content(shown).markup
        words = subtitle if not self._session.ascii_only else subtitle.replace("·", "-")
        self._box.border_subtitle = Content(words).markup

    @property
    def _ellipsis(self) -> str:
        return "..." if self._session.ascii_only else "…"

    def on_virtual_table_page_wanted(self, message: VirtualTable.PageWanted) -> None:
        """All rows are here already."""
        message.stop()
        rows = [row_of(place, each) for place, each in enumerate(self._artifacts)]
        self._table.put_page(message.offset, rows[message.offset : message.offset + message.limit])

    def on_virtual_table_row_opened(self, message: VirtualTable.RowOpened) -> None:
        """Look at what is under the cursor."""
        message.stop()
        self._ask(int(message.key))

    def _ask(self, place: int) -> None:
        artifact, run_id = self._artifacts[place], self._detail.row.id
        self._shown = place
        width, height = self._picture_room()

        def fetch(client: Client) -> PreviewArrived:
            return PreviewArrived(place, artifact_preview.fetch(client, run_id, artifact.path, width, height))

        self._session.courier.ask(REQUEST, self, fetch)

    def _picture_room(self) -> tuple[int, int]:
        """Pixels in the box as it will be."""
        width, height = self.app.size
        return max(1, width * 96 // 100 - 4), max(2, 2 * (height * 94 // 100 - 2))

    def on_preview_arrived(self, message: PreviewArrived) -> None:
        """Show it, unless another one was asked for meanwhile."""
        message.stop()
        if not self._present or message.place != self._shown:
            return
        preview = message.preview
        if preview.kind == "image":
            self.query_one(Picture).show(preview)
        else:
            self._show_words(text_of(preview, ellipsis=self._ellipsis))
        self._turn_to(preview)

    def _turn_to(self, preview: Preview) -> None:
        is_image = preview.kind == "image"
        self.add_class("-preview")
        self.set_class(is_image, "-image")
        self.set_class(not is_image, "-words")
        facts = bytes_size(preview.size_bytes)
        if is_image:
            facts = f"{preview.source_width} x {preview.source_height} {preview.format}, {facts}"
            self.set_focus(None)
        else:
            self.query_one(VerticalScroll).focus()
        room = max(8, self.app.size.width * 96 // 100 - FRAME_CELLS - len(facts) - 2)
        name = visible(preview.path)
        if cell_width(name) > room:
            # Names differ at their end.
            name = f"{self._ellipsis}/{visible(os.path.basename(preview.path))}"
            name = name if cell_width(name) <= room else cut(name, room, ellipsis=self._ellipsis)
        flips = (("artifacts.previous_artifact", "before"), ("artifacts.next_artifact", "next"))
        offers = (*(flips if len(self._artifacts) > 1 else ()), ("artifacts.close", "list"))
        self._say_title(f"{name}  {facts}", hints(*offers))

    def _show_words(self, text: Content) -> None:
        self.query_one("#artifact-text", Static).update(text)
        self.query_one(VerticalScroll).scroll_home(animate=False)

    def on_request_failed(self, message: RequestFailed) -> None:
        """Say it where the file would have been; that the daemon is away is also said in the header."""
        if message.kind != REQUEST or not self._present or self._shown is None:
            return
        if not message.unavailable:
            message.stop()
        artifact = self._artifacts[self._shown]
        hint = f": {message.hint}" if message.hint else ""
        preview = artifact_preview.Preview(artifact.path, artifact.size_bytes, "words", words=f"{message.reason}{hint}")
        self._show_words(text_of(preview, ellipsis=self._ellipsis))
        self._turn_to(preview)

    def on_resize(self) -> None:
        """More room asks for more pixels."""
        if self._shown is not None and self.has_class("-image"):
            self._ask(self._shown)

    def action_next_artifact(self) -> None:
        """Look at the next one."""
        self._flip(1)

    def action_previous_artifact(self) -> None:
        """Look at the one before."""
        self._flip(-1)

    def _flip(self, step: int) -> None:
        start = self._table.cursor_row if self._shown is None else self._shown + step
        place = start % len(self._artifacts)
        self._table.move_cursor(place)
        self._ask(place)

    def action_close(self) -> None:
        """From the look to the list, from the list to the run."""
        if self.has_class("-preview"):
            self._show_list()
        else:
            self.dismiss(None)


def row_of(place: int, artifact: Artifact) -> TableRow:
    """One line of the list."""
    style = KIND_STYLES.get(artifact.kind, "text-muted")
    cells = (Cell(artifact.path, style), Cell(artifact.kind, "text-muted"), Cell(bytes_size(artifact.size_bytes)))
    return TableRow(str(place), cells)


def text_of(preview: Preview, *, ellipsis: str = "…") -> Content:
    """What is shown of anything but a picture, without markup."""
    parts = [Content(visible(line.expandtabs())) for line in preview.lines]
    if preview.is_cut:
        parts.append(Content.styled(f"{ellipsis} and more than is shown here", MUTED))
    if preview.words:
        parts.append(Content.styled(visible(preview.words), MUTED))
    return Content("\n").join(parts)
