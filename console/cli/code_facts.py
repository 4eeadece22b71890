"""What `footplate show` says about interpreter and captured code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from console.tui.text_format import bytes_size, visible

if TYPE_CHECKING:
    from console.protocol import RunDetail

NAMES_MAX: Final = 8


def code_facts(detail: RunDetail) -> list[tuple[str, str]]:
    """Titles and texts for the table of facts, safe to print; an empty text where there is nothing to say."""
    code = detail.code or {}
    return [
        ("python", interpreter_text(detail.interpreter, code.get("interpreter") or {})),
        ("code", code_text(code)),
        ("differs", difference_text(code.get("changed_since_enqueue") or [])),
        ("copy", copy_text(code.get("worktree") or {}, detail.run_dir)),
    ]


def interpreter_text(path: str, facts: dict[str, Any]) -> str:
    """Path, version and packages, as far as they are known."""
    shown = visible(path or str(facts.get("path") or ""))
    notes = [visible(str(facts["version"]))] if facts.get("version") else []
    if "package_count" in facts:
        notes.append(f"{facts['package_count']} packages")
    elif shown and facts.get("reason"):
        notes.append(f"packages n/a: {visible(str(facts['reason']))}")
    return shown + (f"  ({', '.join(notes)})" if shown and notes else "")


def code_text(code: dict[str, Any]) -> str:
    """Commit and changes, or what was kept instead."""
    if code.get("state") != "captured":
        return visible(str(code.get("state") or ""))
    git, diff = code.get("git") or {}, code.get("diff") or {}
    parts = []
    if "commit" in git:
        commit = str(git["commit"])[:9] or "no commit yet"
        parts.append(f"{commit} on {git['branch']}" if git.get("branch") else commit)
        parts.append(f"{code['changed_count']} changed" if code.get("changed_count") else "unchanged")
        if "size_bytes" in diff and code.get("changed_count"):
            masked = f", secrets masked in {diff['masked_line_count']} lines" if diff.get("masked_line_count") else ""
            parts.append(f"diff {bytes_size(diff['size_bytes'])}{masked}")
        elif "reason" in diff:
            parts.append(f"no diff: {diff['reason']}")
        if code.get("untracked_count"):
            more = "" if code.get("untracked_complete", True) else " or more"
            parts.append(f"{code['untracked_count']}{more} untracked")
    else:
        parts.append(f"no commit: {git.get('reason', 'unknown')}")
    if code.get("file_count"):
        parts.append(f"{code['file_count']} files kept")
    return visible("; ".join(parts))


def difference_text(names: list[str]) -> str:
    """What had changed between the enqueuing and the last start."""
    if not names:
        return ""
    more = f" and {len(names) - NAMES_MAX} more" if len(names) > NAMES_MAX else ""
    return f"at the last start from when it was enqueued: {visible(', '.join(names[:NAMES_MAX]))}{more}; both are kept"


def copy_text(worktree: dict[str, Any], run_dir: str) -> str:
    """Where it runs in a copy of the code, or what it left there."""
    if worktree.get("kept_count"):
        count = worktree["kept_count"]
        return f"{count} file{'' if count == 1 else 's'} it wrote there: {visible(run_dir)}/worktree-files"
    return (
        visible(str(worktree.get("working_dir") or "")) if "kept_count" not in worktree else "taken away, nothing left"
    )
