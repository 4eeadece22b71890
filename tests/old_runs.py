"""Make a folder of old runs of four trackers with their own libraries: `just old-runs FOLDER`.

Each library is in an environment of its own under FOLDER/.environments; a second call finds them there.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

WRITER: Final = Path(__file__).parent / "writers" / "old_runs.py"
PACKAGES: Final = {
    "mlflow": ("mlflow-skinny==3.17.2", "sqlalchemy", "alembic", "pandas"),
    "tensorboard": ("tensorboardX==2.6.5", "tensorboard==2.21.0", "setuptools<81"),
    "wandb": ("wandb==0.31.0",),
    "dvclive": ("dvclive==3.49.1",),
}
COUNTS: Final = {"mlflow": 100, "tensorboard": 100, "wandb": 50, "dvclive": 50}


def environment(folder: Path, tracker: str) -> Path:
    """An environment with one library; returns its Python. Raises CalledProcessError."""
    place = folder / tracker
    python = place / "bin" / "python"
    done = place / "done"
    if not done.exists():
        quiet = {**os.environ, "VIRTUAL_ENV": ""}
        subprocess.run(["uv", "venv", "--quiet", "--clear", "--python", sys.executable, str(place)], check=True)
        command = ["uv", "pip", "install", "--quiet", "--compile-bytecode", "--python", str(python)]
        subprocess.run([*command, *PACKAGES[tracker]], check=True, env=quiet)
        done.touch()
    return python


def write(folder: Path, environments: Path, tracker: str, count: int) -> None:
    """The runs of one tracker. Raises CalledProcessError."""
    python = environment(environments, tracker)
    # Far from any repository: DVCLive would make one of DVC of it.
    command = [str(python), str(WRITER), tracker, str(folder), str(count)]
    subprocess.run(command, check=True, cwd="/", stdout=subprocess.DEVNULL)


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="where to write; must not hold runs yet")
    parser.add_argument("--environments", type=Path, help="where the libraries are kept (default: in the folder)")
    options = parser.parse_args()
    folder = options.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    for tracker, count in COUNTS.items():
        print(f"{count} runs of {tracker}", flush=True)
        write(folder, options.environments or folder / ".environments", tracker, count)
    return 0


if __name__ == "__main__":
    sys.exit(main())
