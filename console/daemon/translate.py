"""From records of the store to the JSON of the protocol."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from console.daemon import launch
from console.project.masking import mask_text
from console.protocol import encode_number
from store.folds import spread
from store.primary_metric import guess_goal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from store.queries.literals import ChangedLiteral
    from store.queries.run_table import RunEntry
    from store.series import LatestMetric


def metric(latest: LatestMetric, goal: str = "", goal_source: str = "guessed") -> dict[str, Any]:
    """A metric summary; without a goal it is guessed from the key."""
    goal = goal or guess_goal(latest.key)
    bests = [fold.maximum if goal == "maximize" else fold.minimum for fold in latest.folds]
    return {
        "key": latest.key,
        "goal": goal,
        "last": encode_number(latest.last),
        "last_step": latest.last_step,
        "minimum": latest.minimum,
        "maximum": latest.maximum,
        "point_count": latest.point_count,
        "goal_source": goal_source,
        "by_hand": latest.by_hand,
        "folds": {"bests": bests, **spread(bests)._asdict()} if bests else None,
    }


def metric_of(entry: RunEntry, latest: LatestMetric) -> dict[str, Any]:
    """A metric of a run, with what was pinned when it is the primary one."""
    if entry.metric is not None and latest.key == entry.metric.key:
        return metric(latest, entry.primary_goal, entry.primary_source)
    return metric(latest)


def row(entry: RunEntry, literals: Mapping[str, ChangedLiteral] | None = None) -> dict[str, Any]:
    """A line of the run table; `literals` are those of the script that stand in for params."""
    params, sources = entry.params, entry.param_sources
    if literals:
        script = os.path.basename(entry.script)
        params = params | {name: each.value for name, each in literals.items()}
        sources = sources | {name: f"{script}:{each.line}" for name, each in literals.items()}
    return {
        "id": entry.id,
        "no": entry.no,
        "name": entry.name,
        "project": entry.project,
        "state": entry.state,
        "cause": entry.cause,
        "command": entry.command,
        "created_at_s": entry.created_at_s,
        "started_at_s": entry.started_at_s,
        "ended_at_s": entry.ended_at_s,
        "exit_code": entry.exit_code,
        "signal": entry.signal,
        "params": params,
        "param_sources": sources,
        "metric": metric_of(entry, entry.metric) if entry.metric is not None else None,
        "cause_kind": entry.cause_kind,
        "attempt": entry.attempt,
        "attempts_max": entry.attempts_max,
        "pinned": entry.pinned,
        "archived": entry.archived,
        "tags": list(entry.tags),
        "sweep": entry.sweep,
        "job": entry.job,
        "tracker": entry.tracker,
        "written_at_s": entry.written_at_s,
    }


def note(found: tuple[str, float, str, str]) -> dict[str, Any]:
    """A note of a run."""
    return dict(zip(("id", "at_s", "actor", "text"), found, strict=True))


def detail(
    entry: RunEntry,
    metrics: Sequence[LatestMetric],
    run_dir: str,
    pid: int | None,
    supervisor_pid: int | None,
    skipped: tuple[int, str],
    now_s: float,
    notes: Sequence[tuple[str, float, str, str]],
    literals: Mapping[str, ChangedLiteral] | None = None,
    artifacts: Sequence[tuple[str, int, str]] = (),
) -> dict[str, Any]:
    """Everything about one run; the primary metric comes first."""
    primary = entry.metric.key if entry.metric is not None else None
    ordered = sorted(metrics, key=lambda latest: (latest.key != primary, latest.key))
    return {
        "row": row(entry, literals),
        "argv": list(entry.argv),
        "working_dir": entry.working_dir,
        "host": entry.host,
        "run_dir": launch.readable(run_dir),
        "pid": pid,
        "supervisor_pid": supervisor_pid,
        "metrics": [metric_of(entry, latest) for latest in ordered],
        "log_size_bytes": launch.log_size(run_dir),
        "evidence": entry.evidence,
        "skipped_line_count": skipped[0],
        "skipped_example": mask_text(skipped[1]),
        "now_s": now_s,
        "notes": list(map(note, notes)),
        "source_path": launch.readable(entry.source_path),
        "source_group": entry.source_group,
        "artifacts": [[launch.readable(path), *rest] for path, *rest in artifacts],
        "usage": dict(zip(("user_cpu_s", "system_cpu_s", "max_resident_bytes"), entry.usage, strict=True)),
        **launch.facts_of_files(run_dir, entry.attempt),
    }
