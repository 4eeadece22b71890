"""The process that accompanies one attempt of one run: starts the command, records its end, outlives the daemon.

Started as `python -I -S supervisor.py RUN_DIR ATTEMPT [LEASES]` in a session of its own. Standard library only,
everything imported at the start, so that the environment it came from may be upgraded or deleted while the run lives.

    RUN_DIR/attempt-<n>.claim   made once, exclusively: a second supervisor of the attempt ends without running anything
    RUN_DIR/status.json         ours alone: written to a temporary name, synced, renamed
    RUN_DIR/status.block        takes the status when status.json cannot be written
    RUN_DIR/stop.json           the daemon's: who asked for the end; read when SIGTERM comes, and every few seconds

Durations go by the monotonic clock: setting the clock changes none, and a suspended machine uses up no timeout.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import signal
import subprocess
import sys
import time
from typing import Any, Final

if __name__ == "__main__":
    # Appended, never in front: no folder beside our packages may shadow the standard library.
    sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from console.jobs import exit_cause, kernel, leases, output_log
from console.jobs.command import AdoptedProcess, StartedCommand
from console.jobs.containment import Containment
from console.jobs.log_limit import LogLimit
from console.jobs.revive import Reviver
from console.jobs.status_file import StatusFile
from store import identity, paths

FORMAT: Final = 1
PR_SET_CHILD_SUBREAPER: Final = 36
LOOK_INTERVAL_S: Final = 5.0
"""How often stop.json and the daemon are looked for when no signal comes; SIGTERM is the fast way."""
ENDING_INTERVAL_S: Final = 0.05
ADOPTED_INTERVAL_S: Final = 0.5
"""How often the end of a process is looked for that is not our child: it sends us no SIGCHLD."""
RETRY_INTERVAL_S: Final = 5.0
"""How long to wait before a file that could not be written (full disk) is tried again."""
CLAIM_TIMEOUT_S: Final = 25.0
"""How long a full disk may keep us from the claim; shorter than the daemon's patience with us."""
DENIED_TIMEOUT_S: Final = 5.0
"""After KILL: how long processes are waited for that the kernel does not let us signal."""
WAKING_SIGNALS: Final = frozenset({signal.SIGCHLD, signal.SIGTERM, signal.SIGINT})


