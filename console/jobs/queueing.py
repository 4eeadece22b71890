"""What a run asks of the queue: its place, what it waits for, what it must have to itself. Standard library only."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, cast

from console.jobs.options import OptionsError, optional_number

Condition: TypeAlias = Literal["ok", "any", "not-ok"]
Outcome: TypeAlias = Literal["ok", "not-ok", "skipped", "gone"]
Origin: TypeAlias = Literal["person", "trigger", "cron", "after"]

CONDITIONS: Final = ("ok", "any", "not-ok")
ORIGINS: Final = ("person", "trigger", "cron", "after")
SATISFIED_BY: Final[dict[Condition, frozenset[Outcome]]] = {
    "ok": frozenset({"ok"}),
    "any": frozenset({"ok", "not-ok", "skipped", "gone"}),
    "not-ok": frozenset({"not-ok"}),
}
"""A run that was skipped neither went well nor badly: who waits for either is skipped too."""
PRIORITY_MAX: Final = 100
DEVICES_MAX: Final = 1024
AFTER_MAX: Final = 1000
NAME: Final = re.compile(r"[A-Za-z0-9][\w.:-]{0,63}")
ULID: Final = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")
TEXT_MAX_CHARACTERS: Final = 4096


@dataclass(frozen=True, slots=True)
class After:
    """One run that must have ended first."""

    run: str
    """Its id."""
    on: Condition = "ok"


@dataclass(frozen=True, slots=True)
class Queueing:
    """What spec.json says under `queueing`; the defaults are those of a run that starts at once."""

    takes_slot: bool = False
    """It counts against the number of runs that may run at once."""
    priority: int = 0
    """Higher goes first."""
    after: tuple[After, ...] = ()
    devices: int = 0
    """Of the declared ones, each to itself."""
    mutex: tuple[str, ...] = ()
    """Groups of which one run runs at a time."""
    job: str = ""
    """The job of a manifest that it was made from."""
    sweep: str = ""
    """The label of its sweep, such as s3."""
    origin: Origin = "person"
    """Who wanted it: a person, or a manifest by itself."""
    reason: str = ""
    """What made a manifest want it."""
    manifest_dir: str = ""
    """The folder of that manifest."""

    @property
    def needs_trust(self) -> bool:
        """Whether nobody typed its command, so that its manifest must be trusted when it starts."""
        return self.origin != "person"


def parse_queueing(data: Any) -> Queueing:
    """Check the decoded `queueing` of a request or a spec.json; raises OptionsError naming the first that is wrong."""
    if data is None:
        return Queueing()
    if not isinstance(data, dict):
        raise OptionsError("queueing must be an object")
    takes_slot, origin = data.get("takes_slot") or False, data.get("origin") or "person"
    if not isinstance(takes_slot, bool):
        raise OptionsError("queueing.takes_slot must be true or false")
    if origin not in ORIGINS:
        raise OptionsError(f"queueing.origin must be one of: {', '.join(ORIGINS)}")
    mutex = data.get("mutex") or []
    if not isinstance(mutex, list | tuple) or not all(isinstance(name, str) and NAME.fullmatch(name) for name in mutex):
        raise OptionsError("mutex must be a list of names: up to 64 letters, digits and . _ : -")
    texts = {name: data.get(name) or "" for name in ("job", "sweep", "reason", "manifest_dir")}
    for name, text in texts.items():
        if not isinstance(text, str) or len(text) > TEXT_MAX_CHARACTERS or "\0" in text:
            raise OptionsError(f"queueing.{name} must be a text of at most {TEXT_MAX_CHARACTERS} characters")
    return Queueing(
        origin=cast("Origin", origin),
        takes_slot=takes_slot,
        priority=whole(data, "priority", -PRIORITY_MAX, PRIORITY_MAX),
        after=parse_after(data.get("after")),
        devices=whole(data, "devices", 0, DEVICES_MAX),
        mutex=tuple(dict.fromkeys(mutex)),
        **texts,
    )


def whole(data: dict[str, Any], name: str, least: int, most: int) -> int:
    """A whole number of `data` within bounds; 0 where it is missing."""
    value = optional_number(data, name, least, most) or 0
    if value != int(value):
        raise OptionsError(f"{name} must be a whole number")
    return int(value)


def parse_after(data: Any) -> tuple[After, ...]:
    """Check what a run waits for; raises OptionsError."""
    if data is None:
        return ()
    if not isinstance(data, list | tuple) or len(data) > AFTER_MAX:
        raise OptionsError(f"after must be a list of at most {AFTER_MAX} runs")
    found: dict[str, After] = {}
    for each in data:
        run = each.get("run") if isinstance(each, dict) else None
        on = each.get("on", "ok") if isinstance(each, dict) else None
        if not isinstance(run, str) or not ULID.fullmatch(run) or on not in CONDITIONS:
            raise OptionsError(f"after must hold objects of run (an id) and on ({', '.join(CONDITIONS)})")
        found[run] = After(run, on)
    return tuple(found.values())


def outcome_of(state: str) -> Outcome:
    """What the end of a run means to those that wait for it."""
    if state == "skipped":
        return "skipped"
    return "ok" if state == "finished" else "not-ok"
