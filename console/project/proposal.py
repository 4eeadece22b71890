"""A `footplate.toml` proposed from what lies in a folder: scripts and their options, dvc.yaml, Makefile.

Files are read and nothing is executed. What is written always parses: a guess that does not is written as a comment.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from console.project import discovery, manifest, pipeline_files, script_flags
from console.project.job_draft import (
    JobDraft,
    escaped,
    job_name,
    pattern_of,
    toml_text,
    toml_value,
)
from console.project.manifest_model import ManifestError
from console.project.yaml_text import SIZE_MAX_BYTES, YamlError
from store.run_files import read_stretch

if TYPE_CHECKING:
    from console.project.discovery import Findings, Script
    from console.project.script_flags import Flag

JOBS_MAX: Final = 30
REPAIRS_MAX: Final = 200
DATA_FILE: Final = re.compile(r".*\.(csv|tsv|jsonl|parquet|arrow|feather|npy|npz|h5|hdf5|db|sqlite)")
TRAIN: Final = re.compile(r"(?:pre)?train(?:er|ing)?|finetune|fine_tune|fit")
EVALUATE: Final = re.compile(r"eval(?:uate|uation)?|test|validate|score|predict|infer(?:ence)?")
SHELL_ROLES: Final = re.compile(
    r"(?:pre)?train|finetune|eval|test|predict|infer|score|run|prepare|download", re.IGNORECASE
)
HEAD: Final = """\
# Proposed by `footplate init` from what lies in this folder; nothing was executed. Every guess has its reason with it:
# change what is wrong. No job starts by itself before this file has been trusted.
"""
EMPTY: Final = """\
# Nothing was found that could be a job. One looks like this:
#
# [jobs.train]
# command = "{python} train.py --lr {lr}"
# params = { lr = 0.001 }
"""


class Proposal(NamedTuple):
    """A manifest that could be written."""

    text: str
    jobs: tuple[str, ...]
    notes: tuple[str, ...]
    """Sentences about what was left out, and why."""


def propose(folder: str) -> Proposal:
    """What a manifest of this folder could say."""
    found = discovery.examine(folder)
    notes = [f"{folder} {found.problem}"] if found.problem else []
    drafts = pipeline_drafts(found, notes)
    taken = {os.path.normpath(os.path.join(draft.cwd, path)) for draft in drafts for path in draft.scripts}
    for script in found.scripts:
        if script.path in taken or (not script.path.endswith(".py") and not SHELL_ROLES.match(base_name(script))):
            continue
        if len(drafts) >= JOBS_MAX:
            notes.append(f"{script.path} and what comes after it: more than {JOBS_MAX} jobs are not proposed")
            break
        draft = script_draft(found.folder, script, [draft.name for draft in drafts])
        if draft is not None:
            drafts.append(draft)
    chain(drafts)
    return repaired(os.path.basename(os.path.abspath(folder)), drafts, notes)


def base_name(script: Script) -> str:
    """The name of a script without folder and suffix."""
    return os.path.splitext(os.path.basename(script.path))[0]


def content_of(found: Findings, name: str) -> bytes:
    """The beginning of a file of the folder; empty when it cannot be read."""
    try:
        return read_stretch(os.path.join(found.folder, name), 0, SIZE_MAX_BYTES + 1).data
    except OSError:
        return b""


def pipeline_drafts(found: Findings, notes: list[str]) -> list[JobDraft]:
    """Jobs from dvc.yaml and the Makefile."""
    drafts: list[JobDraft] = []
    if found.pipeline:
        try:
            drafts += pipeline_files.dvc_jobs(content_of(found, found.pipeline), content_of(found, "params.yaml"))
        except YamlError as error:
            notes.append(f"dvc.yaml {error}")
    if found.makefile:
        stages = {path for draft in drafts for path in draft.scripts}
        for draft in pipeline_files.makefile_jobs(content_of(found, found.makefile)):
            if any(draft.name == other.name for other in drafts) or stages.intersection(draft.scripts):
                notes.append(f"the target {draft.name} of the Makefile: a stage of dvc.yaml does the same")
            else:
                drafts.append(draft)
    return drafts


def script_draft(folder: str, script: Script, taken: list[str]) -> JobDraft | None:
    """The job for a script; None when it cannot be read."""
    try:
        content = read_stretch(os.path.join(folder, script.path), 0, discovery.SCRIPT_MAX_BYTES).data
        path = quoted(script.path)
        name = job_name(base_name(script), taken)
    except (OSError, UnicodeError):
        return None
    if not script.path.endswith(".py"):
        shell = "bash" if b"bash" in content.split(b"\n", 1)[0] or script.path.endswith(".bash") else "sh"
        return JobDraft(name, f"{shell} {path}", [f"{script.path} is a shell script"], scripts=(script.path,))
    draft = JobDraft(name, f"{{python}} {path}", scripts=(script.path,))
    flags = script_flags.flags_of(content) if script.flags in ("argparse", "click", "absl") else []
    if flags:
        draft.comments.append(f"{script.path} reads these options with {script.flags}; the values are its own defaults")
    elif script.flags:
        draft.comments.append(f"{script.path} reads its command line with {script.flags}: add what it should get")
    else:
        draft.comments.append(f"{script.path} can be started and reads no option that was seen")
    add_flags(draft, flags)
    data = [flag.default for flag in flags if isinstance(flag.default, str) and is_data(folder, flag.default)]
    if data:
        draft.hints.append("it could run by itself, once trusted, whenever its data changes:")
        draft.hints.append(f"trigger = {{ on_change = [{', '.join(toml_text(pattern_of(path)) for path in data)}] }}")
    return draft


def quoted(path: str) -> str:
    """A path as a word of a command template."""
    import shlex

    path.encode()
    return escaped(shlex.quote(path))


def is_data(folder: str, path: str) -> bool:
    """Whether a default names a data file, or a folder, of the project."""
    plain = os.path.normpath(path)
    if "\0" in path or plain.startswith(("..", "/", "~", ".")) or not plain:
        return False
    whole = os.path.join(folder, plain)
    return DATA_FILE.fullmatch(plain) is not None and (os.path.exists(whole) or "data" in plain.split("/"))


def add_flags(draft: JobDraft, flags: list[Flag]) -> None:
    """Options with their defaults as placeholders and params; what has none is named in a comment."""
    left: list[str] = []
    for flag in flags:
        shown = flag.option or flag.name
        if flag.is_switch or (flag.default is None and not flag.required) or flag.default == "":
            left.append(shown)
            continue
        try:
            value = toml_value("" if flag.default is None else flag.default, flag.text)
        except UnicodeError:
            left.append(shown)
            continue
        if flag.default is None:
            draft.comments.append(f"{shown} is required and has no default: fill in {flag.name}")
        draft.params[flag.name] = value
        draft.command += f" {escaped(flag.option)} {{{flag.name}}}" if flag.option else f" {{{flag.name}}}"
    if left:
        draft.comments.append(f"not used: {', '.join(left)}")


def chain(drafts: list[JobDraft]) -> None:
    """Let evaluations run after the training that their name belongs to."""
    trainings = {
        role_rest(draft.name, TRAIN): draft.name for draft in drafts if role_rest(draft.name, TRAIN) is not None
    }
    for draft in drafts:
        rest = role_rest(draft.name, EVALUATE)
        if rest is None or draft.after or not trainings:
            continue
        before = trainings.get(rest) or (next(iter(trainings.values())) if len(trainings) == 1 else "")
        if before:
            draft.after.append(before)
            draft.comments.append(f"after {before}: by the names, it looks at what that one has made")
        else:
            draft.hints.append(f"after = {toml_text(next(iter(trainings.values())))}")
    drafts.sort(key=lambda draft: bool(draft.after))


def role_rest(name: str, role: re.Pattern[str]) -> str | None:
    """What is left of a name without the word for what it does, such as `_gpt`; None when it has no such word."""
    parts = re.split(r"[_.-]", name.lower())
    rest = [part for part in parts if not role.fullmatch(part)]
    return None if len(rest) == len(parts) else "_".join(rest)


def repaired(name: str, drafts: list[JobDraft], notes: list[str]) -> Proposal:
    """The text of the drafts, where a guess that the manifest refuses is given up with a comment."""
    for _ in range(REPAIRS_MAX):
        text = written(name, drafts)
        try:
            parsed = manifest.parse(text)
        except ManifestError as error:
            give_up(error, drafts)
        else:
            return Proposal(text, tuple(parsed.jobs), tuple(notes))
    return Proposal(written(name, []), (), (*notes, "what was found did not make jobs that can be written"))


def give_up(error: ManifestError, drafts: list[JobDraft]) -> None:
    """Take the guess out that an error is about: a part of a job, else the job as a whole."""
    parts = error.key.split(".")
    draft = next((one for one in drafts if not one.problem and error.key.startswith(f"jobs.{one.name}.")), None)
    if draft is None:
        for one in drafts:
            one.problem = one.problem or f"given up: {error.problem}"
        return
    field = error.key.removeprefix(f"jobs.{draft.name}.").split(".")[0]
    if field in ("after", "trigger", "outputs") and getattr(draft, field):
        draft.comments.append(f"no {field}: {error.problem}")
        setattr(draft, field, [])
    else:
        draft.problem = f"given up: {parts[-1]} {error.problem}"


def written(name: str, drafts: list[JobDraft]) -> str:
    """The whole text."""
    try:
        project = f"[project]\nname = {toml_text(name)}\n"
    except UnicodeError:
        project = "[project]\n"
    if not drafts:
        return f"{HEAD}\n{project}\n{EMPTY}"
    return "\n".join([HEAD, project, *("\n".join(draft.lines()) + "\n" for draft in drafts)])
