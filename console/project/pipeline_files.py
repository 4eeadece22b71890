"""Jobs from what a project already has: the stages of `dvc.yaml`, the targets of a Makefile. Nothing is executed."""

from __future__ import annotations

import os
import re
import shlex
from typing import TYPE_CHECKING, Any, Final

from console.project.command_template import shell_need
from console.project.job_draft import JobDraft, escaped, job_name, pattern_of, toml_value
from console.project.manifest_model import Value
from console.project.placeholders import PARAM_NAME
from console.project.yaml_text import YamlError, load_yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

STAGES_MAX: Final = 50
TARGETS_MAX: Final = 20
_PARAM: Final = re.compile(r"\$\{\{([^{}]+)\}\}")
_PYTHON: Final = re.compile(r"(?<![\w./-])(?:python|python3)(?=\s)")
_TARGET: Final = re.compile(r"([A-Za-z0-9_][\w.-]*)\s*:(?![=:])([^=]*)$")
_RUNS_PYTHON: Final = re.compile(
    r"(?:^|[\s;&|@])(?:[\w./$(){}-]*python[\d.]*|uv run|poetry run|pipenv run|\$\(PY\w*\))\s"
)


def dvc_jobs(content: bytes, params: bytes) -> list[JobDraft]:
    """A job for each stage; `params` is the text of `params.yaml`. Raises YamlError."""
    loaded = load_yaml(content)
    stages = loaded.get("stages") if isinstance(loaded, dict) else None
    if not isinstance(stages, dict):
        raise YamlError("has no table `stages`")
    values = load_yaml(params) if params else {}
    drafts: list[JobDraft] = []
    reads: list[list[str]] = []
    writes: list[list[str]] = []
    for name, stage in list(stages.items())[:STAGES_MAX]:
        draft = JobDraft(job_name(str(name), [other.name for other in drafts]), "true")
        draft.comments.append(f"the stage {name} of dvc.yaml")
        fill_stage(draft, stage if isinstance(stage, dict) else {}, values)
        folder = draft.cwd
        reads.append(inside(paths_in(stage, "deps"), folder))
        writes.append(inside([path for key in ("outs", "metrics", "plots") for path in paths_in(stage, key)], folder))
        drafts.append(draft)
    connect(drafts, reads, writes)
    return drafts


def fill_stage(draft: JobDraft, stage: Mapping[str, Any], values: Any) -> None:
    """Command and folder of a stage."""
    command = stage.get("cmd")
    if isinstance(command, list):
        command = " && ".join(str(line) for line in command)
    if not isinstance(command, str) or not command.strip():
        draft.problem = "it has no command that can be taken over (foreach and matrix are not): write its job by hand"
        return
    draft.command = _PARAM.sub(lambda found: placeholder(found, draft, values), escaped(command.strip()))
    draft.shell = bool(shell_need(draft.command))
    draft.command = _PYTHON.sub("{python}", draft.command, count=0 if draft.shell else 1)
    draft.scripts = tuple(word for word in split(draft.command) if word.endswith((".py", ".sh")))
    folder = stage.get("wdir", "")
    if isinstance(folder, str) and folder not in ("", "."):
        draft.cwd = os.path.normpath(folder)
        if draft.cwd.startswith(("..", "/")) or "${" in draft.cwd:
            draft.problem, draft.cwd = f"its wdir {folder!r} leads out of the project", ""


def placeholder(found: re.Match[str], draft: JobDraft, values: Any) -> str:
    """The placeholder for a `${name}` of dvc.yaml, with its value in params.yaml as default."""
    name = found.group(1).strip()
    value = values
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if not isinstance(value, Value) or not PARAM_NAME.fullmatch(name):
        draft.problem = f"${{{name}}} has no plain value in params.yaml: write its job by hand"
        return found.group()
    draft.params[name] = toml_value(value)
    return f"{{{name}}}"


def paths_in(stage: Any, key: str) -> list[str]:
    """The paths of a list such as `outs`, whose entries are paths or tables with one key."""
    entries = stage.get(key) if isinstance(stage, dict) else None
    found = []
    for entry in entries if isinstance(entries, list) else ():
        path = next(iter(entry), None) if isinstance(entry, dict) else entry
        if isinstance(path, str) and "${" not in path:
            found.append(path)
    return found


def inside(paths: Iterable[str], folder: str) -> list[str]:
    """Paths relative to the project, without those that lead out of it."""
    whole = [os.path.normpath(os.path.join(folder, path)) for path in paths]
    return [path for path in whole if path != "." and not path.startswith(("..", "/", "~"))]


def connect(drafts: list[JobDraft], reads: list[list[str]], writes: list[list[str]]) -> None:
    """`after` where a stage reads what another one writes, a trigger on the data that nobody writes."""
    for draft, read, written in zip(drafts, reads, writes, strict=True):
        draft.outputs = list(dict.fromkeys(pattern_of(path) for path in written))
        for path in read:
            makers = [
                other.name
                for other, made in zip(drafts, writes, strict=True)
                if other is not draft and any(covers(one, path) or covers(path, one) for one in made)
            ]
            draft.after += [maker for maker in makers if maker not in draft.after]
            own = any(covers(one, path) or covers(path, one) for one in written)
            if not makers and not own and path not in inside(draft.scripts, draft.cwd) and not path.endswith(".py"):
                draft.trigger.append(pattern_of(path))
        if draft.after:
            draft.comments.append("after the stages whose outs are its deps")
        if draft.trigger:
            draft.comments.append("by itself, once trusted, when data among its deps changes that no stage writes")


def covers(one: str, other: str) -> bool:
    """Whether a path is another one, or a folder around it."""
    return other == one or other.startswith(f"{one}/")


def split(command: str) -> list[str]:
    """The words of a command as well as they can be told."""
    try:
        return shlex.split(command)
    except ValueError:
        return command.split()


def makefile_jobs(content: bytes) -> list[JobDraft]:
    """A job for each target whose recipe runs Python."""
    drafts: list[JobDraft] = []
    target = ""
    text = content.decode("utf-8", "replace").replace("\\\n", " ")
    for line in text.splitlines():
        if line.startswith("\t"):
            if target and _RUNS_PYTHON.search(line + " "):
                name = job_name(target, [draft.name for draft in drafts])
                scripts = tuple(word for word in split(line.strip()) if word.endswith((".py", ".sh")))
                drafts.append(
                    JobDraft(name, f"make {target}", [f"the target {target} of the Makefile"], scripts=scripts)
                )
                target = ""
        elif line.strip() and not line.startswith((" ", "#")):
            found = _TARGET.match(line)
            target = found.group(1) if found and "%" not in line and not found.group(1).startswith(".") else ""
    return drafts[:TARGETS_MAX]
