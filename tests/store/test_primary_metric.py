from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.primary_metric import choose_primary, guess_goal, names_a_metric


@pytest.mark.parametrize(
    "key",
    [
        "loss", "val_loss", "valLoss", "valid_0/binary_logloss", "valid_0's multi_logloss", "eval/WER", "cer", "fid",
        "train/error", "err", "rmse", "test.MAE", "mape", "mse", "nll", "perplexity", "val/ppl", "time", "latency_ms",
        "ms_per_step", "step_time", "validation_0-mlogloss", "valid/l2", "cross_entropy", "negative_log_likelihood",
        "logLoss", "classification_error",
    ],
)  # fmt: skip
def test_less_is_better(key: str) -> None:
    assert guess_goal(key) == "minimize"


@pytest.mark.parametrize(
    "key",
    [
        "auc", "val_acc", "f1", "valid_0/auc", "Accuracy", "reward", "tok/s", "", "glossary", "terrain", "timeline",
        "neg_mean_squared_error", "log_likelihood", "bleu", "mAP",
    ],
)  # fmt: skip
def test_more_is_better(key: str) -> None:
    assert guess_goal(key) == "maximize"


@pytest.mark.parametrize(
    ("keys", "primary"),
    [
        ([], None),
        (["loss"], "loss"),
        (["lr", "loss"], "loss"),
        (["train/auc", "valid/auc", "valid/logloss"], "valid/auc"),
        (["training/auc", "valid_0/auc"], "valid_0/auc"),
        (["test_acc", "train_acc"], "test_acc"),
        (["train_loss", "loss"], "train_loss"),
        (["val_loss", "test_auc"], "val_loss"),
        (["val_loss", "val_acc"], "val_acc"),
        (["grad_norm", "learning_rate", "epoch", "loss"], "loss"),
        (["val_time", "train_loss"], "train_loss"),
        (["v_num", "seed", "memory_gb", "throughput", "custom"], "custom"),
        (["train_samples_per_second", "eval_loss"], "eval_loss"),
        (["seed", "lr"], "lr"),
        (["b/f1", "a/f1"], "a/f1"),
    ],
)
def test_choice(keys: list[str], primary: str | None) -> None:
    assert choose_primary(keys) == primary


@given(st.lists(st.text(), min_size=1, unique=True), st.randoms())
def test_choice_does_not_depend_on_the_order_of_arrival(keys: list[str], random: object) -> None:
    shuffled = list(keys)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert choose_primary(iter(shuffled)) == choose_primary(keys)
    assert choose_primary(keys) in keys


@pytest.mark.parametrize(
    ("key", "known"),
    [("val_loss", True), ("Test_Accuracy", True), ("eval/WER", True), ("hidden_dim", False), ("time", False)],
)
def test_known_metric_names(key: str, known: bool) -> None:
    assert names_a_metric(key) is known
