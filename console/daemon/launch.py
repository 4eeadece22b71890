"""The files and processes of one run, as the daemon meets them: starting supervisors, reading what they recorded."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from console.daemon import scope
from console.jobs import exit_cause, launchers, leases, reconcile, spec, status_file
from console.jobs.options import retry_delay_s
from console.jobs.process_tree import environment_of_ours
from console.json_files import read_object
from console.project.masking import mask_argv, mask_mapping, mask_text
from console.project.summary import summary
from store import archive, derive, identity, paths
from store.run_files import size_bytes
from store.tarballs import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from console.jobs.leases import Lease
    from console.jobs.reconcile import Facts, Judgement, Loss
    from console.jobs.spec import Spec
    from store.identity import ProcessIdentity

SUPERVISOR = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "jobs", "supervisor.py")


def start_supervisor(run_dir: str, attempt: int, taken: Sequence[Lease] = ()) -> subprocess.Popen[bytes]:
    """Start the process that accompanies one attempt; its errors go to a file of the run directory. Raises OSError.

    It inherits the leases that were `taken` for the run.
    """
    path = f"{run_dir}/supervisor.log"
    try:
        errors = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError:
        errors = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)  # such as on a full disk: the run needs no such file
    # What went wrong before, with the scope too, was said in that file: then without it.
    in_scope = () if size_bytes(path) else scope.prefix()
    held = [json.dumps(leases.to_json(taken))] if taken else []
    try:
        return subprocess.Popen(
            [*in_scope, sys.executable, "-I", "-S", SUPERVISOR, run_dir, str(attempt), *held],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            cwd="/",
            env=environment_of_ours(os.environ),
            start_new_session=True,
            pass_fds=[lease.descriptor for lease in taken],
        )
    finally:
        os.close(errors)


def reap_later(process: subprocess.Popen[bytes]) -> None:
    """Wait for a supervisor that has recorded the end of its run and is about to leave."""
    threading.Thread(target=process.wait, daemon=True).start()


def readable(text: str) -> str:
    """Text that JSON and UTF-8 can carry: bytes that are not UTF-8 shown as \\xNN, other surrogates as \\uNNNN."""
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()


def columns_of_spec(new: Spec) -> dict[str, Any]:
    """A run as the index first knows it: the columns of its record."""
    argv = tuple(mask_argv(new.argv))
    command = readable(spec.command_text(argv))
    params = {readable(key): readable(value) for key, value in mask_mapping(new.params).items()}
    name, project = readable(new.name), readable(new.project)
    searched = [
        f"r{new.no}",
        new.queueing.sweep,
        name,
        project,
        command,
        *(f"{key}={value}" for key, value in params.items()),
    ]
    return {
        "id": new.id,
        "no": new.no,
        "name": name,
        "project": project,
        "state": "queued",
        "command": command,
        "argv": [readable(word) for word in argv],
        "working_dir": readable(new.original_working_dir or new.working_dir),
        "host": new.host,
        "params": params,
        "created_at_s": new.created_at_s,
        "attempts_max": 1 + (new.options.retry.max if new.options.retry is not None else 0),
        "search_text": " ".join(filter(None, searched)).lower(),
        "sweep": new.queueing.sweep,
        "job": readable(new.queueing.job),
        "script": "" if (script := launchers.beneath(argv).script) == "-c" else readable(script),
    }


def columns_of(facts: Facts, judgement: Judgement, *, draining: bool) -> dict[str, Any]:
    """What the index should say of a run; without a state while there is nothing new to say."""
    if judgement in ("start", "held") or draining:
        return {}
    end = facts.reconciled if facts.reconciled is not None else facts.status
    if judgement in ("lost", "reboot") or end is None:
        # The loss was just recorded: the next look finds it in reconciled.json.
        return {"state": "starting", "attempt": facts.attempt} if judgement == "adopt" else {}
    started_at_s = (facts.status or {}).get("started_at_s")
    if judgement != "ended":
        cause = mask_text(readable(end["cause"]))
        return {"state": end["state"], "cause": cause, "started_at_s": started_at_s, "attempt": facts.attempt}
    usage = end.get("usage") or {}
    return {
        "state": end["state"],
        "started_at_s": started_at_s,
        "ended_at_s": end["ended_at_s"],
        "exit_code": end.get("exit_code"),
        "signal": end.get("signal", ""),
        "cause": mask_text(readable(end["cause"])),
        "cause_kind": end.get("cause_kind", ""),
        "evidence": mask_text(readable(end.get("evidence", ""))),
        "attempt": facts.attempt,
        "user_cpu_s": number(usage.get("user_cpu_s")),
        "system_cpu_s": number(usage.get("system_cpu_s")),
        "max_resident_bytes": number(usage.get("max_resident_bytes")),
    }


def attempt_words(spec: Spec, attempt: int, before: dict[str, Any]) -> str:
    """What is said of a run that waits for a further attempt; `before` is how the last one ended."""
    most = 1 + (spec.options.retry.max if spec.options.retry is not None else 0)
    return mask_text(readable(f"attempt {attempt - 1} of {most}: {before.get('cause') or 'ended'}"))


def due_at_s(run_dir: str, spec: Spec, attempt: int) -> float:
    """Unix time of a further attempt; a clock that was set back must not make the wait longer than it was meant."""
    before = read_object(reconcile.setaside_path(run_dir, attempt - 1)) or {}
    next_at_s = number(before.get("next_at_s")) or 0.0
    retry = spec.options.retry
    most_s = retry_delay_s(retry, attempt - 1) if retry is not None else 0.0
    return min(next_at_s, time.time() + most_s)


def number(value: Any) -> float | None:
    """A number of a status file; None for anything else."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def record_loss(run_dir: str, attempt: int, loss: Loss, *, sync: bool = True) -> None:
    """Write down an end that no supervisor can; the first verdict stays. Raises OSError.

    `sync`: false where thousands end at once and losing the verdict with the power would only mean to give it again.
    """
    path = f"{run_dir}/reconciled.json"
    if reconcile.of_attempt(reconcile.read_ending(path), attempt) is None:
        verdict = {
            "format": spec.FORMAT,
            "attempt": attempt,
            "state": loss.state,
            "cause": loss.cause,
            "cause_kind": loss.kind,
            "ended_at_s": time.time(),
        }
        paths.write_atomically(path, json.dumps(verdict).encode(), sync=sync)


