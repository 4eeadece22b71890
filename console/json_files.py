"""Files of ours that hold one JSON object. Standard library only."""

from __future__ import annotations

import json
from typing import Any


def read_object(path: str) -> dict[str, Any] | None:
    """The object in a file; None when there is no file or no whole object in it. Raises OSError for any other reason
    why it cannot be read."""
    try:
        with open(path, "rb") as file:
            value = json.load(file)
    except (FileNotFoundError, ValueError):
        return None
    return value if isinstance(value, dict) else None
