"""Write the whole resolution as exact pins into `[tool.uv] constraint-dependencies`, or check that they are it.

`uv.lock` itself names registry hosts and stays out of git.

    lock.py            resolve without the old pins, write the new ones
    lock.py --check    end with 1 when the resolution under the pins names a package that is not pinned
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"
ANCHOR = "compile-bytecode = true\n"
BLOCK = re.compile(r"\n# Exact pins[^\n]*\nconstraint-dependencies = \[\n(?:    [^\n]*\n)*\]\n")


def resolution() -> list[str]:
    """Every package of the resolution with its version and markers, as requirements."""
    command = ["uv", "export", "--all-groups", "--no-hashes", "--no-emit-project", "--no-header", "--no-annotate", "-q"]
    output = subprocess.run(command, cwd=PROJECT.parent, capture_output=True, text=True, check=True).stdout
    return sorted(line.strip() for line in output.splitlines() if "==" in line)


def block(pins: list[str]) -> str:
    """The lines of pyproject.toml that hold the pins."""
    lines = "".join(f'    "{pin}",\n' for pin in pins)
    return f"\n# Exact pins of the whole resolution, written by `just lock`.\nconstraint-dependencies = [\n{lines}]\n"


def main() -> int:
    """Entry point."""
    text = PROJECT.read_text(encoding="utf-8")
    if "--check" in sys.argv:
        found = BLOCK.search(text)
        if found is None or found.group(0) != block(resolution()):
            print("pyproject.toml does not pin the resolution: run `just lock`", file=sys.stderr)
            return 1
        return 0
    bare = BLOCK.sub("", text)
    try:
        PROJECT.write_text(bare, encoding="utf-8")
        subprocess.run(["uv", "lock", "--upgrade", "-q"], cwd=PROJECT.parent, check=True)
        pins = resolution()
    except BaseException:
        PROJECT.write_text(text, encoding="utf-8")
        raise
    head, tail = bare.split(ANCHOR, 1)
    PROJECT.write_text(f"{head}{ANCHOR}{block(pins)}{tail}", encoding="utf-8")
    print(f"{len(pins)} pins")
    return 0


if __name__ == "__main__":
    sys.exit(main())
