"""The console on a daemon in memory, for a real terminal: `python -m tests.tui.stage`."""

from __future__ import annotations

import os
import sys
from typing import Any

from console.tui import terminal
from tests.tui.stand_in import Box, StandIn, example_box

PROFILE = terminal.TerminalProfile(change_interval_s=0.05, chart_interval_s=0.05, log_interval_s=0.05)
NOTICE_S = 1.5


def staged(box: Box) -> Any:
    """The app on a box; notices go soon, so that a picture of what is below them need not wait."""
    from console.tui.app import FootplateApp

    class StagedApp(FootplateApp):
        CSS_PATH = FootplateApp.CSS_PATH

        def notify(self, message: str, **options: Any) -> None:
            super().notify(message, **(options | {"timeout": NOTICE_S}))

    return StagedApp(client_factory=lambda: StandIn(box), profile=PROFILE, monotonic=lambda: 1000.0, opens_runs=True)


def main() -> int:
    """Entry point."""
    terminal.apply_environment(PROFILE, os.environ)
    app = staged(example_box())
    app.run()
    return int(app.return_code or 0)


if __name__ == "__main__":
    sys.exit(main())
