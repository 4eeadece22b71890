"""Write the fixtures of MLflow's stores with MLflow itself: `python write_mlflow.py OUT_FOLDER files|sqlite`.

Runs in an environment of its own, as tests/fixtures/mlflow/README.md says. Beside the store it writes `reported.json`:
what MLflow's own reader says of each run.
"""

from __future__ import annotations

import json
import math
import os
import sqlite3
import sys

os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
os.environ["GIT_PYTHON_REFRESH"] = "quiet"
os.environ["LOGNAME"] = os.environ["USER"] = os.environ["MLFLOW_TRACKING_USERNAME"] = "ana"
os.environ["MLFLOW_ENABLE_ASYNC_LOGGING"] = "false"

import mlflow  # type: ignore[import-not-found,unused-ignore]
from mlflow import MlflowClient  # type: ignore[import-not-found,unused-ignore]
from mlflow.entities import Metric  # type: ignore[import-not-found,unused-ignore]

CLOCK_MS = 1_795_187_251_547


def write(client: MlflowClient) -> None:
    """A few runs of every kind."""
    experiment = client.create_experiment("digits: first try", tags={"team": "vision"})
    plain = start(client, experiment, "plain", {"team": "vision", "mlflow.note.content": "A *note*\nof two lines"})
    client.log_param(plain, "lr", 0.1)
    client.log_param(plain, "model/depth", 12)
    client.log_param(plain, "prompt", "first line\n\n  second line\n")
    client.log_param(plain, "umlaut", "für 5 €")
    for step in range(40):
        log(client, plain, "loss", 1 / (step + 1), step)
        log(client, plain, "train/acc/top1", step / 40, step)
    log(client, plain, "best", 0.5, 7, 20)
    log(client, plain, "best", 0.9, 3, 30)
    log(client, plain, "same_step", 1.0, 5, 10)
    log(client, plain, "same_step", 4.0, 5, 40)
    log(client, plain, "same_step", 2.0, 5, 40)
    client.log_dict(plain, {"a": 1}, "report/numbers.json")
    client.log_text(plain, "hello\n", "words.txt")
    client.set_terminated(plain, "FINISHED", CLOCK_MS + 90_000)

    odd = start(client, experiment, "odd: \"quoted\" #name 'x' " + "long " * 30, {})
    for step, value in enumerate((1.0, math.nan, math.inf, -math.inf)):
        log(client, odd, "odd", value, step)
    log(client, odd, "is_nan", math.nan, 0)
    log(client, odd, "is_inf", math.inf, 0)
    log(client, odd, "minus", 1.0, -3)
    client.set_terminated(odd, "FAILED", CLOCK_MS + 5_000)

    gone = start(client, experiment, "gone", {})
    log(client, gone, "loss", 3.0, 0)
    client.set_terminated(gone, "KILLED", CLOCK_MS + 7_000)
    client.delete_run(gone)

    going = start(client, "0", "going", {})
    for step in range(3):
        log(client, going, "loss", 2.0 - step, step)

    trash = client.create_experiment("thrown away")
    thrown = start(client, trash, "thrown", {})
    log(client, thrown, "loss", 8.0, 0)
    client.set_terminated(thrown, "FINISHED", CLOCK_MS + 9_000)
    client.delete_experiment(trash)


def start(client: MlflowClient, experiment: str, name: str, tags: dict[str, str]) -> str:
    """A run; returns its id."""
    tags = {"mlflow.source.name": "train.py", "mlflow.user": "ana", **tags}
    return str(client.create_run(experiment, CLOCK_MS, tags, name).info.run_id)


def log(client: MlflowClient, run_id: str, key: str, value: float, step: int, after_ms: int | None = None) -> None:
    """One point."""
    client.log_batch(run_id, [Metric(key, value, CLOCK_MS + (step if after_ms is None else after_ms), step)])


def reported(client: MlflowClient) -> dict[str, object]:
    """What MLflow says, by run id."""
    experiments = {each.experiment_id: each.name for each in client.search_experiments(3)}
    found: dict[str, object] = {}
    for run in client.search_runs(list(experiments), run_view_type=3):
        data = client.get_run(run.info.run_id).data
        found[run.info.run_id] = {
            "name": run.info.run_name,
            "experiment": experiments[run.info.experiment_id],
            "status": run.info.status,
            "lifecycle_stage": run.info.lifecycle_stage,
            "start_time": run.info.start_time,
            "end_time": run.info.end_time,
            "params": data.params,
            "tags": data.tags,
            "metrics": {key: str(value) for key, value in data.metrics.items()},
            "histories": {
                key: [
                    [each.step, each.timestamp, str(each.value)]
                    for each in client.get_metric_history(run.info.run_id, key)
                ]
                for key in data.metrics
            },
        }
    return found


def main() -> None:
    """Write one store."""
    out, kind = os.path.abspath(sys.argv[1]), sys.argv[2]
    os.makedirs(out, exist_ok=True)
    os.chdir(out)
    client = MlflowClient("file:./mlruns" if kind == "files" else "sqlite:///mlflow.db")
    write(client)
    with open("reported.json", "w", encoding="utf-8") as file:
        json.dump({"mlflow": mlflow.__version__, "runs": reported(client)}, file, indent=1, sort_keys=True)
        file.write("\n")
    if kind == "sqlite":
        database = sqlite3.connect("mlflow.db")
        database.execute("vacuum")
        database.close()


if __name__ == "__main__":
    main()
