"""Leave older runs behind, as a team that has used two trackers would have: MLflow's mlruns/ and Lightning's CSV logs.

The models are really trained, on the data of generate.py; only their dates are set back by two weeks. The files have
the layout that MLflow's file store and Lightning's CSVLogger write.
"""

from __future__ import annotations

import argparse
import os
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import train

if TYPE_CHECKING:
    from train import Parts

    History = list[dict[str, float]]

DAY_S = 86400
TREES = ((0.3, 63), (0.1, 63), (0.05, 31), (0.3, 15))
"""Learning rates and leaves of the runs in mlruns/."""
LINEAR = (0.3, 0.03, 0.01)
"""Learning rates of the runs in lightning_logs/."""


def trained(parts: Parts, model: str, **options: float) -> History:
    """Train one model; per round, its step and metrics."""
    history: History = []
    defaults = {"lr": 0.1, "leaves": 31, "rounds": 30, "seed": 7, "decreasing": "", "scale": "standard"}
    method = train.train_trees if model == "trees" else train.train_linear
    chosen = argparse.Namespace(**(defaults | options))
    method(chosen, parts, lambda step, values: history.append({"step": step, **values}), quiet=True)
    return history


def write_mlflow_run(experiment: Path, params: dict[str, float], history: History, started_s: float) -> None:
    """One run of MLflow's file store."""
    run_id = uuid.uuid4().hex
    folder = experiment / run_id
    for name in ("metrics", "params", "tags", "artifacts"):
        (folder / name).mkdir(parents=True)
    start_ms, end_ms = int(started_s * 1000), int(started_s * 1000) + 100 * len(history)
    meta = {
        "artifact_uri": (folder / "artifacts").as_uri(),
        "end_time": end_ms,
        "experiment_id": f"'{experiment.name}'",
        "lifecycle_stage": "active",
        "run_id": run_id,
        "run_name": f"trees-{run_id[:4]}",
        "source_type": 4,
        "start_time": start_ms,
        "status": 3,
        "user_id": "ana",
    }
    (folder / "meta.yaml").write_text("".join(f"{key}: {value}\n" for key, value in meta.items()), encoding="utf-8")
    for key, value in params.items():
        (folder / "params" / key).write_text(str(value), encoding="utf-8")
    for key in history[0].keys() - {"step"}:
        path = folder / "metrics" / key
        path.parent.mkdir(exist_ok=True)
        lines = [f"{start_ms + 100 * number} {line[key]} {line['step']}\n" for number, line in enumerate(history)]
        path.write_text("".join(lines), encoding="utf-8")


def write_lightning_run(folder: Path, params: dict[str, float], history: History) -> None:
    """One version of Lightning's CSVLogger."""
    folder.mkdir(parents=True)
    keys = sorted(history[0].keys() - {"step"})
    rows = [",".join(str(line[key]) for key in ("step", *keys)) for line in history]
    (folder / "metrics.csv").write_text("\n".join([",".join(("step", *keys)), *rows]) + "\n", encoding="utf-8")
    (folder / "hparams.yaml").write_text(
        "".join(f"{key}: {value}\n" for key, value in params.items()), encoding="utf-8"
    )


def main() -> None:
    """Train and write."""
    parser = argparse.ArgumentParser(description="Leave runs of two trackers behind.")
    parser.add_argument("--data", type=Path, default=Path("data/train.parquet"))
    options = parser.parse_args()
    parts = train.split(train.load_table(options.data), seed=7, repeat=1)
    then_s = time.time() - 14 * DAY_S
    experiment = Path("mlruns").resolve() / "101"
    experiment.mkdir(parents=True, exist_ok=True)
    about = f"experiment_id: '101'\nlifecycle_stage: active\nname: churn\nartifact_location: {experiment.as_uri()}\n"
    (experiment / "meta.yaml").write_text(about, encoding="utf-8")
    for number, (lr, leaves) in enumerate(TREES):
        history = trained(parts, "trees", lr=lr, leaves=leaves)
        write_mlflow_run(experiment, {"lr": lr, "leaves": leaves}, history, then_s + 600 * number)
    for number, lr in enumerate(LINEAR):
        history = trained(parts, "linear", lr=lr)
        write_lightning_run(Path("lightning_logs") / f"version_{number}", {"lr": lr}, history)
    for path in (*Path("mlruns").rglob("*"), *Path("lightning_logs").rglob("*")):
        os.utime(path, (then_s + 3600, then_s + 3600))
    print(f"left {len(TREES)} runs in mlruns/ and {len(LINEAR)} in lightning_logs/")


if __name__ == "__main__":
    main()
