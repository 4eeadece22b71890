"""What a supervisor accompanies: a command that it starts, or a process that somebody else started. Stdlib only."""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from console.jobs.containment import IN_MEMORY
from console.jobs.process_tree import PROCESS_VARIABLE, Tree
from store import identity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from console.jobs.containment import Containment
    from store.identity import ProcessIdentity

KIB: Final = 1024
KILL_ROUNDS: Final = 50


class Usage(NamedTuple):
    """What the processes of a run used together."""

    user_cpu_s: float
    system_cpu_s: float
    max_resident_bytes: int


class StartedCommand:
    """The command of an attempt, and everything that comes of it."""

    def __init__(self, run_id: str, containment: Containment) -> None:
        self.containment = containment
        self.tree = Tree(run_id, os.getpid())
        self.process: ProcessIdentity | None = None
        self.exit_status: int | None = None
        """As of os.waitstatus_to_exitcode, once it has ended."""
        self.limit_enforced = ""
        """How the memory limit is held: `cgroup`, `address space`, or empty for none."""
        self._pid = 0

    def start(
        self,
        argv: list[str],
        working_dir: str,
        context: dict[str, Any],
        variables: dict[str, str],
        log: int,
        signal_mask: set[int | signal.Signals],
        inherited: Sequence[int] = (),
    ) -> None:
        """Execute it as the shell would that enqueued it, with `variables` on top of that shell's.

        `inherited`: descriptors that it and its children keep open, because locks hang on them.

        Raises OSError, subprocess.SubprocessError or ValueError.
        """
        environment = {key: value for key, value in context["environment"].items() if key != PROCESS_VARIABLE}
        memory_bytes = self.containment.memory_bytes
        told, telling = os.pipe()

        def prepare() -> None:
            entered = self.containment.enter()
            os.write(telling, bytes([entered]))
            for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
                with contextlib.suppress(OSError, ValueError):
                    signal.signal(number, signal.SIG_DFL)
            os.umask(int(context["umask"]))
            for name, (soft, _) in context["limits"].items():
                apply_limit(name, int(soft))
            if memory_bytes is not None and not (self.containment.limited and entered & IN_MEMORY):
                limit_address_space(memory_bytes)
            signal.pthread_sigmask(signal.SIG_SETMASK, signal_mask)

        try:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=working_dir,
                env=environment | variables,
                start_new_session=True,
                pass_fds=inherited,
                preexec_fn=prepare,  # noqa: PLW1509 - this process has one thread
            )
        finally:
            os.close(telling)
            entered = os.read(told, 1)
            os.close(told)
            self.containment.leave_out(entered[0] if entered else 0)
        self._pid = process.pid
        process.returncode = 0  # we reap it ourselves, with its adopted siblings
        self.process = identity.identify(process.pid)
        if memory_bytes is not None:
            self.limit_enforced = "cgroup" if self.containment.limited else "address space"

    def look(self) -> bool:
        """Collect what has ended; whether the command itself goes on."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            self.tree.pids_seen.add(pid)
            if pid == self._pid:
                self.exit_status = os.waitstatus_to_exitcode(status)
        return self.exit_status is None

    def signal_main(self, number: int) -> None:
        """Signal the command itself, which has not been reaped yet."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(self._pid, number)

    def end(self, *, kill: bool) -> list[ProcessIdentity]:
        """TERM, or KILL, to what is left; returns what was left before that."""
        left = self.tree.members(self.containment.pids(), tagged=True)
        if left and not kill:
            self.tree.terminate(left)
        elif left:
            self.let_foreign_go()
            self.containment.kill()
            # Without a group, what is forked faster than we look is found by looking again at once.
            again, rounds = left, 0
            while self.tree.kill(again) and rounds < KILL_ROUNDS:
                again = self.tree.members(self.containment.pids(), tagged=True)
                rounds += 1
        return left

    def let_foreign_go(self) -> None:
        """A daemon that the command started is not part of the run: neither its limit nor its end concerns it."""
        for _ in range(3):
            foreign = self.tree.foreign_among(self.containment.pids())
            if not foreign:
                return
            for pid in foreign:
                self.containment.expel(pid)

    def sample(self) -> None:
        """Every few seconds while the command runs."""
        self.containment.sample()
        self.let_foreign_go()

    def usage(self) -> Usage:
        """By the control group where there is one, else of everything that was reaped (getrusage(2))."""
        self.containment.sample()
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        user_s, system_s = self.containment.cpu_s() or (used.ru_utime, used.ru_stime)
        return Usage(user_s, system_s, max(used.ru_maxrss * KIB, self.containment.resident_bytes or 0))


