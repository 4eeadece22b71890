"""The runs of the daemon in memory: in any state, with curves and logs that a training might leave."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from console.protocol import MetricSummary, RunDetail, RunRow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from console.protocol import Goal, State

NOW_S = 1_760_009_000.0
"""2025-10-09 11:23:20 UTC."""


def sort_value(row: RunRow, sort: str) -> float | str:
    """What the daemon would sort by."""
    match sort:
        case "name":
            return row.name
        case "project":
            return row.project
        case "state":
            return row.state
        case "metric" | "last(metric)":
            return row.metric.last if row.metric and math.isfinite(row.metric.last) else -math.inf
        case "step":
            return row.metric.last_step if row.metric else -1
        case "duration":
            return (row.ended_at_s or NOW_S) - (row.started_at_s or NOW_S)
        case "started":
            return row.started_at_s or math.inf
        case _:
            return row.no


def curve(metric: MetricSummary, seed: int, x: float) -> float:
    """A learning curve that ends near the metric's last value."""
    start = metric.last * (0.6 if metric.goal == "maximize" else 1.8)
    wobble = 0.012 * metric.last * math.sin(37.0 * x + seed) * (1.2 - x)
    return metric.last + (start - metric.last) * math.exp(-4.0 * x) + wobble


def summary(key: str, last: float, step: int, goal: Goal = "maximize", points: int | None = None) -> MetricSummary:
    """A metric with a plausible history."""
    low, high = (last * 0.6, last * 1.002) if goal == "maximize" else (last * 0.998, last * 1.8)
    return MetricSummary(key, goal, last, step, low, high, step if points is None else points)


def make_run(
    no: int,
    name: str,
    *,
    state: State = "finished",
    project: str = "churn",
    command: str = "python train.py --lr 0.1",
    params: Mapping[str, str] | None = None,
    metrics: tuple[MetricSummary, ...] = (),
    started_ago_s: float | None = 3600.0,
    took_s: float | None = 60.0,
    exit_code: int | None = 0,
    signal: str = "",
    cause: str = "",
    evidence: str = "",
    working_dir: str = "/home/ana/churn",
) -> RunDetail:
    """A run in any state."""
    started_at_s = None if started_ago_s is None else NOW_S - started_ago_s
    live = state in ("running", "starting", "stopping", "queued", "held", "blocked")
    ended_at_s = None if live or started_at_s is None or took_s is None else started_at_s + took_s
    row = RunRow(
        id=f"01K7{no:022d}",
        no=no,
        name=name,
        project=project,
        state=state,
        cause=cause,
        command=command,
        created_at_s=NOW_S - (started_ago_s or 90.0),
        started_at_s=started_at_s,
        ended_at_s=ended_at_s,
        exit_code=None if live else exit_code,
        signal=signal,
        params=dict(params or {}),
        metric=metrics[0] if metrics else None,
    )
    return RunDetail(
        row=row,
        argv=tuple(command.split()),
        working_dir=working_dir,
        host="gpu-03",
        run_dir=f"/home/ana/.local/state/footplate/runs/{row.id}",
        pid=4411 if state in ("running", "stopping") else None,
        supervisor_pid=4410 if state in ("running", "stopping") else None,
        metrics=metrics,
        log_size_bytes=0,
        evidence=evidence,
        skipped_line_count=0,
        skipped_example="",
        now_s=NOW_S,
    )


def training_log(lines: int) -> bytes:
    """Output of a training."""
    text = ["loading data/train.parquet: 41,203 rows, 38 columns", "[LightGBM] [Info] Number of positive: 10931"]
    text += [f"[{step}]\tvalid_0's auc: {0.62 + 0.2 * (1 - math.exp(-step / 60)):.4f}" for step in range(1, lines)]
    return ("\n".join(text) + "\n").encode()
