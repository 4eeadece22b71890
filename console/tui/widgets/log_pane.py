"""The live output of a run: its title, the search line, the lines, and the way to the daemon for all three."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from textual.containers import Vertical
from textual.content import Content

from console import run_parts
from console.tui.actions import hints, key_for
from console.tui.messages import HitArrived, LogArrived, MarkArrived
from console.tui.pace import Pace
from console.tui.presence import is_present
from console.tui.styles import MUTED
from console.tui.text_format import bytes_size, visible
from console.tui.widgets.log_view import LogView
from console.tui.widgets.prompt import Prompt
from console.tui.widgets.rule import Rule

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from console.client import Client
    from console.run_parts import MarkKind
    from console.tui.session import Session

MARK_WORDS: Final[dict[MarkKind, str]] = {"error": "an error", "warning": "a warning"}


class LogPane(Vertical):
    """Reads on while following, and wherever the reader goes."""

    def __init__(
        self,
        session: Session,
        run_id: str,
        *,
        absent: str = "",
        id: str | None = None,  # noqa: A002 (Textual's name)
    ) -> None:
        """`absent`: why the run has no log; empty where it has one."""
        super().__init__(id=id)
        self._absent = absent
        self._session = session
        self._run_id = run_id
        self._size_bytes = 0
        self._ended = False
        self._loaded = False
        self._looking = ""
        """How far a search for marks has come that takes more than one look."""
        self._hit_bytes: int | None = None
        """Start of the line that was found last."""
        self._match_bytes = 0
        """Where in that line the match lies: the search goes by bytes, the reader by lines."""

    def compose(self) -> ComposeResult:
        """Title, search line, lines."""
        yield Rule("Log", id="log-rule")
        yield Prompt("/", "text to find in the log", id="log-search")
        yield LogView(id="run-log", empty=self._absent or "no output yet")

    def on_mount(self) -> None:
        """Lines come at the pace of the terminal."""
        self._home = self.screen
        self._pace = Pace(self, self._session.profile.log_interval_s, self._ask_end, self._session.monotonic)
        self.view.ascii = self._session.ascii_only
        self._show_title()

    @property
    def _present(self) -> bool:
        return is_present(self, self._home)

    @property
    def loaded(self) -> bool:
        """Lines have come, or there are none to come."""
        return self._loaded or bool(self._absent)

    @property
    def view(self) -> LogView:
        """The lines."""
        return self.query_one(LogView)

    def grow(self) -> None:
        """There may be new lines; they are read while the end of what is here is in view."""
        view = self.view
        if view.follow or not self._loaded or view.scroll_offset.y + view.size.height >= view.virtual_size.height:
            self._pace.soon()

    def say_size(self, size_bytes: int, *, ended: bool) -> None:
        """How long the log is."""
        self._size_bytes, self._ended = size_bytes, ended
        if ended and not size_bytes and not self._absent:
            self.view.empty = "the run wrote nothing"
        self._show_title()

    def toggle_follow(self) -> None:
        """Stick to the end, or stay here."""
        self.view.follow = not self.view.follow

    def _ask_end(self) -> None:
        if not self._present or self._absent:
            return
        self._ask(self.view.end_bytes if self._loaded else None, None)

    def _ask(self, start: int | None, before: int | None) -> None:
        run_id = self._run_id

        def fetch(client: Client) -> LogArrived:
            return LogArrived(client.log(run_id, start=start, before=before))

        where = "before" if before is not None else "from" if start is not None else "end"
        self._session.courier.ask(f"log:{where}", self, fetch)

    def on_log_arrived(self, message: LogArrived) -> None:
        """Show the lines."""
        message.stop()
        if not self._present:
            return
        self._loaded = True
        self._session.link.touch()
        self.view.put_page(message.page)
        self.say_size(message.page.size_bytes, ended=message.page.ended)

    def on_log_view_lines_wanted(self, message: LogView.LinesWanted) -> None:
        """The reader comes near lines that are not here."""
        message.stop()
        self._ask(message.start, message.before)

    def on_log_view_follow_changed(self, message: LogView.FollowChanged) -> None:
        """Catch up when following begins."""
        message.stop()
        if not self._present:
            return
        if message.follow:
            self._hit_bytes = None
            self.grow()
        self._show_title()

    def _show_title(self) -> None:
        view = self.view
        parts: list[tuple[str, str]] = [("Log", "")]
        if self._size_bytes:
            parts.append((f" {bytes_size(self._size_bytes)}", MUTED))
        if view.highlight:
            parts.append((f"  /{visible(view.highlight)[:40]}", "bold $accent"))
        if self._absent:
            note = Content()
        elif self._looking:
            note = Content.styled(self._looking, "$warning")
        elif view.highlight:
            note = Content(
                hints(f"{key_for('run.next_hit')} {key_for('run.previous_hit')} next, previous", ("run.back", "clears"))
            )
        elif self._ended and view.follow:
            note = Content("ended")
        elif view.follow:
            note = Content.styled("following", "$primary")
        else:
            note = Content.styled(f"{key_for('run.follow')} follows the end", "$warning")
        self.query_one(Rule).set_title(Content.assemble(*parts), note)

    def open_search(self) -> None:
        """Type what to search for."""
        self.query_one(Prompt).open(self.view.highlight)

    def clear_search(self) -> bool:
        """Forget the search; False when there is none."""
        if not self.view.highlight:
            return False
        self._look_for("")
        return True

    def on_prompt_typed(self, message: Prompt.Typed) -> None:
        """Mark what is in view while typing."""
        message.stop()
        self._look_for(message.text)

    def on_prompt_left(self, message: Prompt.Left) -> None:
        """Go to the first line that matches: from the end upwards while following, else downwards."""
        message.stop()
        self._look_for(message.text if message.kept else "")
        self.view.focus()
        if self.view.highlight:
            self.search_again(backward=self.view.follow)

    def _look_for(self, text: str) -> None:
        if text != self.view.highlight:
            self.view.highlight = text
            self._hit_bytes = None
            self._show_title()

    def search_again(self, *, backward: bool) -> bool:
        """Ask for the next line that matches; False when there is nothing to search for."""
        text, view = self.view.highlight, self.view
        if not text:
            return False
        if self._hit_bytes is None:
            start = view.size_bytes if view.follow else view.start_bytes
        else:
            start = self._hit_bytes if backward else self._match_bytes + 1
        self._search(text, start, backward=backward, wrapped=False)
        return True

    def _search(self, text: str, start: int, *, backward: bool, wrapped: bool) -> None:
        run_id = self._run_id

        def fetch(client: Client) -> HitArrived:
            return HitArrived(text, backward, wrapped, client.search_log(run_id, text, start=start, backward=backward))

        self._session.courier.ask("search", self, fetch)

    def on_hit_arrived(self, message: HitArrived) -> None:
        """Show the line, go on searching, or start again at the other end once."""
        message.stop()
        text, backward, hit = message.text, message.backward, message.hit
        if not self._present or text != self.view.highlight:
            return
        if hit.offset_bytes is not None and hit.offset_bytes == self._hit_bytes and not (backward or message.wrapped):
            self._search(text, hit.scanned_to_bytes + 1, backward=False, wrapped=False)
        elif hit.offset_bytes is not None:
            self._hit_bytes, self._match_bytes = hit.offset_bytes, hit.scanned_to_bytes
            self.view.show_line(hit.offset_bytes)
            if message.wrapped:
                self._notify("search went on at the end" if backward else "search went on at the top")
        elif not hit.exhausted:
            self._search(text, hit.scanned_to_bytes, backward=backward, wrapped=message.wrapped)
        elif message.wrapped:
            self._notify(f"no line holds {visible(text)}")
        else:
            self._search(text, self._size_bytes if backward else 0, backward=backward, wrapped=True)

    def find_mark(self, kind: MarkKind, *, backward: bool) -> None:
        """Go to the next line that tells of an error or a warning: from the last one found, else from where one reads.

        While following, the next one is the first of the log and the one before the last.
        """
        view = self.view
        if self._absent:
            self._notify(self._absent)
            return
        if self._hit_bytes is not None:
            start = self._hit_bytes if backward else self._hit_bytes + 1
        else:
            start = view.size_bytes if view.follow else view.top_bytes
        self._find_mark(kind, start, backward=backward, wrapped=False)

    def _find_mark(self, kind: MarkKind, start: int, *, backward: bool, wrapped: bool) -> None:
        run_id = self._run_id

        def fetch(client: Client) -> MarkArrived:
            hit = run_parts.find_mark(client, run_id, kind, start=start, backward=backward)
            return MarkArrived(kind, backward, wrapped, hit)

        self._session.courier.ask("search", self, fetch)

    def on_mark_arrived(self, message: MarkArrived) -> None:
        """Show the line, go on looking, or start again at the other end once."""
        message.stop()
        kind, backward, hit = message.kind, message.backward, message.hit
        if not self._present:
            return
        self._looking = ""
        if hit.offset_bytes is not None:
            self._hit_bytes = self._match_bytes = hit.offset_bytes
            self.view.show_line(hit.offset_bytes)
            if message.wrapped:
                self._notify("went on at the end" if backward else "went on at the top")
        elif not hit.exhausted:
            self._looking = f"looking for a line with {MARK_WORDS[kind]} at {bytes_size(hit.scanned_to_bytes)}"
            self._find_mark(kind, hit.scanned_to_bytes, backward=backward, wrapped=message.wrapped)
        elif message.wrapped:
            self._notify(f"no line tells of {MARK_WORDS[kind]}")
        else:
            self._find_mark(kind, self._size_bytes if backward else 0, backward=backward, wrapped=True)
        self._show_title()

    def _notify(self, sentence: str) -> None:
        self.notify(sentence, markup=False, timeout=3)
