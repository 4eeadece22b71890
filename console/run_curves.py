"""Metrics of a run as a chart draws them: snapshots, and how to ask the daemon for them."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias, get_args

from console import client as clients
from console.protocol import pick

if TYPE_CHECKING:
    from collections.abc import Sequence

    from console.client import Client
    from console.protocol import Json

Axis: TypeAlias = Literal["step", "epoch", "wall", "relative"]
AXES: Final[tuple[Axis, ...]] = get_args(Axis)
KEYS_MAX: Final = 24
"""Metrics in one answer."""


class Ask(NamedTuple):
    """What a chart wants to know of metrics."""

    bins: int
    axis: Axis = "step"
    low: float | None = None
    """First x that is wanted, in units of the axis: steps, epochs, Unix seconds, seconds; None: from the first on."""
    high: float | None = None
    smoothing: float = 0.0
    """Weight of the debiased exponential moving average over points, 0 for none."""
    log_x: bool = False
    """Bins of equal width in the logarithm of x."""


class Curve(NamedTuple):
    """One line; tuples have one entry per bin that holds a finite value, in order of x."""

    fold: int
    """0 for the mean of several folds."""
    point_count: int
    not_finite_count: int
    left_out_count: int
    """Points without a place on this axis: before the first epoch, or not above 0 on a logarithmic one."""
    xs: tuple[float, ...]
    """Of the last point of each bin."""
    first_xs: tuple[float, ...]
    steps: tuple[int, ...]
    means: tuple[float, ...]
    minimums: tuple[float, ...]
    maximums: tuple[float, ...]
    firsts: tuple[float, ...]
    lasts: tuple[float, ...]
    smoothed: tuple[float, ...] = ()
    """The smoothed value at the last point of each bin; empty without smoothing."""
    marks: tuple[tuple[float, str], ...] = ()
    """Where values were not finite: x and `nan`, `inf` or `-inf`."""


class MetricCurves(NamedTuple):
    """One metric, in one curve for each fold."""

    key: str
    axis: Axis
    curves: tuple[Curve, ...]
    mean: Curve | None
    fold_count: int
    low: float | None
    """What all its points span, whatever stretch was asked for."""
    high: float | None
    unavailable: str
    """Why this axis or smoothing cannot be had; there are no curves then."""


def fetch(client: Client, reference: str, keys: Sequence[str], ask: Ask) -> tuple[MetricCurves | None, ...]:
    """Metrics of a run in the order of `keys`; None for those that it has not. Raises ClientError."""
    query = {
        "keys": json.dumps(list(keys)),
        "bins": ask.bins,
        "axis": ask.axis,
        "from": None if ask.low is None else repr(ask.low),
        "to": None if ask.high is None else repr(ask.high),
        "smooth": ask.smoothing or None,
        "log_x": 1 if ask.log_x else None,
    }
    data = client.get(f"/runs/{clients.quote(reference)}/curves", query)
    return tuple(decode(each) if each is not None else None for each in data["metrics"])


def decode(data: dict[str, Json]) -> MetricCurves:
    """A metric from its JSON object."""
    mean = data.get("mean")
    curves = tuple(map(decode_curve, data["curves"]))
    return pick(MetricCurves, data, curves=curves, mean=decode_curve(mean) if mean else None)


def decode_curve(data: dict[str, Json]) -> Curve:
    """A line from its JSON object."""
    lists = {name: tuple(value) for name, value in data.items() if isinstance(value, list)}
    # A sum that overflowed is no number in JSON.
    lists["smoothed"] = tuple(math.nan if each is None else each for each in lists.get("smoothed", ()))
    lists["marks"] = tuple((x, kind) for x, kind in lists.get("marks", ()))
    return pick(Curve, data, **lists)
