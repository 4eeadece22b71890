"""How an imported run stands, by evidence: what its tracker says, and when it last wrote. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

from console import trackers

STALE_AFTER_S: Final = 600.0
"""A run that says it is running and was not written to for so long is stale."""


class Standing(NamedTuple):
    """How a run stands, by what its tracker says and when it last wrote."""

    state: str
    cause: str
    """Why we say so; empty where the tracker says it plainly."""


def standing(said: str, tracker: str, written_at_s: float, now_s: float, exit_code: int | None = None) -> Standing:
    """The state of an imported run. Running only while its files are written to."""
    name = trackers.name_of(tracker)
    if said == "finished":
        return Standing("finished", "")
    if said == "failed":
        return Standing("failed", f"exit code {exit_code}" if exit_code else f"failed, as {name} says")
    if said == "killed":
        return Standing("stopped", f"killed, as {name} says")
    if said == "scheduled":
        return Standing("unknown", f"scheduled, as {name} says")
    if now_s - written_at_s < STALE_AFTER_S:
        return Standing("running", "")
    if said == "running":
        return Standing("stale", f"{name} says running, but nothing has been written since")
    return Standing("unknown", f"{name} does not record how a run ended")
