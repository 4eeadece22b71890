"""status.json: what the supervisor last recorded. Standard library only."""

from __future__ import annotations

import json
from typing import Any

from store import paths


def read(run_dir: str) -> dict[str, Any] | None:
    """The status of a run; None while there is none or when it is damaged. Raises OSError other than its absence."""
    try:
        with open(f"{run_dir}/status.json", "rb") as file:
            value = json.load(file)
    except (FileNotFoundError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def write(run_dir: str, status: dict[str, Any]) -> None:
    """Replace the status. Raises OSError."""
    paths.write_atomically(f"{run_dir}/status.json", json.dumps(status).encode())
