"""Runs side by side: params that differ, where each metric stands, states and durations. Pure, standard library only.

Plain values without a verdict: whether a difference is more than chance is not said here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from console.client import Client
    from console.protocol import MetricSummary, RunDetail, RunRow

RUNS_MAX: Final = 16


class ParamLine(NamedTuple):
    """One param of all runs; None where a run has none."""

    key: str
    values: tuple[str | None, ...]

    @property
    def differs(self) -> bool:
        """Whether it does not have one value in all of them."""
        return len(set(self.values)) > 1


class MetricLine(NamedTuple):
    """One metric of all runs; None where a run has none, or no finite value."""

    key: str
    goal: str
    lasts: tuple[float | None, ...]
    bests: tuple[float | None, ...]


class Sides(NamedTuple):
    """Runs side by side, in the order in which they were named; the first is what the others are held against."""

    now_s: float
    runs: tuple[RunRow, ...]
    params: tuple[ParamLine, ...]
    """Those that differ first, each part by key."""
    metrics: tuple[MetricLine, ...]
    """The primary metric of the first run first, then those that most runs have."""


def sides_of(details: Sequence[RunDetail]) -> Sides:
    """Put runs side by side."""
    keys = sorted({key for detail in details for key in detail.row.params})
    params = [ParamLine(key, tuple(detail.row.params.get(key) for detail in details)) for key in keys]
    summaries: dict[str, list[MetricSummary | None]] = {}
    for place, detail in enumerate(details):
        for metric in detail.metrics:
            summaries.setdefault(metric.key, [None] * len(details))[place] = metric
    first = details[0].row.metric if details else None
    ordered = sorted(summaries, key=lambda key: (first is None or key != first.key, summaries[key].count(None), key))
    return Sides(
        max((detail.now_s for detail in details), default=0.0),
        tuple(detail.row for detail in details),
        tuple(sorted(params, key=lambda line: not line.differs)),
        tuple(metric_line(key, summaries[key]) for key in ordered),
    )


def metric_line(key: str, found: Sequence[MetricSummary | None]) -> MetricLine:
    """One metric of all runs."""
    goal = next(metric.goal for metric in found if metric is not None)
    lasts = tuple(metric.last if metric is not None else None for metric in found)
    return MetricLine(key, goal, lasts, tuple(metric.best if metric is not None else None for metric in found))


def difference(values: Sequence[float | None], place: int) -> float | None:
    """How far a value is from that of the first run; None for the first, and where one of the two is not a number."""
    first, value = values[0], values[place]
    if place == 0 or first is None or value is None:
        return None
    found = value - first
    return found if abs(found) < float("inf") else None


def load(client: Client, references: Sequence[str]) -> Sides:
    """Runs side by side by their references. Raises ClientError."""
    return sides_of([client.run(reference) for reference in references])
