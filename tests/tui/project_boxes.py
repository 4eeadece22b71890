"""Boxes that watch projects."""

from __future__ import annotations

from typing import Any

from tests.tui.stand_in import Box, example_box
from tests.tui.stand_in_runs import NOW_S

DIFF = [
    "--- trusted",
    "+++ now",
    "@@ -8,3 +8,7 @@",
    ' after = "train"',
    "+[jobs.report]",
    '+command = "python report.py"',
]


def project(name: str, trust: str, **changes: Any) -> dict[str, Any]:
    """A watched project as the daemon sends it."""
    jobs: list[dict[str, Any]] = [
        {
            "name": "train",
            "command": "python train.py --lr {lr}",
            "on_change": ["data/*.parquet"],
            "last_fired_s": NOW_S - 3600,
            "last_reason": "data/2025-10.parquet added",
            "last_runs": [17, 18],
        },
        {"name": "eval", "command": "python eval.py", "after": ["train"]},
    ]
    wants = {
        "kind": trust,
        "text": f"footplate.toml is {trust}: nothing starts by itself",
        "command": "footplate trust",
    }
    made = {
        "name": name,
        "root": f"/home/ana/{name}",
        "trust": trust,
        "trust_reason": "",
        "text_hash": f"hash of {name}",
        "diff": [],
        "watch": "inotify",
        "watch_reason": "",
        "jobs": jobs,
        "attention": [wants] if trust in ("changed", "untrusted") else [],
        "armed": trust == "trusted",
    }
    return made | changes


def box_of_projects() -> Box:
    """Three projects: one that is trusted, one that has changed, one without a manifest."""
    box = example_box()
    box.projects = [
        project("churn", "trusted"),
        project("vit [red]", "changed", diff=DIFF),
        project("nlp\x1b[31m", "none", jobs=[], watch="poll", watch_reason="nfs4 tells nobody of what others change"),
    ]
    return box
