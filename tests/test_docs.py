"""What the docs say against what the program does."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from console.__main__ import COMMANDS
from console.tui import actions

if TYPE_CHECKING:
    from tests.support import Home

ROOT = Path(__file__).resolve().parent.parent
UPDATE = os.environ.get("FOOTPLATE_UPDATE_SNAPSHOTS") == "1"
KEYS = re.compile(r"(<!-- keys: [^\n]*-->\n).*?(<!-- end of keys -->)", re.DOTALL)


def documented() -> str:
    """Everything a user can read."""
    return "\n".join(path.read_text(encoding="utf-8") for path in [ROOT / "README.md", *ROOT.glob("docs/*.md")])


def key_table() -> str:
    """The registry of keys as Markdown, one table per scope."""
    parts = []
    for scope, title in actions.SCOPE_TITLES.items():
        parts.append(f"\n**{title}**\n\n| key | what it does |\n|---|---|\n")
        for action in actions.in_scope(scope):
            asks = "; asks first" if action.confirm else ""
            parts.append(
                f"| `{actions.key_names(action).replace('|', chr(92) + '|')}` | {action.description}{asks} |\n"
            )
    return "".join(parts) + "\n"


def test_the_keys_in_the_docs_are_those_of_the_registry() -> None:
    path = ROOT / "docs" / "console.md"
    text = path.read_text(encoding="utf-8")
    wanted = KEYS.sub(lambda found: found.group(1) + key_table() + found.group(2), text)
    if UPDATE:
        path.write_text(wanted, encoding="utf-8")
    assert wanted == path.read_text(encoding="utf-8")


def test_every_option_is_documented_and_every_documented_command_exists(home: Home) -> None:
    text = documented()
    for name in COMMANDS:
        assert f"footplate {name}" in text
    for option in re.findall(r"--[a-z-]+", home.footplate("run", "--help").stdout):
        assert option in text or option == "--help", option
    for name in re.findall(r"(?:^|`)footplate ([a-z]+)", text, re.MULTILINE):
        assert name in COMMANDS, name


def test_every_file_of_a_run_directory_is_documented(home: Home) -> None:
    home.footplate("run", "--", "true")
    text = (ROOT / "docs" / "files.md").read_text(encoding="utf-8")
    run_id = home.client().runs().rows[0].id
    for name in {*os.listdir(home.path), *os.listdir(home.run_dir(run_id))} - {"runs"}:
        assert f"`{name.removesuffix('.wal')}`" in text, name


def test_the_readme_has_the_two_commands_and_every_link_leads_somewhere() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "pip install uv && uv run footplate demo" in readme
    assert (ROOT / ".ci" / "run").read_text(encoding="utf-8").rstrip().endswith("uv run just ci")
    assert "uv run just ci" in readme
    for path in [ROOT / "README.md", *ROOT.glob("docs/*.md")]:
        for target in re.findall(r"\]\(((?!http)[^)#]+)\)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), (path, target)
