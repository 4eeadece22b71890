"""The console on a daemon in memory, for a real terminal: `python -m tests.tui.stage --box full --heard FILE`.

Two keys that the console does not have belong to the stage: F11 lets the time pass in which a question is read, F12
takes every notice away and puts the box back as it was.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import traceback
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from console.tui import endings, terminal
from tests.tui.full_box import full_box
from tests.tui.stand_in import Box, StandIn, example_box
from tests.tui.stand_in_runs import NOW_S

if TYPE_CHECKING:
    from collections.abc import Mapping

    from console.protocol import Json, RunDetail

QUESTION_READ_S = 0.4
START_S = 1000.0
BOXES = {"example": example_box, "full": full_box}


class HeardBox:
    """A box, a copy of how it was, and a file to which one line is added for whatever is asked of the daemon."""

    def __init__(self, name: str, heard: str) -> None:
        self.box: Box = BOXES[name]()
        self._made = BOXES[name]
        self._heard = heard
        self.elapsed_s = 0.0

    def reset(self) -> None:
        """As it was."""
        fresh = self._made()
        self.box.details, self.box.projects, self.box.triage = fresh.details, fresh.projects, fresh.triage
        self.box.tell()

    def note(self, kind: str, what: object) -> None:
        """Write down what was asked."""
        if self._heard:
            with open(self._heard, "a", encoding="utf-8") as file:
                file.write(json.dumps([kind, what], default=str) + "\n")


class HeardStandIn(StandIn):
    """Says what changes something to the box."""

    def __init__(self, heard: HeardBox) -> None:
        super().__init__(heard.box)
        self._notes = heard

    def post(self, path: str, body: Mapping[str, Json]) -> dict[str, Json]:
        if path != "/presence":
            self._notes.note(path, {key: value for key, value in body.items() if key != "environment"})
        return super().post(path, body)

    def stop(self, reference: str, actor: str) -> RunDetail:
        self._notes.note("stop", reference)
        return super().stop(reference, actor)

    def pin_metric(self, project: str, key: str, goal: str, actor: str) -> dict[str, Json]:
        self._notes.note("pin_metric", [project, key])
        return super().pin_metric(project, key, goal, actor)


def staged(heard: HeardBox, profile: terminal.TerminalProfile, trace: str, *, opens_runs: bool) -> Any:
    """The app on a box."""
    from console.tui.app import FootplateApp

    class StagedApp(FootplateApp):
        CSS_PATH = FootplateApp.CSS_PATH

        def notify(self, message: str, **options: Any) -> None:
            super().notify(message, **(options | {"timeout": 3600.0}))

        def key_f11(self) -> None:
            heard.elapsed_s = QUESTION_READ_S - heard.elapsed_s

        def key_f12(self) -> None:
            self.clear_notifications()
            heard.reset()

        def _handle_exception(self, error: Exception) -> None:
            write_trace(trace, error)
            super()._handle_exception(error)

    return StagedApp(
        client_factory=lambda: HeardStandIn(heard),
        profile=profile,
        monotonic=lambda: START_S + heard.elapsed_s,
        opens_runs=opens_runs,
    )


def write_trace(path: str, error: BaseException) -> None:
    """Where a test finds it."""
    if path:
        with open(path, "a", encoding="utf-8") as file:
            file.write("".join(traceback.format_exception(error)))


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--box", choices=sorted(BOXES), default="example")
    parser.add_argument("--runs", action="store_true", help="open with the table of runs")
    parser.add_argument("--heard", default="", help="file for what is asked of the daemon, one JSON value a line")
    parser.add_argument("--trace", default="", help="file for tracebacks")
    parser.add_argument("--live", action="store_true", help="news without end, so that the screen is never still")
    parser.add_argument("--no-mouse", action="store_true")
    asked = parser.parse_args()
    environment = {name: value for name, value in os.environ.items() if name != "SSH_CONNECTION"}
    profile = terminal.TerminalProfile(
        term=environment.get("TERM", ""),
        glyphs=terminal.guess_glyphs(environment),
        change_interval_s=0.02,
        chart_interval_s=0.02,
        log_interval_s=0.02,
    )
    terminal.apply_environment(profile, os.environ)
    heard = HeardBox(asked.box, asked.heard)
    app = staged(heard, profile, asked.trace, opens_runs=asked.runs)
    import threading

    from console.tui.screens import projects

    setattr(projects, "time", SimpleNamespace(time=lambda: NOW_S))  # noqa: B010 (a module has no such type)
    threading.excepthook = lambda said: write_trace(asked.trace, said.exc_value or SystemError("no exception"))
    if asked.live:
        threading.Thread(target=keep_telling, args=(heard.box,), daemon=True).start()
    with endings.heeded(app.settle_memory, app.leave):
        app.run(mouse=not asked.no_mouse)
    return int(app.return_code or 0)


def keep_telling(box: Box) -> None:
    """Logs grow, and every run has another name each time."""
    number = 0
    while True:
        number += 1
        for run_id, log in list(box.logs.items()):
            box.logs[run_id] = log[-20_000:] + f"line {number} {'~' * (number % 90)}\n".encode()
        box.details = [each._replace(row=each.row._replace(name=f"turn {number}")) for each in box.details]
        box.tell()
        time.sleep(0.005)


if __name__ == "__main__":
    sys.exit(main())