def ask_to_end(run_dir: str, actor: str) -> None:
    """Leave word for the supervisor of a run, also for one that claims it later. Raises OSError."""
    note = {"format": spec.FORMAT, "actor": actor, "at_s": time.time()}
    paths.write_atomically(f"{run_dir}/stop.json", json.dumps(note).encode())


def set_aside(run_dir: str, facts: Facts, delay_s: float) -> None:
    """Decide on another attempt: keep how this one ended. Raises OSError."""
    end = facts.reconciled if facts.reconciled is not None else facts.status
    kept = {
        **(facts.status or {}),
        **(end or {}),
        "format": spec.FORMAT,
        "attempt": facts.attempt,
        "boot_id": identity.boot_id(),
        "next_at_s": time.time() + delay_s,
    }
    paths.write_atomically(reconcile.setaside_path(run_dir, facts.attempt), json.dumps(kept).encode())


def stop_unattended(survivors: Iterable[ProcessIdentity], stop: dict[str, Any], grace_s: float) -> None:
    """End a run whose supervisor is dead: TERM, and KILL once the grace time is over."""
    over = time.time() - float(stop.get("at_s", 0.0)) > grace_s
    for survivor in survivors:
        for pid in [*identity.descendants(survivor.pid), survivor.pid]:
            found = identity.identify(pid)
            if found is not None:
                identity.send_signal(found, 9 if over else 15)


def last_line(path: str) -> str:
    """The last line of a small file that is not blank."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return exit_cause.last_line(file.read(65536)) or "it said nothing"
    except OSError as error:
        return str(error)


def log_size(run_dir: str) -> int:
    """Bytes of output so far."""
    return size_bytes(derive.log_path(run_dir))


def delete_environment(run_dir: str) -> None:
    """No attempt is left: the user's environment, secrets and all, goes."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(f"{run_dir}/environment.json")


def live_pids(run_dir: str) -> tuple[int | None, int | None]:
    """Pids of command and supervisor, each None unless alive now."""
    facts = reconcile.gather(run_dir)
    if not facts.supervisor_alive or facts.supervisor is None:
        return (facts.survivors[0].pid if facts.survivors else None), None
    command = identity.from_json((facts.status or {}).get("command"))
    return (command.pid if command is not None and identity.is_alive(command) else None), facts.supervisor.pid


def facts_of_files(run_dir: str, attempt: int) -> dict[str, Any]:
    """As `facts_in`, also for an archived run, whose directory is packed away."""
    home, run_id = os.path.dirname(os.path.dirname(run_dir)), os.path.basename(run_dir)
    if not os.path.isdir(run_dir) and os.path.exists(archive.path_of(home, run_id)):
        try:
            with archive.index_source(home, run_id, facts_only=True) as unpacked:
                return facts_in(unpacked, attempt)
        except (ArchiveError, OSError) as error:
            print(f"the pack of run {run_id} cannot be read: {error}", file=sys.stderr, flush=True)
    return facts_in(run_dir, attempt)


def facts_in(run_dir: str, attempt: int) -> dict[str, Any]:
    """What a view of one run takes from its directory: options, interpreter, earlier attempts, captured code."""
    found = read_object(f"{run_dir}/spec.json") or {}
    attempts = []
    for number_ in range(1, attempt):
        kept = reconcile.read_ending(reconcile.setaside_path(run_dir, number_)) or {}
        attempts.append(
            {
                "attempt": number_,
                "started_at_s": kept.get("started_at_s"),
                "ended_at_s": kept.get("ended_at_s"),
                "exit_code": kept.get("exit_code"),
                "signal": kept.get("signal", ""),
                "cause": mask_text(readable(kept.get("cause", "n/a: its record cannot be read"))),
                "cause_kind": kept.get("cause_kind", ""),
            }
        )
    return {
        "options": masked_options(found.get("options")),
        "interpreter": readable(str(found.get("interpreter") or "")),
        "attempts": attempts,
        "notice": mask_text(readable(str((status_file.read(run_dir) or {}).get("notice") or ""))),
        "code": carried(summary(run_dir, attempt)),
    }


def masked_options(options: Any) -> dict[str, Any]:
    """Options of a run as they may be shown: the command of further attempts may hold secrets."""
    shown = dict(options) if isinstance(options, dict) else {}
    retry = shown.get("retry")
    if isinstance(retry, dict) and isinstance(retry.get("resume"), list):
        shown["retry"] = {**retry, "resume": [readable(word) for word in mask_argv(retry["resume"])]}
    return shown


def carried(value: Any) -> Any:
    """A JSON value whose texts UTF-8 can carry: names of files need not be UTF-8."""
    if isinstance(value, dict):
        return {readable(key): carried(item) for key, item in value.items()}
    if isinstance(value, list):
        return [carried(item) for item in value]
    return readable(value) if isinstance(value, str) else value
