"""Trackers as people write them, and what to know of how they write. Standard library only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from console.protocol import RunRow

NAMES: Final = {
    "mlflow": "MLflow",
    "tensorboard": "TensorBoard",
    "wandb": "W&B",
    "lightning": "Lightning",
    "huggingface": "Hugging Face",
    "dvclive": "DVCLive",
    "trackio": "trackio",
}
SHORT: Final = {"tensorboard": "tboard", "lightning": "csv", "huggingface": "hf", "dvclive": "dvc"}
"""For a narrow column, where the name itself is too long."""
DELAYS: Final = {
    "tensorboard": "TensorBoard may hold values back for 120 s",
    "lightning": "Lightning writes every 100 steps at the latest",
    "huggingface": "written at checkpoints only",
}
"""Why the newest values may not be there yet."""


def name_of(tracker: str) -> str:
    """How a tracker is called."""
    return NAMES.get(tracker, tracker)


def short_name_of(tracker: str) -> str:
    """The same in at most seven characters."""
    return SHORT.get(tracker, tracker)[:7]


def delay_of(row: RunRow) -> str:
    """Why a live run of a tracker may be further than we see; empty for any other."""
    return DELAYS.get(row.tracker, "") if row.state == "running" else ""
