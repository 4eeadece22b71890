"""Train gradient boosted trees that predict which customers leave, and save them to model.txt.

Prints the metrics of the held-out quarter every few rounds. Where $FOOTPLATE_METRICS names a file, every round also
appends one JSON line to it; without it nothing changes.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Callable

EXIT_BAD_DATA = 3
EXIT_NO_LIGHTGBM = 4
CATEGORIES = {
    "region": ["north", "south", "east", "west"],
    "sex": ["female", "male"],
    "contract": ["monthly", "yearly", "two_years"],
    "payment": ["card", "transfer", "invoice"],
}
NUMBERS = ["age", "tenure_months", "data_gb", "monthly_charges", "support_calls", "late_payments"]
FEATURES = [*CATEGORIES, *NUMBERS]
LABEL = "churned"


def fail(code: int, sentence: str) -> None:
    """End the process with `code` and one sentence on stderr."""
    print(f"train.py: {sentence}", file=sys.stderr)
    raise SystemExit(code)


def load_lightgbm() -> Any:
    """The lightgbm module, or the end of the process when it cannot be loaded."""
    try:
        import lightgbm
    except ImportError:
        fail(EXIT_NO_LIGHTGBM, "LightGBM is not installed: run `pip install lightgbm`.")
    except OSError as error:
        fail(
            EXIT_NO_LIGHTGBM, f"LightGBM cannot be loaded ({error}): on Debian or Ubuntu `apt install libgomp1` helps."
        )
    return lightgbm


def load_table(path: Path) -> pl.DataFrame:
    """The columns FEATURES and LABEL of a Parquet file, or the end of the process when they are not there."""
    if not path.is_file():
        fail(EXIT_BAD_DATA, f"there is no file {path}: run `python generate.py` first or name another with --data.")
    try:
        table = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        fail(EXIT_BAD_DATA, f"{path} is not a readable Parquet file: {str(error).splitlines()[0]}.")
    missing = [name for name in (*FEATURES, LABEL) if name not in table.columns]
    if missing:
        fail(EXIT_BAD_DATA, f"{path} lacks the columns {', '.join(missing)}.")
    wrong = [name for name in CATEGORIES if table.schema[name] != pl.String]
    wrong += [name for name in NUMBERS if not table.schema[name].is_numeric()]
    wrong += [LABEL] if table.schema[LABEL] != pl.Boolean else []
    if wrong:
        fail(EXIT_BAD_DATA, f"{path} has columns of the wrong type: {', '.join(wrong)}.")
    if table.height < 100 or table[LABEL].n_unique() < 2:
        fail(EXIT_BAD_DATA, f"{path} needs at least 100 rows, some churned and some not.")
    return table.select(*FEATURES, LABEL)


def to_matrix(table: pl.DataFrame) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Features as (rows, features), categories as their position in CATEGORIES, unknown ones as NaN."""
    codes = [
        pl.col(name).replace_strict(values, range(len(values)), default=None, return_dtype=pl.Float64)
        for name, values in CATEGORIES.items()
    ]
    return table.select(*codes, *(pl.col(name).cast(pl.Float64) for name in NUMBERS)).to_numpy()


def metric_writer(path: str) -> Callable[[Any], None]:
    """A LightGBM callback that appends `{"step": …, "train/auc": …}` to `path` after every round."""

    def write(env: Any) -> None:
        line: dict[str, float] = {"step": env.iteration + 1}
        for data_name, metric, value, _ in env.evaluation_result_list:
            line[f"{data_name}/{metric}"] = value
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    return write


def parse_options() -> argparse.Namespace:
    """The command line; impossible numbers end the process with code 2."""
    parser = argparse.ArgumentParser(description="Train a churn model.")
    parser.add_argument("--lr", type=float, default=0.1, help="learning rate, above 0 and at most 1")
    parser.add_argument("--leaves", type=int, default=31, help="most leaves of one tree, at least 2")
    parser.add_argument("--rounds", type=int, default=60, help="number of trees")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--data", type=Path, default=Path("data/train.parquet"))
    options = parser.parse_args()
    if not 0 < options.lr <= 1:
        parser.error("--lr must be above 0 and at most 1")
    if options.leaves < 2 or options.rounds < 1 or options.seed < 0:
        parser.error("--leaves must be at least 2, --rounds at least 1 and --seed not negative")
    return options


def main() -> None:
    """Train, print, save."""
    options = parse_options()
    table = load_table(options.data)
    lightgbm = load_lightgbm()
    features, label = to_matrix(table), table[LABEL].to_numpy().astype(np.float64)
    order = np.random.default_rng(options.seed).permutation(table.height)
    held_out, rest = np.split(order, [table.height // 4])
    names = {"feature_name": FEATURES, "categorical_feature": list(CATEGORIES)}
    train = lightgbm.Dataset(features[rest], label[rest], **names)
    valid = lightgbm.Dataset(features[held_out], label[held_out], reference=train, **names)
    callbacks = [lightgbm.log_evaluation(period=5)]
    if os.environ.get("FOOTPLATE_METRICS"):
        callbacks.append(metric_writer(os.environ["FOOTPLATE_METRICS"]))
    settings = {
        "objective": "binary",
        "metric": ["auc", "binary_logloss"],
        "learning_rate": options.lr,
        "num_leaves": options.leaves,
        "seed": options.seed,
        "num_threads": 2,
        "verbosity": -1,
    }
    model = lightgbm.train(
        settings,
        train,
        options.rounds,
        valid_sets=[train, valid],
        valid_names=["train", "valid"],
        callbacks=callbacks,
    )
    model.save_model("model.txt")
    print(f"saved model.txt with {model.num_trees()} trees")


if __name__ == "__main__":
    main()
