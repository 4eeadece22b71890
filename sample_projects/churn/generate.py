"""Write tabular customer data with a churn label: data/train.parquet, and data/test.parquet with a quarter of its rows.

The same seed gives the same customers. The label comes from a logistic model with noise: no model reaches an AUC of 1.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import polars as pl

REGIONS = ("north", "south", "east", "west")
CONTRACTS = ("monthly", "yearly", "two_years")
PAYMENTS = ("card", "transfer", "invoice")


def customers(rows: int, rng: np.random.Generator) -> pl.DataFrame:
    """`rows` customers: charges are in money a month, tenure in months, data use in GB a month."""
    region = rng.choice(REGIONS, rows, p=(0.3, 0.3, 0.25, 0.15))
    sex = rng.choice(("female", "male"), rows)
    age = np.clip(rng.normal(46, 16, rows), 18, 90).astype(np.int64)
    tenure_months = np.minimum(rng.exponential(28, rows), 96).astype(np.int64)
    contract = rng.choice(CONTRACTS, rows, p=(0.55, 0.3, 0.15))
    payment = rng.choice(PAYMENTS, rows, p=(0.5, 0.3, 0.2))
    data_gb = rng.gamma(2.0, 6.0, rows).round(1)
    monthly_charges = np.maximum(15 + 1.4 * data_gb + 8 * (contract == "monthly") + rng.normal(0, 6, rows), 9).round(2)
    support_calls = rng.poisson(0.6 + 0.9 * (region == "west") + 0.02 * np.maximum(monthly_charges - 30, 0))
    late_payments = rng.binomial(12, np.where(payment == "invoice", 0.12, 0.04))
    log_odds = (
        -2.4
        + 1.5 * (contract == "monthly")
        - 0.9 * (contract == "two_years")
        - 0.045 * tenure_months
        + 0.035 * (monthly_charges - 35)
        + 0.55 * support_calls
        + 0.3 * late_payments
        + 0.4 * (age < 30)
        + rng.normal(0, 0.6, rows)
    )
    return pl.DataFrame(
        {
            "region": region,
            "sex": sex,
            "age": age,
            "tenure_months": tenure_months,
            "contract": contract,
            "payment": payment,
            "data_gb": data_gb,
            "monthly_charges": monthly_charges,
            "support_calls": support_calls,
            "late_payments": late_payments,
            "churned": rng.random(rows) < 1 / (1 + np.exp(-log_odds)),
        }
    )


def main() -> None:
    """Write both files and say how many customers left."""
    parser = argparse.ArgumentParser(description="Generate customers with a churn label.")
    parser.add_argument("--rows", type=int, default=4000, help="rows of the training file")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--out", type=Path, default=Path("data"), help="folder for the Parquet files")
    options = parser.parse_args()
    if options.rows < 100:
        parser.error("--rows must be at least 100")
    if options.seed < 0:
        parser.error("--seed must not be negative")
    rng = np.random.default_rng(options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    for name, rows in (("train", options.rows), ("test", options.rows // 4)):
        frame = customers(rows, rng)
        frame.with_row_index("customer_id", 1).write_parquet(options.out / f"{name}.parquet")
        print(f"{options.out / name}.parquet holds {rows} customers, of whom {frame['churned'].sum()} left")


if __name__ == "__main__":
    main()
