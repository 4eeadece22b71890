"""Params that stand in files: a config file that the command line names, and literals of the script. Never executed.

For workers: files are foreign, so they are parsed where that may fail, take long, or need much memory.

    code/params.json    {"format": 1, "config": [[key, value, file], ...], "literals": {name: [value, line], ...}}
"""

from __future__ import annotations

import ast
import json
import os
import tomllib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from console.jobs import launchers
from console.project import code_files
from console.project.masking import mask_mapping, mask_value
from store import paths

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from console.jobs.spec import Spec


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


FORMAT: Final = 1
NAME: Final = "params.json"
CONFIG_MAX_BYTES: Final = 256 << 10
FILES_MAX: Final = 4
ENTRIES_MAX: Final = 1000
NODES_MAX: Final = 20_000
"""Of a parsed file that are looked at: aliases make a small YAML file a large tree."""
DEPTH_MAX: Final = 16
TEXT_MAX_CHARACTERS: Final = 200
ITEMS_MAX: Final = 16
CONFIG_WORDS: Final = _words(
    """config configs cfg conf params param hparams hyperparams hyp args options opts settings yaml"""
)
SUFFIXES: Final = (".yaml", ".yml", ".json", ".toml")


class Literal(NamedTuple):
    """A plain value in a script."""

    value: str
    line: int


def path_of(run_dir: str) -> str:
    """Where the params of a run's files are written down."""
    return f"{run_dir}/code/{NAME}"


def write(run_dir: str, spec: Spec) -> None:
    """Read the files that a run names and write down what they say. Raises OSError when ours cannot be written."""
    folder = spec.original_working_dir or spec.working_dir
    script = code_files.script_of(spec.argv, folder)
    content, _ = code_files.read_text(script.path) if script and script.path.endswith(".py") else (b"", "")
    record = {
        "format": FORMAT,
        "config": [[*entry] for entry in config_params(spec.argv, folder)],
        "literals": {name: [*each] for name, each in literals_of(content).items()},
    }
    paths.write_atomically(path_of(run_dir), json.dumps(record).encode())


def config_params(argv: Sequence[str], folder: str) -> list[tuple[str, str, str]]:
    """Key, value and file of every param in the config files that a command line names, in their order."""
    found: dict[str, tuple[str, str, str]] = {}
    for name in config_files(argv)[:FILES_MAX]:
        data = load(os.path.join(folder, name))
        flat = flattened(data) if isinstance(data, dict) else {}
        found.update((key, (key, value, os.path.basename(name))) for key, value in mask_mapping(flat).items())
    return list(found.values())


def config_files(argv: Sequence[str]) -> list[str]:
    """Files of a command line that hold its settings: by the option in front of them, or by a suffix that says so."""
    found: list[str] = []
    option = ""
    for word in launchers.beneath(argv).arguments:
        name, equals, value = word.partition("=")
        candidate = value if equals else word
        key = name.lstrip("-+") if equals else option
        if candidate.lower().endswith(SUFFIXES) and not candidate.startswith("-"):
            says_so = not CONFIG_WORDS.isdisjoint(key.lower().replace("-", "_").replace(".", "_").split("_"))
            # JSON is what data sets are in as well, so it takes an option that says what the file is, or none at all.
            if says_so or (not key and not candidate.lower().endswith(".json")):
                found.append(candidate)
        option = word.lstrip("-") if word.startswith("-") and not equals else ""
    return list(dict.fromkeys(found))


def load(path: str) -> Any:
    """What a YAML, JSON or TOML file of bounded size holds; None for one that cannot be read as such."""
    content, _ = code_files.read_text(path)
    if not content or len(content) > CONFIG_MAX_BYTES:
        return None
    import yaml  # with its patterns 20 ms, which the daemon, who reads what was written down only, need not take

    try:
        text = content.decode()
        if path.lower().endswith(".json"):
            return json.loads(text)
        if path.lower().endswith(".toml"):
            return tomllib.loads(text)
        return yaml.load(text, yaml.CSafeLoader)
    except (ValueError, RecursionError, yaml.YAMLError):
        return None


def flattened(data: dict[Any, Any]) -> dict[str, str]:
    """Leaves by their dotted keys; at most ENTRIES_MAX."""
    found: dict[str, str] = {}
    waiting: list[tuple[str, Any, int]] = [(str(key), value, 1) for key, value in reversed(data.items())]
    for _ in range(NODES_MAX):
        if not waiting or len(found) >= ENTRIES_MAX:
            break
        key, value, depth = waiting.pop()
        if isinstance(value, dict) and value:
            if depth < DEPTH_MAX and len(waiting) + len(value) <= NODES_MAX:
                waiting += [(f"{key}.{child}", each, depth + 1) for child, each in reversed(value.items())]
        elif len(key) <= TEXT_MAX_CHARACTERS and (text := text_of(value)) is not None:
            found[key] = text
    return found


def text_of(value: Any) -> str | None:
    """A leaf as one would type it; None for what is too long to be compared by eye."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case list() | tuple():
            texts = [text_of(each) for each in value] if len(value) <= ITEMS_MAX else [None]
            if any(isinstance(each, list | tuple | dict) for each in value) or None in texts:
                return None
            text = f"[{', '.join(filter(None, texts))}]"
        case dict():
            return "{}"
        case _:
            text = str(value)
    return text if len(text) <= TEXT_MAX_CHARACTERS else None


def literals_of(content: bytes) -> dict[str, Literal]:
    """Plain values that a Python script assigns, passes by name or keeps in a dict, by the name they have there.

    A name that comes again is `name#2`. Nothing for a script that cannot be parsed.
    """
    try:
        tree = ast.parse(content)
        found: dict[str, Literal] = {}
        counts: dict[str, int] = {}
        for name, node in named_values(tree):
            text = literal_text(node)
            if text is None or len(name) > TEXT_MAX_CHARACTERS:
                continue
            counts[name] = count = counts.get(name, 0) + 1
            found[name if count == 1 else f"{name}#{count}"] = Literal(text, node.lineno)
            if len(found) >= ENTRIES_MAX:
                break
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    return {name: each._replace(value=mask_value(name, each.value)) for name, each in found.items()}


def named_values(tree: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Every expression that has a name, in the order of the text."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        children: list[ast.AST] = list(ast.iter_child_nodes(node))
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield name, value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                yield name, value
            case ast.Call(func=ast.Attribute(attr="add_argument"), args=[ast.Constant(value=str() as option), *_]):
                # What is passed to argparse says what the option is by default, and nothing else about the run.
                yield from ((option.lstrip("-"), each.value) for each in node.keywords if each.arg == "default")
                children = []
            case ast.Dict(keys=keys, values=values):
                for key, value in zip(keys, values, strict=True):
                    if isinstance(key, ast.Constant) and isinstance(key.value, str):
                        yield key.value, value
            case ast.arguments(args=positional, defaults=defaults, kwonlyargs=named, kw_defaults=named_defaults):
                first = len(positional) - len(defaults)
                yield from ((each.arg, value) for each, value in zip(positional[first:], defaults, strict=True))
                pairs = zip(named, named_defaults, strict=True)
                yield from ((each.arg, value) for each, value in pairs if value is not None)
            case ast.keyword(arg=str() as name, value=value):
                yield name, value
        waiting += reversed(children)


def literal_text(node: ast.expr) -> str | None:
    """A number, a short text, a truth value or a few of them, in a form that does not depend on how it is written."""
    if not isinstance(node, ast.Constant | ast.UnaryOp | ast.Tuple | ast.List):
        return None
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError):
        return None
    return None if isinstance(value, bytes) else text_of(value)
