"""Whether the code at a start is that of the enqueuing, file by file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from blake3 import blake3

from console.project import blobs, git
from console.project.capture import HASHED_MAX_BYTES, content_size, hashes
from console.project.code_files import is_code

if TYPE_CHECKING:
    from console.project.capture import Capture

COMPARED_MAX: Final = 300
"""Between two commits; beyond, the names that git gives are taken as they are."""


def since(before: dict[str, Any], made: Capture) -> list[str]:
    """Paths whose content differs from an earlier capture.

    A new untracked file counts when it is code: what an earlier attempt of the run wrote (results, logs) does not. A
    commit that leaves the files as they were is no difference.
    """
    now = made.record
    old, new = hashes(before), hashes(now)
    new_files = {each["path"] for each in now["files"]}
    commits = before["git"].get("commit", ""), now["git"].get("commit", "")
    repository = made.repository if all(commits) and before.get("folder") == made.folder else None
    candidates = old.keys() | new.keys()
    if repository is not None and commits[0] != commits[1]:
        try:
            candidates |= set(git.changed_between(repository, *commits))
        except git.GitError as error:
            return [f"commit {commits[0][:9]} → {commits[1][:9]} ({error})"]
    different = []
    for position, path in enumerate(sorted(candidates)):
        if repository is None:
            was, is_now = old.get(path, ""), new.get(path, "")
        elif commits[0] == commits[1] and old.get(path) == new.get(path):
            continue
        else:
            was = (
                old[path]
                if path in old
                else hash_in(repository, commits[0], path)
                if position < COMPARED_MAX
                else "n/a"
            )
            is_now = present(made.folder, path)
        is_result = not was and path in new_files and not is_code(path)
        if was != is_now and not is_result:
            different.append(path)
    return different


def hash_in(repository: git.Repository, commit: str, path: str) -> str:
    """The hash of a file as it is in a commit; empty when it is not there."""
    content = git.content_at(repository, commit, path, HASHED_MAX_BYTES)
    return "" if content is None else str(blake3(content).hexdigest())


def present(folder: str, path: str) -> str:
    """The hash of a file as it is; empty when it is not there."""
    try:
        size, digest = blobs.hash_of(os.path.join(folder, path), HASHED_MAX_BYTES)
    except OSError:
        return ""
    return digest or content_size(size)
