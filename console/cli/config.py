"""`footplate config`: what is in force, where each of it comes from, and what is wrong with the files."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Final

from console import config
from console.cli import output
from console.tui.text_format import fit, visible

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from console.config import Loaded

EXIT_WRONG: Final = 1
DEFAULT: Final = "default"


def add_arguments(parser: ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--actions", action="store_true", help="the names of actions and their keys, for [keys]")
    parser.add_argument("--json", action="store_true", help="print it as JSON")


def execute(options: Namespace) -> int:
    """Print the configuration; 1 when something in a file cannot be used."""
    from console import config_check  # here: it needs pydantic
    from console.tui import actions, keymap

    loaded = config.load(os.environ)
    actions.rebind(loaded.settings.keys)
    bindable, _ = keymap.fitting(actions.ACTIONS, loaded.settings.keys)
    if options.actions:
        return print_actions(as_json=options.json)
    wrong = config_check.complaints(loaded)
    found = {
        "file": config.user_path(os.environ),
        "system_file": config.SYSTEM_PATH,
        "settings": [
            row for row in entries(loaded) if not row["key"].startswith("keys.") or row["key"][5:] in bindable
        ],
        "problems": wrong,
    }
    if options.json:
        output.print_json(found)
    else:
        print_entries(found)
    for words in wrong:
        print(f"footplate: {visible(words)}", file=sys.stderr)
    if wrong:
        print("           the default is in force instead", file=sys.stderr)
    return EXIT_WRONG if wrong else 0


def entries(loaded: Loaded) -> list[dict[str, Any]]:
    """Every key with its value, its source and whether the box has locked it."""
    rows: list[dict[str, Any]] = []
    for key in config.names():
        value = getattr(loaded.settings, key)
        pairs = [(f"{key}.{name}", one) for name, one in value.items()] if key in config.TABLES else [(key, value)]
        rows += [
            {
                "key": name,
                "value": one,
                "source": loaded.sources.get(name, DEFAULT),
                "locked": loaded.is_locked(name),
            }
            for name, one in pairs
        ]
    return rows


def print_entries(found: dict[str, Any]) -> None:
    """The table for people."""
    rows = found["settings"]
    width = max(len(visible(row["key"])) for row in rows)
    for row in rows:
        words = " ".join(row["value"]) if isinstance(row["value"], list | tuple) else plain(row["value"])
        locked = ", locked" if row["locked"] else ""
        print(f"{fit(visible(row['key']), width)}  {fit(visible(words), 14)}  {visible(row['source'])}{locked}")
    there = "" if os.path.exists(found["file"]) else " (not there; every key has a default)"
    print(f"\nyour file: {visible(found['file'])}{there}")


def plain(value: Any) -> str:
    """A value as it is written in the file."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def print_actions(*, as_json: bool) -> int:
    """The names that `[keys]` takes, with the keys they have now."""
    from console.tui import actions, keymap

    rows = [
        {"name": keymap.full_name(action), "keys": list(action.keys), "description": action.description}
        for scope in actions.SCOPE_TITLES
        for action in actions.in_scope(scope)
    ]
    if as_json:
        output.print_json(rows)
        return 0
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        print(f"{row['name']:<{width}}  {' '.join(map(actions.key_name, row['keys'])):<16}  {row['description']}")
    return 0
