"""`just torture --kills 50`: kill -9 the daemon at random while jobs write, then count what every witness saw.

Four long jobs log 20 metrics a step to their metrics file and one to their output; after each step each notes the step
in a witness file of its own. Short commands are started all the while; each notes that it was started. After each kill
a client asks the daemon without pause. At the end:

    lost       steps that a witness has and the index has not, or not with every value
    doubled    steps that the index has more than once
    twice      commands that were started more than once (or, though accepted, never)
    wrong      runs whose final state or exit code is not what the command did
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from console.client import Client, ClientError
from console.protocol import ENDED_STATES
from store import database, paths
from tests.support import Home, opened_home, wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence

JOBS = 4
METRICS_PER_STEP = 20
STEP_INTERVAL_S = 0.005
TAKEOVER_LIMIT_S = 1.0

JOB = f"""
import json, os, sys, time
folder, number = sys.argv[1], int(sys.argv[2])
with open(f"{{folder}}/started", "a") as started:
    started.write(f"job-{{number}}\\n")
metrics = os.open(os.environ["FOOTPLATE_METRICS"], os.O_WRONLY | os.O_APPEND)
witness = os.open(f"{{folder}}/witness-{{number}}", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
step = 0
while not os.path.exists(f"{{folder}}/enough"):
    line = json.dumps({{"step": step, **{{f"m{{i:02d}}": step + i / 100 for i in range({METRICS_PER_STEP})}}}}) + "\\n"
    assert os.write(metrics, line.encode()) == len(line)
    os.write(1, f"step={{step}} printed={{step}}\\n".encode())
    os.write(witness, f"{{step}}\\n".encode())
    step += 1
    time.sleep({STEP_INTERVAL_S})
sys.exit(number)
"""
SHORT = 'echo "$1" >> "$2/started"; exit "$3"'


class Accepted(NamedTuple):
    """A short command and what it must come to."""

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
    kills: int
    short_commands: int
    takeovers_s: list[float]

    @property
    def sound(self) -> bool:
        """Nothing lost, doubled, started twice or misjudged."""
        return not (self.lost or self.doubled or self.twice or self.wrong)


def torture(home: Home, folder: Path, kills: int, seed: int) -> Findings:
    """Kill the daemon `kills` times under load and count."""
    chance = random.Random(seed)
    job_ids = [home.python(JOB.replace("sys.argv[1]", repr(str(folder))).replace("sys.argv[2]", repr(str(number))))
               for number in range(JOBS)]  # fmt: skip
    for run_id in job_ids:
        home.wait_run(run_id, lambda detail: detail.row.state == "running")
    over = threading.Event()
    accepted: list[Accepted] = []
    starter = threading.Thread(target=start_short_commands, args=(home, folder, over, accepted, chance.random()))
    starter.start()
    takeovers_s = []
    for number in range(kills):
        time.sleep(chance.uniform(0.3, 1.5))
        pid = wait_until(home.daemon_pid)
        os.kill(pid, 9)
        takeovers_s.append(time_to_answer(pid, home))
        print(f"\rkill {number + 1}/{kills}: answered after {takeovers_s[-1] * 1000:.0f} ms ", end="", file=sys.stderr)
    print(file=sys.stderr)
    over.set()
    starter.join()
    (folder / "enough").touch()
    wrong = sum(not ended_as(home, run_id, number) for number, run_id in enumerate(job_ids))
    wrong += sum(not ended_as(home, short.run_id, short.exit_code) for short in accepted)
    twice = count_starts(folder, accepted)
    steps, points, lost, doubled = compare(home, folder, job_ids)
    return Findings(steps, points, lost, doubled, twice, wrong, kills, len(accepted), takeovers_s)


def time_to_answer(killed_pid: int, home: Home) -> float:
    """Seconds until a client gets the run table again; the killed daemon's socket must not have answered."""
    began_s = time.monotonic()
    while True:
        client = Client()
        try:
            client.runs(limit=1)
        except ClientError:
            continue
        finally:
            client.close()
        if home.daemon_pid() != killed_pid:
            return time.monotonic() - began_s


def start_short_commands(
    home: Home, folder: Path, over: threading.Event, accepted: list[Accepted], seed: float
) -> None:
    """Start commands until `over`, whatever the daemon goes through; note those that were accepted."""
    chance = random.Random(seed)
    client = Client()
    number = 0
    while not over.is_set():
        number += 1
        mark, exit_code = f"short-{number}", chance.randrange(5)
        request = {
            "argv": ["sh", "-c", SHORT, "sh", mark, str(folder), str(exit_code)],
            "working_dir": "/",
            "environment": home.environment(),
            "project": "torture",
        }
        try:
            accepted.append(Accepted(client.submit(request).id, mark, exit_code))
        except ClientError:
            client.close()
        over.wait(chance.uniform(0.05, 0.4))
    client.close()


def ended_as(home: Home, run_id: str, exit_code: int) -> bool:
    """Whether a run ended with this exit code and the state that goes with it."""
    client = home.client()

    def look() -> tuple[str, int | None] | None:
        try:
            row = client.run(run_id).row
        except ClientError:
            client.close()
            return None
        return (row.state, row.exit_code) if row.state in ENDED_STATES else None

    state, found = wait_until(look)
    return (state, found) == ("finished" if exit_code == 0 else "failed", exit_code)


def count_starts(folder: Path, accepted: Sequence[Accepted]) -> int:
    """Commands that were started twice, and accepted ones that never were."""
    started = (folder / "started").read_text(encoding="utf-8").split()
    once = {short.mark for short in accepted} | {f"job-{number}" for number in range(JOBS)}
    return sum(started.count(mark) > 1 for mark in set(started)) + len(once - set(started))


def compare(home: Home, folder: Path, job_ids: Sequence[str]) -> tuple[int, int, int, int]:
    """Steps witnessed, points in the index, steps lost, steps doubled."""
    home.client().close()
    home.end_daemon()
    opened = database.open_database(paths.database_path(home.path))
    steps = points = lost = doubled = 0
    with opened.reading() as cursor:
        for number, run_id in enumerate(job_ids):
            witnessed = [int(line) for line in (folder / f"witness-{number}").read_text(encoding="utf-8").split()]
            rows = cursor.execute(
                """
                select step, count(*) filter (name <> 'printed'), count(*) filter (name = 'printed'),
                    count(distinct (key_id, value))
                from metric join metric_key on metric_key.id = key_id
                where run_no = (select no from run where id = ?) group by step
                """,
                [run_id],
            ).fetchall()
            found = {step: (from_file, printed, distinct) for step, from_file, printed, distinct in rows}
            wanted = (METRICS_PER_STEP, 1, METRICS_PER_STEP + 1)
            lost += sum(found.get(step, (0, 0, 0))[2] < wanted[2] for step in witnessed)
            doubled += sum(entry[0] > wanted[0] or entry[1] > wanted[1] for entry in found.values())
            steps += len(witnessed)
            points += sum(entry[0] + entry[1] for entry in found.values())
        total = cursor.execute("select sum(point_count) from metric_latest").fetchone()
        # The counts beside the latest values must agree with the points themselves.
        doubled += total is not None and int(total[0]) != points
    opened.close()
    return steps, points, lost, doubled


def report(findings: Findings, load_before: float) -> str:
    """The figures as one paragraph."""
    ordered = sorted(findings.takeovers_s)
    median_s = statistics.median(ordered)
    load = f"load before {load_before:.2f}, after {os.getloadavg()[0]:.2f}"
    took = f"p50 {median_s * 1000:.0f} ms, max {ordered[-1] * 1000:.0f} ms"
    return f"""\
kills {findings.kills}, acknowledged steps {findings.steps}, points in the index {findings.points}, \
short commands accepted {findings.short_commands}
lost {findings.lost}, doubled {findings.doubled}, started twice {findings.twice}, wrong final states {findings.wrong}
next answered query after a kill: {took} (bound p50 {TAKEOVER_LIMIT_S * 1000:.0f} ms); {load}"""


def main() -> int:
    """Entry point; 1 when a witness disagrees with the index or the takeover is too slow."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="footplate-torture-") as folder:
        work = Path(folder) / "work"
        work.mkdir()
        with opened_home(Path(folder) / "state") as home:
            findings = torture(home, work, options.kills, options.seed)
    print(f"seed {options.seed}")
    print(json.dumps(findings._asdict()) if options.json else report(findings, load_before))
    return 0 if findings.sound and statistics.median(findings.takeovers_s) <= TAKEOVER_LIMIT_S else 1


if __name__ == "__main__":
    sys.exit(main())
