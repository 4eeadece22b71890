"""What is kept of a watched project beside its record: the trusted text, whose shell starts its runs, its triggers."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, field
from typing import Any, Final

from console.project.trust import TrustRecord
from store import paths

FORMAT: Final = 1


@dataclass(slots=True)
class TriggerState:
    """What a job's trigger has seen; belongs to the thread that looks after projects."""

    content_id: str = ""
    """Of what its globs matched when it last fired or was first looked at; empty before that."""
    globs: list[str] = field(default_factory=list)
    """Those that `content_id` was made with: other ones begin anew."""
    fired_at_s: float = 0.0
    """Unix time; 0 for never."""
    cron_checked_at_s: float = 0.0
    firing: dict[str, Any] | None = None
    """Runs that are being enqueued: their ids, and the content that they are for."""
    last_runs: list[int] = field(default_factory=list)
    """Numbers of the runs that it last made."""
    reason: str = ""
    """What it last fired for."""


def read_trust(folder: str) -> TrustRecord | None:
    """Which text of a manifest is trusted; None for none."""
    found = read_object(os.path.join(folder, "trust.json"))
    try:
        return TrustRecord(str(found["text_hash"]), str(found["text"]))
    except (KeyError, TypeError, ValueError):
        return None


def write_trust(folder: str, record: TrustRecord, by: str, shell: dict[str, Any]) -> None:
    """Trust a text; what it starts gets the environment of the shell that said so. Raises OSError."""
    # The shell first: without it nothing could start, and the trust is what starts things.
    paths.write_atomically(os.path.join(folder, "environment.json"), json.dumps({"format": FORMAT, **shell}).encode())
    said = {"text_hash": record.text_hash, "text": record.text, "by": by, "at_s": time.time()}
    content = {"format": FORMAT, **said}
    paths.write_atomically(os.path.join(folder, "trust.json"), json.dumps(content).encode())


def drop_trust(folder: str) -> None:
    """Trust nothing of it any more. Raises OSError."""
    for name in ("trust.json", "environment.json"):
        try:
            os.unlink(os.path.join(folder, name))
        except FileNotFoundError:
            continue


def read_shell(folder: str) -> dict[str, Any] | None:
    """Environment, umask and limits for what a project starts by itself; None when they are not there."""
    found = read_object(os.path.join(folder, "environment.json"))
    return found if isinstance(found.get("environment"), dict) else None


def read_triggers(folder: str) -> dict[str, TriggerState]:
    """What the triggers of a project have seen, by job; what cannot be read begins anew."""
    states: dict[str, TriggerState] = {}
    for name, said in (read_object(os.path.join(folder, "triggers.json")).get("jobs") or {}).items():
        try:
            states[str(name)] = TriggerState(
                content_id=str(said["content_id"]),
                globs=[str(each) for each in said["globs"]],
                fired_at_s=float(said["fired_at_s"]),
                cron_checked_at_s=float(said["cron_checked_at_s"]),
                firing=said["firing"] if isinstance(said["firing"], dict) else None,
                last_runs=[int(each) for each in said["last_runs"]],
                reason=str(said["reason"]),
            )
        except (KeyError, TypeError, ValueError):
            continue
    return states


def write_triggers(folder: str, states: dict[str, TriggerState]) -> None:
    """Write down what they have seen. Raises OSError."""
    jobs = {name: {each: getattr(state, each) for each in TriggerState.__slots__} for name, state in states.items()}
    paths.write_atomically(os.path.join(folder, "triggers.json"), json.dumps({"format": FORMAT, "jobs": jobs}).encode())


def read_object(path: str) -> dict[str, Any]:
    """The JSON object in a file; an empty one where there is none."""
    try:
        with open(path, "rb") as file:
            found = json.load(file)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
