"""What the jobs of a torture write for its witnesses, and what the witnesses say against the index."""

from __future__ import annotations

import os
import statistics
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from store import database, identity, paths

if TYPE_CHECKING:
    from collections.abc import Mapping

METRICS_PER_STEP = 20
STEP_INTERVAL_S = 0.005
TAKEOVER_LIMIT_S = 1.0
NEAR_S = 5.0
"""How far from the life of a run a kill may have to do with it."""

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


class KillList:
    """The processes that were killed, or that were started to kill themselves, as lines of a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._path.touch()

    def note(self, pid: int, victim: str) -> None:
        """A process that is about to die: Unix time, pid, clock tick of its start (None: it is gone), what it is."""
        found = identity.identify(pid)
        start_ticks = found.start_ticks if found is not None else None
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"{time.time():.3f} pid {pid} of tick {start_ticks}: {victim}\n")

    def around(self, start_s: float, end_s: float) -> str:
        """Those between two times, and a little before and after, a line each."""
        lines = self._path.read_text(encoding="utf-8").splitlines()
        near = [each for each in lines if start_s - NEAR_S <= float(each.partition(" ")[0]) <= end_s + NEAR_S]
        return "\n".join(f"  killed: {each}" for each in near)


def evidence_of(run_dir: str) -> str:
    """What a run directory says of how the run was started and ended, a paragraph for each file."""
    names = sorted(name for name in os.listdir(run_dir) if name.endswith((".claim", ".json", "supervisor.log")))
    told = []
    for name in names:
        if name not in ("spec.json", "environment.json"):
            with suppress(FileNotFoundError):
                path = Path(run_dir, name)
                content = path.read_text(encoding="utf-8", errors="replace").strip()
                told.append(f"  {name}, of {path.stat().st_mtime:.3f}: {content or 'empty'}")
    return "\n".join(told)


def compared(home: str, folder: Path, job_ids: Mapping[str, str]) -> tuple[int, int, int, int]:
    """Steps witnessed, points in the index, steps lost, steps doubled; no daemon may live.

    `job_ids` are run ids by the number of the witness file in `folder`.
    """
    opened = database.open_database(paths.database_path(home))
    steps = points = lost = doubled = 0
    with opened.reading() as cursor:
        for number, run_id in job_ids.items():
            witness = folder / f"witness-{number}"
            witnessed = [int(line) for line in witness.read_text(encoding="utf-8").split()] if witness.exists() else []
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
