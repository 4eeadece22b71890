"""What both stores of MLflow say of a run in the same words: its tags and its dates. Standard library only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from store.readers.foreign import cut

if TYPE_CHECKING:
    from collections.abc import Mapping

    from store.readers.foreign import ForeignRun

TRACKER: Final = "mlflow"
TIME_LIMIT_MS: Final = 2**53
"""Dates beyond are none: microseconds of them must fit 64 bits."""


def take_tags(run: ForeignRun, tags: Mapping[str, str]) -> None:
    """Sort the tags of a run: MLflow keeps what it knows itself among those of the user, under `mlflow.`."""
    run.tags = {key: cut(value) for key, value in tags.items() if not key.startswith("mlflow.")}
    run.name = run.name or cut(tags.get("mlflow.runName", ""))
    run.note = cut(tags.get("mlflow.note.content", ""))
    run.command = cut(tags.get("mlflow.source.name", ""))


def seconds(milliseconds: object) -> float | None:
    """Unix time in seconds; None for what is no date, and for the 0 that some clients write for "not yet"."""
    try:
        at_ms = int(milliseconds)  # type: ignore[call-overload]
    except (TypeError, ValueError, OverflowError):
        return None
    return at_ms / 1000 if 0 < at_ms < TIME_LIMIT_MS else None
