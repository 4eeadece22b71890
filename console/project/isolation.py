"""`isolate = "worktree"`: a copy of the code as it was at enqueue, for one run, beside the state of footplate.

    <state dir>/worktrees/<run id>/     the copy, while the run lives: a git worktree, without git a plain copy
    <run dir>/code/worktree.json        where the command runs, or why no copy could be made; which files were put there
    <run dir>/worktree-files/           what the command wrote or changed there, once the copy is taken away

The user's checkout and index are only read. git writes `worktrees/<run id>` into the repository's own folder, as
`git worktree` does; that goes with the copy.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
from typing import TYPE_CHECKING, Any, Final

from console.json_files import read_object
from console.project import bounded, git
from store import paths

if TYPE_CHECKING:
    from collections.abc import Iterator

    from console.project.capture import Capture

FORMAT: Final = 1
CHECKOUT_TIMEOUT_S: Final = 90.0
COPIED_MAX_BYTES: Final = 4 << 30
"""Of files whose content is not in git (Git LFS, submodules)."""


class IsolationError(Exception):
    """No copy can be made; the message is the cause that the run fails with."""


def copy_path(home: str, run_id: str) -> str:
    """The copy of a run."""
    return os.path.join(home, "worktrees", run_id)


def note_path(run_dir: str) -> str:
    """What is known about the copy of a run."""
    return f"{run_dir}/code/worktree.json"


def write_note(run_dir: str, **facts: Any) -> None:
    """Say how the copy turned out. Raises OSError."""
    paths.write_atomically(note_path(run_dir), json.dumps({"format": FORMAT, **facts}).encode())


def make(run_dir: str, made: Capture) -> None:
    """Make the copy and note where the command runs in it. Raises IsolationError, OSError."""
    copy = copy_path(made.home, made.spec.id)
    paths.make_private_dir(os.path.dirname(copy))
    if os.path.lexists(copy):  # half-made by a worker that was killed
        forget(copy)
    if made.repository is not None and made.repository.commit:
        check_out(made, made.repository, copy)
    elif made.wanted:
        os.mkdir(copy, 0o700)
    else:
        raise IsolationError(
            f"isolate: there is neither a git commit nor a script to copy in {made.folder} "
            f"({made.record['git'].get('reason', 'no commit yet')})"
        )
    for name in made.wanted:
        copy_file(os.path.join(made.folder, name), os.path.join(copy, name))
    original = made.spec.original_working_dir or made.spec.working_dir
    sub_folder = os.path.relpath(os.path.realpath(original), os.path.realpath(made.folder))
    if sub_folder.startswith(".."):
        sub_folder = "."
    working_dir = os.path.normpath(os.path.join(copy, sub_folder))
    os.makedirs(working_dir, mode=0o700, exist_ok=True)
    link_program(made.spec.argv[0], original, working_dir)
    placed = {name: [facts.st_size, facts.st_mtime_ns] for name, facts in files_in(copy)}
    write_note(run_dir, working_dir=working_dir, copy=copy, placed=placed)


def check_out(made: Capture, repository: git.Repository, copy: str) -> None:
    """A worktree of the commit with the changes on top."""
    if made.patch is None:
        reason = made.record["diff"].get("reason", "unknown")
        raise IsolationError(
            f"isolate: the changes in {repository.root} cannot be copied ({reason}); commit them first"
        )
    try:
        added = ask(repository, ["worktree", "add", "--detach", copy, repository.commit], repository.root)
        git.checked(added)
        if made.patch:
            git.checked(ask(repository, ["apply", "--whitespace=nowarn", "--binary", "-"], copy, stdin=made.patch))
        elsewhere = git.filtered_files(repository)
        for path, _ in git.submodules(repository):
            folder = os.path.join(repository.root, path)
            if os.path.lexists(os.path.join(folder, ".git")):
                inside = git.checked(ask(repository, ["ls-files", "-z"], folder)).split(b"\0")
                elsewhere += [os.path.join(path, os.fsdecode(name)) for name in inside if name]
    except git.GitError as error:
        forget(copy)
        raise IsolationError(f"isolate: no copy of {repository.root} could be made: {error}") from error
    left_bytes = COPIED_MAX_BYTES
    for name in elsewhere:
        source = os.path.join(repository.root, name)
        if os.path.lexists(source):
            left_bytes -= os.lstat(source).st_size
            if left_bytes < 0:
                forget(copy)
                raise IsolationError(
                    f"isolate: files of {repository.root} that are kept outside of git (LFS, submodules) are larger "
                    f"than {COPIED_MAX_BYTES >> 30} GiB together"
                )
            copy_file(source, os.path.join(copy, name))


def ask(repository: git.Repository, arguments: list[str], folder: str, stdin: bytes = b"") -> bounded.Answer:
    """Ask git something that may take as long as a checkout. Raises GitError."""
    return git.ask(arguments, folder, repository.switches, timeout_s=CHECKOUT_TIMEOUT_S, stdin=stdin)


def copy_file(source: str, target: str) -> None:
    """Copy a file or a link with its mode and times; one that vanished meanwhile, or is neither, is passed over."""
    try:
        facts = os.lstat(source)
        if not (stat.S_ISREG(facts.st_mode) or stat.S_ISLNK(facts.st_mode)):
            return
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if os.path.lexists(target):
            os.unlink(target)
        shutil.copy2(source, target, follow_symlinks=False)
    except FileNotFoundError:
        return


def link_program(program: str, original_dir: str, working_dir: str) -> None:
    """Let `.venv/bin/python` lead to the original: what git ignores is not in the copy."""
    if os.sep not in program or os.path.isabs(program) or os.path.lexists(os.path.join(working_dir, program)):
        return
    done = ""
    for part in program.split(os.sep):
        done = os.path.join(done, part)
        inside, outside = os.path.join(working_dir, done), os.path.join(original_dir, done)
        if not os.path.lexists(inside):
            if os.path.lexists(outside):
                os.symlink(outside, inside)
            return


def files_in(copy: str) -> Iterator[tuple[str, os.stat_result]]:
    """Every file and link of the copy, by its path below it, without what git and Python keep for themselves."""
    for folder, folders, names in os.walk(copy):
        folders[:] = [name for name in folders if name != "__pycache__"]
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        for name in [*names, *links]:
            path = os.path.join(folder, name)
            if path != os.path.join(copy, ".git"):
                yield os.path.relpath(path, copy), os.lstat(path)


def take_away(home: str, run_dir: str, run_id: str) -> None:
    """Remove the copy of a run that is over; what the command made there moves to the run directory. Raises OSError."""
    copy = copy_path(home, run_id)
    if not os.path.lexists(copy):
        return
    if os.path.isdir(run_dir):
        note = read_note(run_dir)
        placed = note.get("placed")
        kept = 0
        if isinstance(placed, dict):
            for name, facts in list(files_in(copy)):
                if placed.get(name) != [facts.st_size, facts.st_mtime_ns]:
                    target = os.path.join(run_dir, "worktree-files", name)
                    os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
                    shutil.move(os.path.join(copy, name), target)
                    kept += 1
            write_note(run_dir, **{key: note[key] for key in note.keys() - {"placed", "format"}}, kept_count=kept)
    forget(copy)


def forget(copy: str) -> None:
    """Remove a copy and what the repository knows of it. Raises OSError."""
    admin = ""
    try:
        with open(os.path.join(copy, ".git"), encoding="utf-8", errors="surrogateescape") as file:
            admin = os.path.normpath(os.path.join(copy, file.read().removeprefix("gitdir: ").rstrip("\n")))
    except OSError:
        pass  # a plain copy, or one that was never finished
    # Only what points back at this copy is ours to remove: the command may have written the .git file.
    if os.path.basename(os.path.dirname(admin)) == "worktrees" and points_to(admin, copy):
        shutil.rmtree(admin)
    shutil.rmtree(copy)


def points_to(admin: str, copy: str) -> bool:
    """Whether a folder in `.git/worktrees` is that of this copy."""
    try:
        with open(os.path.join(admin, "gitdir"), encoding="utf-8", errors="surrogateescape") as file:
            return os.path.normpath(os.path.join(admin, file.read().rstrip("\n"))) == os.path.join(copy, ".git")
    except OSError:
        return False


def read_note(run_dir: str) -> dict[str, Any]:
    """What is known about the copy; empty while nothing is."""
    return read_object(note_path(run_dir)) or {}
