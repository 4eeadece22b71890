"""What makes a trusted manifest start jobs: changed content of files, and times. One run for one change, never two.

A change counts when the content id of what a trigger's globs match differs from the one that it last fired for. What
the job itself writes never counts: files that it or its followers declare as outputs are left out, and where they
declare none, what changed while one of them ran is taken for theirs, said so, and starts nothing.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Protocol, TypeAlias

from console.daemon import job_runs, trust_store
from console.daemon.job_runs import Context, Wish
from console.daemon.trust_store import TriggerState
from console.project import cron
from console.project.file_sets import FileSet
from store import paths

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from console.daemon.registry import WatchedProject
    from console.daemon.scans import ScanResult, Scans, SetResult
    from console.jobs.spec import Request, Spec
    from console.project.manifest_model import Job, Manifest

Verdict: TypeAlias = Literal["first", "same", "fire", "later", "own", "waits"]
LATE_S: Final = 1.0
"""The least time between two looks at what could not be started."""


class Host(Protocol):
    """What triggers need of who looks after projects."""

    def enqueue(self, requests: list[Request], action: str, **details: Any) -> list[Spec]:
        """Enqueue runs."""

    def trust_problem(self, root: str) -> str:
        """Why nothing may start by itself now; empty when it may."""

    def active_at(self, root: str, jobs: set[str], at_s: float) -> str:
        """A run of these jobs that lived at a Unix time; empty for none."""

    def waiting_run(self, root: str, job: str) -> int:
        """The number of a run of a job that has not started; 0 for none."""


class Pending(NamedTuple):
    """A change that a cooldown holds back, or that could not be acted on yet."""

    content_id: str
    reason: str


def decide(
    state: TriggerState, content_id: str, *, now_s: float, cooldown_s: float, owner: str, waiting: int
) -> Verdict:
    """What a content id means to a trigger; `owner` may have made the change, `waiting` is a run that waits."""
    if not state.content_id:
        return "first"
    if state.content_id == content_id:
        return "same"
    if owner:
        return "own"
    if waiting:
        return "waits"
    # A clock that was set back must not hold a trigger longer than its cooldown.
    since_s = now_s - state.fired_at_s
    return "later" if 0 <= since_s < cooldown_s else "fire"


class Triggers:
    """Those of one trusted manifest; belongs to the thread of `Projects`."""

    def __init__(self, project: WatchedProject, home: str, manifest: Manifest, scans: Scans, host: Host) -> None:
        self.project = project
        self.manifest = manifest
        self._home = home
        self._dir = project.dir(home)
        self._scans = scans
        self._host = host
        self._jobs = {job.name: job for job in manifest.jobs.values() if job.trigger is not None}
        read = trust_store.read_triggers(self._dir)
        self._states = {name: read.get(name, TriggerState()) for name in self._jobs}
        self._pending: dict[str, Pending] = {}
        self._notes: dict[str, str] = {}
        """What a person should know of a trigger until it starts something again, by job."""
        self._problems: dict[str, str] = {}
        """Why the files of a trigger could not be looked at, by job."""
        self._retry_at_s = 0.0
        now_s = time.time()
        for name, state in self._states.items():
            if state.globs != self._globs(name):
                state.content_id, state.globs = "", self._globs(name)
            state.cron_checked_at_s = state.cron_checked_at_s or now_s
        self._save()

    @property
    def armed(self) -> bool:
        """Whether anything may start by itself."""
        return bool(self._jobs)

    def file_sets(self) -> list[FileSet]:
        """The files that triggers watch."""
        return list(self._file_sets().values())

    def want_scan(self) -> None:
        """Have those files looked at."""
        sets = self._file_sets()
        if sets:
            self._scans.want(self.project.root, os.path.join(self._dir, "fingerprints.sqlite"), sets)

    def scanned(self, result: ScanResult) -> None:
        """What a scan found. Raises OSError."""
        if result.problem:
            self._problems = dict.fromkeys((name for name, _ in self._watching()), f"n/a: {result.problem}")
            return
        self._problems.clear()
        for name, job in self._watching():
            found = result.sets.get(name)
            if found is None:
                continue
            if found.problem:
                # Half of the files is no content: an unreadable one must neither start anything nor be forgotten.
                self._problems[name] = found.problem
                continue
            self._consider(job, found)
        self._save()

    def fire_due(self) -> bool:
        """Start what a cooldown held back and what its time has come for; whether anything changed. Raises OSError."""
        now_s, changed = time.time(), False
        for name, pending in list(self._pending.items()):
            state, job = self._states[name], self._jobs[name]
            assert job.trigger is not None
            since_s = now_s - state.fired_at_s
            if not 0 <= since_s < job.trigger.cooldown_s and now_s >= self._retry_at_s:
                del self._pending[name]
                self._fire(job, "trigger", pending.reason, pending.content_id)
                changed = True
        for name, job in self._jobs.items():
            assert job.trigger is not None
            state = self._states[name]
            if not job.trigger.cron:
                continue
            due_s = cron.due(job.trigger.cron, state.cron_checked_at_s, now_s)
            if due_s is not None:
                state.cron_checked_at_s = max(state.cron_checked_at_s, now_s)
                changed = True
                waiting = self._host.waiting_run(self.project.root, name)
                if waiting:
                    self._notes[name] = f"it was time again while r{waiting} still waits"
                    self._save()
                else:
                    self._fire(job, "cron", f"cron {job.trigger.cron}", state.content_id)
        return changed

    def next_due_s(self, now_s: float) -> float | None:
        """Unix time at which `fire_due` has something to do; None for never."""
        due = []
        for name in self._pending:
            trigger = self._jobs[name].trigger
            assert trigger is not None
            due.append(max(self._retry_at_s, self._states[name].fired_at_s + trigger.cooldown_s))
        for name, job in self._jobs.items():
            if job.trigger is not None and job.trigger.cron:
                next_s = cron.next_time(job.trigger.cron, max(now_s, self._states[name].cron_checked_at_s))
                due += [next_s] if next_s is not None else []
        return min(due, default=None)

    def finish_firing(self) -> None:
        """A daemon was killed while it enqueued: do it now unless it was done. Raises OSError."""
        for name, state in self._states.items():
            firing, job = state.firing, self._jobs[name]
            if firing is None:
                continue
            ids = [str(each) for each in firing.get("runs") or []]
            if ids and os.path.isdir(paths.run_dir(self._home, ids[0])):
                state.firing = None
                self._save()
            else:
                origin = "cron" if firing.get("origin") == "cron" else "trigger"
                self._fire(job, origin, str(firing.get("reason") or ""), state.content_id)

    def rows(self) -> dict[str, dict[str, Any]]:
        """What is known of each trigger, as JSON, by job."""
        found = seen_of(self._states)
        for name, row in found.items():
            pending = self._pending.get(name)
            row |= {"pending": pending.reason if pending is not None else "", "note": self._said(name)}
        return found

    def attention(self) -> list[tuple[str, str, str]]:
        """What wants a person: kind, text, command."""
        said = {name: self._said(name) for name in self._jobs}
        return [("trigger", f"{name}: {text}", f"footplate start {name}") for name, text in said.items() if text]

    def _said(self, name: str) -> str:
        return self._problems.get(name) or self._notes.get(name, "")

    def _consider(self, job: Job, found: SetResult) -> None:
        state, content_id, words = self._states[job.name], found.content_id, found.words
        chain = {job.name, *(each.name for each in job_runs.followers_of(self.manifest, job.name))}
        changed_at_s = found.changed_at_s if found.changed_at_s is not None else time.time()
        owner = "" if self._outputs(job) else self._host.active_at(self.project.root, chain, changed_at_s)
        assert job.trigger is not None
        verdict = decide(
            state,
            content_id,
            now_s=time.time(),
            cooldown_s=job.trigger.cooldown_s,
            owner=owner,
            waiting=self._host.waiting_run(self.project.root, job.name),
        )
        if verdict in ("first", "waits"):
            # What waits will see the new content when it starts.
            state.content_id = content_id
        elif verdict == "own":
            state.content_id = content_id
            self._notes[job.name] = f"{words} while {owner} ran, so it counts as that run's; declare its outputs"
        elif verdict == "same":
            self._pending.pop(job.name, None)
        elif verdict == "later":
            self._pending[job.name] = Pending(content_id, words)
        else:
            self._fire(job, "trigger", words, content_id)

    def _fire(self, job: Job, origin: str, reason: str, content_id: str) -> None:
        """Enqueue a job and its followers. Raises OSError; then it is tried again."""
        if self._host.trust_problem(self.project.root):
            return  # it changed a moment ago: what it is about is found again once it is trusted again
        shell = trust_store.read_shell(self._dir)
        if shell is None:
            self._notes[job.name] = "the shell that trusted the manifest is not known: `footplate trust` again"
            return
        state = self._states[job.name]
        context = Context(
            self.project.root, self.project.name, shell["environment"], shell["umask"], shell["limits"], origin, reason
        )
        wish = Wish(job, [{}], job_runs.followers_of(self.manifest, job.name))
        requests = job_runs.requests_for(wish, context, self.manifest)
        # Written first, with the ids: should we be killed in between, the next daemon knows whether it was done.
        state.firing = {"runs": [each.id for each in requests], "origin": origin, "reason": reason}
        before = state.content_id, state.fired_at_s
        state.content_id, state.fired_at_s, state.reason = content_id, time.time(), reason
        self._save()
        try:
            made = self._host.enqueue(requests, origin, folder=self.project.root, job=job.name, reason=reason)
        except BaseException:
            state.firing = None
            state.content_id, state.fired_at_s = before
            self._pending[job.name] = Pending(content_id, reason)
            self._retry_at_s = time.time() + LATE_S
            self._save()
            raise
        state.firing, state.last_runs = None, [each.no for each in made]
        self._notes.pop(job.name, None)
        self._save()

    def _watching(self) -> list[tuple[str, Any]]:
        return [(name, job) for name, job in self._jobs.items() if job.trigger is not None and job.trigger.on_change]

    def _file_sets(self) -> dict[str, FileSet]:
        return {
            name: FileSet(tuple(job.trigger.on_change), tuple(self._outputs(job))) for name, job in self._watching()
        }

    def _globs(self, name: str) -> list[str]:
        job = self._jobs[name]
        watched: Sequence[str] = job.trigger.on_change if job.trigger is not None else ()
        return [*watched, "", *self._outputs(job)]

    def _outputs(self, job: Job) -> list[str]:
        followers = job_runs.followers_of(self.manifest, job.name)
        return [glob for each in (job, *followers) for glob in each.outputs]

    def _save(self) -> None:
        trust_store.write_triggers(self._dir, self._states)


def seen_of(states: Mapping[str, TriggerState]) -> dict[str, dict[str, Any]]:
    """When triggers last started something, as JSON, by job."""
    return {
        name: {"last_fired_s": each.fired_at_s or None, "last_reason": each.reason, "last_runs": list(each.last_runs)}
        for name, each in states.items()
    }
