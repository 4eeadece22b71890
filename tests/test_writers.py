"""Runs that the trackers' own libraries write now, imported, against what those libraries say: `just writers`."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests import old_runs
from tests.support import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support import Home

COUNTS = {"mlflow": 6, "tensorboard": 6, "wandb": 3}
LIVE = {
    "mlflow": """
import os, sys, time
os.environ.update(GIT_PYTHON_REFRESH="quiet", MLFLOW_ENABLE_ASYNC_LOGGING="false")
import mlflow
client = mlflow.MlflowClient(f"sqlite:///{sys.argv[1]}/mlflow.db")
run = client.create_run(client.create_experiment("live"), run_name="live")
for step in range(100_000):
    client.log_metric(run.info.run_id, "live/loss", float(step), step=step)
    print(step, flush=True)
    time.sleep(0.1)
""",
    "tensorboard": """
import sys, time
from tensorboardX import SummaryWriter
writer = SummaryWriter(f"{sys.argv[1]}/live", flush_secs=1)
for step in range(100_000):
    writer.add_scalar("live/loss", float(step), step)
    writer.flush()
    print(step, flush=True)
    time.sleep(0.1)
""",
    "wandb": """
import sys, time
import wandb
settings = wandb.Settings(disable_git=True, save_code=False, x_disable_stats=True, console="off", silent=True)
run = wandb.init(project="churn", mode="offline", dir=sys.argv[1], name="live", settings=settings)
for step in range(100_000):
    run.log({"live/loss": float(step), "padding": "x" * 2000})
    print(step, flush=True)
    time.sleep(0.02)
""",
}


@pytest.fixture(scope="session")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the libraries are installed."""
    return tmp_path_factory.mktemp("environments")


@pytest.mark.parametrize("tracker", COUNTS)
def test_every_param_and_final_value_is_what_the_library_says(
    home: Home, tmp_path: Path, environments: Path, tracker: str
) -> None:
    old_runs.write(tmp_path / "old", environments, tracker, COUNTS[tracker])
    expected = json.loads((tmp_path / "old" / f"expected-{tracker}.json").read_text())
    home.footplate("import", str(tmp_path / "old"))
    rows = {row.name: row for row in home.client().runs(limit=1000).rows}
    assert len(rows) == len(expected) == COUNTS[tracker]
    for told in expected.values():
        detail = home.client().run(rows[told["name"]].id)
        assert {metric.key: metric.last for metric in detail.metrics} == told["metrics"]
        assert detail.row.params == {key: str(value) for key, value in told["params"].items()}


@pytest.mark.parametrize("tracker", COUNTS)
def test_a_library_that_is_writing_is_followed_and_never_disturbed(
    home: Home, tmp_path: Path, environments: Path, tracker: str
) -> None:
    python = old_runs.environment(environments, tracker)
    command = [str(python), "-c", LIVE[tracker], str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as writer:
        try:
            assert writer.stdout is not None
            writer.stdout.readline()
            run = wait_until(lambda: first_of(home, tmp_path))
            seen = last_of(home, run)
            wait_until(lambda: last_of(home, run) >= seen + 10)
            assert writer.poll() is None
        finally:
            writer.kill()
            _, errors = writer.communicate()
    assert "Error" not in errors
    assert "locked" not in errors


def first_of(home: Home, folder: Path) -> str | None:
    """The only run, once its metric has arrived."""
    home.footplate("import", "-d", str(folder))
    rows = home.client().runs().rows
    return rows[0].id if rows and rows[0].metric is not None else None


def last_of(home: Home, run: str) -> float:
    """The newest value that the index has."""
    return next(metric.last for metric in home.client().run(run).metrics if metric.key == "live/loss")
