"""The options that a Python script reads from its command line, found in its syntax tree: nothing is executed."""

from __future__ import annotations

import ast
import re
import warnings
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from console.project.manifest_model import Value

FLAGS_MAX: Final = 40
_PLAIN_FLOAT: Final = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
_ABSL: Final = {"float": "float", "integer": "int", "string": "str", "enum": "str"}


class Flag(NamedTuple):
    """One option or argument."""

    name: str
    """Such as `lr`."""
    option: str
    """Such as `--lr`; empty for an argument without a name."""
    default: Value | None
    """None when there is none that can be read."""
    text: str
    """The default as the script writes it, where it is a float; else empty."""
    required: bool
    is_switch: bool
    """It takes no value."""


def flags_of(content: bytes) -> list[Flag]:
    """The options of a script, in its order; none for what is not Python that we can parse."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what a script of theirs is warned about is not ours to say
            tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    source = content.decode("utf-8", "replace")
    found: dict[str, Flag] = {}
    # `ast.walk` goes by depth; the order of the text is what people expect.
    calls = sorted((node for node in ast.walk(tree) if isinstance(node, ast.Call)), key=lambda call: call.lineno)
    for call in calls:
        for flag in flags_of_call(call, source):
            if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", flag.name) and flag.name not in ("python", "help"):
                found.setdefault(flag.name, flag)
    return list(found.values())[:FLAGS_MAX]


def flags_of_call(call: ast.Call, source: str) -> Iterator[Flag]:
    """What one call declares: `add_argument`, `click.option`, `click.argument`, `flags.DEFINE_…`."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    words = [word.value for word in call.args if isinstance(word, ast.Constant) and isinstance(word.value, str)]
    keywords = {word.arg: word.value for word in call.keywords if word.arg}
    if name in ("add_argument", "option", "argument") and words:
        if name == "add_argument" and keywords.get("action") is not None and takes_no_value(keywords["action"]):
            yield flag_of(words, keywords, source, is_switch=True)
        else:
            is_flag = literal(keywords.get("is_flag")) is True or any(
                "/" in word for word in words[:1] if word[:1] == "-"
            )
            yield flag_of(words, keywords, source, is_switch=is_flag, needs_value=name == "argument")
    elif name.startswith("DEFINE_") and words and len(call.args) > 1:
        kind = _ABSL.get(name.removeprefix("DEFINE_"))
        default = call.args[1]
        yield Flag(words[0], f"--{words[0]}", literal(default), float_text(default, source), False, kind is None)


def takes_no_value(action: ast.expr) -> bool:
    """Whether an action of argparse reads no word after the option."""
    return not isinstance(action, ast.Constant) or action.value not in ("store", "append", "extend")


def flag_of(
    words: list[str], keywords: dict[str, ast.expr], source: str, *, is_switch: bool, needs_value: bool = False
) -> Flag:
    """An option by its words, such as `-l --lr`."""
    option = next((word for word in words if word.startswith("--")), next((w for w in words if w[:1] == "-"), ""))
    dest = literal(keywords.get("dest"))
    name = dest if isinstance(dest, str) else (option or words[0]).lstrip("-").replace("-", "_")
    default = keywords.get("default")
    many = keywords.get("nargs")
    required = literal(keywords.get("required")) is True or (default is None and (needs_value or not option))
    if many is not None and literal(many) not in (1, -1):
        # Several words after one option are no single value.
        is_switch = is_switch or not required
    return Flag(name, option, literal(default), float_text(default, source), required, is_switch)


def literal(node: ast.expr | None) -> Value | None:
    """A constant of the source, also in `Path("…")`; None for anything that would have to be computed."""
    if isinstance(node, ast.Call) and len(node.args) == 1 and not node.keywords:
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        return literal(node.args[0]) if called in ("Path", "str", "float", "int") else None
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        below = literal(node.operand)
        return -below if isinstance(below, int | float) and not isinstance(below, bool) else None
    value = node.value if isinstance(node, ast.Constant) else None
    return value if isinstance(value, str | int | float | bool) else None


def float_text(node: ast.expr | None, source: str) -> str:
    """A float as the script writes it, such as 3e-4; empty for anything else."""
    if node is None or not isinstance(literal(node), float):
        return ""
    text = ast.get_source_segment(source, node) or ""
    return text if _PLAIN_FLOAT.fullmatch(text) else ""
