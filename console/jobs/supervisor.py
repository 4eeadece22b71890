"""The process that accompanies one attempt of one run: starts the command, records its end, outlives the daemon.

Started as `python -I -S supervisor.py RUN_DIR ATTEMPT` in a session of its own. Standard library only, everything
imported at the start, so that the environment it came from may be upgraded or deleted while the run lives.

    RUN_DIR/attempt-<n>.claim   made once, exclusively: a second supervisor of the attempt ends without running anything
    RUN_DIR/status.json         ours alone: written to a temporary name, synced, renamed
    RUN_DIR/stop.json           the daemon's: who asked for the end; read when SIGTERM comes, and every few seconds
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import time
from typing import Any, Final

if __name__ == "__main__":
    # Appended, never in front: no folder beside our packages may shadow the standard library.
    sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from console.jobs import exit_cause
from store import identity, paths, run_files

FORMAT: Final = 1
PR_SET_CHILD_SUBREAPER: Final = 36
LOOK_INTERVAL_S: Final = 5.0
"""How often stop.json is looked for when no signal comes; SIGTERM is the fast way."""
RETRY_INTERVAL_S: Final = 5.0
"""How long to wait before a status that could not be written (full disk) is tried again."""
WAKING_SIGNALS: Final = frozenset({signal.SIGCHLD, signal.SIGTERM, signal.SIGINT})


class Supervisor:
    """One attempt from claim to final status."""

    def __init__(self, run_dir: str, attempt: int) -> None:
        self.run_dir = run_dir
        self.attempt = attempt
        self.spec: dict[str, Any] = read_json(f"{run_dir}/spec.json")
        me = identity.identify(os.getpid())
        self.status: dict[str, Any] = {
            "format": FORMAT,
            "attempt": attempt,
            "state": "starting",
            "supervisor": me.to_json() if me else None,
            "command": None,
            "started_at_s": time.time(),
            "ended_at_s": None,
            "exit_code": None,
            "signal": "",
            "cause": "",
            "evidence": "",
        }
        self.stop: dict[str, Any] | None = None
        self.child_pid = 0
        self.exit_status: int | None = None

    def run(self) -> None:
        """Everything, in order."""
        if not self.claim():
            return
        become_subreaper()
        old_mask = signal.pthread_sigmask(signal.SIG_BLOCK, WAKING_SIGNALS)
        try:
            self.start(old_mask)
        except (OSError, subprocess.SubprocessError, ValueError) as error:
            ending = exit_cause.of_start_failure(self.argv()[0], self.spec["working_dir"], error)
        else:
            self.write_status(state="running")
            self.wait_for_end()
            ending = exit_cause.of_wait_status(self.exit_status, self.log_tail(), self.stopped_by())
        found = ending._asdict()
        self.write_status(ended_at_s=time.time(), cause_kind=found.pop("kind"), **found, usage=usage_of_children())

    def claim(self) -> bool:
        """Take the attempt; False when another supervisor has it."""
        temporary = f"{self.run_dir}/.claim-{os.getpid()}"
        final = f"{self.run_dir}/attempt-{self.attempt}.claim"
        paths.write_atomically(temporary, json.dumps({"format": FORMAT, **self.status["supervisor"]}).encode())
        try:
            # link() fails when the name exists, like O_EXCL, but nobody ever sees the file without its content.
            os.link(temporary, final)
        except FileExistsError:
            return False
        finally:
            os.unlink(temporary)
        paths.sync_dir(self.run_dir)
        return True

    def start(self, signal_mask: set[int | signal.Signals]) -> None:
        """Execute the command with the environment, directory, umask and limits of the shell that enqueued it."""
        context = read_json(f"{self.run_dir}/environment.json")
        environment: dict[str, str] = context["environment"] | {
            "FOOTPLATE_RUN_ID": self.spec["id"],
            "FOOTPLATE_RUN_DIR": self.run_dir,
            "FOOTPLATE_METRICS": f"{self.run_dir}/metrics.jsonl",
            "FOOTPLATE_ATTEMPT": str(self.attempt),
        }
        if self.attempt > 1:
            environment["FOOTPLATE_RESUME"] = "1"
        environment.setdefault("PYTHONUNBUFFERED", "1")

        def prepare() -> None:
            for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
                with contextlib.suppress(OSError, ValueError):
                    signal.signal(number, signal.SIG_DFL)
            os.umask(int(context["umask"]))
            for name, (soft, _) in context["limits"].items():
                apply_limit(name, int(soft))
            signal.pthread_sigmask(signal.SIG_SETMASK, signal_mask)

        log = os.open(f"{self.run_dir}/output.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            process = subprocess.Popen(
                self.argv(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.spec["working_dir"],
                env=environment,
                start_new_session=True,
                preexec_fn=prepare,  # noqa: PLW1509 - this process has one thread
            )
        finally:
            os.close(log)
        self.child_pid = process.pid
        process.returncode = 0  # we reap it ourselves, with its adopted siblings
        child = identity.identify(process.pid)
        self.status["command"] = child.to_json() if child else None

    def argv(self) -> list[str]:
        """What this attempt executes."""
        resume = ((self.spec.get("options") or {}).get("retry") or {}).get("resume")
        return list(resume) if self.attempt > 1 and resume else list(self.spec["argv"])

    def wait_for_end(self) -> None:
        """Reap until nothing of the run is left; what outlives the command or a stop is ended, TERM first."""
        signalled: set[tuple[int, int]] = set()
        kill_at_s: float | None = None
        while self.reap():
            ending = self.exit_status is not None or self.stop_requested()
            now_s = time.monotonic()
            if ending:
                if kill_at_s is None:
                    kill_at_s = now_s + float(self.spec["grace_s"])
                    if self.exit_status is None:
                        self.write_status(state="stopping")
                number = signal.SIGKILL if now_s >= kill_at_s else signal.SIGTERM
                # Walked anew each time: what was forked meanwhile is caught by the next round.
                for pid in identity.descendants(os.getpid()):
                    if (pid, number) not in signalled:
                        signalled.add((pid, number))
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(pid, number)
            woken_by = signal.sigtimedwait(WAKING_SIGNALS, 0.1 if ending else LOOK_INTERVAL_S)
            if woken_by and woken_by.si_signo != signal.SIGCHLD and not self.stop_requested():
                name = exit_cause.name_of_signal(woken_by.si_signo)
                self.stop = {"actor": f"{name} from pid {woken_by.si_pid}, uid {woken_by.si_uid}"}

    def reap(self) -> bool:
        """Collect ended processes; False once no child, own or adopted, is left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self.child_pid:
                self.exit_status = os.waitstatus_to_exitcode(status)

    def stop_requested(self) -> bool:
        """Whether somebody asked for the end, by stop.json or by a signal to us."""
        if self.stop is None:
            with contextlib.suppress(OSError, ValueError):
                self.stop = read_json(f"{self.run_dir}/stop.json")
        return self.stop is not None

    def stopped_by(self) -> str | None:
        """Who asked for the end before it came."""
        return str(self.stop["actor"]) if self.stop else None

    def log_tail(self) -> str:
        """The end of the log, for the cause."""
        path = f"{self.run_dir}/output.log"
        try:
            size = run_files.size_bytes(path)
            start = max(0, size - exit_cause.LOG_TAIL_BYTES)
            return run_files.read_stretch(path, start, exit_cause.LOG_TAIL_BYTES).data.decode("utf-8", "replace")
        except OSError:
            return ""

    def write_status(self, **changes: Any) -> None:
        """Write status.json; while the disk is full a final status is tried again, any other is passed over."""
        self.status.update(changes)
        content = json.dumps(self.status).encode()
        while True:
            try:
                paths.write_atomically(f"{self.run_dir}/status.json", content)
                return
            except FileNotFoundError:
                if not os.path.isdir(self.run_dir):
                    return
                raise
            except OSError:
                if self.status["ended_at_s"] is None:
                    return
                time.sleep(RETRY_INTERVAL_S)


