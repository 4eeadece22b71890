"""What the keys of the run screen do to its charts and to its log."""

from __future__ import annotations

from dataclasses import replace

from console.tui.actions import key_for
from console.tui.screens.base import FootplateScreen
from console.tui.widgets.chart_pane import ChartPane
from console.tui.widgets.log_pane import LogPane


class ChartKeys(FootplateScreen):
    """Keys that change how the charts are looked at."""

    @property
    def _charts(self) -> ChartPane:
        return self.query_one(ChartPane)

    def action_next_axis(self) -> None:
        """Let x mean something else."""
        self._charts.change(self._charts.view.next_axis())

    def action_smooth(self) -> None:
        """Smooth more, or not at all."""
        self._charts.change(self._charts.view.next_smoothing())

    def action_logs(self) -> None:
        """Divide y, x, both or neither logarithmically."""
        self._charts.change(self._charts.view.next_logs())

    def action_grid(self) -> None:
        """Show as many charts as there is room for, or one."""
        view = self._charts.view
        self._charts.change(replace(view, grid=not view.grid))

    def action_look_nearer(self) -> None:
        """Look at half the stretch of x."""
        self._zoom_x(1)

    def action_look_farther(self) -> None:
        """Look at twice the stretch."""
        self._zoom_x(-1)

    def _zoom_x(self, direction: int) -> None:
        if not self._charts.zoom(direction):
            self.say("there is no curve to zoom into")

    def action_look_before(self) -> None:
        """Look at what lies before."""
        self._pan_x(-1)

    def action_look_after(self) -> None:
        """Look at what lies after."""
        self._pan_x(1)

    def _pan_x(self, direction: int) -> None:
        if not self._charts.pan(direction):
            self.say(f"all of it is in view: {key_for('run.look_nearer')} looks nearer")

    def action_look_at_all(self) -> None:
        """Look at all of x."""
        self._charts.change(self._charts.view.whole())

    def action_cursor_left(self) -> None:
        """Read the curves at the bin before."""
        self._charts.move_cursor(-1)

    def action_cursor_right(self) -> None:
        """Read the curves at the next bin."""
        self._charts.move_cursor(1)


class LogKeys(FootplateScreen):
    """Keys that move through the log."""

    @property
    def _log(self) -> LogPane:
        return self.query_one(LogPane)

    def action_follow(self) -> None:
        """Follow the end of the log, or stop following."""
        self._log.toggle_follow()

    def action_search(self) -> None:
        """Type what to search for."""
        self._log.open_search()

    def action_next_hit(self) -> None:
        """Go to the next line that matches."""
        self._search(backward=False)

    def action_previous_hit(self) -> None:
        """Go to the previous line that matches."""
        self._search(backward=True)

    def _search(self, *, backward: bool) -> None:
        if not self._log.search_again(backward=backward):
            self.say(f"nothing to search for yet: {key_for('run.search')} asks")

    def action_next_error(self) -> None:
        """Go to the next line that tells of an error."""
        self._log.find_mark("error", backward=False)

    def action_previous_error(self) -> None:
        """Go to the previous line that tells of an error."""
        self._log.find_mark("error", backward=True)

    def action_next_warning(self) -> None:
        """Go to the next line that tells of a warning."""
        self._log.find_mark("warning", backward=False)

    def action_previous_warning(self) -> None:
        """Go to the previous line that tells of a warning."""
        self._log.find_mark("warning", backward=True)
