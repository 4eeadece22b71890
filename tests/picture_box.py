"""The box of the pictures in the docs: real runs of the sample project, on a machine whose names say nothing of ours.

It lives in namespaces of its own (user, mounts, host name), which every user of Linux may make where the administrator
has not forbidden it: the host is gpu-03, the user is ana, her project lies in /home/ana/churn. The graphics cards are
those of the stand-in for NVIDIA's driver that the tests use.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from console.cli import demo, shell
from tests.gpu.conftest import built
from tests.gpu.driver import GIB, Driver
from tests.support import HIDING_VARIABLES, Home, opened_home, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT: Final = Path(__file__).resolve().parent.parent
INSIDE: Final = "FOOTPLATE_PICTURE_BOX"
HOST: Final = "gpu-03"
USER: Final = "ana"
USER_HOME: Final = Path("/home", USER)
FOLDER: Final = USER_HOME / "churn"
LIVE: Final = ("--lr", "0.01", "--leaves", "7", "--rounds", "200000")
ONLINE: Final = '''"""Logistic regression, a row after the other; says how far it is."""

import sys
import time

import numpy as np
import train
from pathlib import Path

lr, steps = float(sys.argv[1]), 200_000
parts = train.split(train.load_table(Path("data/train.parquet")), seed=7, repeat=1)
mean, scale = np.nanmean(parts["train"][0], axis=0), np.nanstd(parts["train"][0], axis=0)
inputs, labels = (np.nan_to_num((parts["train"][0] - mean) / scale), parts["train"][1])
held, truth = (np.nan_to_num((parts["valid"][0] - mean) / scale), parts["valid"][1])
weights, positive = np.zeros(inputs.shape[1]), truth == 1
for step in range(1, steps + 1):
    row = step * 7919 % len(labels)
    weights += lr * (labels[row] - 1 / (1 + np.exp(-inputs[row] @ weights))) * inputs[row]
    if step % 200 == 0:
        scores = (held @ weights).argsort().argsort() + 1
        auc = (scores[positive].mean() - (positive.sum() + 1) / 2) / (~positive).sum()
        print(f"step {step}/{steps} valid/auc={auc:.5f}", flush=True)
        time.sleep(0.5)
'''
MANIFEST: Final = """[project]
name = "churn"
primary_metric = { key = "valid/auc", goal = "maximize" }

[jobs.train]
command = "python train.py --lr {lr} --leaves {leaves}"
params = { lr = 0.1, leaves = 31 }
memory = "2GB"
outputs = ["model.txt"]

[jobs.linear]
command = "python train.py --model linear --lr {lr} --scale none"
params = { lr = 0.001 }

[jobs.monotone]
command = "python train.py --decreasing tenure_month"

[jobs.large]
command = "python train.py --repeat 10000"
memory = "2GB"
"""
WITH_TRIGGER: Final = """[project]
name = "churn"
primary_metric = { key = "valid/auc", goal = "maximize" }

[jobs.train]
command = "python train.py --lr {lr} --leaves {leaves}"
params = { lr = 0.1, leaves = 31 }
trigger = { on_change = ["data/more/*.parquet"] }
memory = "2GB"
outputs = ["model.txt"]

[jobs.eval]
command = "python eval.py"
after = "train"
"""
CHANGE: Final = """
[jobs.nightly]
command = "python train.py --rounds 5000"
trigger = { cron = "0 3 * * *" }
"""
REPORTS: Final = """[project]
name = "reports"

