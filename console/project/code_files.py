"""Which files of a folder are code or settings that a run may depend on, found by reading, never by executing."""

from __future__ import annotations

import ast
import os
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from console.project.interpreter import PYTHON
from store.run_files import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FILE_MAX_BYTES: Final = 1 << 20
TREE_MAX_FILES: Final = 2000
LOOKED_AT_MAX: Final = 20_000
"""Directory entries; a folder with more is no project of ours to search."""
DEPTH_MAX: Final = 4
SKIPPED_FOLDERS: Final = re.compile(
    r"\..*|node_modules|__pycache__|site-packages|venv|env|build|dist|data|datasets|checkpoints|ckpt|logs|runs|outputs"
    r"|wandb|mlruns|lightning_logs|target"
)
DATA_SUFFIXES: Final = re.compile(
    r"\.(csv|tsv|jsonl|ndjson|parquet|arrow|feather|np[yz]|pt|pth|ckpt|safetensors|gguf|onnx|h5|hdf5|pkl|pickle|joblib|bin"
    r"|model|log|out|err|db|sqlite|duckdb|zip|gz|xz|zst|bz2|tar|png|jpe?g|gif|webp|mp[34]|wav|pdf|so|o|a|pyc)"
)
SECRET_FILES: Final = re.compile(
    r"\.env(\..*)?|.*\.(pem|key|p12|pfx|keystore|jks)|id_(rsa|dsa|ecdsa|ed25519).*|\.netrc|\.pypirc|\.npmrc|\.pgpass"
    r"|\.git-credentials|kaggle\.json|(.*[._-])?(secret|credential|password|token)s?(\.(json|ya?ml|toml|txt|ini|cfg))?",
    re.IGNORECASE,
)
"""Never kept: what they hold is meant for nobody else."""
CODE_SUFFIXES: Final = re.compile(r"\.(py[xi]?|sh|toml|ya?ml|cfg|ini|ipynb|r|jl|c|h|cc|cpp|hpp|cuh?|rs|go|js|ts|sql)")


def is_code(name: str) -> bool:
    """Whether a name is one that code and settings have."""
    return CODE_SUFFIXES.fullmatch(os.path.splitext(name)[1].lower()) is not None


class Script(NamedTuple):
    """The file that a command line executes, and where its imports are looked for."""

    path: str
    search: tuple[str, ...]


def reason_to_leave_out(name: str) -> str:
    """Why a file of this name is not kept by content; empty when it may be."""
    if SECRET_FILES.fullmatch(os.path.basename(name)):
        return "may hold secrets"
    if DATA_SUFFIXES.fullmatch(os.path.splitext(name)[1].lower()):
        return "data"
    return ""


def read_text(path: str) -> tuple[bytes, str]:
    """The content of a small text file; otherwise nothing and the reason. Links, pipes and devices are not opened."""
    try:
        descriptor = open_regular(path)
    except FileNotFoundError:
        return b"", "no regular file"
    except OSError as error:
        return b"", f"cannot be read: {error.strerror}"
    with os.fdopen(descriptor, "rb") as file:
        content = file.read(FILE_MAX_BYTES + 1)
    if len(content) > FILE_MAX_BYTES:
        return b"", "larger than 1 MiB"
    return (b"", "not text") if b"\0" in content else (content, "")


def script_of(argv: Sequence[str], working_dir: str) -> Script | None:
    """The script in a command line: its first word that names one, or the module after -m; None when there is none."""
    words = iter(argv)
    after_python = False
    for word in words:
        if word == "-c" and after_python:
            return None
        if word == "-m":
            found = module_file(next(words, ""), [working_dir])
            return Script(found, (working_dir,)) if found else None
        path = os.path.join(working_dir, word)
        if word.endswith((".py", ".sh")) and os.path.isfile(path):
            return Script(path, (os.path.dirname(path), working_dir))
        after_python = after_python or PYTHON.fullmatch(os.path.basename(word)) is not None
    return None


def module_file(name: str, folders: Sequence[str]) -> str:
    """The file of a module below one of these folders; empty for one that is installed elsewhere."""
    relative = name.replace(".", os.sep)
    if not relative.strip(os.sep):
        return ""
    for folder in folders:
        base = os.path.join(folder, relative)
        for path in (f"{base}.py", os.path.join(base, "__main__.py"), os.path.join(base, "__init__.py")):
            if os.path.isfile(path):
                return path
    return ""


def import_tree(script: Script, folder: str) -> list[str]:
    """The script and every file below `folder` that it imports, directly or not, as far as reading them tells."""
    found = {os.path.abspath(script.path): None}
    waiting = list(found)
    while waiting and len(found) < TREE_MAX_FILES:
        path = waiting.pop()
        for imported in imports_of(path, [*script.search, folder]):
            if imported not in found and is_below(imported, folder):
                found[imported] = None
                waiting.append(imported)
    return list(found)


def imports_of(path: str, search: Sequence[str]) -> Iterator[str]:
    """Files of the modules that a Python file imports; none for a file that is not Python that we can parse."""
    content, _ = read_text(path) if path.endswith(".py") else (b"", "")
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from files_of(alias.name, search)
        elif isinstance(node, ast.ImportFrom):
            base, folders = node.module or "", search
            if node.level:
                package = os.path.dirname(path)
                for _ in range(node.level - 1):
                    package = os.path.dirname(package)
                folders = [package]
            yield from files_of(base, folders)
            for alias in node.names:
                yield from files_of(f"{base}.{alias.name}".strip("."), folders)


def files_of(name: str, folders: Sequence[str]) -> Iterator[str]:
    """The file of a module and the `__init__.py` of the packages that it lies in."""
    parts = [part for part in name.split(".") if part]
    for count in range(1, len(parts) + 1):
        relative = os.path.join(*parts[:count])
        for folder in folders:
            base = os.path.join(folder, relative)
            path = next(
                (path for path in (os.path.join(base, "__init__.py"), f"{base}.py") if os.path.isfile(path)), ""
            )
            if path:
                yield os.path.abspath(path)
                break


def text_files_beside(folder: str) -> Iterator[str]:
    """Files of a project folder that look like code or settings; nothing for a folder that is no project.

    Raises nothing: what cannot be listed has no files.
    """
    if not is_project(folder):
        return
    waiting, looked_at = [(folder, 0)], 0
    while waiting:
        current, depth = waiting.pop()
        try:
            with os.scandir(current) as scan:
                entries = sorted(scan, key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in entries:
            looked_at += 1
            if looked_at > LOOKED_AT_MAX:
                return
            if entry.is_dir(follow_symlinks=False):
                if depth < DEPTH_MAX and not SKIPPED_FOLDERS.fullmatch(entry.name):
                    waiting.append((entry.path, depth + 1))
            elif entry.is_file(follow_symlinks=False) and not reason_to_leave_out(entry.name):
                yield entry.path


def is_project(folder: str) -> bool:
    """Whether a folder is one to look through: not the home directory, not above it, not a system's."""
    home = os.path.realpath(os.path.expanduser("~"))
    real = os.path.realpath(folder)
    return not is_below(home, real) and real not in ("/", "/tmp", "/var/tmp", "/usr", "/etc", "/opt", "/mnt", "/srv")


def is_below(path: str, folder: str) -> bool:
    """Whether a path is the folder or lies in it."""
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)
