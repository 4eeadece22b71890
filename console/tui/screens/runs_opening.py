"""What the table of runs opens: a run, the marked ones side by side, and the boxes for columns and views."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from console.tui.actions import key_for
from console.tui.screens.base import FootplateScreen

if TYPE_CHECKING:
    from console.protocol import RunRow
    from console.views import View


class OpensFromRuns(FootplateScreen):
    """The table says what it shows; what is chosen in a box comes back to it."""

    filter_text: str

    @property
    @abstractmethod  # held by mypy alone: Textual's metaclass is no ABCMeta
    def view(self) -> View:
        """What the table shows, as it can be kept."""

    @property
    @abstractmethod
    def drawn_names(self) -> list[str]:
        """Names of the columns that have room."""

    @abstractmethod
    def apply_view(self, view: View) -> None:
        """Show what a view says."""

    @abstractmethod
    def set_columns(self, chosen: tuple[str, ...] | None) -> None:
        """Show these columns; None for those that choose themselves."""

    def action_open(self) -> None:
        """Open the run under the cursor."""
        if row := self.run_under_cursor:
            from console.tui.screens.run import RunScreen  # here: the first frame does not need it

            self.app.push_screen(RunScreen(self.session, row))

    def action_beside(self) -> None:
        """The marked runs side by side; of one, with the run under the cursor."""
        from console.tui.screens.beside import BesideScreen  # here: the first frame does not need it

        runs: dict[str, RunRow] = {row.id: row for row in self.marked_runs}
        if len(runs) < 2 and (row := self.run_under_cursor) is not None:
            runs.setdefault(row.id, row)
        if len(runs) < 2:
            self.say(f"mark two runs with {key_for('runs.mark')}, then {key_for('runs.beside')}")
            return
        self.app.push_screen(BesideScreen(self.session, tuple(runs.values())))

    def action_columns(self) -> None:
        """Choose the columns."""
        from console.tui.screens.columns import ColumnsScreen  # here: the first frame does not need it

        picker = ColumnsScreen(self.session, self.filter_text, self.view.columns, self.drawn_names)
        self.app.push_screen(picker, self.set_columns)

    def action_views(self) -> None:
        """Choose a view, keep this one, delete one."""
        from console.tui.screens.views import ViewsScreen  # here: the first frame does not need it

        def chosen(view: View | None) -> None:
            if view is not None:
                self.apply_view(view)

        self.app.push_screen(ViewsScreen(self.session, self.view), chosen)
