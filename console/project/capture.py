"""What a run depends on, written down when it is enqueued and again when it starts later: `<run dir>/code/`.

    capture.json      at enqueue: git, changed and untracked files, files by content, argv, hardware, interpreter
    diff.patch        from the commit to the files, with masked secrets
    capture-<n>.json  the same at the start of attempt n, where that is later; says what differs
    diff-<n>.patch

Reads only. Whatever cannot be read is left out with its reason: a capture never fails a run.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from blake3 import blake3

from console.jobs import spec as specs
from console.json_files import read_object
from console.project import blobs, code_files, git, hardware, interpreter, packages
from console.project.masking import mask_argv
from console.project.patches import mask_file, mask_patch
from store import paths

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from console.jobs.spec import Spec

FORMAT: Final = 1
DIFF_MAX_BYTES: Final = 20_000_000
CONTENT_MAX_BYTES: Final = 20_000_000
"""Of all files of one capture that are kept by content."""
NAMES_MAX: Final = 2000
HASHED_MAX_BYTES: Final = 64 << 20
"""Larger files are known by their size alone."""
LEFT_OUT_MAX: Final = 200


@dataclass(slots=True)
class Capture:
    """One capture: the record that is kept, and what a copy of the code needs besides."""

    spec: Spec
    home: str
    folder: str
    """Root of the repository; without one the folder of the run. Paths in the record are relative to it."""
    record: dict[str, Any]
    repository: git.Repository | None = None
    patch: bytes | None = None
    """As git gave it, with secrets; None when there is none that is whole."""
    wanted: list[str] = field(default_factory=list)
    """Files below the folder, besides those of the commit, that a copy needs."""
    kept_bytes: int = 0

    def keep_files(self, names: Iterable[str]) -> None:
        """Keep small text files by content; say of the others why not."""
        files, left_out = self.record["files"], self.record["left_out"]
        for name in names:
            if len(files) >= NAMES_MAX:
                left_out.append([name, f"more than {NAMES_MAX} files"])
                break
            path = os.path.join(self.folder, name)
            content, reason = b"", code_files.reason_to_leave_out(name)
            if not reason:
                content, reason = code_files.read_text(path)
            if not reason and self.kept_bytes + len(content) > CONTENT_MAX_BYTES:
                reason = f"more than {CONTENT_MAX_BYTES // 1_000_000} MB in all"
            if (size_of(path) or 0) <= code_files.FILE_MAX_BYTES:
                self.wanted.append(name)
            if reason:
                if len(left_out) < LEFT_OUT_MAX:
                    left_out.append([name, reason])
                continue
            self.kept_bytes += len(content)
            kept = mask_file(content)
            digest = str(blake3(content).hexdigest())
            files.append(
                {"path": name, "size_bytes": len(content), "blake3": digest, "blob": blobs.keep(self.home, kept)}
            )


@contextmanager
def captured(run_dir: str, attempt: int) -> Iterator[Capture]:
    """Capture the code of a run; 0 stands for the enqueuing. The copy of git's index lives as long as the block.

    Raises OSError when our own files cannot be read or written, ValueError for a spec.json that cannot be read.
    """
    found = specs.read_spec(run_dir)
    folder = found.original_working_dir or found.working_dir
    home = os.path.dirname(os.path.dirname(run_dir))
    with tempfile.TemporaryDirectory(prefix=".scratch-", dir=f"{run_dir}/code") as scratch:
        started_s = time.monotonic()
        variables = read_variables(run_dir)
        record = {
            "format": FORMAT,
            "state": "captured",
            "attempt": attempt,
            "at_s": time.time(),
            "argv": mask_argv(found.argv),
            "environment": variables,
            "hardware": hardware.describe(),
            "interpreter": packages.describe(
                home, found.interpreter or interpreter.choose(found.argv, variables, folder), variables
            ),
            "changed": [],
            "untracked": {"count": 0, "complete": True, "names": []},
            "files": [],
            "left_out": [],
        }
        made = Capture(found, home, folder, record)
        try:
            of_repository(made, git.open_repository(folder, scratch), run_dir)
        except git.GitError as error:
            made.repository, made.patch = None, None
            record |= {"git": {"reason": str(error)}, "diff": {"reason": "no git"}}
            of_folder(made)
        record["folder"] = made.folder
        record["fingerprint"] = fingerprint(record)
        record["took_s"] = round(time.monotonic() - started_s, 3)
        yield made


def of_repository(made: Capture, repository: git.Repository, run_dir: str) -> None:
    """Commit, diff and untracked files. Raises GitError when not even the commit can be told."""
    record = made.record
    made.repository, made.folder = repository, repository.root
    record["git"] = {"root": repository.root, "commit": repository.commit, "branch": repository.branch}
    record["submodules"] = [{"path": path, "commit": commit} for path, commit in git.submodules(repository)]
    if repository.commit:
        record["diff"] = diff_of(made, repository, run_dir)
        record["git"]["dirty"] = bool(record["changed"])
        names, complete = git.untracked_files(repository)
    else:
        record["diff"] = {"reason": "no commit yet"}
        record["git"]["dirty"] = True
        tracked = git.names_in_full(repository, ["ls-files", "-z"])
        names, complete = git.untracked_files(repository)
        names = tracked + names
    listed = [(name, size_of(os.path.join(made.folder, name))) for name in names[:NAMES_MAX]]
    record["untracked"] = {"count": len(names), "complete": complete, "names": [[*each] for each in listed]}
    if code_files.is_project(made.folder):
        made.keep_files(name for name, size in listed if size is not None and not name.endswith("/"))


def diff_of(made: Capture, repository: git.Repository, run_dir: str) -> dict[str, Any]:
    """The patch in a file of its own and the changed files with their hashes. Raises GitError."""
    changed = git.changed_files(repository)
    made.record["changed"] = [state_of(made.folder, name) for name in changed[:NAMES_MAX]]
    if len(changed) > NAMES_MAX:
        return {"reason": f"{len(changed)} files changed"}
    filtered = sorted(set(git.filtered_files(repository)).intersection(changed)) if changed else []
    answer = git.diff(repository, filtered, DIFF_MAX_BYTES)
    if answer.timed_out or answer.truncated:
        over = f"longer than {DIFF_MAX_BYTES // 1_000_000} MB" if answer.truncated else f"it took {git.TIMEOUT_S:.0f} s"
        return {"reason": f"{over}; the changed files are known by their hashes"}
    made.patch = git.checked(answer)
    kept, masked_count = mask_patch(made.patch)
    attempt = made.record["attempt"]
    name = f"diff-{attempt}.patch" if attempt else "diff.patch"
    paths.write_atomically(f"{run_dir}/code/{name}", kept)
    return {"file": name, "size_bytes": len(kept), "masked_line_count": masked_count, "without": filtered}


def of_folder(made: Capture) -> None:
    """Without git: the script, what it imports from the folder, and text files beside it."""
    made.record |= {"submodules": [], "changed": []}
    made.folder = made.spec.original_working_dir or made.spec.working_dir
    script = code_files.script_of(made.spec.argv, made.folder)
    if script is None:
        made.record["left_out"].append([".", "the command names no script in this folder"])
        return
    if not code_files.is_below(os.path.abspath(script.path), made.folder):
        made.folder = os.path.dirname(os.path.abspath(script.path))
    tree = code_files.import_tree(script, made.folder)
    found = dict.fromkeys([*tree, *code_files.text_files_beside(made.folder)])
    made.keep_files(os.path.relpath(path, made.folder) for path in found)


def state_of(folder: str, name: str) -> dict[str, Any]:
    """A tracked file as it is: size and hash, or that it was deleted."""
    try:
        size, digest = blobs.hash_of(os.path.join(folder, name), HASHED_MAX_BYTES)
    except OSError:
        return {"path": name, "size_bytes": None, "blake3": ""}
    return {"path": name, "size_bytes": size, "blake3": digest}


def size_of(path: str) -> int | None:
    """Bytes of a file; None when it is gone."""
    try:
        return os.lstat(path).st_size
    except OSError:
        return None


def read_variables(run_dir: str) -> dict[str, str]:
    """The variables that may be kept, as the daemon filtered them from the shell's environment."""
    kept = (read_object(f"{run_dir}/code/variables.json") or {}).get("environment")
    return {str(name): str(value) for name, value in kept.items()} if isinstance(kept, dict) else {}


