"""Reading a git repository without executing anything that it names, and without writing to it.

The configuration and the attributes of a repository can name programs: a file system monitor, hooks, external diffs,
text conversions, filters, transports. All of them are switched off, and git sees nothing of our environment. Its index
is a copy of ours, so that refreshing it touches no file of the user. A repository that belongs to somebody else is
refused by git itself (safe.directory), and we leave it at that.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from console.project import bounded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from console.project.bounded import Answer

TIMEOUT_S: Final = 5.0
LIST_MAX_BYTES: Final = 16 << 20
"""Of a list of file names: more than 100,000 of them."""
SWITCHED_OFF: Final = (
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.sshCommand=false",
    "core.askPass=",
    "credential.helper=",
    "protocol.allow=never",
    "submodule.recurse=false",
    "gc.auto=0",
    "maintenance.auto=false",
)
MEMORY: Final = ("core.packedGitWindowSize=32m", "core.packedGitLimit=256m", "core.bigFileThreshold=64m")
"""git maps a GiB of a pack at once by itself, which the memory limit of a worker does not allow."""
DIFF_OPTIONS: Final = (
    "--no-color",
    "--no-ext-diff",
    "--no-textconv",
    "--no-renames",
    "--no-relative",
    "--src-prefix=a/",
    "--dst-prefix=b/",
    "--unified=3",
    "--inter-hunk-context=0",
    "--ignore-submodules=dirty",
    "--submodule=short",
    "-O/dev/null",
)
"""Whatever the user's configuration says of diffs: one format, and nothing executed."""


class GitError(Exception):
    """git cannot be asked; the message says why, as part of a sentence."""


@dataclass(frozen=True, slots=True)
class Repository:
    """A work tree that can be asked."""

    root: str
    git_dir: str
    index: str
    """Our copy of its index."""
    switches: tuple[str, ...]
    """Options of git that switch off the filters of this repository."""
    filters: tuple[str, ...]
    """Names of the filter drivers that the configuration knows, such as lfs."""
    commit: str
    """Of HEAD; empty before the first commit."""
    branch: str
    """Empty when HEAD is detached."""


def open_repository(folder: str, scratch: str) -> Repository:
    """The repository around a folder; `scratch` is a directory of ours for the copy of its index. Raises GitError."""
    if not is_inside_one(folder):
        raise GitError("no git repository")
    asked = ["rev-parse", "--show-toplevel", "--absolute-git-dir", "--git-path", "index"]
    lines = checked(ask(asked, folder)).split(b"\n")
    if len(lines) != 4:
        raise GitError("the path of the repository holds a line end")
    root, git_dir, index = map(os.fsdecode, lines[:3])
    index = os.path.join(folder, index)
    names = os.fsdecode(checked(ask(["config", "--list", "-z", "--name-only"], root))).split("\0")
    filters = sorted({name[len("filter.") :].rpartition(".")[0] for name in names if name.startswith("filter.")} - {""})
    if any("=" in name or "\n" in name for name in filters):
        raise GitError("its configuration names a filter in a way that cannot be switched off ('=' or a line end)")
    switches = [
        option
        for name in filters
        for setting in ("clean=", "smudge=", "process=", "required=false")
        for option in ("-c", f"filter.{name}.{setting}")
    ]
    copy = os.path.join(scratch, "index")
    try:
        # With its time: git knows by it which files may have changed since in the same instant.
        shutil.copy2(index, copy)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise GitError(f"its index cannot be read: {error.strerror}") from error
    head = ask(["rev-parse", "--verify", "--quiet", "HEAD^{commit}"], root, switches)
    branch = ask(["symbolic-ref", "--quiet", "--short", "HEAD"], root, switches)
    return Repository(
        root=root,
        git_dir=git_dir,
        index=copy,
        switches=tuple(switches),
        filters=tuple(filters),
        commit=head.output.decode("ascii", "replace").strip() if head.exit_code == 0 else "",
        branch=os.fsdecode(branch.output).strip() if branch.exit_code == 0 else "",
    )


def is_inside_one(folder: str) -> bool:
    """Whether a folder, or one above it, looks like a repository; spares most runs outside of one a process."""
    while True:
        if os.path.lexists(os.path.join(folder, ".git")) or os.path.exists(os.path.join(folder, "HEAD")):
            return True
        parent = os.path.dirname(folder)
        if parent == folder:
            return False
        folder = parent


def ask(
    arguments: Sequence[str],
    folder: str,
    switches: Sequence[str] = (),
    *,
    index: str = "",
    timeout_s: float = TIMEOUT_S,
    max_bytes: int = LIST_MAX_BYTES,
    stdin: bytes = b"",
) -> Answer:
    """Ask git, in a clean environment and with everything that executes switched off. Raises GitError."""
    search_path = os.pathsep.join(
        entry for entry in os.environ.get("PATH", os.defpath).split(os.pathsep) if os.path.isabs(entry)
    )
    program = shutil.which("git", path=search_path)
    if program is None:
        raise GitError("git is not installed")
    environment = {
        "PATH": search_path,
        "HOME": os.path.expanduser("~"),
        "LC_ALL": "C",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_PAGER": "cat",
        "GIT_ALLOW_PROTOCOL": "none",
        "GIT_NO_LAZY_FETCH": "1",
    }
    if "XDG_CONFIG_HOME" in os.environ:
        environment["XDG_CONFIG_HOME"] = os.environ["XDG_CONFIG_HOME"]
    if index:
        environment["GIT_INDEX_FILE"] = index
    options = [option for setting in (*SWITCHED_OFF, *MEMORY) for option in ("-c", setting)]
    argv = [program, "--no-pager", "--no-optional-locks", "--literal-pathspecs", *options, *switches, *arguments]
    try:
        return bounded.ask(
            argv, folder=folder, environment=environment, timeout_s=timeout_s, max_bytes=max_bytes, stdin=stdin
        )
    except OSError as error:
        raise GitError(f"git cannot be started: {error.strerror}") from error


