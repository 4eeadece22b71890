"""Reading `footplate.toml`: text to values, or one error with file, line, key and what was expected."""

from __future__ import annotations

import os
import tomllib
from typing import TYPE_CHECKING, Any

from console.jobs.options import Retry
from console.project import job_graph, manifest_file
from console.project.command_template import check
from console.project.manifest_lines import DEPTH_MAX, KeyLines
from console.project.manifest_model import (
    FILE_NAME,
    After,
    Job,
    Manifest,
    ManifestError,
    PrimaryMetric,
    Trigger,
    Typed,
)
from console.project.manifest_values import Wrong, kind_of, nearest, shown
from console.project.placeholders import TemplateError
from console.project.toml_errors import dotted, syntax_error
from store.primary_metric import guess_goal

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from console.project.manifest_lines import Key
    from console.project.manifest_schema import JobTable, ManifestTable


def read(folder: str) -> Manifest:
    """The manifest of a project's folder.

    Raises FileNotFoundError where there is none, ManifestError for one that cannot be used.
    """
    path = os.path.join(folder, FILE_NAME)
    descriptor = manifest_file.open_manifest(folder)
    try:
        text = manifest_file.read_text(descriptor, path)
    finally:
        os.close(descriptor)
    return parse(text, path)


def parse(text: str, path: str = FILE_NAME) -> Manifest:
    """The manifest of this text; `path` is what errors call it. Raises ManifestError."""
    from blake3 import blake3

    lines = KeyLines(text)
    if lines.too_deep:
        raise ManifestError(
            path, lines.too_deep, "", "lists, tables or names lie too deep in each other", f"at most {DEPTH_MAX}"
        )
    try:
        tables = tomllib.loads(text, parse_float=Typed)
    except tomllib.TOMLDecodeError as error:
        raise syntax_error(str(error), text, path, lines) from None
    checked = check_tables(tables, path, lines)
    jobs = {name: job_of(name, table) for name, table in checked.jobs.items()}
    try:
        for job in jobs.values():
            check_commands(job)
        job_graph.check(jobs)
    except Wrong as wrong:
        raise wrong_at(wrong, (), path, lines) from None
    project = checked.project
    return Manifest(
        path=path,
        text=text,
        text_hash=blake3(text.encode()).hexdigest(),
        name=project.name,
        interpreter=project.interpreter,
        primary_metric=metric_of(checked),
        log_pattern=project.log_pattern,
        jobs=jobs,
        cost=checked.cost,
        monitors=checked.monitor,
        notices=() if jobs else (f"{path} defines no jobs; a table [jobs.NAME] with a command is one",),
    )


def wrong_at(wrong: Wrong, base: Key, path: str, lines: KeyLines) -> ManifestError:
    """The error for a value that a check refused."""
    key = (*base, *wrong.below)
    return ManifestError(path, lines.line(key), dotted(key), wrong.problem, wrong.expected)


def check_tables(tables: dict[str, Any], path: str, lines: KeyLines) -> ManifestTable:
    """Names, kinds and bounds of everything; raises ManifestError for what stands first in the file."""
    from pydantic import ValidationError

    from console.project.manifest_schema import ManifestTable

    try:
        return ManifestTable.model_validate(tables)
    except ValidationError as error:
        found = [explained(detail, path, lines) for detail in error.errors(include_url=False)]
    raise min(found, key=lambda one: one.line)


def explained(detail: Any, path: str, lines: KeyLines) -> ManifestError:
    """One of pydantic's findings in our words."""
    key: Key = detail["loc"]
    reason = detail.get("ctx", {}).get("error")
    if isinstance(reason, Wrong):
        return wrong_at(reason, key, path, lines)
    place, line = dotted(key), lines.line(key)
    if detail["type"] == "missing":
        return ManifestError(path, line, place, "is missing", field_kind(key))
    if detail["type"] == "extra_forbidden":
        known = fields_at(key[:-1])
        meant = nearest(str(key[-1]), known)
        problem = "is no key that footplate knows" + (f" (did you mean {meant!r}?)" if meant else "")
        return ManifestError(path, line, place, problem, f"one of {', '.join(known)}")
    given = detail["input"]
    return ManifestError(path, line, place, f"{shown(given)} is {kind_of(given)}", "a table")


def fields_at(key: Key) -> dict[str, FieldInfo]:
    """The fields of the table that a key names."""
    from console.project.manifest_schema import TABLES

    names = tuple("*" if part == key[1] and key[0] == "jobs" else part for part in key if isinstance(part, str))
    return TABLES[names].model_fields


def field_kind(key: Key) -> str:
    """What the field of a key takes, in words."""
    from console.project.manifest_schema import Kind

    field = fields_at(key[:-1])[str(key[-1])]
    return next((entry.words for entry in field.metadata if isinstance(entry, Kind)), "a table")


def metric_of(checked: ManifestTable) -> PrimaryMetric | None:
    """The primary metric, with the goal that its name has where none is written."""
    metric = checked.project.primary_metric
    return PrimaryMetric(metric.key, metric.goal or guess_goal(metric.key)) if metric else None


def job_of(name: str, table: JobTable) -> Job:
    """A job as a plain value."""
    trigger, retry, checkpoint = table.trigger, table.retry, table.checkpoint
    return Job(
        name=name,
        command=table.command,
        shell=table.shell,
        params=table.params,
        gpus=table.gpus,
        memory_bytes=table.memory,
        timeout_s=table.timeout,
        grace_s=table.grace,
        retry=Retry(retry.on, retry.max, retry.delay) if retry else None,
        resume=retry.resume if retry else (),
        after=tuple(After(entry.job, entry.on) for entry in table.after),
        trigger=Trigger(trigger.on_change, trigger.cron, trigger.cooldown) if trigger else None,
        priority=table.priority,
        env=table.env,
        cwd=table.cwd,
        outputs=table.outputs,
        mutex=table.mutex,
        isolate=table.isolate,
        log_limit_bytes=table.log_limit,
        checkpoint_signal=checkpoint.signal if checkpoint else "",
        checkpoint_s=checkpoint.time if checkpoint else 30.0,
        autoresume=table.autoresume,
        description=table.description,
    )


def check_commands(job: Job) -> None:
    """Raise Wrong for a command of a job that cannot be filled."""
    for template, below in ((job.command, ("command",)), (job.resume, ("retry", "resume"))):
        if not template:
            continue
        if job.shell and isinstance(template, tuple):
            raise Wrong("is a list, and shell is true", "one text for the shell", "jobs", job.name, *below)
        try:
            check(template, job.params, shell=job.shell)
        except TemplateError as error:
            raise Wrong(error.problem, error.expected, "jobs", job.name, *below) from None
    trigger = job.trigger
    if trigger is not None and not trigger.on_change and not trigger.cron:
        raise Wrong("triggers nothing", "on_change or cron in it", "jobs", job.name, "trigger")
