"""Writes `tests/fixtures/dvclive` with DVCLive, in an environment of its own:

    uv venv ENV --python 3.11
    uv pip install --python ENV/bin/python dvclive
    ENV/bin/python tests/writers/write_dvclive.py tests/fixtures/dvclive

DVCLive turns the git repository around it into one of DVC, and stages files there: it runs in a folder outside of any.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import json
import math
import os
import shutil
import sys
import tempfile
from typing import Any

PARAMS: dict[str, Any] = {"lr": 0.01, "model": {"name": "small", "layers": [64, 32]}, "note": "first line\nsecond: 2\n"}


def main(target: str) -> None:
    """One run with nested names, a metric with times, and one that is only in the summary."""
    live_class = importlib.import_module("dvclive").Live
    logged: dict[str, list[list[Any]]] = {}
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        live = live_class(save_dvc_exp=False, dvcyaml=None, report=None)
        live.log_params(PARAMS)
        for step in range(30):
            metrics = {"train/loss": 1 / (step + 1), "train/acc": step / 30, "lr": 0.01}
            for key, value in metrics.items():
                live.log_metric(key, value)
                logged.setdefault(key, []).append([step, value])
            if step % 10 == 0:
                live.log_metric("val/loss", math.nan if step == 20 else step + 0.5, timestamp=True)
                logged.setdefault("val/loss", []).append([step, "nan" if step == 20 else step + 0.5])
            live.next_step()
        live.log_metric("test/f1", 0.75, plot=False)
        live.end()
        shutil.copytree("dvclive", os.path.join(target, "digits", "dvclive"), dirs_exist_ok=True)
    content = {"library": f"dvclive {importlib.metadata.version('dvclive')}", "runs": {"digits/dvclive": logged}}
    with open(os.path.join(target, "logged.json"), "w", encoding="utf-8") as file:
        json.dump(content, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main(os.path.abspath(sys.argv[1]))