def read_json(path: str) -> dict[str, Any]:
    """The object in a file of the run directory."""
    with open(path, "rb") as file:
        value = json.load(file)
    if not isinstance(value, dict):
        raise ValueError(f"{path} does not hold a JSON object")  # noqa: TRY004 - like the errors of json itself
    return value


def become_subreaper() -> None:
    """Orphans of the run become our children (prctl(2)): a double-forked process cannot leave."""
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER) failed")


def apply_limit(name: str, soft: int) -> None:
    """Set a soft resource limit as far as the hard limit that we inherited allows."""
    number = getattr(resource, name, None)
    if number is None:
        return
    _, hard = resource.getrlimit(number)
    if hard != resource.RLIM_INFINITY:
        soft = hard if soft == resource.RLIM_INFINITY else min(soft, hard)
    with contextlib.suppress(OSError, ValueError, OverflowError):
        resource.setrlimit(number, (soft, hard))


def usage_of_children() -> dict[str, float]:
    """What the run's processes used together (getrusage(2), RUSAGE_CHILDREN)."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "user_cpu_s": usage.ru_utime,
        "system_cpu_s": usage.ru_stime,
        "max_resident_bytes": usage.ru_maxrss * 1024,
    }


def main() -> None:
    """Entry point: `supervisor.py RUN_DIR ATTEMPT`."""
    os.umask(0o077)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    Supervisor(sys.argv[1], int(sys.argv[2])).run()


if __name__ == "__main__":
    main()
