"""Boxes with something on every list of triage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from console.protocol import encode_number
from tests.gpu.looks import busy_box
from tests.tui.stand_in import Box, example_box
from tests.tui.stand_in_runs import NOW_S

if TYPE_CHECKING:
    from console.protocol import Json, RunRow


def row_json(row: RunRow) -> dict[str, Json]:
    """A row of the run table as the daemon sends it."""
    metric = row.metric._asdict() | {"last": encode_number(row.metric.last)} if row.metric is not None else None
    return row._asdict() | {"metric": metric}


def need(key: str, kind: str, subject: str, cause: str, **changes: Any) -> dict[str, Json]:
    """A thing that wants a person."""
    made = {"key": key, "kind": kind, "severe": kind in ("failed", "interrupted"), "subject": subject, "cause": cause}
    return made | changes


def live(row: RunRow, **changes: Any) -> dict[str, Json]:
    """A live run whose curve rises."""
    curve = [0.5 + 0.4 * (1 - 0.8**step) for step in range(32)]
    return {"row": row_json(row), "curve": curve, "progress_reason": "n/a: its output states no total"} | changes


def waiting(no: int, name: str, **changes: Any) -> dict[str, Json]:
    """A waiting run."""
    made = {"id": f"01K7{no:022d}", "no": no, "name": name, "project": "vit", "state": "queued"}
    return {**made, "reason": "", "params": {}, "expected_start_s": None, **changes}


def triage_box() -> Box:
    """The night at a GPU box."""
    box = example_box()
    box.devices = busy_box()
    rows = {detail.row.no: detail.row for detail in box.details}
    died = rows[221]
    gap = {"value": 0.006, "ahead": True, "best_no": 214, "step": 41_000}
    behind = gap | {"value": -0.021, "ahead": False}
    box.triage = {
        "run_count": 32,
        "needs": [
            need(
                "run:221:1",
                "failed",
                "r221 vit-l lr=3e-3",
                "CUDA out of memory",
                evidence="Traceback (most recent call last):\n"
                '  File "train.py", line 41, in step\ntorch.OutOfMemoryError: Tried to allocate 2.50 GiB',
                act="retry",
                command="footplate retry r221",
                run_id=died.id,
                row=row_json(died),
                at_s=died.ended_at_s,
            ),
            need(
                "run:214:1",
                "interrupted",
                "r214 nightly eval",
                "reboot",
                act="retry",
                command="footplate retry r214",
                run_id=rows[214].id,
                row=row_json(rows[214]),
                at_s=rows[214].ended_at_s,
            ),
            need(
                "disk:/home/ana:2",
                "disk",
                "disk /home/ana",
                "94% full, 41.3 GiB free, ~full in 5h",
                evidence="`footplate du` says what takes it, `footplate gc` brings what is kept within a budget",
                command="footplate du",
            ),
            need(
                "device:GPU-5:4411:0",
                "device",
                "GPU 5",
                "idle-held by bob for 3h10, pid 4411",
                evidence="python notebook.py",
                act="copy",
                command="footplate gpus",
            ),
            need(
                "pause:project:ops:1",
                "paused",
                "ops",
                "paused by bob: disk is being moved; 3 runs wait behind it",
                act="resume",
                scope="project:ops",
                command="footplate resume ops",
            ),
            need(
                "project:/home/ana/vit:1",
                "project",
                "vit [red]",
                "footplate.toml has changed: nothing starts by itself",
                act="trust",
                root="/home/ana/vit [red]",
                command="footplate trust /home/ana/vit",
            ),
        ],
        "need_count": 6,
        "live": [
            live(
                rows[218],
                progress={"done": 41_000, "total": 90_000, "unit": "step", "text": "41k/90k"},
                progress_reason="",
                rate_per_s=4.26,
                left_s=11_480.0,
                left_method="at its pace of the last minutes",
                gap=gap,
                devices=["gpu0", "gpu1"],
            ),
            live(
                rows[219],
                progress={"done": 12.4, "total": 40, "unit": "epoch", "text": "13/40"},
                progress_reason="",
                rate_per_s=11.2,
                left_s=2400.0,
                left_method="at its average pace",
                gap=behind,
                devices=["gpu2"],
            ),
            live(rows[220], curve=[], gap_reason="n/a: no metric yet", left_method="n/a: it states no total"),
        ],
        "live_count": 3,
        "best": [{"project": "vit", "key": "val/acc", "goal": "maximize", "no": 214, "value": 0.849}],
        "waiting": [
            waiting(222, "vit-b lr=2e-3", reason="wants 2 devices, 1 free", expected_start_s=NOW_S + 2400),
            waiting(223, "vit-b lr=2e-3 seed=1", state="blocked", reason="after r222"),
            waiting(224, "nightly", project="ops", reason="paused by bob: disk is being moved"),
        ],
        "waiting_count": 3,
        "ended": [
            {"row": row_json(rows[217]), "gap": None},
            {"row": row_json(rows[216]), "gap": {"value": -0.0018, "ahead": False, "best_no": 217, "step": None}},
            {"row": row_json(died), "gap": None},
            {"row": row_json(rows[215]), "gap": None},
        ],
        "ended_count": 9,
        "absence": {"since_s": NOW_S - 39_840.0, "away_s": 39_840.0},
    }
    return box