class Supervisor:
    """One attempt from claim to final status."""

    def __init__(self, run_dir: str, attempt: int, taken: list[leases.Lease]) -> None:
        self.run_dir = run_dir
        self.attempt = attempt
        self.leases = taken
        self.spec: dict[str, Any] = read_json(f"{run_dir}/spec.json")
        self.options: dict[str, Any] = self.spec.get("options") or {}
        me = identity.identify(os.getpid())
        assert me is not None
        self.me = me
        self.status: dict[str, Any] = {
            "format": FORMAT,
            "revision": 0,
            "attempt": attempt,
            "state": "starting",
            "supervisor": me.to_json(),
            "command": None,
            "started_at_s": time.time(),
            "ended_at_s": None,
            "exit_code": None,
            "signal": "",
            "cause": "",
            "evidence": "",
            "notice": "",
            "devices": [lease.name for lease in taken],
        }
        self.status_file = StatusFile(run_dir)
        self.process: StartedCommand | AdoptedProcess | None = None
        self.log_limit = LogLimit(run_dir, f"{run_dir}/output.log", 0)
        self.reviver: Reviver | None = None
        self.notices: list[str] = []
        self.stop: dict[str, Any] | None = None
        self.ending = ""
        """Why the end was begun: "stop", "timeout" or "left behind"; empty while nothing asks for it."""
        self.term_at_s = 0.0
        self.kill_at_s: float | None = None
        self.unrecorded = False
        """The last status could not be written; it is tried again."""
        self.began_s = time.monotonic()
        self.began_boot_s = time.clock_gettime(time.CLOCK_BOOTTIME)
        self.host_kills_before = kernel.oom_kills()
        # What an earlier attempt wrote says nothing about this one.
        self.log_size_before = output_log.size_of(f"{run_dir}/output.log")
        self.metrics_size_before = output_log.size_of(f"{run_dir}/metrics.jsonl")

    def run(self) -> None:
        """Everything, in order."""
        if not self.claim():
            return
        become_subreaper()
        old_mask = signal.pthread_sigmask(signal.SIG_BLOCK, WAKING_SIGNALS)
        self.reviver = Reviver(self.run_dir, old_mask)
        self.status_file.reserve()
        self.began_s = time.monotonic()
        ending = self.accompany(old_mask)
        found = ending._asdict()
        usage = self.process.usage()._asdict() if self.process is not None else {}
        elapsed_s = time.clock_gettime(time.CLOCK_BOOTTIME) - self.began_boot_s
        now_s = time.time()
        # A clock that was set back must not make a run end before it started.
        ended_at_s = now_s if now_s >= self.status["started_at_s"] else self.status["started_at_s"] + elapsed_s
        self.write_status(
            ended_at_s=ended_at_s,
            elapsed_s=elapsed_s,
            cause_kind=found.pop("kind"),
            notice=self.notice(),
            **found,
            usage=usage,
        )
        if isinstance(self.process, StartedCommand):
            self.process.let_foreign_go()
            self.process.containment.remove()
        self.reviver.look(last=True)

    def accompany(self, signal_mask: set[int | signal.Signals]) -> exit_cause.Ending:
        """From the start of the command, or the adoption of the process, to how it ended."""
        if self.stop_requested():
            cause = f"stopped by {self.stopped_by()} before it started"
            return exit_cause.Ending("stopped", None, "", cause, "", "stopped")
        adopted = self.spec.get("adopted")
        try:
            if adopted is not None:
                self.adopt(adopted)
            else:
                self.start(signal_mask)
        except (OSError, subprocess.SubprocessError, ValueError) as error:
            return exit_cause.of_start_failure(self.argv()[0], self.spec["working_dir"], error)
        self.write_status(state="running", notice=self.notice())
        self.wait_for_end()
        return exit_cause.classify(self.evidence())

    def claim(self) -> bool:
        """Take the attempt; False when another supervisor has it. A full disk is waited for. Raises OSError."""
        temporary = f"{self.run_dir}/.claim-{os.getpid()}"
        final = f"{self.run_dir}/attempt-{self.attempt}.claim"
        content = json.dumps({"format": FORMAT, **self.me.to_json()}).encode()
        while True:
            try:
                paths.write_atomically(temporary, content)
                # link() fails when the name exists, like O_EXCL, but nobody ever sees the file without its content.
                os.link(temporary, final)
                paths.sync_dir(self.run_dir)
                return True
            except FileExistsError:
                return False
            except OSError as error:
                out_of_space = error.errno in (errno.ENOSPC, errno.EDQUOT)
                if not out_of_space or time.monotonic() - self.began_s > CLAIM_TIMEOUT_S:
                    raise
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(temporary)
            time.sleep(RETRY_INTERVAL_S)

    def start(self, signal_mask: set[int | signal.Signals]) -> None:
        """Execute the command with the environment, directory, umask and limits of the shell that enqueued it."""
        try:
            context = read_json(f"{self.run_dir}/environment.json")
        except OSError as error:
            raise ValueError(f"its environment cannot be read: {error}") from error
        variables = (self.spec.get("variables") or {}) | {
            "FOOTPLATE_RUN_ID": self.spec["id"],
            "FOOTPLATE_RUN_DIR": self.run_dir,
            "FOOTPLATE_METRICS": f"{self.run_dir}/metrics.jsonl",
            "FOOTPLATE_ATTEMPT": str(self.attempt),
            "PYTHONUNBUFFERED": context["environment"].get("PYTHONUNBUFFERED", "1"),
        }
        context["environment"].pop("FOOTPLATE_RESUME", None)  # of a run that enqueued this one
        if self.attempt > 1:
            variables["FOOTPLATE_RESUME"] = "1"
        variables |= leases.variables(self.leases)
        memory_bytes = self.options.get("memory_bytes")
        containment = Containment(self.spec["id"], self.attempt, self.me, memory_bytes)
        command = StartedCommand(self.spec["id"], containment)
        log, notice = output_log.open_log(self.run_dir)
        self.notices.append(notice)
        try:
            command.start(
                self.argv(),
                self.spec["working_dir"],
                context,
                variables,
                log,
                signal_mask,
                [lease.descriptor for lease in self.leases],
            )
        except BaseException:
            containment.remove()
            raise
        finally:
            os.close(log)
        self.process = command
        self.status["command"] = command.process.to_json() if command.process else None
        self.log_limit = LogLimit(
            self.run_dir, f"{self.run_dir}/output.log", int(self.options.get("log_limit_bytes") or 0)
        )
        if command.limit_enforced == "address space":
            self.notices.append("the memory limit holds for each process alone: no control group could be made")

    def adopt(self, adopted: dict[str, Any]) -> None:
        """Take over a process that somebody started, and its log where that can be had. Raises ValueError."""
        found = identity.from_json(adopted.get("process"))
        if found is None:
            raise ValueError("spec.json does not say which process to adopt")
        self.process = AdoptedProcess(self.spec["id"], found)
        self.status["command"] = found.to_json()
        self.status["started_at_s"] = min(self.process.started_at_s(), self.status["started_at_s"])
        self.notices.append(output_log.share_log(self.run_dir, str(adopted.get("log_path") or "")))

    def argv(self) -> list[str]:
        """What this attempt executes."""
        resume = (self.options.get("retry") or {}).get("resume")
        return list(resume) if self.attempt > 1 and resume else list(self.spec["argv"])

    def wait_for_end(self) -> None:
        """Until nothing of the run is left; what outlives the command, a stop or a timeout is ended, TERM first."""
        process = self.process
        assert process is not None
        next_look_s = 0.0
        while True:
            alive = process.look()
            now_s = time.monotonic()
            if now_s >= next_look_s:
                self.look_around(process)
                next_look_s = now_s + LOOK_INTERVAL_S
            self.log_limit.look()
            if not self.ending:
                self.begin_ending(process, alive, now_s)
            if self.ending and (not alive or now_s >= self.term_at_s):
                if self.is_over(process, alive, now_s):
                    return
                pause_s = ENDING_INTERVAL_S
            else:
                due_s = (self.term_at_s if self.ending else self.timeout_at_s()) - now_s
                pause_s = max(0.0, min(next_look_s - now_s, due_s, self.log_limit.pause_s))
                if isinstance(process, AdoptedProcess):
                    pause_s = min(pause_s, ADOPTED_INTERVAL_S)
            if self.pause(pause_s):
                next_look_s = 0.0

    def pause(self, pause_s: float) -> bool:
        """Sleep until then, or until a process ends or somebody sends us a signal; True for such a signal."""
        woken_by = signal.sigtimedwait(WAKING_SIGNALS, pause_s)
        # Continued after a suspension longer than the wait, CPython 3.11 returns what lay in memory for a signal.
        if woken_by is None or woken_by.si_signo not in (signal.SIGTERM, signal.SIGINT):
            return False
        if not self.stop_requested():
            name = exit_cause.name_of_signal(woken_by.si_signo)
            self.stop = {"actor": f"{name} from pid {woken_by.si_pid}, uid {woken_by.si_uid}"}
        return True

    def look_around(self, process: StartedCommand | AdoptedProcess) -> None:
        """What is done every few seconds; nothing in it may end us."""
        try:
            self.stop_requested()
            process.sample()
            self.status_file.reserve()
            if self.unrecorded or self.notice() != self.status["notice"]:
                self.write_status(notice=self.notice())
            if self.reviver is not None:
                self.reviver.look()
        except Exception:
            # An unforeseen fault of ours goes to supervisor.log; the job must not end of it.
            with contextlib.suppress(OSError):
                sys.excepthook(*sys.exc_info())

    def timeout_at_s(self) -> float:
        """Monotonic time at which the run has had its time."""
        timeout_s = self.options.get("timeout_s")
        return self.began_s + float(timeout_s) if timeout_s is not None else float("inf")

    def begin_ending(self, process: StartedCommand | AdoptedProcess, alive: bool, now_s: float) -> None:
        """Decide whether it is time to end, and give the command its chance for a checkpoint."""
        if not alive:
            self.ending = "left behind"
        elif self.stop is not None:
            self.ending = "stop"
            self.write_status(state="stopping", cause=f"asked to stop by {self.stopped_by()}")
        elif now_s >= self.timeout_at_s():
            self.ending = "timeout"
            self.write_status(state="stopping", cause=f"over its time of {self.options['timeout_s']:g} s")
        else:
            return
        name = self.options.get("checkpoint_signal")
        self.term_at_s = now_s
        if alive and name:
            process.signal_main(signal.Signals[name])
            self.term_at_s += float(self.options.get("checkpoint_s", 0.0))

    def is_over(self, process: StartedCommand | AdoptedProcess, alive: bool, now_s: float) -> bool:
        """One round of ending what is left; True when nothing is, or nothing that we may end."""
        if self.kill_at_s is None:
            self.kill_at_s = now_s + float(self.spec["grace_s"])
        left = process.end(kill=now_s >= self.kill_at_s)
        if not left:
            return not alive
        if self.ending == "left behind" and self.status["state"] != "stopping":
            self.write_status(state="stopping", cause="the command has ended; ending what it left behind")
        denied = process.tree.denied
        if not alive and denied.issuperset(left) and now_s > self.kill_at_s + DENIED_TIMEOUT_S:
            pids = ", ".join(str(each.pid) for each in left)
            self.notices.append(f"processes of another user are left that we may not end: {pids}")
            return True
        return False

    def stop_requested(self) -> bool:
        """Whether somebody asked for the end, by stop.json or by a signal to us."""
        if self.stop is None:
            with contextlib.suppress(OSError, ValueError):
                self.stop = read_json(f"{self.run_dir}/stop.json")
        return self.stop is not None

    def stopped_by(self) -> str:
        """Who asked for the end."""
        return str((self.stop or {}).get("actor", "somebody"))

    def notice(self) -> str:
        """What a person should know about how the run is accompanied."""
        return "; ".join(filter(None, [*self.notices, self.log_limit.notice]))

    def evidence(self) -> exit_cause.Evidence:
        """All that is known of how the command ended."""
        process = self.process
        assert process is not None
        limit_kills = process.containment.limit_kills() if isinstance(process, StartedCommand) else 0
        kills = kernel.oom_kills()
        before = self.host_kills_before
        host_kills = kills - before if kills is not None and before is not None else None
        # Without a kill since the start the log, which may be long, has nothing to say about us.
        line = kernel.line_about(process.tree.pids_seen, self.began_boot_s) if host_kills != 0 else ""
        return exit_cause.Evidence(
            exit_status=process.exit_status,
            log_tail=output_log.tail_of(f"{self.run_dir}/output.log", self.log_size_before),
            metrics_tail=output_log.tail_of(f"{self.run_dir}/metrics.jsonl", self.metrics_size_before),
            stopped_by=self.stopped_by() if self.ending == "stop" else None,
            timeout_s=self.options.get("timeout_s") if self.ending == "timeout" else None,
            memory_limit_bytes=self.options.get("memory_bytes"),
            limit_kills=limit_kills,
            limit_enforced=process.limit_enforced,
            host_kills=host_kills,
            kernel_log=line,
            max_resident_bytes=process.usage().max_resident_bytes,
            working_dir=self.spec["working_dir"],
            run_dir=self.run_dir,
            adopted=isinstance(process, AdoptedProcess),
        )

    def write_status(self, **changes: Any) -> None:
        """Record the status; one that cannot be written is tried again later, the final one until it can."""
        self.status.update(changes)
        self.status["revision"] += 1
        self.unrecorded = not self.status_file.write(self.status)
        while self.unrecorded and self.status["ended_at_s"] is not None:
            time.sleep(RETRY_INTERVAL_S)
            self.unrecorded = not self.status_file.write(self.status)


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


def main() -> None:
    """Entry point: `supervisor.py RUN_DIR ATTEMPT`."""
    os.umask(0o077)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    taken = leases.from_json(json.loads(sys.argv[3])) if len(sys.argv) > 3 else []
    Supervisor(sys.argv[1], int(sys.argv[2]), taken).run()


if __name__ == "__main__":
    main()
