"""What every run has a fact of: names that a query knows without looking into the index."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Kind = Literal["text", "words", "many", "number", "duration", "time", "run", "metric"]
TEXT_KINDS: Final = ("text", "words", "many", "run")
"""Of which `fact:value` can be said: the same text, a part of a longer one, one of many, a number or an id."""


class Fact(NamedTuple):
    """A fact of a run; `sql` over the alias `run` is NULL, or empty in a text, where a run has none."""

    kind: Kind
    sql: str
    words: str
    """What it is, for completions and the manual."""


STARTED: Final = "coalesce(run.started_at_s, run.created_at_s)"
FACTS: Final[dict[str, Fact]] = {
    "run": Fact("run", "run.no", "its number, r12, or its ULID or the start of one"),
    "name": Fact("words", "run.name", "its name"),
    "project": Fact("text", "run.project", "the project it belongs to"),
    "state": Fact("text", "run.state", "running, finished, failed, ..."),
    "source": Fact("text", "coalesce(nullif(run.tracker, ''), 'footplate')", "the tracker it was imported from"),
    "tag": Fact("many", "select run_id, name as text from tag", "one of its tags"),
    "note": Fact("many", "select run_id, text from note", "one of its notes"),
    "job": Fact("text", "run.job", "the job of the manifest it was made from"),
    "sweep": Fact("text", "run.sweep", "the sweep it belongs to"),
    "group": Fact("text", "run.source_group", "what its tracker sorts it under"),
    "command": Fact("words", "run.command", "its command"),
    "script": Fact("words", "run.script", "the script of its command"),
    "directory": Fact("words", "run.working_dir", "the directory it ran in"),
    "cause": Fact("words", "run.cause", "how it ended"),
    "signal": Fact("text", "run.signal", "the signal that ended it"),
    "host": Fact("text", "run.host", "the machine it ran on"),
    "exit": Fact("number", "run.exit_code", "its exit code"),
    "attempt": Fact("number", "run.attempt", "how often it was started"),
    "age": Fact("duration", f"$now_s - {STARTED}", "since it started"),
    "duration": Fact("duration", "coalesce(run.ended_at_s, $now_s) - run.started_at_s", "how long it took so far"),
    "started": Fact("time", STARTED, "when it started"),
    "ended": Fact("time", "run.ended_at_s", "when it ended"),
    "created": Fact("time", "run.created_at_s", "when it was enqueued"),
    "metric": Fact("metric", "", "the best value of its primary metric"),
    "step": Fact("metric", "", "the last step of its primary metric"),
}
STATES: Final = (
    *("blocked", "queued", "held", "starting", "running", "stopping", "finished", "failed", "stopped"),
    *("interrupted", "skipped", "stale", "unknown"),
)
FLAGS: Final[dict[str, str]] = {
    "pinned": "run.pinned",
    "archived": "run.archived_at_s is not null",
}
HAVING: Final[dict[str, str]] = {
    "tag": "run.id in (select run_id from tag)",
    "note": "run.id in (select run_id from note)",
    "artifact": "run.id in (select run_id from artifact)",
    "metric": "run.no in (select run_no from metric_latest)",
    "param": "run.no in (select run_no from param)",
}
"""What `has:` can be said of besides facts and keys."""
