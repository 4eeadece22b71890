"""What the docs say against what the program does."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING

from console.__main__ import COMMANDS
from console.project import manifest
from console.project.manifest_schema import TABLES, Kind
from console.tui import actions, keymap
from tests import picture_box, references
from tests.recorded import ROOT, compare_part

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from tests.support import Home


def documented() -> str:
    """Everything a user can read."""
    return "\n".join(path.read_text(encoding="utf-8") for path in [ROOT / "README.md", *ROOT.glob("docs/*.md")])


def key_table() -> str:
    """The registry of keys as Markdown, one table per scope."""
    parts = []
    for scope, title in actions.SCOPE_TITLES.items():
        parts.append(f"\n**{title}**\n\n| key | what it does | name |\n|---|---|---|\n")
        for action in actions.in_scope(scope):
            asks = "; asks first" if action.confirm else ""
            keys = actions.key_names(action).replace("|", "\\|")
            parts.append(f"| `{keys}` | {action.description}{asks} | `{keymap.full_name(action)}` |\n")
    return "".join(parts) + "\n"


def test_the_keys_in_the_docs_are_those_of_the_registry() -> None:
    compare_part("console.md", "keys", key_table())


def test_the_commands_in_the_docs_are_those_of_the_parsers() -> None:
    compare_part("commands.md", "exit codes", references.code_table())
    compare_part("commands.md", "commands", references.command_reference())


def default_text(field: FieldInfo, words: str) -> str:
    """A default as one would write it in the manifest; a dash for none."""
    if field.is_required():
        return "required"
    default = field.default
    if default in (None, "", (), {}):
        return "–"
    if words == "time":
        return f'`"{default:g}s"`'
    if words == "size":
        return f'`"{default >> 30}GiB"`'
    return f"`{json.dumps(default)}`"


def manifest_table() -> str:
    """The keys of the manifest as Markdown, one table for each of its own."""
    parts = []
    for key, table in TABLES.items():
        if not key:
            continue
        title = ".".join("NAME" if name == "*" else name for name in key)
        parts.append(f"\n**`{title}`**\n\n| key | takes | default | example | |\n|---|---|---|---|---|\n")
        for name, field in table.model_fields.items():
            words = next((entry.words for entry in field.metadata if isinstance(entry, Kind)), "table")
            [example] = field.examples or []
            parts.append(f"| `{name}` | {words} | {default_text(field, words)} | `{example}` | {field.description} |\n")
    return "".join(parts) + "\n"


def test_the_keys_of_the_manifest_are_those_of_its_schema() -> None:
    compare_part("manifest.md", "manifest", manifest_table())


def test_every_example_of_the_manifest_is_right() -> None:
    others = '[jobs.prepare]\ncommand = "true"\n[jobs.lint]\ncommand = "true"\n[jobs.train]\ncommand = "true"\n'
    for key, table in TABLES.items():
        for name, field in table.model_fields.items() if key else ():
            [example] = field.examples or []
            needed = {
                "on": {"job": "train"},
                "time": {"signal": "USR1"},
                "goal": {"key": "x"},
                "cooldown": {"cron": "@daily"},
            }
            given = {
                entry: json.dumps(value) for entry, value in needed.get(name, {}).items() if entry in table.model_fields
            }
            head = ".".join("job" if part == "*" else part for part in key)
            lines = [f"{entry} = {value}" for entry, value in (given | {name: example}).items()]
            body = "\n".join(lines) + "\n"
            if key[:1] == ("jobs",):
                job = '[jobs.job]\ncommand = "true"\nparams = { lr = 1 }\n'
                if len(key) > 2:
                    text = f"{job}[{head}]\n{body}"
                else:
                    needless = {"command": 'command = "true"\n', "params": "params = { lr = 1 }\n"}
                    text = job.replace(needless.get(name, "\0"), "") + body
            else:
                text = f"[{head}]\n{body}"
            manifest.parse(others + text)
    for text in re.findall(
        r"```toml\n(\[.*?)```", (ROOT / "docs" / "manifest.md").read_text(encoding="utf-8"), re.DOTALL
    ):
        manifest.parse(text)


def test_every_option_is_documented_and_every_documented_command_exists(home: Home) -> None:
    text = documented()
    for name in COMMANDS:
        assert f"footplate {name}" in text
    for option in re.findall(r"--[a-z-]+", home.footplate("run", "--help").stdout):
        assert option in text or option == "--help", option
    for name in re.findall(r"(?:^|`)footplate ([a-z]+)", text, re.MULTILINE):
        assert name in {*COMMANDS, "help"}, name


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
    for path in [ROOT / "README.md", ROOT / "SECURITY.md", *ROOT.glob("docs/*.md")]:
        for target in re.findall(r"\]\(((?!http)[^)#]+)\)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), (path, target)


def test_every_picture_is_shown_somewhere_and_names_no_place_of_the_machine_that_made_it() -> None:
    shown = set(re.findall(r"pictures/([\w-]+\.svg)", documented()))
    pictures = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "pictures").iterdir()}
    assert set(pictures) == shown
    for name, svg in pictures.items():
        assert not picture_box.betrayed(svg), name
        assert "gpu-03" in svg, name
