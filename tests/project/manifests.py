"""A manifest with everything in it, and the errors of others."""

from __future__ import annotations

import pytest

from console.project import manifest
from console.project.manifest_model import ManifestError

WHOLE = """\
[project]
name = "churn"
primary_metric = { key = "valid/auc", goal = "maximize" }

[jobs.train]
command = "{python} train.py --lr {lr} --leaves {leaves}"   # {python}: the project's interpreter
params  = { lr = 1e-3, leaves = 31, tag = "a b", fast = true }
gpus    = 1
memory  = "2GB"
timeout = "2h"
retry   = { on = ["interrupted", "gpu_lost"], max = 2, delay = "1m", resume = "{python} train.py --resume" }
outputs = ["model.txt"]
priority = -3
env = { OMP_NUM_THREADS = 4 }
cwd = "./training/"
mutex = "db"
isolate = "worktree"
checkpoint = { signal = "USR1", time = "1m" }

[jobs.eval]
command = ["{python}", "eval.py", "a b"]
after   = ["train", { job = "generate", on = "any" }]
trigger = { on_change = ["data/*.parquet"], cron = "@daily", cooldown = "5m" }

[jobs.generate]
command = "echo {{}} > data.txt"
shell = true

[cost]
gpu_hour = 2.10

[monitor.scoring]
reference = "data/reference.parquet"
"""


def error_of(text: str) -> ManifestError:
    """The error that a text gives."""
    with pytest.raises(ManifestError) as caught:
        manifest.parse(text)
    error = caught.value
    assert str(error).startswith(f"footplate.toml:{error.line}: ") or not error.line
    assert f"{error.problem}; expected {error.expected}" in str(error)
    assert error.expected
    return error


def job(line: str, command: str = 'command = "true"') -> str:
    """A manifest of one job; `line` is its third line."""
    return f"[jobs.train]\n{command}\n{line}\n"