def checked(answer: Answer) -> bytes:
    """The output of a question that git could answer in full. Raises GitError."""
    if answer.timed_out:
        raise GitError(f"git did not answer within {TIMEOUT_S:.0f} s")
    if answer.truncated:
        raise GitError("git's answer is too long")
    if answer.exit_code:
        raise GitError(reason_of(answer.errors, answer.exit_code))
    return answer.output


def reason_of(errors: str, exit_code: int) -> str:
    """Why git refused, in our words where we know its own."""
    if "dubious ownership" in errors:
        return "the repository belongs to another user (`git config --global --add safe.directory PATH` trusts it)"
    if "must be run in a work tree" in errors:
        return "a bare repository, or the inside of .git"
    if "not a git repository" in errors:
        return "no git repository"
    lines = [line for line in errors.split("\n") if line.strip()]
    said = next((line for line in lines if line.startswith(("fatal: ", "error: "))), lines[-1] if lines else "")
    return f"git says: {said[:300]}" if said else f"git ended with {exit_code} without a word"


def names_in(answer: Answer) -> list[str]:
    """The NUL-terminated names of an answer that may be cut; a name that is cut is left out."""
    return [os.fsdecode(name) for name in answer.output.split(b"\0")[:-1]]


def filtered_files(repository: Repository) -> list[str]:
    """Tracked files whose content in git is not that on disk (Git LFS): their diff means nothing. Raises GitError."""
    if not repository.filters:
        return []
    tracked = checked(ask(["ls-files", "-z"], repository.root, repository.switches, index=repository.index))
    answer = ask(
        ["check-attr", "-z", "--stdin", "filter"],
        repository.root,
        repository.switches,
        index=repository.index,
        max_bytes=4 * LIST_MAX_BYTES,
        stdin=tracked,
    )
    fields = os.fsdecode(checked(answer)).split("\0")
    return [path for path, value in zip(fields[::3], fields[2::3], strict=False) if value in repository.filters]


def changed_files(repository: Repository) -> list[str]:
    """Tracked files that differ from HEAD, deleted ones included, by paths below the root. Raises GitError."""
    return names_in_full(repository, ["diff", *DIFF_OPTIONS, "--name-only", "-z", "HEAD"])


def changed_between(repository: Repository, old: str, new: str) -> list[str]:
    """Files that differ between two commits. Raises GitError."""
    return names_in_full(repository, ["diff", *DIFF_OPTIONS, "--name-only", "-z", old, new])


def names_in_full(repository: Repository, arguments: Sequence[str]) -> list[str]:
    """The names that a question is answered with. Raises GitError."""
    answer = ask(arguments, repository.root, repository.switches, index=repository.index)
    checked(answer)
    return names_in(answer)


def diff(repository: Repository, without: Sequence[str], max_bytes: int) -> Answer:
    """The patch from HEAD to the files, binary ones included, for `git apply`. Raises GitError without git."""
    excluded = [f":(top,exclude,literal){path}" for path in without]
    arguments = ["diff", *DIFF_OPTIONS, "--binary", "--full-index", "HEAD"]
    if excluded:
        # Pathspecs with magic, which --literal-pathspecs would take for names.
        arguments = ["--no-literal-pathspecs", *arguments, "--", ".", *excluded]
    return ask(arguments, repository.root, repository.switches, index=repository.index, max_bytes=max_bytes)


def untracked_files(repository: Repository) -> tuple[list[str], bool]:
    """Untracked files that are not ignored, and whether these are all; 100,000 and more are cut. Raises GitError."""
    shown = ask(["config", "status.showUntrackedFiles"], repository.root, repository.switches)
    if shown.output.strip() in (b"no", b"false"):
        return [], True
    arguments = ["ls-files", "--others", "--exclude-standard", "-z"]
    answer = ask(arguments, repository.root, repository.switches, index=repository.index)
    if answer.exit_code and not answer.timed_out and not answer.truncated:
        raise GitError(reason_of(answer.errors, answer.exit_code))
    return names_in(answer), not answer.timed_out and not answer.truncated


def submodules(repository: Repository) -> list[tuple[str, str]]:
    """Path and recorded commit of every submodule. Raises GitError."""
    answer = ask(["ls-files", "--stage", "-z"], repository.root, repository.switches, index=repository.index)
    found = []
    for entry in checked(answer).split(b"\0"):
        if entry.startswith(b"160000 "):
            facts, _, path = entry.partition(b"\t")
            found.append((os.fsdecode(path), facts.split()[1].decode("ascii")))
    return found


def content_at(repository: Repository, commit: str, path: str, max_bytes: int) -> bytes | None:
    """A file as it is in a commit; None where it is not, or is larger than that. Raises GitError without git."""
    answer = ask(["cat-file", "blob", f"{commit}:{path}"], repository.root, repository.switches, max_bytes=max_bytes)
    return None if answer.exit_code or answer.timed_out or answer.truncated else answer.output
