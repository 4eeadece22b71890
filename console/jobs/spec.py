"""What is asked of a run: the request that a client sends, and the files that a run directory starts with."""

from __future__ import annotations

import json
import os
import re
import resource
import shlex
import shutil
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Final

from console.jobs.command_params import params_of as params_of
from console.jobs.options import Adopted, Options, OptionsError, parse_options
from console.project.variables import allowed
from store import identity, paths

FORMAT: Final = 1
INTERPRETER: Final = re.compile(r"python[\d.]*|(ba|da|z)?sh|uv|torchrun|accelerate")
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
    options: Options = field(default_factory=Options)
    interpreter: str = ""


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
    boot_id: str = ""
    """Of the boot in which it was enqueued; empty in files of versions that did not note it."""
    options: Options = field(default_factory=Options)
    interpreter: str = ""
    """The Python that the project uses, as the enqueuing shell had it; empty when there is none."""
    adopted: Adopted | None = None
    """The process that this run took over; None for a run that we start."""
    original_working_dir: str = ""
    """Where it was enqueued, when it runs in a copy: then `working_dir` lies in that copy. Else empty."""


def parse_request(data: Any) -> Request:
    """Check a decoded request; raises SpecError naming the first field that is wrong."""
    if not isinstance(data, dict):
        raise SpecError(f"a run must be a JSON object, not {type(data).__name__}")
    argv = data.get("argv")
    if not isinstance(argv, list) or not argv or not all(isinstance(word, str) for word in argv) or not argv[0]:
        raise SpecError("argv must be a list of strings whose first names a program")
    if not all(map(can_be_passed_on, argv)):
        raise SpecError("argv must hold neither NUL characters nor text that is no file system text")
    working_dir = data.get("working_dir")
    if not isinstance(working_dir, str) or not os.path.isabs(working_dir) or not can_be_passed_on(working_dir):
        raise SpecError("working_dir must be an absolute path")
    environment = data.get("environment")
    if not isinstance(environment, dict) or not all(isinstance(value, str) for value in environment.values()):
        raise SpecError("environment must be an object of strings")
    if any("=" in key or not key or not can_be_passed_on(key + value) for key, value in environment.items()):
        raise SpecError("environment must hold names without '=' and values without NUL characters")
    umask = data.get("umask", 0o022)
    if not isinstance(umask, int) or not 0 <= umask <= 0o777:
        raise SpecError("umask must be a number from 0 to 0o777")
    limits = parse_limits(data.get("limits", {}))
    grace_s = data.get("grace_s", DEFAULT_GRACE_S)
    if not isinstance(grace_s, int | float) or not 0 <= grace_s <= 86400:
        raise SpecError("grace_s must be a number of seconds from 0 to 86400")
    interpreter = data.get("interpreter") or ""
    if not isinstance(interpreter, str) or not can_be_passed_on(interpreter):
        raise SpecError("interpreter must be a path")
    try:
        options = parse_options(data.get("options"))
    except OptionsError as error:
        raise SpecError(str(error)) from error
    name, project = data.get("name") or default_name(argv), data.get("project") or os.path.basename(working_dir)
    if not isinstance(name, str) or not isinstance(project, str) or not can_be_passed_on(name + project):
        raise SpecError("name and project must be strings without NUL characters")
    return Request(
        argv=tuple(argv),
        working_dir=working_dir,
        environment=environment,
        umask=umask,
        limits=limits,
        name=name[:NAME_MAX_CHARACTERS],
        project=project[:NAME_MAX_CHARACTERS] or "/",
        grace_s=float(grace_s),
        options=options,
        interpreter=interpreter,
    )


