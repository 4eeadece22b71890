"""The parts of the docs that are written from the program: commands with their options and exit codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from console import exit_codes
from console.__main__ import COMMANDS, module_of, parser_of

if TYPE_CHECKING:
    from argparse import Action, ArgumentParser


def shown_place(action: Action) -> str:
    """A positional argument as in a usage line."""
    choices = "|".join(action.choices) if isinstance(action.choices, tuple | list) else ""
    name = str(action.metavar or choices or action.dest)
    return {"*": f"[{name} ...]", "+": f"{name} ...", "?": f"[{name}]", "...": f"-- {name} ..."}.get(
        str(action.nargs), name
    )


def shown_option(action: Action) -> str:
    """An option with its value."""
    value = ""
    if action.nargs != 0:
        choices = "|".join(map(str, action.choices)) if action.choices else ""
        value = f" {action.metavar or choices or action.dest.upper()}"
    return ", ".join(f"`{word}{value}`" for word in action.option_strings)


def described(parser: ArgumentParser) -> list[str]:
    """Arguments and options of a parser as Markdown."""
    places = [action for action in parser._actions if not action.option_strings]
    inner = [action for action in places if isinstance(action.choices, dict)]
    usage = " ".join([parser.prog, "[options]", *(shown_place(action) for action in places)])
    lines = [f"\n```\n{usage}\n```\n\n| | |\n|---|---|\n"]
    for action in parser._actions:
        if action in inner or action.dest == "help":
            continue
        title = shown_option(action) if action.option_strings else f"`{action.metavar or action.dest}`"
        words = (action.help or "").replace("%(default)s", str(action.default))
        lines.append(f"| {title.replace('|', chr(92) + '|')} | {words.replace('|', chr(92) + '|')} |\n")
    for action in inner:
        parsers: Any = action.choices
        for name, below in parsers.items():
            lines += [f"\n**{parser.prog} {name}**\n", *described(below)]
    return lines


def command_reference() -> str:
    """All commands as Markdown."""
    lines = []
    for name, summary in COMMANDS.items():
        parser = parser_of(name, module_of(name))
        lines += [f"\n### footplate {name}\n\n{summary[:1].upper()}{summary[1:]}.\n", *described(parser)]
        if parser.epilog:
            lines.append(f"\n{parser.epilog}\n")
        if own := exit_codes.OF_COMMAND.get(name):
            lines.append("\nExit codes: " + "; ".join(f"`{code}` {words}" for code, words in own.items()) + ".\n")
    return "".join(lines) + "\n"


def code_table() -> str:
    """The exit codes that hold for every command."""
    rows = "".join(f"| {code} | {words} |\n" for code, words in exit_codes.EVERYWHERE.items())
    return f"\n| code | |\n|---|---|\n{rows}\nCommands with codes of their own say so below.\n\n"
