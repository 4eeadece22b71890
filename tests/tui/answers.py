"""What the daemon in memory answers to what is enqueued."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from console.client import DaemonRefused

if TYPE_CHECKING:
    from collections.abc import Mapping

MADE = {"runs": [{"id": "01K70000000000000000000230", "no": 230, "name": "again", "state": "queued", "reason": ""}]}
COMMAND = "python train.py --lr 0.1 --note 'two words'"
WORDS = ["python", "train.py", "--lr", "0.1", "--note", "two words"]


def clone_answer(body: Mapping[str, Any]) -> dict[str, Any]:
    """What the daemon says of the command above."""
    if not body.get("plan"):
        return MADE
    words = body.get("argv") or WORDS
    changed = [[["0.1"], [words[3]]]] if words[3] != "0.1" else []
    params = [["lr", "0.1", words[3]]] if changed else []
    return {"command": COMMAND, "changes": changed, "params": params, "name": "train.py", "folder": "/home/ana/churn"}


def job_answer(body: Mapping[str, Any]) -> dict[str, Any]:
    """What the daemon says of the job below."""
    if not body.get("plan"):
        return MADE
    lr = body["params"].get("lr", "0.1")
    if lr == "x y":
        raise DaemonRefused("lr cannot be 'x y'", "a number", 400)
    notes = ["eval will not follow by itself: footplate.toml is not trusted yet"] if body["followers"] else []
    return {"command": f"python train.py --lr {lr}", "name": "train", "typical_s": 95.0, "notes": notes, "run_count": 1}
