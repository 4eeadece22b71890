"""`footplate reparse`: the log of a run that has ended is read once more, by the pattern that its project has now.

A thread reads the log and writes a new journal beside the run; the keeper then records the command and gives the
journal its name, which is the moment that counts. The index follows from the journal, now or when a daemon starts.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from console.daemon import foreign
from console.daemon.http import RefusedError
from console.daemon.leftovers import leftover_path, reparsed_runs
from console.daemon.manifests import manifest_dir, read_manifest
from console.jobs import launchers, log_pattern, spec
from console.project.manifest_model import ManifestError
from console.protocol import ENDED_STATES
from store import derive, local_home, paths, removal, reparse
from store.readers.pinned_pattern import PatternError, PinnedPattern
from store.run_files import size_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from console.daemon.chores import Chores, Work
    from console.daemon.data_life import Facts
    from console.jobs.spec import Spec

LOOK_S = 0.1


def reparse_run(home: str, chores: Chores, work: Work, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Read the log of one run anew. Raises RefusedError, OSError, InterruptedRemoval."""
    found = chores.find(str(asked.get("run")))
    if found.archived_at_s is not None and not found.tracker:
        hint = f"`footplate archive --restore r{found.no}` brings it back"
        raise RefusedError(409, f"{found.words} is archived: its log cannot be read", hint)
    with chores.claimed(found, work, "read again", unpinned=False):
        run_dir = paths.run_dir(home, found.id)
        try:
            its_spec = spec.read_spec(run_dir)
        except ValueError as error:
            raise RefusedError(409, str(error)) from error
        refuse_unreadable(home, found, its_spec)
        given = asked.get("pattern")
        pattern = pattern_of_project(its_spec) if given is None else checked_pattern(given)
        fresh = leftover_path(home, "new", found.id)
        removal.remove_tree(fresh)
        os.mkdir(fresh, 0o700)
        total = max(1, size_bytes(derive.log_path(run_dir)))
        try:
            done = reparse.read_anew(
                run_dir,
                f"{fresh}/derived.jsonl",
                log_pattern.of_text(pattern),
                time.time_ns() // 1000,
                many_processes=launchers.beneath(its_spec.argv).many_processes,
                ending=work.ending,
                tell=lambda end: work.say(f"reading the log of {found.words}: {min(99, 100 * end // total)} %"),
            )
            commands, actor = chores.keeper.commands, str(asked.get("actor") or "unknown")[:100]
            chores.on_keeper(lambda: commands.reparse(its_spec, fresh, done.old_bytes, pattern, actor))
        finally:
            removal.remove_tree(fresh)
        work.say(f"bringing {found.words} into the index")
        while chores.on_keeper(lambda: commands.is_live(found.id)):
            if work.ending():
                raise removal.InterruptedRemoval
            time.sleep(LOOK_S)
    shown = {"point_count": done.point_count, "metric_count": done.key_count, "metrics": list(done.keys)}
    return {"run": found.id, "no": found.no, "name": found.name, "pattern": pattern, **shown}


def refuse_unreadable(home: str, found: Facts, its_spec: Spec) -> None:
    """Raise RefusedError for a log that is not there, not whole, or not ours to read."""
    if foreign.is_foreign(its_spec, shared=local_home.is_shared(home)):
        words = f"{found.words} ran on {its_spec.host}, whose daemon keeps what was read from its log"
        raise RefusedError(409, words, f"`footplate reparse r{found.no}` on {its_spec.host}")
    try:
        lost = reparse.has_lost_parts(derive.log_path(paths.run_dir(home, found.id)))
    except FileNotFoundError:
        raise RefusedError(409, f"{found.words} has no log", "nothing was changed") from None
    if lost:
        words = f"the middle of the log of {found.words} was given up; its metrics are known from the first reading"
        raise RefusedError(409, words, "nothing was changed: reading the rest again would lose them")


def pattern_of_project(its_spec: Spec) -> str:
    """The pattern that the manifest around a run's folder gives now; empty for the grammar. Raises RefusedError."""
    root = manifest_dir(its_spec.original_working_dir or its_spec.working_dir)
    try:
        return read_manifest(root).log_pattern if root else ""
    except FileNotFoundError:
        return ""
    except ManifestError as error:
        raise RefusedError(409, str(error), "mend it, or give the pattern: --pattern REGEX") from error


def checked_pattern(given: object) -> str:
    """A pattern that a person gives; empty for the grammar. Raises RefusedError."""
    if not isinstance(given, str):
        raise RefusedError(400, "pattern must be a text")
    try:
        return PinnedPattern(given).text if given else ""
    except PatternError as error:
        problem, _, expected = str(error).partition("; expected ")
        raise RefusedError(400, problem, f"expected {expected}") from error


def left_unread(home: str, states: Mapping[str, str], offset_of: Callable[[str], int]) -> dict[str, str]:
    """Ended runs whose journal says more than the index, as after a kill or from an old backup, as if still to end.

    No journal grows after the end of its run but by this command, so only those of which it is recorded are looked at.
    """
    found = {}
    for run_id in reparsed_runs(paths.command_journal_path(home)):
        if states.get(run_id) in ENDED_STATES:
            size = size_bytes(derive.derived_path(paths.run_dir(home, run_id)))
            if size > offset_of(run_id):
                found[run_id] = "queued"
    return found