[jobs.weekly]
command = "python report.py"
trigger = { cron = "0 7 * * 1" }
"""


def enter() -> None:
    """Start this program anew in the namespaces, unless it is there; SystemExit where that is not allowed."""
    if os.environ.get(INSIDE):
        return
    command = ["unshare", "--user", "--map-root-user", "--mount", "--uts"]
    if subprocess.run([*command, "true"], check=False, capture_output=True).returncode:
        raise SystemExit("the pictures need namespaces: `unshare --user --mount --uts` is refused here")
    arguments = [sys.executable, "-m", "tests.screenshots", *sys.argv[1:]]
    os.execvpe(command[0], [*command, *arguments], os.environ | {INSIDE: "1"})


def settle_in() -> None:
    """Names and places as they shall be in the pictures; what lies in /home already stays where it is."""
    socket.sethostname(HOST)
    there = {path: os.open(path, os.O_PATH) for path in Path("/home").iterdir() if path.is_dir()}
    mount("-t", "tmpfs", "tmpfs", "/home")
    for path, descriptor in there.items():
        path.mkdir()
        mount("--bind", f"/proc/{os.getpid()}/fd/{descriptor}", str(path))
        os.close(descriptor)
    FOLDER.mkdir(parents=True)
    shutil.copytree(
        ROOT / "sample_projects" / "churn",
        FOLDER,
        ignore=shutil.ignore_patterns("__pycache__", "data"),
        dirs_exist_ok=True,
    )
    (FOLDER / ".venv").mkdir()
    mount("--bind", sys.prefix, str(FOLDER / ".venv"))
    accounts = USER_HOME / ".accounts"
    accounts.write_text(f"{USER}:x:0:0::{USER_HOME}:/bin/bash\n")
    mount("--bind", str(accounts), "/etc/passwd")
    for name in (*HIDING_VARIABLES, "VIRTUAL_ENV", "CONDA_PREFIX", "NO_COLOR"):
        os.environ.pop(name, None)
    programs = f"{FOLDER}/.venv/bin:{os.environ['PATH']}"
    os.environ |= {
        "USER": USER,
        "LOGNAME": USER,
        "HOME": str(USER_HOME),
        "XDG_CONFIG_HOME": str(USER_HOME / ".config"),
        "TZ": "UTC",
        "PATH": programs,
    }
    os.environ |= demo.FEW_THREADS
    time.tzset()
    os.chdir(FOLDER)


def mount(*words: str) -> None:
    """Raises CalledProcessError."""
    subprocess.run(["mount", *words], check=True)


@contextlib.contextmanager
def filled() -> Iterator[Home]:
    """The sweep has run: nine trainings ended well, one diverged, one raised, one wanted too much memory; older runs of
    two trackers lie beside them; two more are training."""
    library = USER_HOME / ".driver"
    library.mkdir()
    driver = Driver(built(library), USER_HOME / ".cards")
    os.environ |= driver.environment
    driver.fill(4)
    for script in ("generate.py", "history.py"):
        subprocess.run([sys.executable, script], cwd=FOLDER, check=True, stdout=subprocess.DEVNULL)
    (FOLDER / "online.py").write_text(ONLINE)
    with opened_home(USER_HOME / ".local" / "state" / "footplate") as home:
        sweep(home)
        change_the_code()
        occupy(home, driver)
        yield home


def sweep(home: Home) -> None:
    """The trainings of `footplate demo`, with short commands; as many at once as there are slots."""
    (FOLDER / "footplate.toml").write_text(MANIFEST)
    client = home.client()
    demo.watch(client, str(FOLDER))
    asked = shell.context() | {"folder": str(FOLDER)}
    made = client.post("/jobs", asked | {"job": "train", "rows": list(demo.SETS[:9]), "sweep": True})["runs"]
    for job in ("linear", "monotone", "large"):
        made += client.post("/jobs", asked | {"job": job, "rows": [{}]})["runs"]
    ends = [home.wait_ended(new["id"]).row for new in made]
    assert [(row.state, row.cause_kind) for row in ends] == list(demo.EXPECTED)


def change_the_code() -> None:
    """The sample is in git, and one line of it is other than committed."""
    git = ("git", "-c", f"user.name={USER}", "-c", f"user.email={USER}@example.org", "-c", "safe.directory=*")
    (FOLDER / ".gitignore").write_text(".venv\ndata\nmlruns\nlightning_logs\nmodel.txt\n__pycache__\n")
    for words in (("init", "-q", "-b", "main"), ("add", "."), ("commit", "-q", "-m", "Train in 60 rounds")):
        subprocess.run([*git, *words], cwd=FOLDER, check=True)
    script = FOLDER / "train.py"
    before = '"objective": "binary",'
    text = script.read_text()
    assert before in text
    script.write_text(text.replace(before, f'{before}\n        "max_bin": 127,'))


def occupy(home: Home, driver: Driver) -> None:
    """Two runs that go on, and what they do to the cards."""
    watched = train(home, "long schedule", "train.py", *LIVE)
    told = train(home, "online lr=0.02", "online.py", "0.02")
    for run_id, cards in ((watched, (0, 1)), (told, (2,))):
        ready = home.wait_run(run_id, lambda run: run.row.metric is not None and run.row.metric.last_step > 200)
        for card in cards:
            driver.say(card, proc=f"{ready.pid} {71 * GIB - card * 9 * GIB}", memused=72 * GIB - card * 9 * GIB)
            driver.say(card, util=98 - card * 3, temp=63 - card, power=620_000 - card * 40_000)


def train(home: Home, name: str, *words: str) -> str:
    """Start one training; returns the run's id."""
    return home.submit(
        "python",
        *words,
        name=name,
        working_dir=str(FOLDER),
        environment=dict(os.environ),
        project="churn",
        actor=USER,
    )


