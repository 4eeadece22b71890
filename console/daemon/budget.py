"""What `footplate gc` would do to come within a budget: a plan from sizes and facts, nothing else.

In this order, each only as far as needed: what nobody needs (leftovers, old quarantine, unused captures), the middles
of the oldest logs, packing the oldest runs, captured code, and only when asked for whole runs with their metrics. Never
a pinned run, never one that has not ended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from console.protocol import ENDED_STATES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from store.disk_use import HomeUse, RunUse

LOG_KEPT_BYTES: Final = 256 << 10
"""Of a log that is cut: its first bytes, and as many of its last."""
LOG_CUT_MIN_BYTES: Final = 1 << 20
"""Smaller logs are left alone."""
PACK_MIN_BYTES: Final = 64 << 10
"""Packing a smaller run gains nothing worth it."""
PACK_SHARE: Final = 3
"""A pack is counted as one part in so many of what it holds: JSON and text do better, model files worse."""


class RunFacts(NamedTuple):
    """What the index says of a run."""

    id: str
    no: int
    name: str
    project: str
    state: str
    pinned: bool
    ended_at_s: float | None
    archived: bool


class Step(NamedTuple):
    """One thing to do."""

    kind: str
    """leftovers, expendable, blobs, log, archive, code or delete."""
    target: str
    """Run id; for what belongs to no run a name in the state directory, or empty."""
    words: str
    frees_bytes: int
    """Expected; for packs an estimate."""


class Plan(NamedTuple):
    """What would be done and where that leads."""

    budget_bytes: int
    used_bytes: int
    after_bytes: int
    """Used when all steps are done, as far as can be said before."""
    steps: tuple[Step, ...]
    unreachable: tuple[tuple[str, int], ...]
    """What may not be touched, in words and bytes."""

    def to_json(self) -> dict[str, Any]:
        """As it crosses the socket."""
        steps = [step._asdict() for step in self.steps]
        unreachable = [{"words": words, "bytes": size} for words, size in self.unreachable]
        return {**self._asdict(), "steps": steps, "unreachable": unreachable}


def make_plan(
    use: HomeUse,
    facts: Sequence[RunFacts],
    budget_bytes: int,
    expendable: Mapping[str, int],
    *,
    unused_blobs: int,
    including_metrics: bool,
) -> Plan:
    """The steps that bring `use` to the budget, or as near as may be. Oldest end first; ties by number."""
    used = use.total
    left = used
    steps: list[Step] = []
    free = [run for run in facts if run.state in ENDED_STATES and not run.pinned and run.id in use.runs]
    free.sort(key=lambda run: (run.ended_at_s or 0.0, run.no))
    for step in candidates(use, free, expendable, unused_blobs, including_metrics=including_metrics):
        if left <= budget_bytes:
            break
        steps.append(step)
        left -= step.frees_bytes
    unreachable = kept_words(use, facts, free, including_metrics=including_metrics) if left > budget_bytes else ()
    return Plan(budget_bytes, used, max(0, left), tuple(steps), unreachable)


def candidates(
    use: HomeUse,
    free: Sequence[RunFacts],
    expendable: Mapping[str, int],
    unused_blobs: int,
    *,
    including_metrics: bool,
) -> Iterator[Step]:
    """Everything that could be done, in order; sizes take into account that the steps before were done."""
    if use.shared.get("leftovers"):
        yield Step("leftovers", "", "what deleted and packed runs left behind", use.shared["leftovers"])
    for name, size in expendable.items():
        yield Step("expendable", name, f"{name}: nothing needs it any more", size)
    if unused_blobs:
        yield Step("blobs", "", "captured code that no run refers to", unused_blobs)
    present = {run.id: _copy(use.runs[run.id]) for run in free}
    for run in free:
        mine = present[run.id]
        if mine.log > LOG_CUT_MIN_BYTES:
            gain = mine.log - 2 * LOG_KEPT_BYTES
            mine.log -= gain
            yield Step("log", run.id, f"the middle of the log of r{run.no} {run.name}", gain)
    for run in free:
        mine = present[run.id]
        loose = mine.total - mine.archive
        if not run.archived and loose > PACK_MIN_BYTES:
            yield Step("archive", run.id, f"pack r{run.no} {run.name}", loose - loose // PACK_SHARE)
            for name in ("log", "metrics", "derived", "code", "other"):
                setattr(mine, name, getattr(mine, name) // PACK_SHARE)
    for run in free:
        mine = present[run.id]
        if mine.code:
            yield Step("code", run.id, f"the captured code of r{run.no} {run.name}", mine.code)
            mine.code = 0
    if including_metrics:
        for run in free:
            yield Step("delete", run.id, f"delete r{run.no} {run.name} with its metrics", present[run.id].total)


def kept_words(
    use: HomeUse, facts: Sequence[RunFacts], free: Sequence[RunFacts], *, including_metrics: bool
) -> tuple[tuple[str, int], ...]:
    """Why the budget cannot be met: what may not go, the largest first."""

    def sized(runs: Sequence[RunFacts]) -> int:
        return sum(use.runs[run.id].total for run in runs if run.id in use.runs)

    known = {run.id for run in facts}
    pinned = [run for run in facts if run.pinned]
    live = [run for run in facts if run.state not in ENDED_STATES and not run.pinned]
    unknown = sum(size.total for run_id, size in use.runs.items() if run_id not in known)
    found = [
        (f"{len(pinned)} pinned runs (`footplate pin --off RUN` lets one go)", sized(pinned)),
        (f"{len(live)} runs that have not ended", sized(live)),
        ("index, backups, journals and other files of footplate", sum(use.shared.values())),
        ("directories in runs/ that are no runs", unknown),
    ]
    if not including_metrics:
        found.append((f"metrics and results of {len(free)} runs (--including-metrics deletes whole runs)", sized(free)))
    return tuple(sorted((each for each in found if each[1]), key=lambda each: -each[1]))


def _copy(use: RunUse) -> RunUse:
    return type(use)(**{name: getattr(use, name) for name in use.__slots__})
