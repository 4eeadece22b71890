"""Score the model in model.txt on customers it has not seen: AUC, log loss, accuracy, and the AUC of each region."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

EXIT_BAD_INPUT = 3
EXIT_NO_LIGHTGBM = 4
CATEGORIES = {
    "region": ["north", "south", "east", "west"],
    "sex": ["female", "male"],
    "contract": ["monthly", "yearly", "two_years"],
    "payment": ["card", "transfer", "invoice"],
}
LABEL = "churned"

Vector = np.ndarray[Any, np.dtype[np.float64]]


def fail(code: int, sentence: str) -> None:
    """End the process with `code` and one sentence on stderr."""
    print(f"eval.py: {sentence}", file=sys.stderr)
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


def load_table(path: Path, features: list[str]) -> pl.DataFrame:
    """`features` and the label of a Parquet file, or the end of the process when they are not there."""
    if not path.is_file():
        fail(EXIT_BAD_INPUT, f"there is no file {path}: run `python generate.py` first or name another with --data.")
    try:
        table = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        fail(EXIT_BAD_INPUT, f"{path} is not a readable Parquet file: {str(error).splitlines()[0]}.")
    missing = [name for name in dict.fromkeys((*features, "region", LABEL)) if name not in table.columns]
    if missing:
        fail(EXIT_BAD_INPUT, f"{path} lacks the columns {', '.join(missing)}.")
    wrong = [name for name in features if (table.schema[name] == pl.String) != (name in CATEGORIES)]
    wrong += [LABEL] if table.schema[LABEL] != pl.Boolean else []
    if wrong or table.is_empty():
        fail(EXIT_BAD_INPUT, f"{path} has {'columns of the wrong type: ' + ', '.join(wrong) if wrong else 'no rows'}.")
    return table


def to_matrix(table: pl.DataFrame, features: list[str]) -> Vector:
    """Features as (rows, features) in the order of the model, categories as their position in CATEGORIES."""
    columns = [
        pl.col(name).replace_strict(
            CATEGORIES[name], range(len(CATEGORIES[name])), default=None, return_dtype=pl.Float64
        )
        if name in CATEGORIES
        else pl.col(name).cast(pl.Float64)
        for name in features
    ]
    return table.select(columns).to_numpy()


def auc(label: Vector, score: Vector) -> float:
    """Area under the ROC curve by ranks, ties shared; NaN when all labels are equal."""
    positives = float(label.sum())
    negatives = len(label) - positives
    if positives == 0 or negatives == 0:
        return float("nan")
    ranks = pl.Series(score).rank("average").to_numpy()
    return float((ranks[label == 1].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def main() -> None:
    """Load, score, print."""
    parser = argparse.ArgumentParser(description="Evaluate a churn model.")
    parser.add_argument("--model", type=Path, default=Path("model.txt"))
    parser.add_argument("--data", type=Path, default=Path("data/test.parquet"))
    options = parser.parse_args()
    if not options.model.is_file():
        fail(EXIT_BAD_INPUT, f"there is no model {options.model}: run `python train.py` first.")
    lightgbm = load_lightgbm()
    try:
        model = lightgbm.Booster(model_file=options.model)
    except lightgbm.basic.LightGBMError as error:
        fail(EXIT_BAD_INPUT, f"{options.model} is not a LightGBM model: {error}.")
    features = model.feature_name()
    table = load_table(options.data, features)
    label = table[LABEL].to_numpy().astype(np.float64)
    score = np.clip(model.predict(to_matrix(table, features), num_threads=2), 1e-15, 1 - 1e-15)
    logloss = -np.mean(label * np.log(score) + (1 - label) * np.log(1 - score))
    print(f"test/auc: {auc(label, score):.4f}")
    print(f"test/logloss: {logloss:.4f}")
    print(f"test/accuracy: {np.mean((score > 0.5) == (label == 1)):.4f}")
    for region in CATEGORIES["region"]:
        chosen = (table["region"] == region).to_numpy()
        print(f"test/auc/{region}: {auc(label[chosen], score[chosen]):.4f}")


if __name__ == "__main__":
    main()
