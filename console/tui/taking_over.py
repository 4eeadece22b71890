"""Textual's way to the terminal, for a terminal that shows the first frame already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.drivers.linux_driver import LinuxDriver

from console.tui.early_frame import ENTER

if TYPE_CHECKING:
    from console.tui.early_frame import EarlyFrame


class TakingOver(LinuxDriver):
    """Goes on where an early frame is shown."""

    early: EarlyFrame

    def __init__(self, app: Any, **named: Any) -> None:
        super().__init__(app, **named)
        self.early = app.early_frame

    def write(self, data: str) -> None:
        """Write to the terminal. The other page is in front already: some terminals would blank it, others remember
        the cursor's place there."""
        if not (self.early.is_shown and data == ENTER):
            super().write(data)

    def start_application_mode(self) -> None:
        """Take the terminal; at the end it gets back what was set before the early frame."""
        super().start_application_mode()  # type: ignore[no-untyped-call]
        before = self.early.take_over()
        if before is not None:
            self.attrs_before = before
