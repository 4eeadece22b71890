"""Project folders fingerprinted as of a later time, and the definition of an id written down once more."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blake3 import blake3

from console.project import fingerprint
from console.project.file_sets import FileSet

if TYPE_CHECKING:
    import pytest

    from console.project.fingerprint import Fingerprint

CHECKOUT = Path(__file__).resolve().parents[2]
EVERYTHING = FileSet(("**",))
HOUR_S = 3600.0


def write(path: Path, text: str | bytes = "", *, age_s: float = 60.0) -> Path:
    """A file that was written so long ago; its ctime is always now."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    os.utime(path, (time.time() - age_s,) * 2)
    return path


class Folder:
    """A project folder with a cache beside it, and a wall clock that stands where it is put."""

    def __init__(self, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = base / "project"
        self.root.mkdir()
        self.cache = str(base / "cache.sqlite")
        self._monkeypatch = monkeypatch

    def look(self, later_s: float = HOUR_S, **sets: FileSet) -> Fingerprint:
        """Several sets, as seen `later_s` from now: what was just written is old enough by then."""
        with self._monkeypatch.context() as patch:
            real = time.time_ns
            patch.setattr(time, "time_ns", lambda: real() + int(later_s * 1e9))
            return fingerprint.scan(str(self.root), self.cache, sets or {"files": EVERYTHING})

    def id(self, *patterns: str) -> str:
        """The id of these files."""
        return self.look(files=FileSet(patterns or ("**",))).sets["files"].id


def tree_id(**entries: Any) -> str:
    """The definition, written down once more: a text is a file, a dict a folder; in names `__` stands for a dot."""
    lines = []
    for name, content in entries.items():
        is_folder = isinstance(content, dict)
        its_id = tree_id(**content) if is_folder else blake3(content.encode()).hexdigest()
        lines.append((name.replace("__", "."), "folder" if is_folder else "file", its_id))
    text = "".join(f"{kind}\0{name}\0{each}\n" for name, kind, each in sorted(lines))
    return str(blake3(text.encode()).hexdigest())


def worker(**asked: Any) -> subprocess.CompletedProcess[str]:
    """The worker as the daemon starts it."""
    command = [sys.executable, "-I", "-m", "console.worker", "fingerprint"]
    return subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, check=False, timeout=60)


def worker_of(folder: Folder) -> subprocess.CompletedProcess[str]:
    """The same for everything in a folder."""
    return worker(root=str(folder.root), cache=folder.cache, sets={"a": {"globs": ["**"], "leave_out": []}})
