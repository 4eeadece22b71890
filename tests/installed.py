"""footplate as users have it: the built wheel, compiled, in an environment of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def build_wheel(folder: Path) -> Path:
    """Build the wheel of this checkout into `folder`."""
    subprocess.run(["uv", "build", "--quiet", "--wheel", "--out-dir", str(folder)], cwd=ROOT, check=True)
    return next(folder.glob("footplate-*.whl"))


def install_wheel(folder: Path) -> Path:
    """An environment below `folder` that holds the wheel and what it needs; returns its folder of programs."""
    wheel = build_wheel(folder / "dist")
    subprocess.run(["uv", "venv", "--quiet", "--python", sys.executable, str(folder / "env")], check=True)
    python = folder / "env" / "bin" / "python"
    command = ["uv", "pip", "install", "--quiet", "--compile-bytecode", "--python", str(python), str(wheel)]
    subprocess.run(command, check=True, env={**os.environ, "VIRTUAL_ENV": ""})
    return python.parent
