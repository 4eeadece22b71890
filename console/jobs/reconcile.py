"""What a run directory says about its run: one table from facts to a verdict, used at every look."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from console.jobs import status_file
from console.json_files import read_object
from store import identity

if TYPE_CHECKING:
    from console.jobs.spec import Spec
    from store.identity import ProcessIdentity

Judgement: TypeAlias = Literal["start", "held", "adopt", "unattended", "ended", "lost", "reboot"]
"""start: nobody took it yet. held: nor may anybody, until a person releases it. adopt: its supervisor lives.
unattended: the supervisor is dead, processes of the run live. ended: the end is recorded.
lost: all dead without a record. reboot: as lost, but the machine went down."""


@dataclass(frozen=True, slots=True)
class Loss:
    """An end that no supervisor recorded."""

    state: str
    kind: str
    cause: str


LOSSES: Final[dict[Judgement, Loss]] = {
    "lost": Loss("failed", "supervisor_lost", "supervisor lost: it was killed, the exit code is not known"),
    "reboot": Loss("interrupted", "reboot", "the machine was rebooted"),
}
"""What a daemon records in reconciled.json when nobody else can."""


def stop_loss(actor: object) -> Loss:
    """The end of a run that somebody stopped before it started."""
    return Loss("stopped", "stopped", f"stopped by {actor} before it started")


@dataclass(frozen=True, slots=True)
class Facts:
    """What is found in a run directory and in /proc about the present attempt."""

    status: dict[str, Any] | None
    """status.json, None while there is none."""
    reconciled: dict[str, Any] | None
    """reconciled.json of an earlier daemon."""
    supervisor: ProcessIdentity | None
    """From status or claim; None: no attempt was taken yet."""
    survivors: tuple[ProcessIdentity, ...]
    """Processes of the run that live without their supervisor, the command first where it is known."""
    supervisor_alive: bool
    same_boot: bool
    """Whether the supervisor was started since the machine was."""
    taken: bool = False
    """The attempt was claimed, even where the claim cannot be read: then it is never started again."""
    held: bool = False
    """The machine was rebooted since the run was enqueued, and nobody has released it."""
    attempt: int = 1


def judge(facts: Facts) -> Judgement:
    """The verdict for one run. Never an end while a process of it is known to live; never a second start."""
    if facts.reconciled is not None or (facts.status is not None and facts.status["ended_at_s"] is not None):
        return "ended"
    if facts.supervisor is None and not facts.taken:
        return "held" if facts.held else "start"
    if facts.supervisor is not None and not facts.same_boot:
        return "reboot"
    if facts.supervisor_alive:
        return "adopt"
    return "unattended" if facts.survivors else "lost"


def gather(run_dir: str, spec: Spec | None = None) -> Facts:
    """Read a run directory and look for its processes. Without `spec` nothing is known of a hold."""
    attempt = current_attempt(run_dir)
    # Ahead of its reading: a claim that a supervisor makes after that must not pass for one that cannot be read.
    claimed = os.path.exists(claim_path(run_dir, attempt))
    reconciled = of_attempt(read_ending(f"{run_dir}/reconciled.json"), attempt)
    status = of_attempt(sound_ending(status_file.read(run_dir)), attempt)
    supervisor = identity.from_json((status or {}).get("supervisor"))
    if supervisor is None:
        supervisor = identity.from_json(read_object(claim_path(run_dir, attempt)))
    supervisor_alive = supervisor is not None and identity.is_alive(supervisor)
    taken = claimed or supervisor is not None
    same_boot = supervisor is not None and supervisor.boot_id == identity.boot_id()
    if supervisor is not None and not supervisor_alive:
        # It may have written its last word between our reading and its end.
        status = of_attempt(sound_ending(status_file.read(run_dir)), attempt)
    over = reconciled is not None or (status is not None and status["ended_at_s"] is not None)
    unattended = taken and not supervisor_alive and not over and (same_boot or supervisor is None)
    return Facts(
        status=status,
        reconciled=reconciled,
        supervisor=supervisor,
        survivors=survivors_of(run_dir, status) if unattended else (),
        supervisor_alive=supervisor_alive,
        same_boot=same_boot,
        taken=taken,
        held=spec is not None and not taken and is_held(run_dir, spec, attempt),
        attempt=attempt,
    )


def survivors_of(run_dir: str, status: dict[str, Any] | None) -> tuple[ProcessIdentity, ...]:
    """Processes of a run whose supervisor is dead: the recorded command, and whatever carries the run's tag.

    The tag finds what a supervisor started but did not live to record, and what escaped its session.
    """
    command = identity.from_json((status or {}).get("command"))
    found = [command] if command is not None and identity.is_alive(command) else []
    found += [
        process for process in identity.tagged("FOOTPLATE_RUN_ID", os.path.basename(run_dir)) if process != command
    ]
    return tuple(found)


def current_attempt(run_dir: str) -> int:
    """The attempt that is under way or due: one more than those whose end was set aside for another one."""
    attempt = 1
    while os.path.exists(setaside_path(run_dir, attempt)):
        attempt += 1
    return attempt


def setaside_path(run_dir: str, attempt: int) -> str:
    """Where the end of an attempt is kept once another attempt was decided on; making this file is the decision."""
    return f"{run_dir}/attempt-{attempt}.json"


def claim_path(run_dir: str, attempt: int) -> str:
    """What a supervisor makes to take an attempt."""
    return f"{run_dir}/attempt-{attempt}.claim"


def is_waiting(run_dir: str, spec: Spec, attempt: int) -> bool:
    """Whether an attempt has not started, so that it has its place in the queue.

    One whose supervisor was started a moment ago, by a daemon that was killed, is looked after as if it had: should
    nobody claim it, it is started again. Not so one that must have devices, which that supervisor alone was given.
    """
    if os.path.exists(claim_path(run_dir, attempt)):
        return False
    endings = (read_ending(f"{run_dir}/reconciled.json"), sound_ending(status_file.read(run_dir)))
    if any(of_attempt(found, attempt) is not None for found in endings):
        return False
    is_begun = attempt == 1 and os.path.exists(f"{run_dir}/supervisor.log")
    return not is_begun or spec.queueing.devices > 0 or is_held(run_dir, spec, attempt)


def is_held(run_dir: str, spec: Spec, attempt: int) -> bool:
    """Whether the machine went down since this attempt was enqueued, and nobody has released the run since."""
    boot = identity.boot_id()
    if spec.options.autoresume:
        return False
    if attempt == 1:
        enqueued_boot = spec.boot_id or boot
    else:
        before = read_object(setaside_path(run_dir, attempt - 1)) or {}
        enqueued_boot = "" if before.get("cause_kind") == "reboot" else str(before.get("boot_id", boot))
    if enqueued_boot == boot:
        return False
    release = read_object(f"{run_dir}/release.json") or {}
    return bool(release.get("boot_id") != boot or release.get("attempt") != attempt)


def of_attempt(found: dict[str, Any] | None, attempt: int) -> dict[str, Any] | None:
    """A record when it is about this attempt; records of an earlier one are history."""
    return found if found is not None and found.get("attempt", 1) == attempt else None


def read_ending(path: str) -> dict[str, Any] | None:
    """status.json or reconciled.json; None for a file that is not there or does not hold what such a file must."""
    return sound_ending(read_object(path))


def sound_ending(found: dict[str, Any] | None) -> dict[str, Any] | None:
    """A record of how a run stands or ended, when it holds what such a record must."""
    if found is None:
        return None
    numbers = (found.get("started_at_s"), found.get("ended_at_s"), found.get("exit_code"))
    sound = (
        isinstance(found.get("state"), str)
        and isinstance(found.get("cause"), str)
        and isinstance(found.get("signal", ""), str)
        and isinstance(found.get("evidence", ""), str)
        and isinstance(found.get("cause_kind", ""), str)
        and isinstance(found.get("usage") or {}, dict)
        and all(number is None or isinstance(number, int | float) for number in numbers)
        and "ended_at_s" in found
    )
    return found if sound else None
