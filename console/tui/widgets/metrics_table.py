"""The metrics of a run: a table whose columns always fit, so left and right are free for the cursor of the charts."""

from __future__ import annotations

from console.tui.widgets.virtual_table import VirtualTable


class MetricsTable(VirtualTable):
    """Does not scroll sideways."""

    DEFAULT_CSS = ""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """The keys of what it does not do go to the screen."""
        return action != "pan"
