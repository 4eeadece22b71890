"""What a run directory says about its run: one table from facts to a verdict, used at every look."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from store import identity

if TYPE_CHECKING:
    from store.identity import ProcessIdentity

Judgement: TypeAlias = Literal["start", "adopt", "unattended", "ended", "lost", "reboot"]
"""start: nobody took it yet. adopt: its supervisor lives. unattended: the supervisor is dead, the command lives.
ended: the supervisor recorded the end. lost: both dead without a record. reboot: as lost, but the machine went down."""

STATES_AFTER_LOSS: Final[dict[Judgement, tuple[str, str]]] = {
    "lost": ("failed", "supervisor lost: it was killed, the exit code is not known"),
    "reboot": ("interrupted", "the machine was rebooted"),
}
"""State and cause that a daemon records in reconciled.json when nobody else can."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is found in a run directory and in /proc."""

    status: dict[str, Any] | None
    """status.json, None while there is none."""
    reconciled: dict[str, Any] | None
    """reconciled.json of an earlier daemon."""
    supervisor: ProcessIdentity | None
    """From status or claim; None: no attempt was taken yet."""
    command: ProcessIdentity | None
    supervisor_alive: bool
    command_alive: bool
    same_boot: bool
    """Whether the supervisor was started since the machine was."""
    taken: bool = False
    """The attempt was claimed, even where the claim cannot be read: then it is never started again."""


def judge(facts: Facts) -> Judgement:
    """The verdict for one run. Never an end while a process of it is known to live; never a second start."""
    if facts.reconciled is not None or (facts.status is not None and facts.status["ended_at_s"] is not None):
        return "ended"
    if facts.supervisor is None:
        return "lost" if facts.taken else "start"
    if not facts.same_boot:
        return "reboot"
    if facts.supervisor_alive:
        return "adopt"
    return "unattended" if facts.command_alive else "lost"


def gather(run_dir: str, attempt: int = 1) -> Facts:
    """Read a run directory and look for its processes."""
    reconciled = read_ending(f"{run_dir}/reconciled.json")
    status = read_ending(f"{run_dir}/status.json")
    supervisor = identity.from_json((status or {}).get("supervisor"))
    if supervisor is None:
        supervisor = identity.from_json(read_object(f"{run_dir}/attempt-{attempt}.claim"))
    supervisor_alive = supervisor is not None and identity.is_alive(supervisor)
    if supervisor is not None and not supervisor_alive:
        # It may have written its last word between our reading and its end.
        status = read_ending(f"{run_dir}/status.json")
    command = identity.from_json((status or {}).get("command"))
    return Facts(
        status=status,
        reconciled=reconciled,
        supervisor=supervisor,
        command=command,
        supervisor_alive=supervisor_alive,
        command_alive=command is not None and identity.is_alive(command),
        same_boot=supervisor is not None and supervisor.boot_id == identity.boot_id(),
        taken=attempt_taken(run_dir, attempt),
    )


def read_ending(path: str) -> dict[str, Any] | None:
    """status.json or reconciled.json; None for a file that is not there or does not hold what such a file must."""
    found = read_object(path)
    if found is None:
        return None
    numbers = (found.get("started_at_s"), found.get("ended_at_s"), found.get("exit_code"))
    sound = (
        isinstance(found.get("state"), str)
        and isinstance(found.get("cause"), str)
        and isinstance(found.get("signal", ""), str)
        and isinstance(found.get("evidence", ""), str)
        and all(number is None or isinstance(number, int | float) for number in numbers)
        and "ended_at_s" in found
    )
    return found if sound else None


def read_object(path: str) -> dict[str, Any] | None:
    """The JSON object in a file; None when there is no file or no whole object in it."""
    try:
        with open(path, "rb") as file:
            value = json.load(file)
    except (FileNotFoundError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def attempt_taken(run_dir: str, attempt: int = 1) -> bool:
    """Whether a supervisor has claimed the attempt."""
    return os.path.exists(f"{run_dir}/attempt-{attempt}.claim")
