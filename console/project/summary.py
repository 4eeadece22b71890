"""What a view of one run says about its code: the captures in short. No git, no hashing: the daemon's routes ask."""

from __future__ import annotations

import os
from typing import Any, Final

from console.json_files import read_object
from console.project import isolation

NAMES_SHOWN_MAX: Final = 20
CAPTURING: Final = "capturing"
INTERRUPTED: Final = "n/a: interrupted"


def summary(run_dir: str, attempt: int) -> dict[str, Any]:
    """The capture of the enqueuing without its long lists, and what had changed at the last start that was later.

    Empty for a run of a version that captured nothing. A capture that is still being made looks like one that was
    interrupted: only who started the worker knows better.
    """
    if not os.path.isdir(f"{run_dir}/code"):
        return {}
    first = read_object(f"{run_dir}/code/capture.json")
    if first is None:
        return {"state": INTERRUPTED}
    found: dict[str, Any] = {name: first[name] for name in SHORT if name in first}
    untracked = first.get("untracked") or {}
    found |= {
        "changed": [each["path"] for each in first.get("changed", ())[:NAMES_SHOWN_MAX]],
        "changed_count": len(first.get("changed", ())),
        "untracked": [name for name, _ in untracked.get("names", ())[:NAMES_SHOWN_MAX]],
        "untracked_count": untracked.get("count", 0),
        "untracked_complete": untracked.get("complete", True),
        "file_count": len(first.get("files", ())),
        "left_out": first.get("left_out", [])[:NAMES_SHOWN_MAX],
        "changed_since_enqueue": [],
    }
    for number in range(attempt, 0, -1):
        later = read_object(f"{run_dir}/code/capture-{number}.json")
        if later is not None:
            found["changed_since_enqueue"] = later.get("changed_since_enqueue", [])
            found["compared_at_attempt"] = number
            break
    note = isolation.read_note(run_dir)
    if note:
        found["worktree"] = {name: note[name] for name in ("working_dir", "kept_count", "error") if name in note}
    return found


SHORT: Final = (
    "format",
    "state",
    "at_s",
    "took_s",
    "folder",
    "git",
    "submodules",
    "diff",
    "argv",
    "environment",
    "hardware",
    "interpreter",
    "fingerprint",
)