def fingerprint(record: dict[str, Any]) -> str:
    """One hash over commit, changed files and files by content: equal when the code is."""
    facts = [record["git"].get("commit", ""), *sorted(hashes(record).items())]
    return str(blake3(json.dumps(facts).encode()).hexdigest())


def hashes(record: dict[str, Any]) -> dict[str, str]:
    """Content of the changed files and the kept ones by path; of a file too large for a hash its size."""
    known = [*record["changed"], *record["files"]]
    return {each["path"]: each["blake3"] or content_size(each["size_bytes"]) for each in known}


def content_size(size: int | None) -> str:
    """What a file without a hash is compared by; empty when it is not there."""
    return "" if size is None else f"{size} bytes"


def record_path(run_dir: str, attempt: int) -> str:
    """Where a capture is written down."""
    return f"{run_dir}/code/capture-{attempt}.json" if attempt else f"{run_dir}/code/capture.json"


def write_record(run_dir: str, attempt: int, record: dict[str, Any]) -> None:
    """Write a capture down. Raises OSError."""
    paths.write_atomically(record_path(run_dir, attempt), json.dumps(record).encode())


def read_record(run_dir: str, attempt: int) -> dict[str, Any] | None:
    """A capture; None when there is none, or none that can be read."""
    record = read_object(record_path(run_dir, attempt))
    return record if record is not None and isinstance(record.get("state"), str) else None
