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
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from console import client as client_module
from console.client import Client, ClientError
from console.protocol import ENDED_STATES
from store import database, paths
from tests import killpoints
from tests.support import FOOTPLATE, WAIT_S, Home, opened_home, wait_until
from tests.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from console.protocol import RunDetail

JOBS = 4
METRICS_PER_STEP = 20
STEP_INTERVAL_S = 0.005
TAKEOVER_LIMIT_S = 1.0
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

JOB = f"""
import json, os, sys, time
folder, number, exit_code, enough = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
with open(f"{{folder}}/started", "a") as started:
    started.write(f"job-{{number}}\\n")
metrics = os.open(os.environ["FOOTPLATE_METRICS"], os.O_WRONLY | os.O_APPEND)
witness = os.open(f"{{folder}}/witness-{{number}}", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
step = 0
while not os.path.exists(enough):
    line = json.dumps({{"step": step, **{{f"m{{i:02d}}": step + i / 100 for i in range({METRICS_PER_STEP})}}}}) + "\\n"
    assert os.write(metrics, line.encode()) == len(line)
    os.write(1, f"step={{step}} printed={{step}}\\n".encode())
    os.write(witness, f"{{step}}\\n".encode())
    step += 1
    time.sleep({STEP_INTERVAL_S})
sys.exit(exit_code)
"""
SHORT = 'echo "$1" >> "$2/started"; exit "$3"'


class Accepted(NamedTuple):
    """A command that was accepted and what it must come to."""

    run_id: str
    mark: str
    exit_code: int


class Findings(NamedTuple):
    """What the witnesses say against the index."""

    steps: int
    points: int
    lost: int
    doubled: int
    twice: int
    wrong: int
    kills: dict[str, int]
    short_commands: int
    takeovers_s: list[float]

    @property
    def sound(self) -> bool:
        """Nothing lost, doubled, started twice or misjudged."""
        return not (self.lost or self.doubled or self.twice or self.wrong)


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
        self.takeovers_s: list[float] = []
        self.over = threading.Event()
        self.next_daemon: list[str] | None = None
        self.special: subprocess.Popen[bytes] | None = None
        """The daemon that was started with `next_daemon`."""
        self.specials: list[subprocess.Popen[bytes]] = []
        self.spawning = threading.Lock()
        (folder / "victims").mkdir()
        (folder / "started").touch()

    def run(self, kills: int) -> Findings:
        """Kill `kills` times under load and count."""
        enough = self.folder / "enough"
        for number in range(JOBS):
            self.start_job(str(number), number, enough)
        starter = threading.Thread(target=self.start_short_commands, args=(self.chance.random(),))
        with self.spawning_what_is_wanted():
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
            os.kill(pid, 9)
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
        self.kick(pid)
        deadline_s = time.monotonic() + POINT_TIMEOUT_S
        while self.home.daemon_pid() == pid and time.monotonic() < deadline_s:
            time.sleep(0.01)
        reached = self.home.daemon_pid() != pid
        if not reached:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
        return f"daemon, {point} ({nth})" + ("" if reached else ": it did not come there")

    def kill_supervisor(self) -> str:
        """Start a job, and kill its supervisor once it runs."""
        number = str(1000 + len(self.bereaved))
        enough = self.folder / f"enough-{number}"
        run_id = self.start_job(number, 0, enough)
        detail = self.when(run_id, lambda found: found.row.state == "running" and found.supervisor_pid is not None)
        wait_until((self.folder / f"witness-{number}").exists)
        if detail.supervisor_pid is not None:
            self.bereaved[run_id] = "anywhere"
            os.kill(detail.supervisor_pid, 9)
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

    @contextlib.contextmanager
    def spawning_what_is_wanted(self) -> Iterator[None]:
        """Clients of this process start `next_daemon` in place of a plain daemon, once."""
        plain = client_module.spawn_daemon

        def spawn(home: str) -> subprocess.Popen[bytes]:
            with self.spawning:
                wanted, self.next_daemon = self.next_daemon, None
                if wanted is not None:
                    self.special = special(home, wanted)
                # While it is on its way no plain daemon may take the lock before it.
                if self.special is not None and self.special.poll() is None:
                    return self.special
            return plain(home)

        def special(home: str, wanted: list[str]) -> subprocess.Popen[bytes]:
            with open(f"{home}/daemon.log", "ab") as log:
                process = subprocess.Popen(
                    [sys.executable, "-I", killpoints.__file__, *wanted],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd="/",
                    start_new_session=True,
                )
            self.specials.append(process)
            return process

        client_module.spawn_daemon = spawn
        try:
            yield
        finally:
            client_module.spawn_daemon = plain

    def replace_daemon(self, wanted: list[str]) -> int:
        """Kill the daemon and have one with these arguments; returns the pid of whoever answers then."""
        pid = wait_until(self.home.daemon_pid)
        self.next_daemon = wanted
        os.kill(pid, 9)
        with contextlib.suppress(ClientError):
            self.patiently(lambda client: client.get("/ping"))
        return int(wait_until(lambda: (found := self.home.daemon_pid()) != pid and found))

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
        return victim.read_text(encoding="utf-8") if victim.exists() else self.bereaved.get(run_id, "")

    def ended_as(self, run_id: str, exit_code: int) -> bool:
        """Whether a run ended as what happened to it says."""
        row = self.when(run_id, lambda _: False).row
        found = (row.state, row.exit_code, row.cause_kind)
        point = self.point_of(run_id)
        told = ("finished" if exit_code == 0 else "failed", exit_code)
        recorded = found[:2] == told
        right = recorded if point in ("", "claim before", "end after") else found == LOST
        if not right:
            print(
                f"{run_id}: {found}, expected exit code {exit_code}, supervisor killed: {point or 'no'}",
                file=sys.stderr,
            )
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
        for process in self.specials:
            process.wait()
        opened = database.open_database(paths.database_path(self.home.path))
        steps = points = lost = doubled = 0
        with opened.reading() as cursor:
            for number, run_id in self.job_ids.items():
                witness = self.folder / f"witness-{number}"
                witnessed = (
                    [int(line) for line in witness.read_text(encoding="utf-8").split()] if witness.exists() else []
                )
                rows = cursor.execute(COMPARED, [run_id]).fetchall()
                found = {step: (from_file, printed, distinct) for step, from_file, printed, distinct in rows}
                wanted = (METRICS_PER_STEP, 1, METRICS_PER_STEP + 1)
                lost += sum(found.get(step, (0, 0, 0))[2] < wanted[2] for step in witnessed)
                doubled += sum(entry[0] > wanted[0] or entry[1] > wanted[1] for entry in found.values())
                steps += len(witnessed)
                points += sum(entry[0] + entry[1] for entry in found.values())
            total = cursor.execute("select coalesce(sum(point_count), 0) from metric_latest").fetchone()
            # The counts beside the latest values must agree with the points themselves.
            doubled += total is not None and int(total[0]) != points
        opened.close()
        return steps, points, lost, doubled


