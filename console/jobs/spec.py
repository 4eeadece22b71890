"""What is asked of a run: the request that a client sends, and the files that a run directory starts with."""

from __future__ import annotations

import json
import os
import shlex
from dataclasses import asdict, dataclass
from typing import Any, Final

from store import paths

FORMAT: Final = 1
DEFAULT_GRACE_S: Final = 10.0
"""Between TERM and KILL when a run is stopped."""
NAME_MAX_CHARACTERS: Final = 200


class SpecError(ValueError):
    """A request that cannot become a run; the message names the field and what was expected."""


@dataclass(frozen=True, slots=True)
class Request:
    """A run as a client asks for it. Strings may hold surrogates: file names and variables need not be UTF-8."""

    argv: tuple[str, ...]
    working_dir: str
    environment: dict[str, str]
    umask: int
    limits: dict[str, tuple[int, int]]
    """Soft and hard limit by the names of the `resource` module."""
    name: str
    project: str
    grace_s: float


@dataclass(frozen=True, slots=True)
class Spec:
    """spec.json: what was asked, without the environment, which has a file of its own that is deleted at the end."""

    format: int
    id: str
    no: int
    name: str
    project: str
    argv: tuple[str, ...]
    working_dir: str
    grace_s: float
    params: dict[str, str]
    created_at_s: float
    host: str


def parse_request(data: Any) -> Request:
    """Check a decoded request; raises SpecError naming the first field that is wrong."""
    if not isinstance(data, dict):
        raise SpecError(f"a run must be a JSON object, not {type(data).__name__}")
    argv = data.get("argv")
    if not isinstance(argv, list) or not argv or not all(isinstance(word, str) for word in argv) or not argv[0]:
        raise SpecError("argv must be a list of strings whose first names a program")
    if any("\0" in word for word in argv):
        raise SpecError("argv must not hold NUL characters")
    working_dir = data.get("working_dir")
    if not isinstance(working_dir, str) or not os.path.isabs(working_dir) or "\0" in working_dir:
        raise SpecError("working_dir must be an absolute path")
    environment = data.get("environment")
    if not isinstance(environment, dict) or not all(isinstance(value, str) for value in environment.values()):
        raise SpecError("environment must be an object of strings")
    if any("\0" in key + value or "=" in key or not key for key, value in environment.items()):
        raise SpecError("environment must hold names without '=' and values without NUL characters")
    umask, limits = data.get("umask", 0o022), data.get("limits", {})
    if not isinstance(umask, int) or not 0 <= umask <= 0o777:
        raise SpecError("umask must be a number from 0 to 0o777")
    if not isinstance(limits, dict) or not all(
        isinstance(pair, list) and len(pair) == 2 and all(isinstance(value, int) for value in pair)
        for pair in limits.values()
    ):
        raise SpecError("limits must be an object of [soft, hard] pairs")
    grace_s = data.get("grace_s", DEFAULT_GRACE_S)
    if not isinstance(grace_s, int | float) or not 0 <= grace_s <= 86400:
        raise SpecError("grace_s must be a number of seconds from 0 to 86400")
    name, project = data.get("name") or default_name(argv), data.get("project") or os.path.basename(working_dir)
    if not isinstance(name, str) or not isinstance(project, str):
        raise SpecError("name and project must be strings")
    return Request(
        argv=tuple(argv),
        working_dir=working_dir,
        environment=environment,
        umask=umask,
        limits={key: (pair[0], pair[1]) for key, pair in limits.items()},
        name=name[:NAME_MAX_CHARACTERS],
        project=project[:NAME_MAX_CHARACTERS] or "/",
        grace_s=float(grace_s),
    )


def default_name(argv: list[str]) -> str:
    """The part of a command that people call it by: the script of an interpreter, else the program."""
    words = iter(argv)
    program = os.path.basename(next(words))
    if program.startswith(("python", "bash", "sh", "uv", "torchrun")):
        for word in words:
            if word.endswith((".py", ".sh")):
                return os.path.basename(word)
            if word == "-m":
                return next(words, program)
    return program


def params_of(argv: tuple[str, ...]) -> dict[str, str]:
    """Params that a command line states: `--lr 3e-4`, `--lr=3e-4`, `lr=3e-4`, `--amp` (as "true")."""
    params: dict[str, str] = {}
    words = list(argv[1:])
    position = 0
    while position < len(words):
        word = words[position]
        position += 1
        if word.startswith("--") and len(word) > 2:
            key, equals, value = word[2:].partition("=")
            if not equals:
                follows = words[position] if position < len(words) else "-"
                if follows.startswith("-") and not is_number(follows):
                    value = "true"
                else:
                    value = follows
                    position += 1
            params[key] = value
        elif "=" in word and word.split("=", 1)[0].lstrip("+~").replace(".", "_").replace("/", "_").isidentifier():
            key, _, value = word.partition("=")
            params[key.lstrip("+~")] = value
    return params


def is_number(text: str) -> bool:
    """Whether a word that starts with a dash is a negative number rather than a flag."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def write_run_dir(home: str, spec: Spec, request: Request) -> str:
    """Create the run directory, whole or not at all; returns its path. Raises OSError."""
    final = paths.run_dir(home, spec.id)
    building = os.path.join(paths.runs_dir(home), f".new-{spec.id}")
    os.mkdir(building, 0o700)
    environment = {
        "format": FORMAT,
        "environment": request.environment,
        "umask": request.umask,
        "limits": request.limits,
    }
    paths.write_atomically(f"{building}/environment.json", json.dumps(environment).encode(), sync=False)
    paths.write_atomically(f"{building}/metrics.jsonl", b"", sync=False)
    paths.write_atomically(f"{building}/spec.json", json.dumps(asdict(spec)).encode())
    os.rename(building, final)
    paths.sync_dir(paths.runs_dir(home))
    return final


def read_spec(run_dir: str) -> Spec:
    """spec.json of a run directory; raises OSError, or ValueError for one that this version cannot read."""
    with open(f"{run_dir}/spec.json", "rb") as file:
        data = json.load(file)
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ValueError(f"{run_dir}/spec.json has no format {FORMAT}")
    try:
        return Spec(**(data | {"argv": tuple(data["argv"])}))
    except (KeyError, TypeError) as error:
        raise ValueError(f"{run_dir}/spec.json lacks a field or has one too many: {error}") from error


def command_text(argv: tuple[str, ...]) -> str:
    """The argv as one would type it in a shell."""
    return shlex.join(argv)
