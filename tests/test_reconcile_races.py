"""A run that goes on while it is looked at: a supervisor may claim, start and end between any two lines of the look."""

from __future__ import annotations

import itertools
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

import pytest

from console.jobs import reconcile, status_file
from console.jobs.supervisor import Supervisor
from store import identity, run_files

if TYPE_CHECKING:
    from pathlib import Path
    from types import FrameType

VERDICTS: Final = {"nothing": "start", "claimed": "adopt", "running": "adopt", "over": "ended"}
"""By how far a run has come, what is to be said of it."""
STAGES: Final = tuple(VERDICTS)
LOOKED_THROUGH: Final = {module.__file__ for module in (reconcile, status_file, identity, run_files)}
"""The files whose lines a look executes."""


class Life:
    """A run directory whose files the supervisor's own code writes; a process stands for the supervisor."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        (folder / "spec.json").write_text("{}")
        self.run_dir = str(folder)
        self.process = subprocess.Popen(["sleep", "1000"])
        self.supervisor = Supervisor(self.run_dir, 1, [])
        found = identity.identify(self.process.pid)
        assert found is not None
        self.supervisor.me = found
        self.supervisor.status["supervisor"] = found.to_json()
        self.stage = "nothing"

    def advance(self, stage: str) -> None:
        """Go through every stage up to this one."""
        for following in STAGES[STAGES.index(self.stage) + 1 : STAGES.index(stage) + 1]:
            if following == "claimed":
                assert self.supervisor.claim()
            elif following == "running":
                self.supervisor.write_status(state="running")
            else:
                self.supervisor.write_status(state="failed", exit_code=4, ended_at_s=1.0)
                self.end()
        self.stage = stage

    def end(self) -> None:
        """The supervisor leaves."""
        self.process.kill()
        self.process.wait()


def look(life: Life, stage: str, at_line: int) -> tuple[str, bool]:
    """The verdict of a look during which the run comes to a stage ahead of one line; whether there was that line."""
    left = at_line

    def on_line(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal left
        if frame.f_code.co_filename not in LOOKED_THROUGH:
            return None
        if event == "line":
            left -= 1
            if left == 0:
                life.advance(stage)
        return on_line

    before = sys.gettrace()
    sys.settrace(on_line)
    try:
        facts = reconcile.gather(life.run_dir)
    finally:
        sys.settrace(before)
    return reconcile.judge(facts), left <= 0


@pytest.mark.parametrize(("first", "last"), list(itertools.combinations(STAGES, 2)))
def test_whatever_happens_during_a_look_no_run_is_called_lost(tmp_path: Path, first: str, last: str) -> None:
    true = {VERDICTS[stage] for stage in STAGES[STAGES.index(first) : STAGES.index(last) + 1]}
    for at_line in itertools.count(1):
        life = Life(tmp_path / str(at_line))
        try:
            life.advance(first)
            verdict, came_there = look(life, last, at_line)
        finally:
            life.end()
        assert verdict in true, f"{verdict}, where line {at_line} of the look came after it was {last}"
        if not came_there:
            break
    assert at_line > 20, "the look was not seen line by line"
