"""`python -m tests.big_index HOME`: a state directory whose index holds many runs, each with 20 metrics and 20 params.

The runs go in by the code that takes in any other (`Index.add_runs`, so params come into their rows as always); where
their metrics stand is inserted in bulk, without the points behind it. The same seed gives the same index.
"""

from __future__ import annotations

import argparse
import random
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

from store import database, paths
from store.ingest import Index

if TYPE_CHECKING:
    from collections.abc import Iterator

METRICS: Final = (
    *("train/loss", "train/acc", "val/loss", "val/acc", "val/auc", "val/f1", "test/acc", "grad_norm", "lr_now"),
    *(f"val/class_{number}/recall" for number in range(8)),
    *("epoch_time", "gpu_util", "throughput"),
)
PARAMS: Final[dict[str, tuple[str, ...]]] = {
    "lr": (),
    "seed": (),
    "optimizer": ("adam", "adamw", "sgd", "lion"),
    "model": ("vit-s", "vit-b", "vit-l", "resnet50", "convnext"),
    "batch_size": ("32", "64", "128", "256"),
    "epochs": ("10", "30", "90"),
    "dropout": ("0.0", "0.1", "0.2", "0.5"),
    "weight_decay": ("0", "1e-4", "1e-2"),
    "aug": ("none", "flip", "rand", "mixup"),
    "scheduler": ("cosine", "linear", "constant"),
    "warmup": ("0", "500", "1000"),
    "precision": ("bf16", "fp16", "fp32"),
    "dataset": ("imagenet", "cifar10", "churn"),
    "clip": ("1.0", "inf"),
    "ema": ("True", "False"),
    "workers": ("2", "4", "8"),
    "image_size": ("224", "384"),
    "label_smoothing": ("0.0", "0.1"),
    "layers": ("12", "24"),
    "fold": ("1", "2", "3", "4", "5"),
}
PROJECTS: Final = ("churn", "vit", "search-ranking", "asr")
STATES: Final = ("finished",) * 8 + ("failed", "stopped")
TAGS: Final = ("baseline", "paper", "keep", "bad-data")
NEWEST_S: Final = 1_790_000_000.0
RUNS_AT_ONCE: Final = 5000
LATEST_SQL: Final = """
    insert into metric_latest
    select no, key.id, 1000, (started_at_s * 1e6)::bigint, value,
        case when isfinite(value) then value * 0.5 end, case when isfinite(value) then value * 1.5 end,
        1000, 0, 1, 1, 0, null
    from (
        select run.no, run.started_at_s, key.id, case
            when hash(run.no, key.id) % 997 = 0 then 'nan'::double
            when hash(run.no, key.id) % 991 = 0 then 'inf'::double
            else (hash(run.no * 31 + key.id, $seed) % 1000000) / 1e6 end as value
        from run cross join metric_key key
    ) key
    order by no, key.id
"""


def rows(run_count: int, generator: random.Random) -> Iterator[dict[str, Any]]:
    """The columns of runs as the daemon gives them, an hour apart, the newest last."""
    for no in range(1, run_count + 1):
        params = {name: generator.choice(values) for name, values in PARAMS.items() if values}
        params |= {"lr": f"{10 ** generator.uniform(-5, -1):.2e}", "seed": str(no % 100)}
        project, state = generator.choice(PROJECTS), generator.choice(STATES)
        name = f"{params['model']} {params['optimizer']} {no}"
        command = f"python train.py --lr {params['lr']} --model {params['model']}"
        started_at_s = NEWEST_S - 3600.0 * (run_count - no)
        words = [f"r{no}", name, project, command, *(f"{key}={value}" for key, value in params.items())]
        yield {
            "id": f"01K8{no:022d}",
            "no": no,
            "name": name,
            "project": project,
            "state": state,
            "cause": "exit code 1" if state == "failed" else "",
            "cause_kind": "exit" if state == "failed" else "ok",
            "command": command,
            "argv": command.split(),
            "working_dir": f"/home/ana/{project}",
            "host": generator.choice(("gpu-01", "gpu-02", "gpu-03")),
            "params": params,
            "created_at_s": started_at_s - 5.0,
            "started_at_s": started_at_s,
            "ended_at_s": started_at_s + generator.uniform(60, 20_000),
            "exit_code": int(state == "failed"),
            "search_text": " ".join(words).lower(),
            # A run of our own without its directory would be reconciled away; one of a tracker is where it is.
            "tracker": generator.choice(("mlflow", "wandb", "tensorboard")),
            "import_id": "01K8BIG",
            "written_at_s": started_at_s,
        }


def fill(home: str, run_count: int, seed: int = 0) -> None:
    """Make the state directory `home`, which must not have an index, with an index of `run_count` runs."""
    paths.ensure_state_dir(home)
    with closing(database.open_database(paths.database_path(home))) as opened:
        index = Index(opened.cursor())
        index.ids_of(dict.fromkeys(METRICS, 0))
        waiting = []
        for row in rows(run_count, random.Random(seed)):
            waiting.append(row)
            if len(waiting) == RUNS_AT_ONCE:
                index.add_runs(waiting)
                waiting = []
        if waiting:
            index.add_runs(waiting)
        cursor = opened.cursor()
        cursor.execute(LATEST_SQL, {"seed": seed})
        primary = METRICS.index("val/acc") + 1
        columns = "primary_key_id = $id, guessed_key_id = $id, primary_goal = 'maximize', guessed_goal = 'maximize'"
        cursor.execute(f"update run set {columns}", {"id": primary})
        for position, tag in enumerate(TAGS):
            cursor.execute(
                "insert into tag select id, $tag, created_at_s, 'ana' from run where hash(no, $position) % 10 = 0",
                {"tag": tag, "position": position},
            )
        cursor.execute(
            "insert into note select id || '-n', id, created_at_s, 'ana', 'looks good' from run where no % 50 = 0"
        )


def main() -> None:
    """Fill a state directory from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", help="the state directory to make")
    parser.add_argument("--runs", type=int, default=100_000, help="how many (default: %(default)s)")
    options = parser.parse_args()
    began_s = time.perf_counter()
    fill(options.home, options.runs)
    print(f"{options.runs} runs in {options.home}, {time.perf_counter() - began_s:.1f} s")


if __name__ == "__main__":
    main()
