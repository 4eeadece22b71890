"""What is asked of a run: the request that a client sends, and the files that a run directory starts with."""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import shlex
import shutil
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Final

from console.jobs.command_params import params_of as params_of
from console.jobs.options import Adopted, Options, OptionsError, parse_options
from console.jobs.queueing import Queueing, parse_queueing
from console.project.variables import allowed
from store import identity, paths

if TYPE_CHECKING:
    from collections.abc import Sequence

FORMAT: Final = 1
INTERPRETER: Final = re.compile(r"python[\d.]*|(ba|da|z)?sh|uv|torchrun|accelerate")
DEFAULT_GRACE_S: Final = 10.0
"""Between TERM and KILL when a run is stopped."""
NAME_MAX_CHARACTERS: Final = 200
ENVIRONMENT_FILES: Final = ("environment.json", "code/variables.json")


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
    queueing: Queueing = field(default_factory=Queueing)
    params: dict[str, str] = field(default_factory=dict)
    """What is known of the params beside what the argv states."""
    id: str = ""
    """The ULID that the run gets; empty for a new one."""
    variables: dict[str, str] = field(default_factory=dict)
    """On top of the environment, which many runs may share."""
    names_project: bool = True
    """Whether `project` was asked for; else it is the name of the folder."""
    log_pattern: str | None = None
    """Of the manifest that the run is a job of; None where that of the watched folder counts."""


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
    queueing: Queueing = field(default_factory=Queueing)
    variables: dict[str, str] = field(default_factory=dict)
    """Variables of the command on top of its environment: its params, for commands that ask for a shell."""
    log_pattern: str = ""
    """What reads metrics from its output, as its project had it pinned; empty for the grammar."""


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
        queueing = parse_queueing(data.get("queueing"))
    except OptionsError as error:
        raise SpecError(str(error)) from error
    params = data.get("params") or {}
    if not isinstance(params, dict) or not all(
        isinstance(value, str) and key and can_be_passed_on(key + value) for key, value in params.items()
    ):
        raise SpecError("params must be an object of strings without NUL characters")
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
        queueing=queueing,
        params=params,
        names_project=bool(data.get("project")),
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


def write_run_dirs(home: str, new: Sequence[tuple[Spec, Request]]) -> None:
    """Create run directories, the last ones first, each whole or not at all; all of them or none. Raises OSError.

    The last ones first: of runs that follow each other a crash must not leave the first without those after it.
    """
    runs_dir = paths.runs_dir(home)
    building = [os.path.join(runs_dir, f".new-{spec.id}") for spec, _ in new]
    final = [paths.run_dir(home, spec.id) for spec, _ in new]
    written: dict[int, str] = {}
    """Directories that hold an environment, by the identity of the environment that several requests share."""
    try:
        for folder, (spec, request) in zip(building, new, strict=True):
            os.mkdir(folder, 0o700)
            write_first_files(folder, spec, request, shared=written.get(id(request.environment), ""))
            written.setdefault(id(request.environment), folder)
        # Not one by one as they are written: the first sync then writes most of what the others need.
        for folder in building:
            sync_file(f"{folder}/spec.json")
        for before, after in reversed(list(zip(building, final, strict=True))):
            os.rename(before, after)
    except BaseException:
        for folder in [*building, *final]:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    paths.sync_dir(runs_dir)


def sync_file(path: str) -> None:
    """Make the content of a file durable. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_first_files(building: str, spec: Spec, request: Request, *, shared: str = "") -> None:
    """What a run directory holds before its run starts; it has no name yet that anybody reads. Raises OSError.

    `shared`: a directory with the same environment, which is linked: a thousand runs of a sweep need it once.
    """
    os.mkdir(f"{building}/code", 0o700)
    if not shared or not link_all(shared, building, ENVIRONMENT_FILES):
        environment: dict[str, Any] = {
            "environment": request.environment,
            "umask": request.umask,
            "limits": request.limits,
        }
        kept: dict[str, Any] = {"environment": allowed(request.environment)}
        for name, content in zip(ENVIRONMENT_FILES, (environment, kept), strict=True):
            write_new(f"{building}/{name}", json.dumps({"format": FORMAT, **content}).encode())
    write_new(f"{building}/metrics.jsonl", b"")
    write_new(f"{building}/spec.json", json.dumps(asdict(spec)).encode())


def link_all(folder: str, target: str, names: Sequence[str]) -> bool:
    """Give files of one directory to another one too; false, and nothing done, where the file system has no links."""
    try:
        for name in names:
            os.link(f"{folder}/{name}", f"{target}/{name}")
    except OSError:
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{target}/{name}")
        return False
    return True


def write_new(path: str, content: bytes) -> None:
    """Write a file that is not there yet, with mode 0600. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
    finally:
        os.close(descriptor)


def read_spec(run_dir: str) -> Spec:
    """spec.json of a run directory; raises OSError, or ValueError for one that this version cannot read.

    Fields of a newer version are passed over, those that an older one did not write have their defaults.
    """
    with open(f"{run_dir}/spec.json", "rb") as file:
        data = json.load(file)
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ValueError(f"{run_dir}/spec.json has no format {FORMAT}")
    known = {each.name for each in fields(Spec)}
    later: dict[str, Any] = dict.fromkeys(("options", "adopted", "queueing"))
    later |= {"boot_id": "", "interpreter": "", "original_working_dir": "", "variables": {}, "log_pattern": ""}
    data = {**later, **data}
    if known - data.keys():
        raise ValueError(f"{run_dir}/spec.json lacks {', '.join(sorted(known - data.keys()))}")
    texts = ("id", "name", "project", "working_dir", "host", "boot_id", "interpreter", "original_working_dir")
    strings = [data[name] for name in (*texts, "log_pattern")]
    numbers = [data[name] for name in ("no", "grace_s", "created_at_s")]
    argv, params, variables = data["argv"], data["params"], data["variables"]
    if not isinstance(argv, list) or not argv or not isinstance(params, dict) or not isinstance(variables, dict):
        raise ValueError(f"{run_dir}/spec.json needs a list argv that is not empty and objects params and variables")
    strings += [*argv, *params, *params.values(), *variables, *variables.values()]
    if not all(isinstance(value, str) and can_be_passed_on(value) for value in strings):
        raise ValueError(f"{run_dir}/spec.json has something else where text should be")
    if not all(isinstance(value, int | float) for value in numbers) or not isinstance(data["no"], int):
        raise ValueError(f"{run_dir}/spec.json has something else where a number should be")
    if data["id"] != os.path.basename(run_dir):
        raise ValueError(f"{run_dir}/spec.json is that of run {data['id']}")
    data |= {
        "argv": tuple(argv),
        "options": parse_options(data["options"]),
        "queueing": parse_queueing(data["queueing"]),
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