class AdoptedProcess:
    """A process that is not our child: its end is seen through a pidfd, its exit code by nobody."""

    limit_enforced: Final = ""

    def __init__(self, run_id: str, process: ProcessIdentity) -> None:
        self.process = process
        self.exit_status: int | None = None
        self.tree = Tree(run_id, process.pid, with_root=True)
        self._known: set[ProcessIdentity] = set()
        self._usage = Usage(0.0, 0.0, 0)
        self._descriptor: int | None = None
        with contextlib.suppress(ProcessLookupError):
            self._descriptor = os.pidfd_open(process.pid)
            if not identity.is_alive(process):
                os.close(self._descriptor)
                self._descriptor = None
        self._poll = select.poll()
        if self._descriptor is not None:
            self._poll.register(self._descriptor, select.POLLIN)
            self.sample()

    def look(self) -> bool:
        """Whether it still runs."""
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:  # a daemon that we started
                pass
        return self._descriptor is not None and not self._poll.poll(0)

    def signal_main(self, number: int) -> None:
        """Signal the process itself."""
        if self._descriptor is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                signal.pidfd_send_signal(self._descriptor, number)

    def end(self, *, kill: bool) -> list[ProcessIdentity]:
        """TERM, or KILL, to it and its descendants; what left it before its end was asked for is not ours."""
        if self.look():
            self._known.update(self.tree.members())
        left = [process for process in self._known if identity.is_alive(process)]
        if kill:
            self.tree.kill(left)
        else:
            self.tree.terminate(left)
        return left

    def sample(self) -> None:
        """Note what it has used so far: after its end nobody can tell."""
        fields = identity.stat_fields(self.process.pid)
        if fields is None or int(fields[19]) != self.process.start_ticks:
            return
        ticks_per_s = os.sysconf("SC_CLK_TCK")
        user_s, system_s = ((int(fields[at]) + int(fields[at + 2])) / ticks_per_s for at in (11, 12))
        self._usage = Usage(
            user_s, system_s, max(self._usage.max_resident_bytes, peak_resident_bytes(self.process.pid))
        )

    def usage(self) -> Usage:
        """Of the process and the children that it has reaped, as last seen."""
        return self._usage

    def started_at_s(self) -> float:
        """Unix time of its start."""
        since_boot_s = self.process.start_ticks / os.sysconf("SC_CLK_TCK")
        return time.time() - (time.clock_gettime(time.CLOCK_BOOTTIME) - since_boot_s)


def peak_resident_bytes(pid: int) -> int:
    """VmHWM of /proc/<pid>/status (proc_pid_status(5)); 0 when it is gone."""
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            return next((int(line.split()[1]) * KIB for line in file if line.startswith(b"VmHWM:")), 0)
    except OSError:
        return 0


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


def limit_address_space(limit_bytes: int) -> None:
    """Hold a memory limit for each process by itself, where no control group holds it for all of them."""
    for limit in resource.getrlimit(resource.RLIMIT_AS):
        if limit != resource.RLIM_INFINITY:
            limit_bytes = min(limit_bytes, limit)
    resource.setrlimit(resource.RLIMIT_AS, (limit_bytes, limit_bytes))