def watch_more(home: Home) -> None:
    """Three projects: one that has started something by itself and whose manifest has changed since, one that is
    trusted, one without a manifest."""
    (FOLDER / "footplate.toml").write_text(WITH_TRIGGER)
    (FOLDER / "data" / "more").mkdir(parents=True, exist_ok=True)
    home.footplate("trust", "--yes", str(FOLDER))
    triggers = next(path for path in Path(home.path, "projects").glob("*/triggers.json"))
    wait_until(lambda: json.loads(triggers.read_text())["jobs"]["train"]["content_id"])
    shutil.copyfile(FOLDER / "data" / "train.parquet", FOLDER / "data" / "more" / "october.parquet")
    wait_until(lambda: json.loads(triggers.read_text())["jobs"]["train"]["last_runs"])
    reports, papers = USER_HOME / "reports", USER_HOME / "papers"
    for folder in (reports, papers):
        folder.mkdir()
    (reports / "footplate.toml").write_text(REPORTS)
    (papers / "figures.py").write_text("print('figures')\n")
    home.footplate("watch", str(reports))
    home.footplate("trust", "--yes", str(reports))
    home.footplate("watch", "--here", str(papers))
    (FOLDER / "footplate.toml").write_text(WITH_TRIGGER + CHANGE)
    wait_until(lambda: "changed since" in home.footplate("projects").stdout)


def go_away(home: Home) -> None:
    """Runs that wait behind a pause, and a night without a look at the console."""
    home.footplate("pause", "churn", "--reason", "the disk is being moved")
    home.footplate("sweep", "train", "-p", "lr=0.3,0.2", "-p", "leaves=63", "--yes", cwd=str(FOLDER))
    home.end_daemon()
    now_s = time.time()
    absence = {"last_s": now_s, "left_s": now_s - 39_840, "back_s": now_s, "cleared_s": 0.0}
    told = {"format": 1, "persons": {getpass.getuser(): absence}}
    Path(home.path, "presence.json").write_text(json.dumps(told), encoding="utf-8")
    home.footplate("ps")


def betrayed(svg: str) -> Sequence[str]:
    """What a picture says of the machine on which it was made."""
    text = re.sub(r"<[^>]*>", " ", svg).replace("&#160;", " ")
    return [word for word in (str(ROOT), "/tmp", "/root", ".venv/lib") if word in text]
