"""`just torture --kills 200 --seed S`: kill -9 whatever there is while jobs write, then count what every witness saw.

Four long jobs log 20 metrics a step to their metrics file and one to their output; after each step each notes the step
in a witness file of its own. Short commands are started all the while; each notes that it was started. Victims are the
daemon, supervisors, consoles and terminals (SIGHUP), at random moments and at chosen points: before, inside and after
claim, journal append, commit, checkpoint, start, end and reply. After each kill of a daemon at a random moment a client
asks without pause. At the end:

    lost       steps that a witness has and the index has not, or not with every value
    doubled    steps that the index has more than once
    twice      commands that were started more than once (or, though accepted, never)
    wrong      runs whose final state or exit code is not what happened to them
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from console.client import Client, ClientError
from console.protocol import ENDED_STATES
from tests import killpoints
from tests.support import FOOTPLATE, WAIT_S, Home, opened_home, wait_until
from tests.terminal import Terminal
from tests.torture_daemons import WantedDaemons
from tests.torture_witnesses import (
    JOB,
    SHORT,
    TAKEOVER_LIMIT_S,
    Accepted,
    Findings,
    KillList,
    compared,
    evidence_of,
    report,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from console.protocol import RunDetail

JOBS = 4
POINT_TIMEOUT_S = 4.0
"""How long a victim may take to come to its point; then it is killed where it is."""
VICTIMS = {
    "daemon": 35,
    "daemon at a point": 28,
    "supervisor": 9,
    "supervisor at a point": 16,
    "console": 6,
    "terminal": 6,
}
"""What is killed, and how often of a hundred times."""
LOST = ("failed", None, "supervisor_lost")
"""State, exit code and kind of cause of a run whose supervisor did not live to record the end."""


class Torture:
    """One session of it."""

    def __init__(self, home: Home, folder: Path, seed: int) -> None:
        self.home = home
        self.folder = folder
        self.chance = random.Random(seed)
        self.accepted: list[Accepted] = []
        self.job_ids: dict[str, str] = {}
        """Run ids of jobs with a witness file, by number."""
        self.bereaved: dict[str, str] = {}
        """Runs whose supervisor was killed at a random moment, by id: the point is "anywhere"."""
        self.kills: Counter[str] = Counter()
        self.killed = KillList(folder / "kills")
        self.takeovers_s: list[float] = []
        self.over = threading.Event()
        self.daemons = WantedDaemons()
        (folder / "victims").mkdir()
        (folder / "started").touch()

    def run(self, kills: int) -> Findings:
        """Kill `kills` times under load and count."""
        enough = self.folder / "enough"
        for number in range(JOBS):
            self.start_job(str(number), number, enough)
        starter = threading.Thread(target=self.start_short_commands, args=(self.chance.random(),))
        with self.daemons.spawning():
            starter.start()
            try:
                for number in range(kills):
                    time.sleep(self.chance.uniform(0.2, 1.0))
                    victim = self.chance.choices(list(VICTIMS), list(VICTIMS.values()))[0]
                    told = self.kill(victim)
                    self.kills[victim] += 1
                    print(f"\rkill {number + 1}/{kills}: {told:<60}", end="", file=sys.stderr, flush=True)
                print(file=sys.stderr)
            finally:
                self.over.set()
                starter.join()
        enough.touch()
        wrong = sum(not self.ended_as(run_id, int(number)) for number, run_id in self.job_ids.items())
        wrong += sum(not self.ended_as(short.run_id, short.exit_code) for short in self.accepted)
        return Findings(
            *self.compare(), self.count_starts(), wrong, dict(self.kills), len(self.accepted), self.takeovers_s
        )

    def kill(self, victim: str) -> str:
        """Kill one victim; returns what was done, in words."""
        if victim == "daemon":
            pid = wait_until(self.home.daemon_pid)
            self.kill_process(pid, victim)
            self.takeovers_s.append(self.time_to_answer(pid))
            return f"daemon, answered after {self.takeovers_s[-1] * 1000:.0f} ms"
        if victim == "daemon at a point":
            return self.kill_daemon_at(self.chance.choice(killpoints.DAEMON_POINTS), self.chance.randint(1, 3))
        if victim == "supervisor":
            return self.kill_supervisor()
        if victim == "supervisor at a point":
            return self.kill_supervisor_at(self.chance.choice(killpoints.SUPERVISOR_POINTS))
        if victim == "console":
            return self.kill_console()
        return self.hang_up()

    def kill_daemon_at(self, point: str, nth: int) -> str:
        """Replace the daemon by one that dies at a point, and wait until it has."""
        pid = self.replace_daemon(["daemon", self.home.path, point, str(nth)])
        victim = f"daemon, {point} ({nth})"
        self.killed.note(pid, victim)
        self.kick(pid)
        deadline_s = time.monotonic() + POINT_TIMEOUT_S
        while self.home.daemon_pid() == pid and time.monotonic() < deadline_s:
            time.sleep(0.01)
        reached = self.home.daemon_pid() != pid
        if not reached:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
        return victim + ("" if reached else ": it did not come there")

    def kill_supervisor(self) -> str:
        """Start a job, and kill its supervisor once it runs."""
        number = str(1000 + len(self.bereaved))
        enough = self.folder / f"enough-{number}"
        run_id = self.start_job(number, 0, enough)
        detail = self.when(run_id, lambda found: found.row.state == "running" and found.supervisor_pid is not None)
        wait_until((self.folder / f"witness-{number}").exists)
        if detail.supervisor_pid is not None:
            self.bereaved[run_id] = "anywhere"
            self.kill_process(detail.supervisor_pid, f"supervisor of {run_id}")
        time.sleep(0.2)
        enough.touch()
        return f"supervisor of r{detail.row.no}"

    def kill_supervisor_at(self, point: str) -> str:
        """Replace the daemon by one whose next supervisor to come to a point dies there."""
        (self.folder / "point").write_text(point, encoding="utf-8")
        self.replace_daemon(["supervised", self.home.path, str(self.folder)])
        deadline_s = time.monotonic() + POINT_TIMEOUT_S
        while (self.folder / "point").exists() and time.monotonic() < deadline_s:
            time.sleep(0.02)
        reached = not (self.folder / "point").exists()
        with contextlib.suppress(FileNotFoundError):
            (self.folder / "point").unlink()
        return f"supervisor, {point}" + ("" if reached else ": none came there")

    def kill_console(self) -> str:
        """Open the console, and kill it when it shows something."""
        terminal = Terminal([FOOTPLATE], self.home.environment(TERM="xterm-256color"))
        with contextlib.suppress(AssertionError):
            terminal.read_until(lambda shown: shown.shows("Runs"), 10.0)
        terminal.close()
        return "console"

    def hang_up(self) -> str:
        """Start a command in the live view, and take the terminal away."""
        mark, exit_code = f"hung-up-{self.kills['terminal']}", self.chance.randrange(5)
        argv = ["sh", "-c", f"sleep 0.5; {SHORT}", "sh", mark, str(self.folder), str(exit_code)]
        terminal = Terminal(
            [FOOTPLATE, "run", "--name", mark, "--project", "torture", "--", *argv],
            self.home.environment(TERM="xterm-256color"),
        )
        with contextlib.suppress(AssertionError):
            terminal.read_until(lambda shown: shown.shows(mark), 10.0)
        terminal.hang_up()
        wait_until(terminal.has_ended)
        rows = self.patiently(lambda client: client.runs(text=mark)).rows
        self.accepted += [Accepted(row.id, mark, exit_code) for row in rows if row.name == mark]
        return "terminal"

    def replace_daemon(self, wanted: list[str]) -> int:
        """Kill the daemon and have one with these arguments; returns the pid of whoever answers then."""
        pid = wait_until(self.home.daemon_pid)
        self.daemons.following = wanted
        self.kill_process(pid, "daemon, to be replaced")
        with contextlib.suppress(ClientError):
            self.patiently(lambda client: client.get("/ping"))
        return int(wait_until(lambda: (found := self.home.daemon_pid()) != pid and found))

    def kill_process(self, pid: int, victim: str) -> None:
        """SIGKILL. Raises ProcessLookupError."""
        self.killed.note(pid, victim)
        os.kill(pid, 9)

    def kick(self, pid: int) -> None:
        """Have the daemon carry out commands, so that it comes to the points of one."""
        deadline_s = time.monotonic() + POINT_TIMEOUT_S / 2
        client = Client(start_daemon=False)
        while self.home.daemon_pid() == pid and time.monotonic() < deadline_s:
            self.start_short_command(random.Random(self.chance.random()), client)
        client.close()

    def patiently(self, ask: Callable[[Client], Any]) -> Any:
        """The answer of whatever daemon there is, in the end."""
        deadline_s = time.monotonic() + WAIT_S
        while True:
            client = Client()
            try:
                return ask(client)
            except ClientError:
                if time.monotonic() > deadline_s:
                    raise
                time.sleep(0.02)
            finally:
                client.close()

    def when(self, run_id: str, accept: Callable[[RunDetail], bool]) -> RunDetail:
        """The run once it is as wanted, or has ended."""

        def look() -> RunDetail | None:
            detail: RunDetail = self.patiently(lambda client: client.run(run_id))
            return detail if accept(detail) or detail.row.state in ENDED_STATES else None

        found: RunDetail = wait_until(look)
        return found

    def time_to_answer(self, killed_pid: int) -> float:
        """Seconds until a client gets the run table again; the killed daemon's socket must not have answered."""
        began_s = time.monotonic()
        while True:
            self.patiently(lambda client: client.runs(limit=1))
            if self.home.daemon_pid() != killed_pid:
                return time.monotonic() - began_s

    def start_job(self, number: str, exit_code: int, enough: Path) -> str:
        """Start a job that writes until the file `enough` is there; returns its run id."""
        argv = [sys.executable, "-c", JOB, str(self.folder), number, str(exit_code), str(enough)]
        mark = f"job-{number}"
        while True:
            client = Client()
            try:
                run_id = client.submit(self.request(argv, mark)).id
                break
            except ClientError:
                # Whether it was accepted is not known: what was, has the name.
                rows = self.patiently(lambda client: client.runs(text=mark)).rows
                found = [row.id for row in rows if row.name == mark]
                if found:
                    run_id = found[0]
                    break
            finally:
                client.close()
        self.job_ids[number] = run_id
        self.accepted.append(Accepted(run_id, mark, exit_code))
        return run_id

    def request(self, argv: list[str], name: str) -> dict[str, Any]:
        """A run as a client asks for it."""
        return {
            "argv": argv,
            "working_dir": "/",
            "environment": self.home.environment(),
            "project": "torture",
            "name": name,
        }

    def start_short_commands(self, seed: float) -> None:
        """Start commands until `over`, whatever the daemon goes through."""
        chance = random.Random(seed)
        client = Client()
        while not self.over.is_set():
            self.start_short_command(chance, client)
            self.over.wait(chance.uniform(0.05, 0.4))
        client.close()

    def start_short_command(self, chance: random.Random, client: Client) -> None:
        """Start one command; note it when it was accepted."""
        mark, exit_code = f"short-{chance.getrandbits(60):x}", chance.randrange(5)
        argv = ["sh", "-c", SHORT, "sh", mark, str(self.folder), str(exit_code)]
        try:
            self.accepted.append(Accepted(client.submit(self.request(argv, mark)).id, mark, exit_code))
        except ClientError:
            client.close()

    def point_of(self, run_id: str) -> str:
        """Where the supervisor of a run was killed; empty when it was not."""
        victim = self.folder / "victims" / run_id
        if not victim.exists():
            return self.bereaved.get(run_id, "")
        return victim.read_text(encoding="utf-8").partition("\n")[0]

    def ended_as(self, run_id: str, exit_code: int) -> bool:
        """Whether a run ended as what happened to it says."""
        row = self.when(run_id, lambda _: False).row
        found = (row.state, row.exit_code, row.cause_kind)
        point = self.point_of(run_id)
        recorded = found[:2] == ("finished" if exit_code == 0 else "failed", exit_code)
        right = recorded if point in ("", "claim before", "end after") else found == LOST
        if not right:
            told = f"{run_id}: {found}, expected exit code {exit_code}, supervisor killed: {point or 'no'}"
            files = evidence_of(self.home.run_dir(run_id))
            kills = self.killed.around(row.created_at_s, row.ended_at_s or time.time())
            print(told, files, kills, sep="\n", file=sys.stderr)
        return right

    def count_starts(self) -> int:
        """Commands that were started twice, and accepted ones that never were."""
        started = Counter((self.folder / "started").read_text(encoding="utf-8").split())
        # A supervisor that died between claim and start leaves a command that never ran, and a run that says so.
        needed = {short.mark for short in self.accepted if self.point_of(short.run_id) != "claim after"}
        return sum(count > 1 for count in started.values()) + len(needed - started.keys())

    def compare(self) -> tuple[int, int, int, int]:
        """Steps witnessed, points in the index, steps lost, steps doubled."""
        self.home.client().close()
        self.home.end_daemon()
        for process in self.daemons.started:
            process.wait()
        return compared(self.home.path, self.folder, self.job_ids)


def torture(home: Home, folder: Path, kills: int, seed: int) -> Findings:
    """Kill `kills` times in a home of its own and count; `folder` is for the witnesses."""
    return Torture(home, folder, seed).run(kills)


def main() -> int:
    """Entry point; 1 when a witness disagrees with the index or the takeover is too slow."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--json", action="store_true")
    parser.add_argument(
        "--keep", default="", metavar="DIR", help="where state and witnesses go when something is wrong"
    )
    options = parser.parse_args()
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="footplate-torture-") as folder:
        work = Path(folder) / "work"
        work.mkdir()
        with opened_home(Path(folder) / "state") as home:
            findings = torture(home, work, options.kills, options.seed)
        if not findings.sound:
            kept = options.keep or tempfile.mkdtemp(prefix="footplate-torture-kept-")
            shutil.copytree(folder, kept, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.sock"))
            print(f"state and witnesses are kept in {kept}", file=sys.stderr)
    print(f"seed {options.seed}")
    print(json.dumps(findings._asdict()) if options.json else report(findings, load_before))
    quick = not findings.takeovers_s or statistics.median(findings.takeovers_s) <= TAKEOVER_LIMIT_S
    return 0 if findings.sound and quick else 1


if __name__ == "__main__":
    sys.exit(main())
