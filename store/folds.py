"""Series that restart inside one process: cross-validation logs one curve after the other, and each is a fold.

A restart is a step at or before the first one of the fold, once the fold had gone beyond that. A step that jumps back
into the middle is none: the run went back to a checkpoint. Nor is one whose line names a later epoch than the line
before: there the script counts steps within epochs. A further attempt begins in fold 1 again, whatever it resumed from.

The state after a point depends on the points before it alone, not on how they were cut into batches.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

FOLDS_MAX: Final = 1000
"""Further restarts stay in the last fold: a metric that alternates between two steps is no cross-validation."""


@dataclass(slots=True)
class KeyState:
    """Where one metric of a run stands after the points so far."""

    source: int
    fold: int = 1
    attempt: int = 0
    """0 before the first point."""
    first_step: int = 0
    """The lowest of the fold."""
    last_step: int = 0
    epoch: float | None = None
    """That the last line named beside its step."""
    folded: bool = False
    """Whether there was ever a second fold."""

    def take(self, step: int, epoch: float | None, attempt: int) -> int:
        """The fold of the next point."""
        if attempt != self.attempt:
            self.first_step = min(self.first_step, step) if self.attempt else step
            self.attempt, self.fold = attempt, 1
        elif step <= self.first_step:
            advanced = self.last_step > self.first_step
            if advanced and self.fold < FOLDS_MAX and not goes_on(self.epoch, epoch):
                self.fold += 1
                self.folded = True
            self.first_step = step
        self.last_step, self.epoch = step, epoch
        return self.fold

    def take_stretch(self, stretch: Stretch, attempt: int) -> list[tuple[int, int]]:
        """The folds of many points in their order, each with how many follow each other in it."""
        epochs = stretch.epochs
        runs = [(self.take(stretch.first_step, epochs[0] if epochs else None, attempt), stretch.length)]
        begin = 0
        for position in stretch.drops:
            # A restart is always a drop, so nothing between two drops can be one.
            self.last_step = stretch.steps[position - 1]
            self.epoch = epochs[position - 1] if epochs else None
            fold = self.take(stretch.steps[position], epochs[position] if epochs else None, attempt)
            if fold != runs[-1][0]:
                runs[-1] = (runs[-1][0], position - begin)
                runs.append((fold, stretch.length - position))
                begin = position
        self.last_step, self.epoch = stretch.last_step, epochs[-1] if epochs else None
        return runs


class Stretch(NamedTuple):
    """Steps that follow each other, as far as folds depend on them."""

    length: int
    first_step: int
    last_step: int
    drops: Sequence[int]
    """Positions whose step is lower than the one before."""
    steps: Sequence[int]
    epochs: Sequence[float | None] | None
    """Beside the steps; None when the lines name none."""


def goes_on(before: float | None, epoch: float | None) -> bool:
    """Whether two lines name epochs of which the later is the higher."""
    return before is not None and epoch is not None and epoch > before


class Spread(NamedTuple):
    """What the folds of a metric come to."""

    mean: float | None
    """Of the folds' bests; None when no fold has a finite value."""
    sd: float | None
    """With n - 1 in the denominator; None with fewer than two folds that have a finite value."""


def spread(bests: Sequence[float | None]) -> Spread:
    """Mean and standard deviation of the best values of folds; those without a finite value are left out."""
    finite = [best for best in bests if best is not None]
    return Spread(fmean(finite) if finite else None, stdev(finite) if len(finite) > 1 else None)
