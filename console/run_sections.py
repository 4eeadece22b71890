"""What is known of one run, as titled lists of lines: the same for the screen of its details and for the commands.

Standard library only. Lines may hold anything that came from outside: whoever shows them makes it visible first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias

from console.tui.text_format import bytes_size, clock, duration, outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from console.protocol import LogPage, RunDetail
    from console.run_parts import Capture

Tone: TypeAlias = Literal["plain", "muted", "heading", "good", "bad", "added", "removed", "hunk"]
NAME_CELLS: Final = 12
REVISION_CHARACTERS: Final = 12


class TextLine(NamedTuple):
    """One line, and how it is meant."""

    text: str
    tone: Tone = "plain"


Lines: TypeAlias = list[TextLine]


class Section(NamedTuple):
    """Lines that belong together."""

    name: str
    """Short, for a bar of tabs."""
    lines: tuple[TextLine, ...]


def pairs(facts: Iterable[tuple[str, object]], width: int = NAME_CELLS) -> Lines:
    """`name  value`, without those that are empty; values of several lines are indented."""
    lines: Lines = []
    for name, value in facts:
        if value in (None, ""):
            continue
        first, *more = str(value).split("\n")
        lines.append(TextLine(f"{name:<{width}} {first}"))
        lines += [TextLine(f"{'':<{width}} {each}") for each in more]
    return lines


def ending(detail: RunDetail) -> Lines:
    """How the run ended or where it stands: evidence first, then attempts and what it used."""
    row = detail.row
    how = outcome(row.state, row.cause, row.exit_code, row.signal)
    bad = row.state in ("failed", "interrupted")
    lines = [TextLine(row.state + (f": {how}" if how else ""), "bad" if bad else "heading")]
    if detail.evidence.strip():
        lines += [TextLine(""), TextLine("evidence", "heading")]
        lines += [TextLine(f"  {line}") for line in detail.evidence.strip("\n").split("\n")]
    if detail.notice:
        lines += [TextLine(""), TextLine(detail.notice, "bad")]
    took = None if row.started_at_s is None else (row.ended_at_s or detail.now_s) - row.started_at_s
    lines.append(TextLine(""))
    lines += pairs(
        (
            ("kind", row.cause_kind),
            ("exit code", row.exit_code if row.exit_code is not None else "n/a" if row.ended_at_s else ""),
            ("signal", row.signal),
            ("started", clock(row.started_at_s, detail.now_s)),
            ("ended", clock(row.ended_at_s, detail.now_s)),
            ("took", duration(took)),
            ("host", detail.host),
            ("pid", detail.pid if detail.pid is not None else ""),
        )
    )
    lines += [TextLine(""), TextLine("usage", "heading"), *usage(detail)]
    lines += [TextLine(""), *attempts(detail)]
    if detail.skipped_line_count:
        lines += [TextLine(""), TextLine(f"{detail.skipped_line_count} metric lines could not be read, first:", "bad")]
        lines.append(TextLine(f"  {detail.skipped_example}"))
    return lines


def usage(detail: RunDetail) -> Lines:
    """Processor time and memory of all its processes."""
    used = detail.usage
    unknown = "n/a: measured when the run ends" if detail.row.ended_at_s is None else "n/a: it was not measured"
    cpu = (
        unknown
        if used.user_cpu_s is None or used.system_cpu_s is None
        else f"{duration(used.user_cpu_s)} user, {duration(used.system_cpu_s)} system"
    )
    memory = unknown if used.max_resident_bytes is None else f"{bytes_size(used.max_resident_bytes)} at most"
    return pairs((("  processor", cpu), ("  memory", memory)))


def attempts(detail: RunDetail) -> Lines:
    """Every attempt and how it ended."""
    row = detail.row
    lines = [TextLine(f"attempt {row.attempt} of at most {row.attempts_max}", "heading")]
    for each in detail.attempts:
        how = outcome("failed", each.cause, each.exit_code, each.signal) or "ended"
        took = (
            duration(each.ended_at_s - each.started_at_s)
            if each.started_at_s is not None and each.ended_at_s is not None
            else "n/a"
        )
        lines.append(TextLine(f"  {each.attempt}  {clock(each.started_at_s, detail.now_s)}  {took}  {how}"))
    return lines


def params(detail: RunDetail) -> Lines:
    """Every param, beside where it was read."""
    row = detail.row
    if not row.params:
        return [TextLine("none seen in the command, in config files or in the script", "muted")]
    width = min(40, max(map(len, row.params)))
    lines = []
    for key, value in row.params.items():
        source = row.param_sources.get(key, "")
        lines.append(TextLine(f"{key:<{width}}  {value}" + (f"   ({source})" if source else "")))
    return lines


def about(detail: RunDetail) -> Lines:
    """Command, folder, limits, tags and notes."""
    row = detail.row
    lines = pairs(
        (
            ("run", f"{row.label}  {row.id}"),
            ("name", row.name),
            ("project", row.project),
            ("job", row.job),
            ("sweep", row.sweep),
            ("tags", "  ".join(row.tags)),
            ("pinned", "yes, nothing deletes it" if row.pinned else ""),
            ("command", row.command),
            ("folder", detail.working_dir),
            ("files", detail.run_dir),
            *option_facts(detail.options),
            *((f"also in {name}", path) for name, path in detail.also),
        )
    )
    lines += [TextLine(""), TextLine(f"{len(detail.notes)} notes" if len(detail.notes) != 1 else "1 note", "heading")]
    for note in detail.notes:
        lines.append(TextLine(f"  {clock(note.at_s, detail.now_s)}  {note.actor}", "muted"))
        lines += [TextLine(f"    {line}") for line in note.text.split("\n")]
    return lines


def option_facts(options: Any) -> list[tuple[str, object]]:
    """Limits and retries that were asked for."""
    if not isinstance(options, dict):
        return []
    return [
        option_fact(str(name), value)
        for name, value in sorted(options.items())
        if value not in (None, "", [], {}) and value is not False
    ]


def option_fact(name: str, value: Any) -> tuple[str, object]:
    """An option and its value as people say them; the unit goes from the name to the value."""
    shown: object = value
    if isinstance(value, bool):
        shown = "yes"
    elif isinstance(value, int | float) and name.endswith("_bytes"):
        name, shown = name.removesuffix("_bytes"), bytes_size(value)
    elif isinstance(value, int | float) and name.endswith("_s"):
        name, shown = name.removesuffix("_s"), duration(value)
    elif isinstance(value, list):
        shown = ", ".join(map(str, value))
    return name.replace("_", " "), shown


def environment(capture: Capture) -> Lines:
    """Interpreter, machine and variables."""
    record = capture.record
    if not record:
        return not_captured()
    if record.get("state") != "captured":
        return [TextLine(str(record.get("state") or "n/a"), "bad")]
    interpreter, machine = mapping(record.get("interpreter")), mapping(record.get("hardware"))
    lines = [TextLine("interpreter", "heading")]
    lines += pairs(
        (
            ("  path", interpreter.get("path") or "n/a"),
            ("  version", interpreter.get("version") or "n/a"),
            ("  packages", interpreter.get("package_count", capture.packages_reason)),
        )
    )
    lines += [TextLine(""), TextLine("machine", "heading"), *machine_lines(machine)]
    variables = mapping(record.get("environment"))
    lines += [TextLine(""), TextLine(f"{len(variables)} variables, what looks like a secret is masked", "heading")]
    width = min(32, max(map(len, variables), default=0))
    return lines + [TextLine(f"  {name:<{width}}  {variables[name]}") for name in sorted(variables)]


def machine_lines(machine: Mapping[str, Any]) -> Lines:
    """What the run was enqueued on."""
    gpus: dict[str, int] = {}
    for each in machine.get("gpus") or ():
        model = str(mapping(each).get("model") or "unknown model")
        gpus[model] = gpus.get(model, 0) + 1
    cores = machine.get("core_count")
    usable = machine.get("usable_core_count")
    return pairs(
        (
            ("  host", machine.get("host")),
            ("  kernel", machine.get("kernel")),
            ("  processor", machine.get("cpu") or machine.get("machine")),
            ("  cores", f"{cores}, of which the run may use {usable}" if cores != usable else cores),
            ("  memory", bytes_size(machine.get("memory_bytes")) or "n/a"),
            ("  GPUs", "\n".join(f"{count} x {model}" for model, count in gpus.items()) or "none seen"),
            ("  driver", machine.get("nvidia_driver")),
        )
    )


def packages(capture: Capture) -> Lines:
    """Name, version and source of every installed package."""
    if not capture.record:
        return not_captured()
    if not capture.packages:
        return [TextLine(capture.packages_reason or "none", "muted")]
    width = min(40, max(len(each[0]) for each in capture.packages))
    return [
        TextLine(f"{each[0]:<{width}}  {each[1] if len(each) > 1 else ''}" + (f"  {each[2]}" if len(each) > 2 else ""))
        for each in capture.packages
    ]


def code(capture: Capture, detail: RunDetail | None = None) -> Lines:
    """Commit, changes, and what was kept of the files."""
    record = capture.record
    if not record:
        return not_captured()
    if record.get("state") != "captured":
        return [TextLine(str(record.get("state") or "n/a"), "bad")]
    git, diff, untracked = (mapping(record.get(name)) for name in ("git", "diff", "untracked"))
    changed, files = record.get("changed") or [], record.get("files") or []
    commit = f"{git['commit']}" if git.get("commit") else "no commit yet" if "commit" in git else ""
    lines = pairs(
        (
            ("folder", record.get("folder")),
            ("commit", commit or f"n/a: {git.get('reason', 'unknown')}"),
            ("branch", git.get("branch")),
            ("state", ("changed since the commit" if git.get("dirty") else "as committed") if "commit" in git else ""),
            ("diff", diff_words(diff) if changed else ""),
            ("captured", f"at attempt {capture.attempt}" if capture.attempt else "when it was enqueued"),
            ("also at", ", ".join(f"attempt {n}" for n in capture.attempts if n != capture.attempt)),
        )
    )
    later = mapping(detail.code).get("changed_since_enqueue") if detail is not None else None
    if later:
        lines += listed("changed between the enqueuing and the last start", [str(name) for name in later], "bad")
    lines += listed("changed", [sized(each.get("path"), each.get("size_bytes")) for each in map(mapping, changed)])
    names = [sized(*each[:2]) for each in untracked.get("names") or () if len(each) >= 2]
    count = untracked.get("count", len(names))
    more = "" if untracked.get("complete", True) else " or more"
    lines += listed(f"untracked, {count}{more}", names) if count else []
    lines += listed(
        "submodules",
        [
            f"{each.get('commit', '')[:REVISION_CHARACTERS]}  {each.get('path')}"
            for each in map(mapping, record.get("submodules") or [])
        ],
    )
    lines += listed(
        "kept with their content", [sized(each.get("path"), each.get("size_bytes")) for each in map(mapping, files)]
    )
    lines += listed("left out", [f"{name}: {reason}" for name, reason, *_ in (record.get("left_out") or [])], "muted")
    return lines


def diff_words(diff: Mapping[str, Any]) -> str:
    """How large the patch is, or why there is none."""
    if "size_bytes" not in diff:
        return f"n/a: {diff.get('reason', 'unknown')}"
    masked = diff.get("masked_line_count") or 0
    return bytes_size(diff["size_bytes"]) + (f", secrets masked in {masked} lines" if masked else "")


def listed(title: str, entries: Sequence[str], tone: Tone = "plain") -> Lines:
    """A heading and its entries; nothing without entries."""
    if not entries:
        return []
    return [TextLine(""), TextLine(title, "heading"), *(TextLine(f"  {each}", tone) for each in entries)]


def sized(path: object, size_bytes: object) -> str:
    """A file and its size; what has none is gone."""
    return f"{path}  {bytes_size(size_bytes) if isinstance(size_bytes, int) else 'deleted'}"


def patch(page: LogPage | None, capture: Capture) -> Lines:
    """The lines of a patch, as far as they were read."""
    if not capture.record:
        return not_captured()
    if page is None or not page.lines:
        diff = mapping(capture.record.get("diff"))
        words = "no tracked file differs from the commit"
        if diff.get("reason"):
            words = f"no diff: {diff['reason']}"
        return [TextLine(words, "muted")]
    lines = [TextLine(line.text + f" (+{bytes_size(line.cut_bytes)})" * bool(line.cut_bytes)) for line in page.lines]
    lines = [line._replace(tone=patch_tone(line.text)) for line in lines]
    if page.end_bytes < page.size_bytes:
        left = bytes_size(page.size_bytes - page.end_bytes)
        lines.append(TextLine(f"and {left} more: `footplate code RUN --patch` prints all of it", "muted"))
    return lines


def patch_tone(text: str) -> Tone:
    """What a line of a unified diff is."""
    if text.startswith(("diff --git ", "index ", "--- ", "+++ ", "new file", "deleted file", "similarity", "rename")):
        return "heading"
    if text.startswith("@@"):
        return "hunk"
    return "added" if text.startswith("+") else "removed" if text.startswith("-") else "plain"


def not_captured() -> Lines:
    """What stands where a run has no capture."""
    return [TextLine("n/a: nothing was captured of this run", "muted")]


def mapping(value: Any) -> dict[str, Any]:
    """An object of JSON; an empty one for anything else."""
    return value if isinstance(value, dict) else {}
