"""Which Python a project uses. Standard library only and quick: every `footplate run` asks. Nothing is executed."""

from __future__ import annotations

import os
import re
import shutil
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PYTHON: Final = re.compile(r"python[\d.]*t?")


def choose(argv: Sequence[str], environment: Mapping[str, str], working_dir: str) -> str:
    """The path of the interpreter; empty when there is none.

    In this order: the one that the command itself names by path, that of VIRTUAL_ENV, of CONDA_PREFIX, of the project's
    `.venv` (in the folder of the run or in a folder above it, up to that of the git repository), `python` on PATH.
    """
    if argv and os.sep in argv[0] and PYTHON.fullmatch(os.path.basename(argv[0])):
        # Not normalised: `link/../bin` depends on where the link leads.
        return os.path.join(working_dir, argv[0].removeprefix("./"))
    prefixes = [environment.get("VIRTUAL_ENV", ""), environment.get("CONDA_PREFIX", "")]
    prefixes += [os.path.join(folder, ".venv") for folder in project_folders(working_dir)]
    for prefix in prefixes:
        path = os.path.join(prefix, "bin", "python")
        if os.path.isabs(path) and os.access(path, os.X_OK):
            return path
    search_path = os.pathsep.join(
        os.path.join(working_dir, entry) for entry in environment.get("PATH", os.defpath).split(os.pathsep)
    )
    found = shutil.which("python", path=search_path) or shutil.which("python3", path=search_path) or ""
    return behind_shim(found, environment, working_dir)


def behind_shim(path: str, environment: Mapping[str, str], working_dir: str) -> str:
    """The interpreter that a shim of pyenv stands for, by the rules of `pyenv version`; any other path as it is."""
    shims = os.path.dirname(path)
    root = os.path.dirname(shims)
    if os.path.basename(shims) != "shims" or not os.path.isdir(os.path.join(root, "versions")):
        return path
    version = environment.get("PYENV_VERSION", "")
    folders = [working_dir]
    while (parent := os.path.dirname(folders[-1])) != folders[-1]:
        folders.append(parent)
    for note in [*(os.path.join(folder, ".python-version") for folder in folders), os.path.join(root, "version")]:
        if not version:
            version = first_word(note)
    chosen = os.path.join(root, "versions", version.split(":")[0], "bin", os.path.basename(path))
    return chosen if version and os.access(chosen, os.X_OK) else path


def first_word(path: str) -> str:
    """The first word of a small file; empty when there is none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return (file.read(4096).split() or [""])[0]
    except OSError:
        return ""


def project_folders(working_dir: str) -> list[str]:
    """The folder of a run and those above it up to the one that holds `.git`; without a repository only the first."""
    folders = [working_dir]
    while not os.path.exists(os.path.join(folders[-1], ".git")):
        parent = os.path.dirname(folders[-1])
        if parent == folders[-1]:
            return [working_dir]
        folders.append(parent)
    return folders
