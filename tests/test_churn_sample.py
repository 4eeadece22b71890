from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from store.readers.carry import Carry
from store.readers.metric_lines import parse_metric_line
from store.readers.stdout_grammar import parse_log_line

SAMPLE = Path(__file__).parents[1] / "sample_projects" / "churn"


def run(folder: Path, script: str, *options: str, **extra: str) -> subprocess.CompletedProcess[str]:
    dropped = ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "FOOTPLATE_METRICS", "PYTHONPATH")
    env = {name: value for name, value in os.environ.items() if name not in dropped} | extra
    command = [sys.executable, script, *options]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sample with data, a model, the metrics file and what train.py printed."""
    folder = tmp_path_factory.mktemp("churn")
    for script in SAMPLE.glob("*.py"):
        shutil.copy(script, folder)
    generated = run(folder, "generate.py")
    assert generated.returncode == 0, generated.stderr
    done = run(folder, "train.py", "--rounds", "20", FOOTPLATE_METRICS=str(folder / "metrics.jsonl"))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    (folder / "stdout.txt").write_text(done.stdout)
    return folder


def test_the_same_seed_gives_the_same_customers(trained: Path) -> None:
    for seed, equal in (("7", True), ("8", False)):
        assert run(trained, "generate.py", "--seed", seed, "--out", f"seed{seed}").returncode == 0
        for name, rows in (("train", 4000), ("test", 1000)):
            table = pl.read_parquet(trained / "data" / f"{name}.parquet")
            assert table.height == rows
            assert 0.1 < table.select(pl.col("churned").mean()).item() < 0.5
            assert table.equals(pl.read_parquet(trained / f"seed{seed}" / f"{name}.parquet")) is equal


def test_every_round_reaches_the_metrics_file(trained: Path) -> None:
    lines = [parse_metric_line(line) for line in (trained / "metrics.jsonl").read_bytes().splitlines()]
    assert [line.step for line in lines] == list(range(1, 21))
    assert {key for line in lines for key in line.values} == {
        f"{split}/{metric}" for split in ("train", "valid") for metric in ("auc", "binary_logloss")
    }
    assert lines[-1].values["train/auc"] > lines[0].values["train/auc"]
    assert 0.7 < lines[-1].values["valid/auc"] < 0.95


def test_printed_lines_are_read_as_they_are(trained: Path) -> None:
    carry = Carry()
    read = [parse_log_line(line, carry) for line in (trained / "stdout.txt").read_text().splitlines()]
    points = [point for point in read if point is not None]
    assert [step for step, _ in points] == [5, 10, 15, 20]
    assert {"valid/auc", "valid/binary_logloss", "train/auc"} <= set(points[0][1])
    assert read[-1] is None


def test_evaluation_is_read_too(trained: Path) -> None:
    done = run(trained, "eval.py")
    assert done.returncode == 0, done.stderr
    carry = Carry()
    values: dict[str, float] = {}
    for line in done.stdout.splitlines():
        point = parse_log_line(line, carry)
        assert point is not None, line
        values |= point[1]
    regions = {f"test/auc/{region}" for region in ("north", "south", "east", "west")}
    assert set(values) == {"test/auc", "test/logloss", "test/accuracy"} | regions
    assert 0.7 < values["test/auc"] < 0.95


def test_training_outside_footplate_writes_the_model_only(trained: Path, tmp_path: Path) -> None:
    data = str(trained / "data" / "train.parquet")
    done = run(tmp_path, str(SAMPLE / "train.py"), "--data", data, "--rounds", "5", "--lr", "0.3", "--leaves", "7")
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["model.txt"]


def assert_one_sentence(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    assert done.returncode == code, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.endswith(".\n")
    for word in words:
        assert word in done.stderr


def test_missing_data(trained: Path, tmp_path: Path) -> None:
    for script in ("train.py", "eval.py"):
        assert_one_sentence(run(trained, script, "--data", "missing.parquet"), 3, "missing.parquet", "generate.py")
    assert_one_sentence(run(tmp_path, str(SAMPLE / "eval.py")), 3, "model.txt", "train.py")


def test_wrong_data(trained: Path, tmp_path: Path) -> None:
    table = pl.read_parquet(trained / "data" / "train.parquet")
    table.drop("region", "age").write_parquet(tmp_path / "columns.parquet")
    table.with_columns(age=pl.lit("old")).write_parquet(tmp_path / "types.parquet")
    table.head(3).write_parquet(tmp_path / "short.parquet")
    (tmp_path / "text.parquet").write_text("region,age\n")
    for name, words in {
        "columns": ("lacks", "region, age"),
        "types": ("wrong type", "age"),
        "short": ("100 rows",),
        "text": ("not a readable Parquet file",),
    }.items():
        assert_one_sentence(run(trained, "train.py", "--data", str(tmp_path / f"{name}.parquet")), 3, *words)
    assert_one_sentence(run(trained, "eval.py", "--data", str(tmp_path / "columns.parquet")), 3, "region, age")
    assert_one_sentence(run(trained, "eval.py", "--data", str(tmp_path / "types.parquet")), 3, "wrong type", "age")
    (tmp_path / "broken.txt").write_text("no model")
    done = run(trained, "eval.py", "--model", str(tmp_path / "broken.txt"))
    assert done.returncode == 3
    # LightGBM's C++ side prints a line of its own before ours.
    assert "is not a LightGBM model" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("option", [("--lr", "-1"), ("--lr", "nan"), ("--leaves", "1"), ("--rounds", "0")])
def test_impossible_options(tmp_path: Path, option: tuple[str, str]) -> None:
    done = run(tmp_path, str(SAMPLE / "train.py"), *option)
    assert done.returncode == 2
    assert option[0] in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("error", "word"),
    [("OSError('libgomp.so.1: cannot open shared object file: No such file or directory')", "libgomp1"),
     ("ModuleNotFoundError('No module named lightgbm')", "pip install")],
)  # fmt: skip
@pytest.mark.parametrize("script", ["train.py", "eval.py"])
def test_lightgbm_that_cannot_be_loaded(trained: Path, tmp_path: Path, script: str, error: str, word: str) -> None:
    (tmp_path / "lightgbm.py").write_text(f"raise {error}\n")
    assert_one_sentence(run(trained, script, PYTHONPATH=str(tmp_path)), 4, "LightGBM", word)


def test_no_script_knows_footplate() -> None:
    for script in SAMPLE.glob("*.py"):
        text = script.read_text()
        assert text.startswith('"""')
        assert "import footplate" not in text
        assert "from store" not in text
        assert "from console" not in text
