"""A watched project as it crosses the socket, and what of it wants a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from console.daemon import job_runs
from console.project.manifest_model import FILE_NAME, value_text

if TYPE_CHECKING:
    from console.daemon.projects import Tracked
    from console.daemon.watcher import WatchState
    from console.project.trust import Trust


def problem_of(found: Trust) -> str:
    """Why a manifest may start nothing by itself; empty when it may."""
    said = {
        "none": f"there is no {FILE_NAME}",
        "untrusted": f"{FILE_NAME} is not trusted yet",
        "changed": f"{FILE_NAME} has changed since it was trusted",
    }
    return "" if found.state == "trusted" else said.get(found.state, found.reason)


def row_of(tracked: Tracked, watch: WatchState) -> dict[str, Any]:
    """A project as JSON."""
    project, manifest, found = tracked.project, tracked.manifest, tracked.trust
    jobs = list(manifest.jobs.values()) if manifest is not None else []
    triggers = tracked.triggers.rows() if tracked.triggers is not None else tracked.seen
    return {
        "id": project.id,
        "name": project.name,
        "root": project.root,
        "since_s": project.since_s,
        "trust": found.state,
        "trust_reason": found.reason,
        "text_hash": found.text_hash,
        "diff": list(found.diff),
        "watch": watch.mode,
        "watch_count": watch.watch_count,
        "watch_reason": watch.reason,
        "jobs": [
            {
                "name": job.name,
                "command": job.command if isinstance(job.command, str) else " ".join(job.command),
                "params": {name: value_text(value) for name, value in job.params.items()},
                "description": job.description,
                "after": [each.job for each in job.after],
                "on_change": list(job.trigger.on_change) if job.trigger is not None else [],
                "cron": job.trigger.cron if job.trigger is not None else "",
                "followers": [each.name for each in job_runs.followers_of(manifest, job.name)] if manifest else [],
                **triggers.get(job.name, {}),
            }
            for job in jobs
        ],
        "armed": tracked.triggers is not None and tracked.triggers.armed,
        "attention": attention_of(tracked, watch.mode, watch.reason),
    }


def attention_of(tracked: Tracked, mode: str, reason: str) -> list[dict[str, str]]:
    """What of a project wants a person: kind, what to know, and the command that helps."""
    root, found, said = tracked.project.root, tracked.trust, []
    manifest = tracked.manifest
    starts_something = manifest is not None and any(job.trigger or job.after for job in manifest.jobs.values())
    if found.state == "changed":
        said.append(("changed", f"{FILE_NAME} has changed: nothing starts by itself", f"footplate trust {root}"))
    elif found.state == "untrusted" and starts_something:
        text = f"{FILE_NAME} is not trusted yet: nothing starts by itself"
        said.append(("untrusted", text, f"footplate trust {root}"))
    elif found.state in ("broken", "unsafe"):
        said.append((found.state, found.reason, "mend it"))
    if mode in ("gone", "unreadable"):
        said.append((mode, reason, f"footplate unwatch {root}"))
    said += [("error", error, "") for error in tracked.errors]
    if tracked.triggers is not None:
        said += tracked.triggers.attention()
    return [{"kind": kind, "text": text, "command": command} for kind, text, command in said]