COMPARED = """
    select step, count(*) filter (name <> 'printed'), count(*) filter (name = 'printed'),
        count(distinct (key_id, value))
    from metric join metric_key on metric_key.id = key_id
    where run_no = (select no from run where id = ?) group by step
"""


def torture(home: Home, folder: Path, kills: int, seed: int) -> Findings:
    """Kill `kills` times in a home of its own and count; `folder` is for the witnesses."""
    return Torture(home, folder, seed).run(kills)


def report(findings: Findings, load_before: float) -> str:
    """The figures as one paragraph."""
    ordered = sorted(findings.takeovers_s) or [float("nan")]
    median_s = statistics.median(ordered)
    load = f"load before {load_before:.2f}, after {os.getloadavg()[0]:.2f}"
    took = f"p50 {median_s * 1000:.0f} ms, max {ordered[-1] * 1000:.0f} ms"
    victims = ", ".join(f"{count} {victim}" for victim, count in sorted(findings.kills.items()))
    return f"""\
kills {sum(findings.kills.values())} ({victims})
acknowledged steps {findings.steps}, points in the index {findings.points}, commands accepted {findings.short_commands}
lost {findings.lost}, doubled {findings.doubled}, started twice {findings.twice}, wrong final states {findings.wrong}
next answered query after a kill: {took} (bound p50 {TAKEOVER_LIMIT_S * 1000:.0f} ms); {load}"""


def main() -> int:
    """Entry point; 1 when a witness disagrees with the index or the takeover is too slow."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--json", action="store_true")
    parser.add_argument(
        "--keep", default="", metavar="DIR", help="copy state and witnesses there when something is wrong"
    )
    options = parser.parse_args()
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="footplate-torture-") as folder:
        work = Path(folder) / "work"
        work.mkdir()
        with opened_home(Path(folder) / "state") as home:
            findings = torture(home, work, options.kills, options.seed)
        if options.keep and not findings.sound:
            shutil.copytree(folder, options.keep, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.sock"))
    print(f"seed {options.seed}")
    print(json.dumps(findings._asdict()) if options.json else report(findings, load_before))
    quick = not findings.takeovers_s or statistics.median(findings.takeovers_s) <= TAKEOVER_LIMIT_S
    return 0 if findings.sound and quick else 1


if __name__ == "__main__":
    sys.exit(main())
