"""`just wheel`: build the wheel, install it into an empty environment, run the demo from it."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.installed import install_wheel
from tests.support import opened_home


def main() -> int:
    """Entry point; 1 unless the twelve runs of the demo come out, each ended as it should."""
    with tempfile.TemporaryDirectory(prefix="footplate-wheel-") as name:
        folder = Path(name)
        programs = install_wheel(folder)
        with opened_home(folder / "state") as home:
            done = subprocess.run(
                [programs / "footplate", "demo", "--headless", "--json"],
                cwd=folder,
                env=home.environment(TMPDIR=name),
                capture_output=True,
                text=True,
                check=False,
            )
            print(done.stderr, file=sys.stderr, end="")
            rows = [detail["row"] for detail in json.loads(done.stdout or "[]")]
    for row in rows:
        print(f"r{row['no']} {row['state']} exit code {row['exit_code']} {row['command']}")
    return 0 if done.returncode == 0 and len(rows) == 12 else 1


if __name__ == "__main__":
    sys.exit(main())
