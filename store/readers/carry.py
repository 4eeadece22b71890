"""What one line of a log hands to the next, and the daemon that reads on to the one after it."""

from __future__ import annotations

import json
from dataclasses import dataclass


@dataclass(slots=True)
class Carry:
    """What one line hands to the next: the step last named, and the step a line gets when none was ever named.

    Steps that restart in each epoch are counted on from one epoch to the next: a curve, not a heap of them.
    """

    step: int | None = None
    auto_step: int = 0
    epoch: int | None = None
    """The epoch last named."""
    counted_epoch: int | None = None
    """The epoch of the last step that was finer than an epoch."""
    counted_step: int = 0
    """That step as it was printed."""
    base: int = 0
    """What the steps of this epoch are counted on from."""

    def place(self, step: int, epoch: int | None, *, is_epoch: bool) -> int:
        """The step that a line counts as, which names this one and perhaps an epoch beside it."""
        if is_epoch:
            self.epoch = step
            # What is said of an epoch as a whole belongs where its steps have come to.
            return self.base + self.counted_step if self.counted_epoch == step else step
        if epoch is not None:
            self.epoch = epoch
        if self.epoch is None:
            return step
        if self.counted_epoch is None or self.epoch < self.counted_epoch:
            self.base = 0
        elif self.epoch > self.counted_epoch and step <= self.counted_step:
            self.base += self.counted_step + (step == 0)
        self.counted_epoch, self.counted_step = self.epoch, step
        return self.base + step

    def to_json(self) -> str:
        """The carry as a JSON object, for the cursor of a log."""
        # By hand, because every metric line of a log carries one.
        text = f'{{"step": {"null" if self.step is None else self.step}, "auto_step": {self.auto_step}'
        if self.epoch is not None:
            text += f', "epoch": {self.epoch}'
        if self.counted_epoch is not None:
            text += f', "counted": [{self.counted_epoch}, {self.counted_step}, {self.base}]'
        return text + "}"

    @classmethod
    def from_json(cls, text: str) -> Carry:
        """The carry that `to_json` wrote. Raises ValueError when the text is something else."""
        record = json.loads(text)
        match record:
            case {"step": int() | None as step, "auto_step": int() as auto_step, **more}:
                match more.get("epoch"), more.get("counted"):
                    case int() | None as epoch, None:
                        return cls(step, auto_step, epoch)
                    case int() as epoch, [int() as counted_epoch, int() as counted_step, int() as base]:
                        return cls(step, auto_step, epoch, counted_epoch, counted_step, base)
        raise ValueError("not a carry of the stdout grammar")
