"""What jobs of one manifest set each other off: `after`, and triggers on what another job writes. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from console.project import globs
from console.project.manifest_values import Wrong, nearest, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from console.project.manifest_model import Job

SHOWN_MAX: Final = 12
COMPARED_MAX_STEPS: Final = 500_000
"""Work spent on comparing patterns: about a second."""


def check(jobs: Mapping[str, Job]) -> None:
    """Raise Wrong for an `after` that leads nowhere or in a circle, and for jobs that start each other for ever."""
    for job in jobs.values():
        for position, entry in enumerate(job.after):
            if entry.job not in jobs:
                meant = nearest(entry.job, jobs)
                hint = f" (did you mean {meant!r}?)" if meant else ""
                known = ", ".join([*list(jobs)[:SHOWN_MAX], *(["…"] if len(jobs) > SHOWN_MAX else [])])
                problem = f"there is no job {shown(entry.job)}{hint}"
                raise Wrong(problem, f"one of {known}", "jobs", job.name, "after", position)
        names = [entry.job for entry in job.after]
        twice = next((name for name in names if names.count(name) > 1), "")
        if twice:
            raise Wrong(f"names the job {twice!r} twice", "each job once", "jobs", job.name, "after")
    circle = find_circle({name: [entry.job for entry in job.after] for name, job in jobs.items()})
    if circle:
        names = circle if len(circle) <= SHOWN_MAX else [*circle[: SHOWN_MAX - 1], "…", circle[-1]]
        words = " after ".join(names)
        raise Wrong(f"the jobs wait for each other: {words}", "jobs without a circle", "jobs", circle[0], "after")
    check_triggers(jobs)


def find_circle(edges: Mapping[str, list[str]]) -> list[str]:
    """Names along a circle, the first one again at the end; empty when there is none."""
    done: set[str] = set()
    for start in edges:
        trail: list[str] = []
        on_trail: set[str] = set()
        waiting = [(start, False)]
        while waiting:
            name, left = waiting.pop()
            if left:
                trail.pop()
                on_trail.discard(name)
                done.add(name)
            elif name in on_trail:
                return [*trail[trail.index(name) :], name]
            elif name not in done:
                trail.append(name)
                on_trail.add(name)
                waiting.append((name, True))
                waiting += [(following, False) for following in reversed(edges[name])]
    return []


def check_triggers(jobs: Mapping[str, Job]) -> None:
    """Raise Wrong for a trigger on what the job itself writes, or a job that is started because of it."""
    starts: dict[str, list[str]] = {name: [] for name in jobs}
    for job in jobs.values():
        for entry in job.after:
            starts[entry.job].append(job.name)
    meetings = trigger_meetings(jobs)
    for writer, triggered in meetings:
        starts[writer].append(triggered)
    for (writer, triggered), (position, pattern, output) in meetings.items():
        chain = way(starts, triggered, writer)
        if chain:
            wrote = "which this job writes itself" if len(chain) == 1 else f"which {writer} writes, started by this job"
            through = f" ({' → '.join([*chain, triggered])})" if len(chain) > 1 else ""
            raise Wrong(
                f"{pattern!r} can mean {output!r}, {wrote}{through}: it would start for ever",
                "patterns for files that no run of it causes",
                "jobs",
                triggered,
                "trigger",
                "on_change",
                position,
            )


def trigger_meetings(jobs: Mapping[str, Job]) -> dict[tuple[str, str], tuple[int, str, str]]:
    """(job that writes, job that is triggered by it) -> position and text of the pattern, and the output it meets."""
    found: dict[tuple[str, str], tuple[int, str, str]] = {}
    steps = 0
    writers = [(name, output) for name, job in jobs.items() for output in job.outputs]
    for triggered, job in jobs.items():
        for position, pattern in enumerate(job.trigger.on_change if job.trigger else ()):
            for writer, output in writers:
                steps += globs.cost(pattern, output) + 1
                if steps > COMPARED_MAX_STEPS:
                    expected = "fewer or plainer patterns in triggers and outputs"
                    raise Wrong("too many patterns to compare", expected, "jobs", triggered, "trigger", "on_change")
                if (writer, triggered) not in found and globs.meet(pattern, output):
                    found[writer, triggered] = (position, pattern, output)
    return found


def way(edges: Mapping[str, list[str]], start: str, end: str) -> list[str]:
    """Names from `start` to `end`, both of them; empty when none leads there."""
    before: dict[str, str] = {start: ""}
    waiting = [start]
    while waiting:
        name = waiting.pop(0)
        if name == end:
            trail = [name]
            while before[trail[-1]]:
                trail.append(before[trail[-1]])
            return trail[::-1]
        for following in edges[name]:
            if following not in before:
                before[following] = name
                waiting.append(following)
    return []
