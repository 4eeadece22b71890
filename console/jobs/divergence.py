"""Losses that are no number any more: what programs say about it, and what their last values are.

Standard library only: the supervisor uses it. It reads the ends of the files and nothing that the index knows.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SAID: Final = re.compile(
    r"\bloss(?:es)?\b[^\n]{0,80}?(?:\bnan\b|\binf(?:inite|inity)?\b|not finite|non-?finite|explod|diverge)"
    r"|(?:\bnan\b|\binf(?:inite|inity)?\b|not finite|non-?finite)[^\n]{0,40}\bloss(?:es)?\b"
    r"|loss\w*\s*=\s*(?:nan|inf)\b[^\n]{0,40}not finite"
    r"|returned nan values in its|invalid value \(nan\)|Found Inf or NaN global norm|Tensor had NaN values"
    r"|minimum loss scale|loss scale already at minimum",
    re.IGNORECASE,
)
"""Lightning, MAE and torchvision, Keras, detectron2, fairseq, Megatron, DeepSpeed, torch, JAX, TensorFlow.

Messages about NaN in the data (`Input X contains NaN`) are none of these.
"""
NUMBER: Final = r"[-+]?(?:nan|inf(?:inity)?|(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)"
PAIR: Final = re.compile(
    rf"(?<![\w./@-])(?P<key>[A-Za-z_][\w./@-]{{0,120}})['\"]?\s{{0,4}}[=:\s]\s{{0,4}}(?:tensor\()?(?P<value>{NUMBER})(?![\w.])",
    re.IGNORECASE,
)
STEP: Final = re.compile(
    r"\b(?:global_step|step|iter(?:ation)?|epoch)\b\W{0,3}(\d{1,18})\b|^\[(\d{1,18})\]", re.IGNORECASE
)
STEP_KEYS: Final = ("step", "_step", "global_step", "iteration", "iter", "epoch")
"""As in `store.readers.metric_lines`."""
CAMEL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
WORDS: Final = re.compile(r"[a-z0-9]+")
LOSS_WORDS: Final = frozenset({"nll", "perplexity", "ppl", "elbo", "bpb", "bpc"})
NO_VALUE_OF_NOW: Final = frozenset({"best", "min", "max", "initial", "previous", "prev", "target", "scale", "scaler"})
"""`best_loss` is infinite before the first evaluation; a loss scale is no loss."""
DEPTH_MAX: Final = 3
LINE_MAX_CHARACTERS: Final = 16384


class Value(NamedTuple):
    """One value of a loss."""

    key: str
    value: float
    step: int | None
    line: str


class Diverged(NamedTuple):
    """A loss whose last values are no finite numbers."""

    key: str
    value: float
    """NaN or an infinity."""
    since_step: int | None
    """The first step from which on it is so; None when no step was given."""
    or_earlier: bool
    """What came before that step could not be seen."""
    line: str
    """The last line that says so."""

    @property
    def words(self) -> str:
        """Such as `train/loss is nan since step 41`."""
        since = "" if self.since_step is None else f" since step {self.since_step}"
        return f"{self.key} is {self.value}{since}{' or earlier' if since and self.or_earlier else ''}"


def what_it_said(lines: Iterable[str]) -> str:
    """The last line that speaks of a loss that is no number; empty when none does."""
    return next((line for line in reversed(list(lines)) if SAID.search(line)), "")


def of_last_values(metrics_tail: str, log_tail: str, tail_bytes: int) -> Diverged | None:
    """The first loss whose last value is not finite, in the metrics file before the log.

    `tail_bytes` is how much of a file a tail can hold: a text of that length has lost its start.
    """
    for text, values in ((metrics_tail, values_of_metrics), (log_tail, values_of_log)):
        last: dict[str, Diverged | None] = {}
        cut = len(text.encode("utf-8", "replace")) >= tail_bytes
        for value in values(text):
            before = last.get(value.key)
            if math.isfinite(value.value):
                last[value.key] = None
            elif before is not None:
                last[value.key] = before._replace(value=value.value, line=value.line)
            else:
                first_seen = cut and value.key not in last
                last[value.key] = Diverged(value.key, value.value, value.step, first_seen, value.line)
        for found in last.values():
            if found is not None:
                return found
    return None


def is_loss(key: str) -> bool:
    """Whether this names the present value of a loss: `train/loss`, `valLoss`, `binary_logloss`, `ppl`."""
    words = WORDS.findall(CAMEL.sub("_", key).lower())
    return any(word.endswith("loss") or word in LOSS_WORDS for word in words) and not NO_VALUE_OF_NOW & set(words)


def values_of_metrics(text: str) -> Iterator[Value]:
    """Losses in lines of a metrics file, which are JSON objects; other lines are passed over."""
    for line in text.split("\n"):
        if len(line) > LINE_MAX_CHARACTERS or not line.lstrip().startswith("{"):
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        step = next((record[key] for key in STEP_KEYS if isinstance(record.get(key), int)), None)
        for key, value in flattened(record, "", DEPTH_MAX):
            if is_loss(key) and (number := as_number(value)) is not None:
                yield Value(key, number, step, line.strip()[:500])


def flattened(record: dict[str, Any], prefix: str, depth: int) -> Iterator[tuple[str, Any]]:
    """The entries of an object and of the objects in it, with names joined by a slash."""
    for key, value in record.items():
        if isinstance(value, dict) and depth > 1:
            yield from flattened(value, f"{prefix}{key}/", depth - 1)
        else:
            yield f"{prefix}{key}", value


def as_number(value: Any) -> float | None:
    """A number, or a string that names one; None for anything else."""
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float | str)
        or (isinstance(value, str) and len(value) > 64)
    ):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def values_of_log(text: str) -> Iterator[Value]:
    """Losses in printed lines: `loss=nan`, `'loss': 0.5`, `train loss nan`."""
    for line in text.split("\n"):
        if len(line) > LINE_MAX_CHARACTERS:
            continue
        shown = line.rstrip("\r").rpartition("\r")[2]
        losses = [pair for pair in PAIR.finditer(shown) if is_loss(pair["key"])]
        found = STEP.search(shown) if losses else None
        step = int(found[1] or found[2]) if found else None
        for pair in losses:
            yield Value(pair["key"], float(pair["value"]), step, shown.strip()[:500])
