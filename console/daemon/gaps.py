"""How far runs are from the best other run of their project. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from console.protocol import encode_number
from console.triage import Gap

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from store.queries.run_table import RunEntry
    from store.queries.triage import Best, Place


def rival_of(entry: RunEntry, best: Mapping[str, Sequence[Best]]) -> Best | None:
    """The best other run of the project by the same metric."""
    if entry.metric is None:
        return None
    key = entry.metric.key
    return next((each for each in best.get(entry.project, ()) if each.no != entry.no and each.key == key), None)


def own_best(entry: RunEntry) -> float | None:
    """The best finite value of the primary metric; the mean of its folds' bests where there are folds."""
    if entry.metric is None:
        return None
    if not entry.metric.folds:
        return entry.metric.maximum if maximized(entry) else entry.metric.minimum
    bests = [each.maximum if maximized(entry) else each.minimum for each in entry.metric.folds]
    finite = [each for each in bests if each is not None]
    return sum(finite) / len(finite) if finite else None


def maximized(entry: RunEntry) -> bool:
    """More is better."""
    return entry.primary_goal == "maximize"


def comparable(entry: RunEntry, best: Mapping[str, Sequence[Best]]) -> Best | None:
    """The run that a live one is compared with at its step; None where there is no common step."""
    rival = rival_of(entry, best)
    return None if entry.metric is None or entry.metric.folds else rival


def live_gap(
    entry: RunEntry,
    placed: tuple[Place, int] | None,
    best: Mapping[str, Sequence[Best]],
    reached: Mapping[tuple[int, int, int], tuple[float, float]],
) -> tuple[Gap | None, str]:
    """How far a live run is from the best ended one up to the same step, or why that cannot be told."""
    mine, rival = own_best(entry), rival_of(entry, best)
    if entry.metric is None or placed is None:
        return None, "n/a: no metric yet"
    if mine is None:
        return None, f"n/a: {entry.metric.key} has no finite value yet"
    if rival is None:
        return None, f"n/a: no ended run of {entry.project} has {entry.metric.key}"
    if entry.metric.folds:
        return None, "n/a: folds are at no common step"
    place, step = placed
    values = reached.get((rival.no, place.key_id, step))
    if values is None:
        return None, f"n/a: r{rival.no}, the best, has no point up to step {step}"
    return gap_of(mine, values[1] if maximized(entry) else values[0], rival.no, step, maximize=maximized(entry)), ""


def final_gap(entry: RunEntry, best: Mapping[str, Sequence[Best]]) -> Gap | None:
    """How far an ended run is from the best other one of its project."""
    mine, rival = own_best(entry), rival_of(entry, best)
    if mine is None or rival is None:
        return None
    return gap_of(mine, rival.value, rival.no, None, maximize=maximized(entry))


def gap_of(mine: float, theirs: float, no: int, step: int | None, *, maximize: bool) -> Gap:
    """The difference and what it means."""
    value = mine - theirs
    return Gap(value, None if value == 0 else (value > 0) == maximize, no, step)


def gap_row(gap: Gap | None) -> dict[str, Any] | None:
    """A gap as JSON."""
    return gap._asdict() | {"value": encode_number(gap.value)} if gap is not None else None
