"""Which metric stands for a run, and whether more of it is better, guessed from names alone."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

Goal = Literal["minimize", "maximize"]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_COSTS: Final = _words(
    """loss err error rmse mse mae mape smape rmsle rmspe medae logloss nll perplexity ppl bpb bpc cer wer mer fid kid
    l1 l2 huber pinball quantile poisson tweedie deviance divergence kl brier ece regret cost crossentropy xent
    mlogloss merror time latency runtime duration ms"""
)
_SCORES: Final = _words(
    """auc auroc auprc roc acc accuracy top1 top5 f1 f2 fbeta precision recall sensitivity specificity map ap ndcg mrr
    r2 iou miou dice psnr ssim bleu rouge meteor mcc kappa reward return score hit spearman pearson gini"""
)
_NEVER_WHILE_OTHERS: Final = _words(
    """lr grad gradient gradnorm epoch step iter iteration time timestamp runtime duration eta throughput memory mem
    vram gpu cpu seed progress wall second seconds sec"""
)
_SPLITS: Final = (
    _words("valid val validation eval dev heldout cv"),
    _words("test testing"),
    _words("train training fit"),
)
_CAMEL: Final = re.compile(r"(?<=[a-z])(?=[A-Z][a-z])")
_PARTS: Final = re.compile(r"[^\W_]+")


def guess_goal(key: str) -> Goal:
    """Minimize for losses, errors and times, else maximize; `neg_…` scores are turned round, as scikit-learn does."""
    parts = _word_parts(key)
    if "likelihood" in parts:
        return "minimize" if {"neg", "negative"} & set(parts) else "maximize"
    if "neg" in parts:
        return "maximize"
    if any(_is_cost(part) for part in parts) or _has_pair(parts, "cross", "entropy"):
        return "minimize"
    return "maximize"


def choose_primary(keys: Iterable[str]) -> str | None:
    """The metric to show when only one can be shown, or None without keys.

    Validation before test before training before the rest; in each, known scores before losses before the rest;
    among equals a total before its parts, then the first in the order of the key texts, so that the order of arrival
    does not matter. Rates, clocks and counters (`lr`, `grad_norm`, `epoch`, `time`, …) only when there is nothing else.
    """
    return min(keys, key=lambda key: (*_rank(_word_parts(key)), key), default=None)


def names_a_metric(key: str) -> bool:
    """Whether a part of the key is a word known for a score or a loss: `val_loss`, `Test_Accuracy`, `eval/WER`."""
    parts = _word_parts(key)
    return any(part in _SCORES or _is_quality_cost(part) for part in parts)


def _rank(parts: list[str]) -> tuple[bool, int, int, bool]:
    excluded = any(part in _NEVER_WHILE_OTHERS for part in parts)
    excluded = excluded or _has_pair(parts, "learning", "rate") or _has_pair(parts, "v", "num")
    split = next((rank for rank, words in enumerate(_SPLITS) if any(part in words for part in parts)), len(_SPLITS))
    kind = 2
    if any(part in _SCORES for part in parts):
        kind = 0
    elif any(_is_quality_cost(part) for part in parts):
        kind = 1
    return excluded, split, kind, "total" not in parts


def _is_cost(part: str) -> bool:
    return part in _COSTS or part.endswith(("loss", "error"))


def _is_quality_cost(part: str) -> bool:
    return _is_cost(part) and part not in ("time", "latency", "runtime", "duration", "ms", "cost")


def _has_pair(parts: list[str], first: str, second: str) -> bool:
    return any(pair == (first, second) for pair in pairwise(parts))


def _word_parts(key: str) -> list[str]:
    return _PARTS.findall(_CAMEL.sub("_", key).lower())
