"""Train a model that predicts which customers leave: gradient boosted trees, saved to model.txt, or a linear one.

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

    Matrix = np.ndarray[Any, np.dtype[np.float64]]
    Options = argparse.Namespace
    Parts = dict[str, tuple[Matrix, Matrix]]
    Report = Callable[[int, dict[str, float]], None]

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


def to_matrix(table: pl.DataFrame) -> Matrix:
    """Features as (rows, features), categories as their position in CATEGORIES, unknown ones as NaN."""
    codes = [
        pl.col(name).replace_strict(values, range(len(values)), default=None, return_dtype=pl.Float64)
        for name, values in CATEGORIES.items()
    ]
    return table.select(*codes, *(pl.col(name).cast(pl.Float64) for name in NUMBERS)).to_numpy()


def split(table: pl.DataFrame, seed: int, repeat: int) -> Parts:
    """Features and labels of a held-out quarter, `valid`, and of the rest so many times over, `train`."""
    features, label = to_matrix(table), table[LABEL].to_numpy().astype(np.float64)
    order = np.random.default_rng(seed).permutation(table.height)
    held_out, rest = np.split(order, [table.height // 4])
    train = np.tile(features[rest], (repeat, 1)), np.tile(label[rest], repeat)
    return {"train": train, "valid": (features[held_out], label[held_out])}


def write_metrics(step: int, values: dict[str, float]) -> None:
    """Append `{"step": …, "train/auc": …}` to the file that $FOOTPLATE_METRICS names, if it does."""
    if path := os.environ.get("FOOTPLATE_METRICS"):
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")


def train_trees(options: Options, parts: Parts, report: Report, *, quiet: bool = False) -> Any:
    """Boosted trees by LightGBM; `report` gets the metrics of each round."""
    lightgbm = load_lightgbm()

    def after_round(env: Any) -> None:
        report(env.iteration + 1, {f"{name}/{key}": value for name, key, value, _ in env.evaluation_result_list})

    settings = {
        "objective": "binary",
        "metric": ["auc", "binary_logloss"],
        "learning_rate": options.lr,
        "num_leaves": options.leaves,
        "seed": options.seed,
        "num_threads": 2,
        "verbosity": -1,
    }
    if options.decreasing:
        signs = [0] * len(FEATURES)
        signs[FEATURES.index(options.decreasing)] = -1
        settings["monotone_constraints"] = signs
    names = {"feature_name": FEATURES, "categorical_feature": [] if options.decreasing else list(CATEGORIES)}
    train = lightgbm.Dataset(*parts["train"], **names)
    valid = lightgbm.Dataset(*parts["valid"], reference=train, **names)
    return lightgbm.train(
        settings,
        train,
        options.rounds,
        valid_sets=[train, valid],
        valid_names=["train", "valid"],
        callbacks=[after_round] if quiet else [lightgbm.log_evaluation(period=5), after_round],
    )


def train_linear(options: Options, parts: Parts, report: Report, *, quiet: bool = False) -> None:
    """Least squares on the label by gradient descent, which leaves the numbers behind when its steps are too long."""
    mean, scale = np.zeros(len(FEATURES)), np.ones(len(FEATURES))
    if options.scale == "standard":
        mean, scale = np.nanmean(parts["train"][0], axis=0), np.nanstd(parts["train"][0], axis=0)
    inputs = {
        name: np.column_stack([np.nan_to_num((features - mean) / scale), np.ones(len(features))])
        for name, (features, _) in parts.items()
    }
    weights = np.zeros(len(FEATURES) + 1)
    for step in range(1, options.rounds + 1):
        with np.errstate(over="ignore", invalid="ignore"):
            for _ in range(10):
                wrong_by = inputs["train"] @ weights - parts["train"][1]
                weights -= options.lr * inputs["train"].T @ wrong_by / len(wrong_by)
            losses = {f"{name}/loss": float(np.mean((inputs[name] @ weights - parts[name][1]) ** 2)) for name in parts}
        report(step, losses)
        if step % 5 == 0 and not quiet:
            print(f"[{step}] " + "  ".join(f"{name}: {value:.5g}" for name, value in losses.items()))


def parse_options() -> argparse.Namespace:
    """The command line; impossible numbers end the process with code 2."""
    parser = argparse.ArgumentParser(description="Train a churn model.")
    parser.add_argument("--lr", type=float, default=0.1, help="learning rate, above 0 and at most 1")
    parser.add_argument("--leaves", type=int, default=31, help="most leaves of one tree, at least 2")
    parser.add_argument("--rounds", type=int, default=60, help="number of trees")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--data", type=Path, default=Path("data/train.parquet"))
    parser.add_argument("--model", choices=["trees", "linear"], default="trees")
    parser.add_argument(
        "--scale", choices=["standard", "none"], default="standard", help="of the linear model's features"
    )
    parser.add_argument(
        "--repeat", type=int, default=1, help="train on so many copies of the data, to see what it costs"
    )
    parser.add_argument("--decreasing", default="", metavar="FEATURE", help="the more of it, the fewer leave")
    options = parser.parse_args()
    if not 0 < options.lr <= 1:
        parser.error("--lr must be above 0 and at most 1")
    if options.leaves < 2 or options.rounds < 1 or options.seed < 0 or options.repeat < 1:
        parser.error("--leaves must be at least 2, --rounds and --repeat at least 1 and --seed not negative")
    return options


def main() -> None:
    """Train, print, save."""
    options = parse_options()
    parts = split(load_table(options.data), options.seed, options.repeat)
    if options.model == "linear":
        train_linear(options, parts, write_metrics)
        return
    model = train_trees(options, parts, write_metrics)
    model.save_model("model.txt")
    print(f"saved model.txt with {model.num_trees()} trees")


if __name__ == "__main__":
    main()
