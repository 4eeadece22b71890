"""`python -I -m console.worker TASK ...`: heavy or foreign work in a short-lived process that may fail alone.

    capture RUN_DIR STAGE [RUN_DIR STAGE ...]   STAGE: `enqueue`, the number of the attempt that starts, or `ended`
    forget-copy RUN_DIR                         take the copy of a run away that is over (isolate = "worktree")
    fingerprint                                 what the files of a folder hold: asked on stdin, answered on stdout
    read ROOT                                   what trackers have written below a folder, as long as stdin is open
    image PATH WIDTH HEIGHT                     a picture, shrunk to so many pixels at most, as raw RGB on stdout

Input by path, output as files of the run directory. Niced, with a memory limit and an end: it outlives a killed daemon
by seconds at most, and what it was doing is then finished.
"""

from __future__ import annotations

import ctypes
import fcntl
import gc
import json
import os
import platform
import resource
import signal
import sys
from typing import Final

MEMORY_MAX_BYTES: Final = 2 << 30
NICENESS: Final = 10
ALARM_S: Final = 130
"""SIGALRM ends us then, should no daemon be there to do so before."""
FINGERPRINT_ALARM_S: Final = 3700
"""The same for a look at files, which may be terabytes."""
IOPRIO_SET: Final = {"x86_64": 251, "aarch64": 30}
"""Number of ioprio_set(2), which the C library does not wrap."""
IOPRIO_IDLE: Final = 3 << 13


def make_modest() -> None:
    """Stand behind everything else on the machine."""
    os.umask(0o077)
    os.nice(NICENESS)
    number = IOPRIO_SET.get(platform.machine())
    if number is not None:
        # Refused in some containers; it is a courtesy, nothing depends on it.
        ctypes.CDLL(None).syscall(number, 1, 0, IOPRIO_IDLE)
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = MEMORY_MAX_BYTES if hard == resource.RLIM_INFINITY else min(MEMORY_MAX_BYTES, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    signal.alarm(ALARM_S)


def read_params(run_dir: str, *, ended: bool) -> None:
    """Write down the params that stand in files: at first those of config file and script, at the end Hydra's."""
    from console.jobs import reconcile
    from console.jobs import spec as specs
    from console.project import hydra_runs, param_files

    found = specs.read_spec(run_dir)
    if not os.path.exists(param_files.path_of(run_dir)):
        param_files.write(run_dir, found)
    if ended:
        end = reconcile.read_ending(f"{run_dir}/status.json") or {}
        end |= reconcile.read_ending(f"{run_dir}/reconciled.json") or {}
        started_at_s, ended_at_s = end.get("started_at_s") or found.created_at_s, end.get("ended_at_s")
        if ended_at_s is not None and not os.path.exists(hydra_runs.path_of(run_dir)):
            hydra_runs.write(run_dir, found, started_at_s, ended_at_s)


def capture(run_dir: str, attempt: int) -> None:
    """Capture one run, and make its copy when it asked for one."""
    from console.project import capture as captures
    from console.project import differences, isolation

    lock = os.open(f"{run_dir}/code", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # Another one may be at it, started by a daemon that was killed since.
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = captures.read_record(run_dir, 0)
        isolated = os.path.exists(isolation.note_path(run_dir))
        with captures.captured(run_dir, attempt) as made:
            isolates = made.spec.options.isolate == "worktree" and attempt == 0
            if attempt == 0:
                if before is None or before["state"] != "captured":
                    captures.write_record(run_dir, 0, made.record)
                if isolates and not isolated:
                    try:
                        isolation.make(run_dir, made)
                    except isolation.IsolationError as error:
                        isolation.write_note(run_dir, error=str(error))
            else:
                if before is not None and before["state"] == "captured":
                    made.record["changed_since_enqueue"] = differences.since(before, made)
                captures.write_record(run_dir, attempt, made.record)
    finally:
        os.close(lock)


def main(arguments: list[str]) -> int:
    """Carry out one task; 0 when all of it was done, else 1 with the reason on stderr."""
    make_modest()
    task, rest = arguments[0], arguments[1:]
    failed = False
    if task == "capture":
        for run_dir, stage in zip(rest[::2], rest[1::2], strict=True):
            try:
                if stage != "ended":
                    capture(run_dir, 0 if stage == "enqueue" else int(stage))
                if stage in ("enqueue", "ended"):
                    read_params(run_dir, ended=stage == "ended")
            except (OSError, ValueError, MemoryError) as error:
                # One run directory that is gone must not keep the others from being captured.
                print(f"{run_dir}: {type(error).__name__}: {error}", file=sys.stderr)
                failed = True
    elif task == "forget-copy":
        from console.project import isolation

        run_dir = rest[0]
        home = os.path.dirname(os.path.dirname(run_dir))
        isolation.take_away(home, run_dir, os.path.basename(run_dir))
    elif task == "fingerprint":
        return fingerprint()
    elif task == "read":
        from console.project import reading

        signal.alarm(0)  # it ends with its stdin, and so with the daemon
        return reading.serve(rest[0])
    elif task == "image":
        from console.project import pictures

        return pictures.print_scaled(rest[0], int(rest[1]), int(rest[2]))
    else:
        print(f"unknown task {task!r}", file=sys.stderr)
        return 1
    return 1 if failed else 0


def fingerprint() -> int:
    """Look at the files of a folder, for several sets of them at once."""
    from console.project import file_sets
    from console.project import fingerprint as fingerprints

    gc.disable()  # a tenth of the time, for a process that ends at once
    signal.alarm(FINGERPRINT_ALARM_S)
    asked = json.load(sys.stdin)
    sets = {name: file_sets.from_json(each) for name, each in asked["sets"].items()}
    try:
        found = fingerprints.scan(asked["root"], asked["cache"], sets)
    except OSError as error:
        print(f"{asked['root']} cannot be read: {error.strerror or error}", file=sys.stderr)
        return 1
    json.dump(fingerprints.as_json(found), sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
