"""A box on which every key of every screen has something to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from console.artifact_preview import Preview
from console.protocol import Artifact
from tests.tui.answers import MADE, clone_answer, job_answer
from tests.tui.project_boxes import box_of_projects
from tests.tui.stand_in_runs import training_log
from tests.tui.triage_boxes import triage_box

if TYPE_CHECKING:
    from console.protocol import Json
    from tests.tui.stand_in import Box

LOG_TAIL = (
    b"warning: the learning rate is high\n"
    b"epoch 12 done, a long line: " + b"0123456789 " * 30 + b"\n"
    b"Traceback (most recent call last):\n"
    b"ValueError: an example of an error\n"
)


def picture(width: int, height: int) -> Preview:
    """A red one, in half of what room there is."""
    wide, high = max(1, width // 2), max(2, height // 4 * 2)
    return Preview("plots/loss.png", 2048, "image", "", "PNG", wide, high, 640, 480, b"\xff\0\0" * wide * high)


def completed(text: str, at: int) -> dict[str, Json]:
    """One metric is known."""
    start = text.rfind(" ", 0, at) + 1
    items = [{"text": "val/acc", "kind": "metric", "run_count": 410, "words": ""}]
    return {"start": start, "end": at, "items": items if "val/acc".startswith(text[start:at] or "-") else []}


def full_box() -> Box:
    """Triage, runs with files, logs with errors, projects with jobs, a held run."""
    box = triage_box()
    box.projects = box_of_projects().projects
    box.details[0] = box.details[0]._replace(
        artifacts=(Artifact("numbers.csv", 40, "table"), Artifact("plots/loss.png", 2048, "image"))
    )
    run_id = box.details[0].row.id
    box.logs[run_id] = training_log(400) + LOG_TAIL + training_log(200)
    box.previews = {
        "numbers.csv": lambda *_: Preview("numbers.csv", 40, "text", lines=("epoch,loss", "1,0.5", "2,0.25")),
        "plots/loss.png": picture,
    }
    held = box.details[3]
    assert held.row.state == "queued"
    box.details[3] = held._replace(row=held.row._replace(state="held"))
    box.answers |= {"/retry": MADE, "/clone": clone_answer, "/jobs": job_answer, "/chores": {"id": "1"}}
    box.complete = completed
    return box
