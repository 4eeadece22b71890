"""Writes runs as W&B does offline, and beside them what was logged.

Run in an environment of its own: `pip install wandb==0.31.0`, then `python write_wandb.py FOLDER`.
"""

from __future__ import annotations

import json
import math
import os
import platform
import shutil
import subprocess
import sys
from typing import Any

LOGGED: dict[str, list[dict[str, Any]]] = {
    "whole": [
        {"loss": 1 / (step + 1), "nested": {"x": step, "deep": {"y": -step}}, "is_best": step % 2 == 0, "word": "hello"}
        for step in range(20)
    ]
    + [{"odd": math.nan}, {"odd": math.inf}, {"odd": -math.inf}, {"Größe/µ": 1e-300}],
    "failed": [{"loss": 2.0}],
    "cut": [{"loss": float(step), "steps": step * 100} for step in range(300)],
}
CONFIG: dict[str, Any] = {"lr": 0.01, "optimizer": {"name": "adam", "betas": [0.9, 0.999]}, "seed": None}
LONG: str = "word " * 9000
"""Longer than a block of the log, so that its record is in three pieces."""


def main(folder: str) -> None:
    """Write everything below a folder that does not exist yet."""
    os.makedirs(folder)
    for name in LOGGED:
        subprocess.run([sys.executable, os.path.abspath(__file__), folder, name], check=True)
    wandb_dir = os.path.join(folder, "wandb")
    for inner in os.listdir(wandb_dir):
        path = os.path.join(wandb_dir, inner)
        if os.path.islink(path):
            os.remove(path)
            continue
        for unneeded in ("logs", "tmp"):
            shutil.rmtree(os.path.join(path, unneeded), ignore_errors=True)
    with open(os.path.join(folder, "expected.json"), "w", encoding="utf-8") as file:
        json.dump({"logged": LOGGED, "config": CONFIG, "long_characters": len(LONG)}, file, indent=0)
        file.write("\n")


def write(folder: str, name: str) -> None:
    """One run."""
    os.chdir(folder)
    platform.platform = lambda *_, **__: "Linux-6.1.0-x86_64-with-glibc2.36"
    import wandb  # type: ignore[import-not-found]

    settings = wandb.Settings(
        host="gpu-03",
        program="train.py",
        x_executable="/usr/bin/python3",
        root_dir="/home/ana/churn",
        disable_git=True,
        save_code=False,
        x_disable_stats=True,
        username="ana",
        email="",
        x_save_requirements=False,
        console="off",
    )
    sys.argv = ["train.py", "--lr", "0.01", "--note", "two words"]
    run = wandb.init(
        project="churn",
        mode="offline",
        dir=folder,
        id=f"{name}0000",
        name=name,
        notes="a note",
        tags=["baseline", "nightly"],
        config=CONFIG,
        settings=settings,
    )
    for each in LOGGED[name]:
        run.log(each)
    if name == "whole":
        run.config.update({"later": "yes", "long": LONG})
        run.log({"page": wandb.Html("<p>all is well</p>")})
        run.summary["best"] = 3.5
    if name == "cut":
        # Nobody says goodbye; the log is what had been flushed by then.
        import time

        time.sleep(3)
        os._exit(0)
    run.finish(exit_code=3 if name == "failed" else 0)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        write(sys.argv[1], sys.argv[2])
    else:
        main(sys.argv[1])
