"""`just screenshots`: pictures of every screen with real runs in it, for the README and docs/.

Trains the sample project a few times through a real daemon, leaves one training alive, and takes the screens of the
console at three sizes.
"""

from __future__ import annotations

import argparse
import asyncio
import getpass
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from console.client import Client
from console.tui import terminal
from tests.support import HIDING_VARIABLES, Home, opened_home, wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.pilot import Pilot

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs" / "pictures"
SIZES = ((80, 24), (120, 40), (200, 60))
TRAININGS = (
    "--lr 0.3 --leaves 63 --rounds 300",
    "--lr 0.1 --leaves 31 --rounds 300",
    "--lr 0.1 --leaves 7 --rounds 300",
    "--lr 0.03 --leaves 15 --rounds 300",
    "--lr 0.03 --leaves 31 --data data/december.parquet",
    "--lr 0.03 --leaves 7 --rounds 300 --seed 2",
)
LIVE = "--lr 0.01 --leaves 7 --rounds 200000"
MANIFEST = """[project]
name = "churn"

[jobs.train]
command = "{python} train.py --lr {lr} --leaves {leaves} --rounds 50"
params = { lr = 0.1, leaves = 31 }
trigger = { on_change = ["data/**/*.parquet"] }
outputs = ["model.txt"]

[jobs.eval]
command = "{python} eval.py"
after = "train"
"""
CHANGE = """
[jobs.nightly]
command = "{python} train.py --rounds 5000"
trigger = { cron = "0 3 * * *" }
"""
SVG_STYLE = re.compile(r"@font-face\s*{[^}]*}\s*")
SETTLE_S = 2.5


def train(home: Home, folder: Path, arguments: str) -> str:
    """Start one training of the sample; returns the run's id."""
    programs = os.path.dirname(sys.executable)
    environment = home.environment() | {"PATH": f"{programs}:{os.environ['PATH']}"}
    argv = ["python", "train.py", *arguments.split()]
    return home.submit(*argv, working_dir=str(folder), environment=environment, project="churn")


async def take(name: str, size: tuple[int, int], keys: Sequence[str]) -> Path:
    """The screen of a given size after some keys, as an SVG that needs no font from the network."""
    from console.tui.app import FootplateApp

    opens_runs = name != "triage"
    app = FootplateApp(client_factory=Client, profile=terminal.TerminalProfile(), opens_runs=opens_runs)
    async with app.run_test(size=size) as pilot:
        await pilot.pause(SETTLE_S)
        await press(pilot, keys)
        svg = app.export_screenshot(title="footplate")
        await pilot.press("q")
    path = PICTURES / f"{name}-{size[0]}x{size[1]}.svg"
    path.write_text(SVG_STYLE.sub("", svg).replace("Fira Code", "DejaVu Sans Mono, Menlo, Consolas"), encoding="utf-8")
    return path


async def press(pilot: Pilot[int], keys: Sequence[str]) -> None:
    """Keys one after the other, each with time for what it causes."""
    for key in keys:
        await pilot.press(key)
        await pilot.pause(0.3)
    await pilot.pause(SETTLE_S)


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default="", help="only pictures whose name holds this")
    options = parser.parse_args()
    for name in HIDING_VARIABLES:
        os.environ.pop(name, None)
    os.environ |= {"USER": "ana", "LOGNAME": "ana", "TZ": "UTC"}
    terminal.apply_environment(terminal.TerminalProfile(), os.environ)
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="footplate-") as name:
        folder = Path(name) / "churn"
        shutil.copytree(ROOT / "sample_projects" / "churn", folder, ignore=shutil.ignore_patterns("__pycache__"))
        subprocess.run([sys.executable, "generate.py"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        with opened_home(Path(name) / "state") as home:
            for arguments in TRAININGS:
                home.wait_ended(train(home, folder, arguments))
            live = train(home, folder, LIVE)
            home.wait_run(live, lambda detail: detail.row.metric is not None and detail.row.metric.last_step > 200)
            wanted = [
                ("runs", ("j", "space", "j", "j", "space", "space", "k", "k")),
                ("run", ("enter",)),
                ("help", ("question_mark",)),
            ]
            for picture, keys in wanted:
                for size in SIZES if picture != "help" else SIZES[1:2]:
                    if options.only in picture:
                        print(asyncio.run(take(picture, size, keys)).relative_to(ROOT))
            if options.only in "projects" or options.only in "triage":
                watch(home, folder)
            for size in SIZES[:2] if options.only in "projects" else ():
                print(asyncio.run(take("projects", size, ("9",))).relative_to(ROOT))
            if options.only in "triage":
                go_wrong(home, folder)
            for size in SIZES if options.only in "triage" else ():
                print(asyncio.run(take("triage", size, ())).relative_to(ROOT))
    return 0


def go_wrong(home: Home, folder: Path) -> None:
    """A run that failed, another that waits behind a pause, and a night without a look at the console."""
    home.wait_ended(train(home, folder, "--lr 0.1 --data data/may.parquet"))
    home.footplate("pause", "churn", "--reason", "the disk is being moved")
    home.footplate("sweep", "train", "-p", "lr=0.3,0.2", "-p", "leaves=63", "--yes", cwd=str(folder))
    home.end_daemon()
    now_s = time.time()
    absence = {"last_s": now_s, "left_s": now_s - 39_840, "back_s": now_s, "cleared_s": 0.0}
    told = {"format": 1, "persons": {getpass.getuser(): absence}}
    Path(home.path, "presence.json").write_text(json.dumps(told), encoding="utf-8")
    home.footplate("ps")


def watch(home: Home, folder: Path) -> None:
    """A project that has started something by itself, and whose manifest has changed since."""
    (folder / "footplate.toml").write_text(MANIFEST)
    (folder / "data" / "more").mkdir(parents=True, exist_ok=True)
    home.footplate("watch", str(folder))
    home.footplate("trust", "--yes", str(folder))
    triggers = next(Path(home.path, "projects").glob("*/triggers.json"))
    wait_until(lambda: json.loads(triggers.read_text())["jobs"]["train"]["content_id"])
    (folder / "data" / "more" / "october.parquet").write_bytes(b"rows")
    wait_until(lambda: json.loads(triggers.read_text())["jobs"]["train"]["last_runs"])
    (folder / "footplate.toml").write_text(MANIFEST + CHANGE)
    wait_until(lambda: "changed since" in home.footplate("projects").stdout)


if __name__ == "__main__":
    sys.exit(main())
