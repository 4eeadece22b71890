"""Writes many small runs with one tracker, and what its own reader says of them: `old_runs.py TRACKER OUT COUNT`.

Run in an environment of its own, by tests/old_runs.py. `expected-TRACKER.json` holds per run its params and the final
value of each metric, both as the library's own reader has them; where it has none (W&B offline), as they were logged.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import math
import os
import sys
from typing import Any

STEPS = 10
Told = dict[str, dict[str, Any]]


def params_of(number: int) -> dict[str, Any]:
    """Of one run."""
    return {"lr": 10.0 ** -(1 + number % 4), "seed": number, "model": ["mlp", "cnn", "vit"][number % 3]}


def values_of(tracker: str, number: int, step: int) -> dict[str, float]:
    """Metrics of one step, which no other run has."""
    own = number / 1000 + len(tracker) / 10_000
    return {
        "train/loss": math.exp(-step / (3 + number % 5)) + own,
        "val/acc": 1 - math.exp(-step / (2 + number % 7)) - own / 2,
    }


def mlflow(out: str, count: int) -> Told:
    """Runs in one `mlflow.db`; every tenth has failed."""
    os.environ.update(GIT_PYTHON_REFRESH="quiet", MLFLOW_ENABLE_ASYNC_LOGGING="false", LOGNAME="ana", USER="ana")
    module = importlib.import_module("mlflow")
    entities = importlib.import_module("mlflow.entities")
    client = module.MlflowClient(f"sqlite:///{out}/mlflow.db")
    experiment = client.create_experiment("sweep", artifact_location=f"{out}/artifacts")
    for number in range(count):
        run = client.create_run(experiment, run_name=f"trial-{number}")
        params = [entities.Param(key, str(value)) for key, value in params_of(number).items()]
        metrics = [
            entities.Metric(key, value, 1_790_000_000_000 + number * 60_000 + step * 1000, step)
            for step in range(STEPS)
            for key, value in values_of("mlflow", number, step).items()
        ]
        client.log_batch(run.info.run_id, metrics, params)
        client.set_terminated(run.info.run_id, "FAILED" if number % 10 == 9 else "FINISHED")
    found = client.search_runs([experiment], max_results=count)
    return {
        run.info.run_id: {"name": run.info.run_name, "params": run.data.params, "metrics": run.data.metrics}
        for run in found
    }


def tensorboard(out: str, count: int) -> Told:
    """Event files with scalars and hyperparameters, a folder a run."""
    writers = importlib.import_module("tensorboardX")
    readers = importlib.import_module("tensorboard.backend.event_processing.event_accumulator")
    told: Told = {}
    for number in range(count):
        folder = f"{out}/tb/exp-{number}"
        with contextlib.redirect_stdout(sys.stderr), writers.SummaryWriter(folder) as writer:
            for step in range(STEPS):
                for key, value in values_of("tensorboard", number, step).items():
                    writer.add_scalar(key, value, step)
            writer.add_hparams(params_of(number), {"hparam/score": float(number)}, name="hparams")
        metrics: dict[str, float] = {}
        for part in (folder, f"{folder}/hparams"):
            loaded = readers.EventAccumulator(part, size_guidance={"scalars": 0})
            loaded.Reload()
            metrics |= {key: loaded.Scalars(key)[-1].value for key in loaded.Tags()["scalars"]}
        told[f"exp-{number}"] = {"name": f"exp-{number}", "params": params_of(number), "metrics": metrics}
    return told


def wandb(out: str, count: int) -> Told:
    """Offline runs."""
    module = importlib.import_module("wandb")
    told: Told = {}
    for number in range(count):
        settings = module.Settings(
            host="gpu-03", disable_git=True, save_code=False, x_disable_stats=True, console="off", silent=True
        )
        name = f"night-{number}"
        run = module.init(
            project="churn", mode="offline", dir=out, id=name, name=name, config=params_of(number), settings=settings
        )
        for step in range(STEPS):
            run.log(values_of("wandb", number, step))
        run.finish()
        told[name] = {"name": name, "params": params_of(number), "metrics": values_of("wandb", number, STEPS - 1)}
    return told


def dvclive(out: str, count: int) -> Told:
    """A `dvclive` folder in a folder of its own each."""
    live_class = importlib.import_module("dvclive").Live
    told: Told = {}
    for number in range(count):
        folder = f"{out}/dvc/try-{number}"
        os.makedirs(folder)
        with contextlib.chdir(folder):
            with live_class(save_dvc_exp=False, dvcyaml=None, report=None) as live:
                live.log_params(params_of(number))
                for step in range(STEPS):
                    for key, value in values_of("dvclive", number, step).items():
                        live.log_metric(key, value)
                    live.next_step()
            with open("dvclive/metrics.json", encoding="utf-8") as file:
                kept = json.load(file)
        metrics = {"train/loss": kept["train"]["loss"], "val/acc": kept["val"]["acc"]}
        told[f"try-{number}"] = {"name": f"try-{number}", "params": params_of(number), "metrics": metrics}
    return told


if __name__ == "__main__":
    tracker, target, runs = sys.argv[1], os.path.abspath(sys.argv[2]), int(sys.argv[3])
    os.makedirs(target, exist_ok=True)
    written = {"mlflow": mlflow, "tensorboard": tensorboard, "wandb": wandb, "dvclive": dvclive}[tracker](target, runs)
    with open(f"{target}/expected-{tracker}.json", "w", encoding="utf-8") as file:
        json.dump(written, file)