def can_be_passed_on(text: str) -> bool:
    """Whether a string can be an argument, a path or a variable of a process: it fits into bytes without NUL."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def parse_limits(data: Any) -> dict[str, tuple[int, int]]:
    """Resource limits by name; raises SpecError for names and numbers that the kernel does not have."""
    if not isinstance(data, dict):
        raise SpecError("limits must be an object of [soft, hard] pairs")
    limits: dict[str, tuple[int, int]] = {}
    for name, pair in data.items():
        if not name.startswith("RLIMIT_") or not hasattr(resource, name):
            raise SpecError(f"limits has no {name!r}; names are those of the resource module, such as RLIMIT_NOFILE")
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(value, int) for value in pair):
            raise SpecError("limits must be an object of [soft, hard] pairs")
        if not all(-1 <= value < 2**63 for value in pair):
            raise SpecError(f"limits: {name} must be from -1 (unlimited) to 2^63 - 1")
        limits[name] = (pair[0], pair[1])
    return limits


def default_name(argv: list[str]) -> str:
    """The part of a command that people call it by: the script of an interpreter, else the program."""
    words = iter(argv)
    program = os.path.basename(next(words).rstrip("/")) or "/"
    if INTERPRETER.fullmatch(program):
        for word in words:
            if word.endswith((".py", ".sh")):
                return os.path.basename(word)
            if word == "-m":
                return next(words, "") or program
    return program


def write_run_dir(home: str, spec: Spec, request: Request) -> str:
    """Create the run directory, whole or not at all; returns its path. Raises OSError."""
    final = paths.run_dir(home, spec.id)
    building = os.path.join(paths.runs_dir(home), f".new-{spec.id}")
    os.mkdir(building, 0o700)
    try:
        write_first_files(building, spec, request)
        os.rename(building, final)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    paths.sync_dir(paths.runs_dir(home))
    return final


def write_first_files(building: str, spec: Spec, request: Request) -> None:
    """What a run directory holds before its run starts. Raises OSError."""
    environment = {
        "format": FORMAT,
        "environment": request.environment,
        "umask": request.umask,
        "limits": request.limits,
    }
    paths.write_atomically(f"{building}/environment.json", json.dumps(environment).encode(), sync=False)
    paths.write_atomically(f"{building}/metrics.jsonl", b"", sync=False)
    os.mkdir(f"{building}/code", 0o700)
    kept = {"format": FORMAT, "environment": allowed(request.environment)}
    paths.write_atomically(f"{building}/code/variables.json", json.dumps(kept).encode(), sync=False)
    paths.write_atomically(f"{building}/spec.json", json.dumps(asdict(spec)).encode())


def read_spec(run_dir: str) -> Spec:
    """spec.json of a run directory; raises OSError, or ValueError for one that this version cannot read.

    Fields of a newer version are passed over, those that an older one did not write have their defaults.
    """
    with open(f"{run_dir}/spec.json", "rb") as file:
        data = json.load(file)
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ValueError(f"{run_dir}/spec.json has no format {FORMAT}")
    known = {each.name for each in fields(Spec)}
    data = {"boot_id": "", "options": None, "interpreter": "", "adopted": None, "original_working_dir": "", **data}
    if known - data.keys():
        raise ValueError(f"{run_dir}/spec.json lacks {', '.join(sorted(known - data.keys()))}")
    texts = ("id", "name", "project", "working_dir", "host", "boot_id", "interpreter", "original_working_dir")
    strings = [data[name] for name in texts]
    numbers = [data[name] for name in ("no", "grace_s", "created_at_s")]
    argv, params = data["argv"], data["params"]
    if not isinstance(argv, list) or not argv or not isinstance(params, dict):
        raise ValueError(f"{run_dir}/spec.json needs a list argv that is not empty and an object params")
    strings += [*argv, *params, *params.values()]
    if not all(isinstance(value, str) and can_be_passed_on(value) for value in strings):
        raise ValueError(f"{run_dir}/spec.json has something else where text should be")
    if not all(isinstance(value, int | float) for value in numbers) or not isinstance(data["no"], int):
        raise ValueError(f"{run_dir}/spec.json has something else where a number should be")
    if data["id"] != os.path.basename(run_dir):
        raise ValueError(f"{run_dir}/spec.json is that of run {data['id']}")
    data |= {
        "argv": tuple(argv),
        "options": parse_options(data["options"]),
        "adopted": parse_adopted(data["adopted"], run_dir),
    }
    return Spec(**{name: data[name] for name in known})


def move_to_copy(run_dir: str, spec: Spec, working_dir: str) -> Spec:
    """Have the command run in a copy of its folder, before any supervisor was started. Raises OSError."""
    moved = replace(spec, working_dir=working_dir, original_working_dir=spec.working_dir)
    paths.write_atomically(f"{run_dir}/spec.json", json.dumps(asdict(moved)).encode())
    return moved


def parse_adopted(data: Any, run_dir: str) -> Adopted | None:
    """What spec.json says of a process that was taken over."""
    if data is None:
        return None
    if not isinstance(data, dict) or not isinstance(data.get("log_path"), str):
        raise ValueError(f"{run_dir}/spec.json: adopted must be an object with process and log_path")  # noqa: TRY004
    if identity.from_json(data.get("process")) is None:
        raise ValueError(f"{run_dir}/spec.json: adopted.process must hold boot_id, pid and start_ticks")
    return Adopted(data["process"], data["log_path"])


def command_text(argv: tuple[str, ...]) -> str:
    """The argv as one would type it in a shell."""
    return shlex.join(argv)
