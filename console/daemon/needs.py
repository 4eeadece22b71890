"""What wants a person, made from what the parts of the daemon say, and put in order. Pure.

The order: what stops the daemon, a disk that is full, what was lost, what stands still, what goes wrong now, what will;
within each the latest first. What a person has marked as seen is left out until it comes again under another key.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from console.triage import Need

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence

    from store.queries.run_table import RunEntry

EVIDENCE_MAX_CHARACTERS: Final = 2000
CAUSE_MAX_CHARACTERS: Final = 300
SUBJECT_MAX_CHARACTERS: Final = 60
DISK_WARNING_PERCENT: Final = 90.0
DISK_SEVERE_PERCENT: Final = 97.0
FULL_SOON_S: Final = 86_400.0
"""A disk that fills up within so long is told."""
IDLE_TOLD_S: Final = 1800.0
"""A GPU that is held for so long without working is told."""
IDLE_AGAIN_S: Final = 12 * 3600.0
"""What was marked as seen is told again after so long."""
SHOWN_OF_A_KIND: Final = 40
ORDER: Final = {
    "notice": 0,
    "disk": 1,
    "failed": 2,
    "interrupted": 2,
    "held": 3,
    "diverged": 4,
    "paused": 5,
    "queue": 5,
    "project": 6,
    "import": 7,
    "device": 8,
}


class Disk(NamedTuple):
    """The file system of the state directory."""

    path: str
    used_percent: float
    free_bytes: int
    full_in_s: float | None
    """Estimate from how it has filled; None when it does not fill, or that was not measured for long enough."""
    measured_s: float
    """How long it has been measured."""


def digest(text: str) -> str:
    """A short name for a text, so that another one counts as not seen."""
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=6).hexdigest()


def ranked(needs: Iterable[Need], seen: Container[str]) -> list[Need]:
    """Those that were not seen, the most urgent first."""
    return sorted((need for need in needs if not (need.dismissable and need.key in seen)), key=place)


def shown(needs: Iterable[Need]) -> list[Need]:
    """Of each kind at most SHOWN_OF_A_KIND, so that none fills the list."""
    counts: dict[str, int] = {}
    kept = []
    for need in needs:
        counts[need.kind] = counts.get(need.kind, 0) + 1
        if counts[need.kind] <= SHOWN_OF_A_KIND:
            kept.append(need)
    return kept


def key_of_run(run_id: str, attempt: int) -> str:
    """By which the end of a run is marked as seen."""
    return f"run:{run_id}:{attempt}"


def place(need: Need) -> tuple[bool, int, float, str]:
    """Sorts as people should read."""
    return not need.severe, ORDER.get(need.kind, len(ORDER)), -(need.at_s or 0.0), need.subject


def of_runs(entries: Iterable[RunEntry]) -> list[Need]:
    """Runs that failed, were interrupted or diverged."""
    found = []
    for entry in entries:
        diverged = entry.state == "finished" or entry.cause_kind == "diverged"
        evidence = entry.evidence.strip()
        found.append(
            Need(
                key=key_of_run(entry.id, entry.attempt),
                kind="diverged" if diverged else entry.state,
                severe=not diverged,
                subject=subject(entry.no, entry.name),
                cause=one_line(entry.cause or entry.state),
                evidence=evidence[-EVIDENCE_MAX_CHARACTERS:],
                act="retry",
                command=f"footplate retry r{entry.no}",
                run_id=entry.id,
                at_s=entry.ended_at_s or entry.started_at_s or entry.created_at_s,
            )
        )
    return found


def of_live(entries: Iterable[RunEntry]) -> list[Need]:
    """Runs that go on although their primary metric is no number any more."""
    return [
        Need(
            key=f"nan:{entry.id}:{entry.attempt}",
            kind="diverged",
            severe=False,
            subject=subject(entry.no, entry.name),
            cause=f"{entry.metric.key} is {value_words(entry.metric.last)} since step {entry.metric.last_step}",
            act="stop",
            command=f"footplate stop r{entry.no}",
            run_id=entry.id,
            at_s=entry.started_at_s,
        )
        for entry in entries
        if entry.metric is not None and not math.isfinite(entry.metric.last) and not entry.tracker
    ]


def value_words(value: float) -> str:
    """NaN and infinities as logs write them."""
    return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"


def of_queue(queue: Mapping[str, Any]) -> list[Need]:
    """Held runs, pauses that something waits behind, runs that can never start."""
    found = []
    entries: Sequence[dict[str, Any]] = queue["entries"]
    for entry in entries:
        reason = str(entry["reason"])
        if entry["releasable"]:
            kind, act, command = "held", "release", f"footplate release r{entry['no']}"
        elif "can never start" in reason:
            kind, act, command = "queue", "stop", f"footplate stop r{entry['no']}"
        else:
            continue
        found.append(
            Need(
                key=f"{kind}:{entry['id']}",
                kind=kind,
                severe=False,
                subject=subject(entry["no"], entry["name"]),
                cause=one_line(reason or entry["state"]),
                act=act,
                command=command,
                run_id=entry["id"],
            )
        )
    if entries:
        found += [of_pause(pause, entries, queue["waiting_count"]) for pause in queue["pauses"]]
    if entries and not queue["slots"]:
        cause = f"{runs(queue['waiting_count'])} cannot start: no run may at once"
        command = "footplate queue slots 1"
        found.append(Need("slots", "queue", severe=False, subject="queue", cause=cause, command=command))
    return found


def of_pause(pause: Mapping[str, Any], entries: Sequence[Mapping[str, Any]], waiting_count: int) -> Need:
    """A pause and how many runs stand behind it."""
    scope = str(pause["scope"])
    kind, _, name = scope.partition(":")
    behind = waiting_count
    if kind != "all":
        behind = sum(entry["project" if kind == "project" else "sweep"] == name for entry in entries)
    return Need(
        key=f"pause:{scope}:{pause.get('at_s')}",
        kind="paused",
        severe=False,
        subject="queue" if kind == "all" else one_line(name)[:SUBJECT_MAX_CHARACTERS],
        cause=one_line(f"{pause['words']}; {runs(behind)} behind it"),
        act="resume",
        command="footplate resume" + ("" if kind == "all" else f" {name}"),
        scope=scope,
        at_s=pause.get("at_s"),
    )


def runs(count: int) -> str:
    """`1 run waits`, `3 runs wait`."""
    return "1 run waits" if count == 1 else f"{count} runs wait"


def of_projects(rows: Iterable[Mapping[str, Any]]) -> list[Need]:
    """What watched projects say that they want."""
    return [
        Need(
            key=f"project:{row['root']}:{digest(each['kind'] + each['text'] + str(row.get('text_hash')))}"[-400:],
            kind="project",
            severe=False,
            subject=one_line(str(row["name"]))[:SUBJECT_MAX_CHARACTERS],
            cause=one_line(each["text"]),
            evidence=each["text"][:EVIDENCE_MAX_CHARACTERS],
            act="trust" if each["kind"] in ("changed", "untrusted") else "open",
            command=each["command"] if each["command"].startswith("footplate ") else "",
            root=row["root"],
        )
        for row in rows
        for each in row["attention"]
    ]


def of_imports(rows: Iterable[Mapping[str, Any]]) -> list[Need]:
    """Imports that stopped, and files that could not be read."""
    found = []
    for row in rows:
        problems = list(row["problems"])
        if not row["stopped"] and not problems:
            continue
        cause = row["stopped"] or problems[0]
        more = len(problems) - (not row["stopped"])
        words = one_line(str(cause)) + (f" (and {more} more)" if more > 0 else "")
        name = str(row["root"]).rstrip("/").rpartition("/")[2] or str(row["root"])
        found.append(
            Need(
                key=f"import:{row['id']}:{digest(row['stopped'] + ''.join(sorted(map(str, problems))))}",
                kind="import",
                severe=False,
                subject=one_line(f"import {name}")[:SUBJECT_MAX_CHARACTERS],
                cause=words,
                evidence="\n".join([str(row["root"]), *map(str, problems)])[:EVIDENCE_MAX_CHARACTERS],
                command="footplate imports",
            )
        )
    return found


def of_disk(disk: Disk | None) -> list[Need]:
    """A file system that is nearly full, or soon will be."""
    if disk is None:
        return []
    soon = disk.full_in_s is not None and disk.full_in_s <= FULL_SOON_S
    if disk.used_percent < DISK_WARNING_PERCENT and not soon:
        return []
    words = [f"{disk.used_percent:.0f}% full, {disk.free_bytes / 2**30:.1f} GiB free"]
    if disk.full_in_s is not None and soon:
        hours = disk.full_in_s / 3600
        words.append(f"~full in {hours:.0f}h" if hours >= 2 else f"~full in {max(1, round(disk.full_in_s / 60))}m")
    evidence = "`footplate du` says what takes it, `footplate gc` brings what is kept within a budget"
    if soon:
        evidence = f"as it has filled for the last {max(1, round(disk.measured_s / 60))} minutes; {evidence}"
    level = sum(disk.used_percent >= bound for bound in (90, 93, 95, 97, 98, 99))
    return [
        Need(
            key=f"disk:{disk.path}:{level}{':soon' if soon else ''}"[-400:],
            kind="disk",
            severe=disk.used_percent >= DISK_SEVERE_PERCENT,
            subject=f"disk {disk.path}"[:SUBJECT_MAX_CHARACTERS],
            cause=", ".join(words),
            evidence=evidence,
            command="footplate du",
        )
    ]


def of_cards(cards: Iterable[Mapping[str, Any]]) -> list[Need]:
    """GPUs that fell off the bus, and those that somebody holds without working."""
    found = []
    for card in cards:
        subject = f"GPU {card['number']}"
        if card.get("problem"):
            key = f"device:{card['uuid']}:{digest(card['problem'])}"
            found.append(Need(key, "device", severe=True, subject=subject, cause=one_line(card["problem"])))
            continue
        idle_s, holders = card.get("idle_held_s"), card.get("holders") or []
        if idle_s is None or idle_s < IDLE_TOLD_S or not holders:
            continue
        first = max(holders, key=lambda each: each.get("memory_used_bytes") or 0)
        who = one_line(first.get("user") or "") or "somebody"
        hours = f"{int(idle_s // 3600)}h{int(idle_s % 3600 // 60):02d}"
        more = f" and {len(holders) - 1} more" if len(holders) > 1 else ""
        ours = first.get("run") or ""
        found.append(
            Need(
                key=f"device:{card['uuid']}:{first['pid']}:{int(idle_s // IDLE_AGAIN_S)}",
                kind="device",
                severe=False,
                subject=subject,
                cause=f"idle-held by {who} for {hours}, pid {first['pid']}{more}",
                evidence=one_line(first.get("command") or ""),
                act="stop" if ours else "copy",
                command="footplate gpus",
                run_id=ours,
            )
        )
    return found


def of_notices(blocking: Iterable[str], passing: Iterable[str]) -> list[Need]:
    """What keeps the daemon from its work, and what it only tells."""
    made = [
        Need(
            f"notice:{digest(words)}",
            "notice",
            severe,
            "daemon",
            one_line(words),
            evidence=words,
            dismissable=not severe,
        )
        for severe, said in ((True, blocking), (False, passing))
        for words in said
        if words
    ]
    return [need._replace(command="footplate daemon status") for need in made]


def subject(no: int, name: str) -> str:
    """A run in few words."""
    return f"r{no} {one_line(name)}"[:SUBJECT_MAX_CHARACTERS]


def one_line(text: str) -> str:
    """The text on one line that is not too long."""
    return " ".join(text.split())[:CAUSE_MAX_CHARACTERS]
