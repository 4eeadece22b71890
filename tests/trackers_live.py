"""A folder with a live run of each tracker, and a way to have each write one more value: what its library would."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.store.foreign_files import chunked, event, message, scalar

if TYPE_CHECKING:
    from collections.abc import Callable

FIXTURES = Path(__file__).parent / "fixtures"
RUN = "a" * 32
KEY = "live/loss"


class LiveRun:
    """One run that somebody is writing; `write(step, value)` appends a value of the metric `live/loss`."""

    def __init__(self, name: str, write: Callable[[int, float], None]) -> None:
        self.name = name
        self.write = write


def mlflow_files(folder: Path) -> LiveRun:
    """MLflow's file store."""
    run = folder / "mlruns" / "0" / RUN
    for part in ("metrics/live", "params", "tags"):
        (run / part).mkdir(parents=True)
    now_ms = int(time.time() * 1000)
    (run.parent / "meta.yaml").write_text("experiment_id: '0'\nlifecycle_stage: active\nname: Default\n")
    (run / "meta.yaml").write_text(
        f"artifact_uri: {run}/artifacts\nend_time: null\nexperiment_id: '0'\nlifecycle_stage: active\n"
        f"run_id: {RUN}\nrun_name: live-mlflow\nstart_time: {now_ms}\nstatus: 1\n"
    )
    (run / "params" / "lr").write_text("0.1")

    def write(step: int, value: float) -> None:
        with (run / "metrics" / KEY).open("a") as file:
            file.write(f"{int(time.time() * 1000)} {value!r} {step}\n")

    return LiveRun("live-mlflow", write)


def mlflow_sqlite(folder: Path) -> LiveRun:
    """MLflow's database, with the fixture's schema."""
    path = folder / "mlflow.db"
    path.write_bytes(gzip.decompress((FIXTURES / "mlflow" / "sqlite" / "mlflow.db.gz").read_bytes()))
    with sqlite3.connect(path) as database:
        for table in ("metrics", "latest_metrics", "params", "tags", "runs"):
            database.execute(f"delete from {table}")
        columns = "run_uuid, name, status, start_time, lifecycle_stage, experiment_id, source_type"
        row = ("b" * 32, "live-sqlite", "RUNNING", int(time.time() * 1000), "active", 0, "LOCAL")
        database.execute(f"insert into runs ({columns}) values (?, ?, ?, ?, ?, ?, ?)", row)
    database.close()

    def write(step: int, value: float) -> None:
        opened = sqlite3.connect(path, timeout=0)
        with opened:
            now_ms = int(time.time() * 1000)
            point = (KEY, value, now_ms, "b" * 32, step, False)
            names = "(key, value, timestamp, run_uuid, step, is_nan)"
            opened.execute(f"insert into metrics {names} values (?, ?, ?, ?, ?, ?)", point)
            opened.execute(f"insert or replace into latest_metrics {names} values (?, ?, ?, ?, ?, ?)", point)
        opened.close()

    return LiveRun("live-sqlite", write)


def tensorboard(folder: Path) -> LiveRun:
    """An event file."""
    run = folder / "tb" / "live-tensorboard"
    run.mkdir(parents=True)
    path = run / f"events.out.tfevents.{int(time.time())}.gpu-03.4711.0"

    def write(step: int, value: float) -> None:
        with path.open("ab") as file:
            file.write(event(time.time(), step, scalar(KEY, value)))

    return LiveRun("live-tensorboard", write)


def wandb(folder: Path) -> LiveRun:
    """A record log."""
    run = folder / "wandb" / "offline-run-20261124_120000-live0000"
    run.mkdir(parents=True)
    path = run / "run-live0000.wandb"
    now_s = int(time.time())
    head = message((1, "live0000"), (3, "churn"), (8, "live-wandb"), (17, message((1, now_s))))
    records = [message((17, head))]

    def write(step: int, value: float) -> None:
        items = {"_step": step, "_timestamp": time.time(), KEY: value}
        history = b"".join(message((1, message((1, key), (16, json.dumps(each))))) for key, each in items.items())
        records.append(message((2, history)))
        grown = chunked(*records)
        known = path.stat().st_size if path.exists() else 0
        with path.open("ab") as file:
            file.write(grown[known:])

    return LiveRun("live-wandb", write)


def lightning(folder: Path) -> LiveRun:
    """A metrics.csv."""
    run = folder / "lightning_logs" / "version_7"
    run.mkdir(parents=True)
    (run / "hparams.yaml").write_text("lr: 0.1\n")
    path = run / "metrics.csv"
    path.write_text(f"epoch,step,{KEY}\n")

    def write(step: int, value: float) -> None:
        with path.open("a") as file:
            file.write(f"0,{step},{value!r}\n")

    return LiveRun("lightning_logs/version_7", write)


def huggingface(folder: Path) -> LiveRun:
    """Checkpoints with their states."""
    run = folder / "live-trainer"
    run.mkdir()
    history: list[dict[str, float]] = []

    def write(step: int, value: float) -> None:
        history.append({"step": step, KEY: value, "epoch": step / 10})
        state = {"log_history": history, "global_step": step, "max_steps": 1000, "num_train_epochs": 3}
        place = run / f"checkpoint-{step}"
        place.mkdir()
        (place / "trainer_state.json").write_text(json.dumps(state))

    return LiveRun("live-trainer", write)


def dvclive(folder: Path) -> LiveRun:
    """Tables of DVCLive."""
    run = folder / "live-dvc" / "dvclive"
    path = run / "plots" / "metrics" / "live" / "loss.tsv"
    path.parent.mkdir(parents=True)
    path.write_text("step\tloss\n")
    (run / "params.yaml").write_text("lr: 0.1\n")

    def write(step: int, value: float) -> None:
        with path.open("a") as file:
            file.write(f"{step}\t{value!r}\n")
        temporary = run / "metrics.json.new"
        temporary.write_text(json.dumps({"live": {"loss": value}, "step": step}))
        temporary.replace(run / "metrics.json")

    return LiveRun("live-dvc", write)


def trackio(folder: Path) -> LiveRun:
    """A database of trackio, with the fixture's schema."""
    place = folder / "trackio"
    place.mkdir()
    path = place / "digits.db"
    source = next((FIXTURES / "trackio" / "trackio").glob("*.db.gz"))
    with gzip.open(source) as packed, path.open("wb") as file:
        shutil.copyfileobj(packed, file)
    with sqlite3.connect(path) as database:
        for table in ("metrics", "configs", "system_metrics"):
            database.execute(f"delete from {table}")
    database.close()
    os.utime(path)

    def write(step: int, value: float) -> None:
        opened = sqlite3.connect(path, timeout=1)
        with opened:
            names = {row[1] for row in opened.execute("pragma table_info(metrics)")}
            now = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
            row = {"run_id": "r-live", "timestamp": now, "run_name": "live-trackio", "step": step}
            row["metrics"] = json.dumps({KEY: value})
            row = {name: each for name, each in row.items() if name in names}
            marks = ", ".join("?" * len(row))
            opened.execute(f"insert into metrics ({', '.join(row)}) values ({marks})", list(row.values()))
        opened.close()

    return LiveRun("live-trackio", write)


TRACKERS: dict[str, Callable[[Path], LiveRun]] = {
    "mlflow files": mlflow_files,
    "mlflow.db": mlflow_sqlite,
    "tensorboard": tensorboard,
    "wandb": wandb,
    "lightning": lightning,
    "huggingface": huggingface,
    "dvclive": dvclive,
    "trackio": trackio,
}
