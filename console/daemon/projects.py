"""Watched projects: reads their manifests, judges trust, keeps what their triggers saw, starts what they want.

One thread of its own does all that touches users' folders, which may hang on a lost server: neither the event loop nor
the thread that writes ever waits for it. Nothing of a folder is executed by looking at it.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from console.daemon import asking, trust_store
from console.daemon.http import RefusedError
from console.daemon.manifests import Loaded, manifest_dir, read_manifest
from console.daemon.project_rows import problem_of, row_of
from console.daemon.scans import Scans
from console.daemon.triggers import Triggers, seen_of
from console.daemon.watcher import Watcher
from console.project import trust as trusting
from console.project.manifest_model import FILE_NAME, ManifestError

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from console.daemon.changes import Changes
    from console.daemon.keeper import Keeper
    from console.daemon.registry import Registry, WatchedProject
    from console.jobs.spec import Request, Spec
    from console.project.manifest_model import Manifest
    from console.project.trust import Trust
    from console.protocol import Goal

INBOX_MAX: Final = 4096
LOOK_S: Final = 60.0
"""The longest time between two looks at what falls due: the clock may be set."""
BUSY_LOOK_S: Final = 0.1
"""While a scan is under way."""
KEEPER_TIMEOUT_S: Final = 30.0
FIRST_LOOK_S: Final = 5.0
"""How long the first answer waits for the first look; a folder that hangs holds it up no longer."""

Result = TypeVar("Result")


@dataclass(slots=True)
class Tracked:
    """One watched project; belongs to the thread of `Projects`."""

    project: WatchedProject
    trust: Trust
    manifest: Manifest | None = None
    """The last good one."""
    triggers: Triggers | None = None
    """Of a trusted manifest."""
    seen: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What is known of the triggers of one that is not, by job."""
    metric_of: str = ""
    """Hash of the manifest whose primary metric the index has."""
    errors: list[str] = field(default_factory=list)
    """What could not be done for it lately."""


class Projects:
    """See the head of the module. Only what says so may be used from other threads."""

    def __init__(self, registry: Registry, keeper: Keeper, changes: Changes, report: Callable[[str], None]) -> None:
        self.registry = registry
        self._keeper = keeper
        self._changes = changes
        self._report = report
        self._inbox: queue.Queue[Callable[[], None]] = queue.Queue(INBOX_MAX)
        self._settled: set[str] = set()
        """Roots in which something changed and is quiet again; bounded by the number of projects."""
        self._lock = threading.Lock()
        self._tracked: dict[str, Tracked] = {}
        self._rows: tuple[dict[str, Any], ...] = ()
        self._ending = False
        self._ready = threading.Event()
        self._scans = Scans()
        self._watcher = Watcher(self._on_settled)
        self._thread = threading.Thread(target=self._run, name="projects")

    def start(self) -> None:
        """Begin to look after the projects."""
        self.registry.wake = self._wake
        self._thread.start()

    def close(self) -> None:
        """End the thread; a folder that hangs is not waited for."""
        self._ending = True
        self._wake()
        self._thread.join(timeout=5.0)
        self._watcher.close()
        self._scans.close()

    @property
    def needed(self) -> bool:
        """Whether something may start by itself, so that the daemon must stay; for any thread."""
        return any(row["armed"] for row in self._rows)

    def rows(self) -> tuple[dict[str, Any], ...]:
        """Every project as JSON; for any thread but the event loop's. A daemon that starts looks at them first."""
        self._ready.wait(FIRST_LOOK_S)
        return self._rows

    def call(self, command: Callable[[], Result]) -> Future[Result]:
        """Have the thread run `command`; from any thread. Raises queue.Full."""
        return asking.ask(self._inbox, command)

    def load(self, folder: str) -> Loaded:
        """The manifest of a folder or of one above it; for any thread but the event loop's. Raises RefusedError."""
        root = manifest_dir(folder)
        if not root:
            hint = "`footplate init` proposes one, or give a command: footplate run -- python train.py"
            raise RefusedError(404, f"no {FILE_NAME} in {folder} or above it", hint)
        project = self.registry.at(root)
        notes: tuple[str, ...] = ()
        try:
            manifest = read_manifest(root)
        except ManifestError as error:
            last_good = self._last_good(root)
            if last_good is None:
                raise RefusedError(409, str(error), "mend it, and try again") from error
            manifest, notes = last_good, (f"{error}: the last good text is used",)
        name = project.name if project is not None else manifest.name or os.path.basename(root)
        return Loaded(root, name, manifest, notes + manifest.notices)

    def trust_problem(self, root: str) -> str:
        """Why nothing of a manifest may start by itself now; empty when it may. For any thread but the event loop's."""
        return problem_of(self._judge(root))

    def watch(self, root: str, name: str, actor: str) -> dict[str, Any]:
        """Watch a folder. Raises RefusedError, OSError."""
        if self.registry.at(root) is not None:
            raise RefusedError(409, f"{root} is watched already", "`footplate projects` lists what is")
        taken = next((each for each in self.registry.all() if each.name == (name or os.path.basename(root))), None)
        if taken is not None:
            hint = "give another name: footplate watch --name NAME"
            raise RefusedError(409, f"the project of {taken.root} is called {taken.name} already", hint)
        self._record(actor, "watch", folder=root, name=name)
        try:
            project = self.registry.add(root, name, actor)
        except ValueError as error:
            raise RefusedError(409, str(error), "`footplate unwatch` makes room") from error
        self._take_up(project)
        self._publish()
        return self._row_at(root)

    def look(self, root: str) -> dict[str, Any]:
        """A project, its manifest read anew. Raises RefusedError, OSError."""
        tracked = self._tracked.get(root)
        if tracked is None:
            raise RefusedError(404, f"{root} is not watched", f"`footplate watch {root}` first")
        self._examine(tracked)
        self._publish()
        return self._row_at(root)

    def unwatch(self, root: str, actor: str) -> None:
        """Watch a folder no more; its runs stay. Raises RefusedError, OSError."""
        if self.registry.at(root) is None:
            raise RefusedError(404, f"{root} is not watched", "`footplate projects` lists what is")
        self._record(actor, "unwatch", folder=root)
        self._watcher.unwatch(root)
        self._scans.cancel(root)
        self._tracked.pop(root, None)
        self.registry.remove(root)
        self.registry.tell_left(root)
        self._publish()

    def trust(self, root: str, wanted_hash: str, shell: dict[str, Any], actor: str) -> dict[str, Any]:
        """Let a manifest start commands by itself. Raises RefusedError, OSError.

        `wanted_hash`: of the text that the person has seen; empty for the one that is there now.
        """
        tracked = self._tracked.get(root)
        if tracked is None:
            raise RefusedError(404, f"{root} is not watched", f"`footplate watch {root}` first")
        self._examine(tracked)
        found = tracked.trust
        if found.state in ("none", "broken", "unsafe") or found.manifest is None:
            raise RefusedError(409, found.reason or f"{root} has no {FILE_NAME}", "mend it, then trust it")
        if wanted_hash and wanted_hash != found.text_hash:
            raise RefusedError(409, f"{FILE_NAME} has changed since you looked at it", "look again: `footplate trust`")
        self._record(actor, "trust", folder=root, text_hash=found.text_hash)
        record = trusting.TrustRecord(found.text_hash, found.manifest.text)
        trust_store.write_trust(tracked.project.dir(self.registry.home), record, actor, shell)
        self._examine(tracked)
        self._answer_trust(root, problem_of(tracked.trust))
        self._publish()
        return self._row_at(root)

    def revoke(self, root: str, actor: str) -> dict[str, Any]:
        """Let a manifest start nothing by itself any more. Raises RefusedError, OSError."""
        tracked = self._tracked.get(root)
        if tracked is None:
            raise RefusedError(404, f"{root} is not watched", "`footplate projects` lists what is")
        self._record(actor, "revoke", folder=root)
        trust_store.drop_trust(tracked.project.dir(self.registry.home))
        self._examine(tracked)
        self._answer_trust(root, problem_of(tracked.trust))
        self._publish()
        return self._row_at(root)

    def _run(self) -> None:
        for project in self.registry.all():
            self._guarded(lambda project=project: self._take_up(project), project.root)  # type: ignore[misc]
        self._publish()
        self._ready.set()
        while not self._ending:
            with contextlib.suppress(queue.Empty):
                self._inbox.get(timeout=self._patience_s())()
            if not self._ending:
                self._work()

    def _work(self) -> None:
        """One round: questions about trust, folders that settled, scans that are done, what falls due."""
        changed = False
        with contextlib.suppress(queue.Empty):
            while True:
                folder = self.registry.questions.get_nowait()
                self._guarded(lambda folder=folder: self._answer_trust(folder, self.trust_problem(folder)), folder)  # type: ignore[misc]
                self.registry.answered(folder)
        with self._lock:
            settled, self._settled = self._settled, set()
        for root in sorted(settled & self._tracked.keys()):
            changed = True
            self._guarded(lambda root=root: self._look_at(self._tracked[root]), root)  # type: ignore[misc]
        for root, result in self._scans.finished():
            tracked = self._tracked.get(root)
            if tracked is not None and tracked.triggers is not None:
                changed = True
                self._guarded(lambda t=tracked.triggers, r=result: t.scanned(r), root)  # type: ignore[misc]
        for tracked in list(self._tracked.values()):
            if tracked.triggers is not None:
                changed = self._guarded(tracked.triggers.fire_due, tracked.project.root) or changed
        if changed:
            self._publish()

    def _guarded(self, work: Callable[[], Any], root: str) -> Any:
        """One folder that cannot be read must not keep the others from it."""
        try:
            return work()
        except Exception as error:
            tracked = self._tracked.get(root)
            said = f"{type(error).__name__}: {error}" if not isinstance(error, (OSError, RefusedError)) else str(error)
            if tracked is not None and said not in tracked.errors:
                tracked.errors = [*tracked.errors[-4:], said]
            self._report(f"the project in {root}: {said}")
            return True

    def _patience_s(self) -> float:
        if self._scans.busy:
            return BUSY_LOOK_S
        now_s = time.time()
        due = [each.triggers.next_due_s(now_s) for each in self._tracked.values() if each.triggers is not None]
        waits: list[float] = [due_s - now_s for due_s in due if due_s is not None]
        return max(0.0, min([LOOK_S, *waits]))

    def _on_settled(self, root: str) -> None:
        """From the watcher's thread."""
        with self._lock:
            self._settled.add(root)
        self._wake()

    def _wake(self) -> None:
        # A full inbox wakes the thread by itself.
        with contextlib.suppress(queue.Full):
            self._inbox.put_nowait(lambda: None)

    def _take_up(self, project: WatchedProject) -> None:
        tracked = Tracked(project, trusting.judge(project.root, None))
        self._tracked[project.root] = tracked
        self.registry.tell_watched(project.root, project.by)
        self._examine(tracked)
        if tracked.triggers is not None:
            tracked.triggers.finish_firing()

    def _look_at(self, tracked: Tracked) -> None:
        """Something in its folder changed, or may have."""
        self._examine(tracked)
        self.registry.tell_watched(tracked.project.root, tracked.project.by)
        if tracked.triggers is not None:
            tracked.triggers.want_scan()

    def _examine(self, tracked: Tracked) -> None:
        """Read the manifest as it is now."""
        root, before = tracked.project.root, tracked.trust
        tracked.errors = []
        tracked.trust = self._judge(root)
        if tracked.trust.manifest is not None or tracked.trust.state == "none":
            tracked.manifest = tracked.trust.manifest
        if tracked.manifest is not None and tracked.manifest.name and not tracked.project.given_name:
            self._rename(tracked, tracked.manifest.name)
        is_trusted = tracked.trust.state == "trusted" and tracked.manifest is not None
        if not is_trusted:
            tracked.triggers = None
            tracked.seen = seen_of(trust_store.read_triggers(tracked.project.dir(self.registry.home)))
            self._scans.cancel(root)
        elif tracked.triggers is None or tracked.triggers.manifest.text_hash != tracked.trust.text_hash:
            assert tracked.manifest is not None
            tracked.triggers = Triggers(tracked.project, self.registry.home, tracked.manifest, self._scans, self)
            tracked.triggers.want_scan()
        self._settle_metric(tracked)
        self._watcher.watch(root, tracked.triggers.file_sets() if tracked.triggers is not None else ())
        if before.state != tracked.trust.state:
            self._answer_trust(root, problem_of(tracked.trust))

    def _settle_metric(self, tracked: Tracked) -> None:
        """Have its runs know what the manifest says of metrics; the primary one is below what a person has pinned."""
        manifest = tracked.manifest
        if manifest is not None or tracked.trust.state == "none":
            self.registry.pin_log_pattern(tracked.project.root, manifest.log_pattern if manifest is not None else "")
        if manifest is not None and manifest.text_hash != tracked.metric_of:
            tracked.metric_of = manifest.text_hash
            named, name = manifest.primary_metric, tracked.project.name
            key = named.key if named is not None else None
            goal: Goal | None = cast("Goal", named.goal) if named is not None else None
            self._keeper.call(lambda: self._keeper.settle_metric(name, key, goal))

    def _rename(self, tracked: Tracked, name: str) -> None:
        taken = any(each.name == name and each.root != tracked.project.root for each in self.registry.all())
        if taken:
            tracked.errors.append(f"another watched project is called {name} already")
            return
        self.registry.rename(tracked.project.root, name)
        tracked.project = self.registry.at(tracked.project.root) or tracked.project

    def _judge(self, root: str) -> Trust:
        project = self.registry.at(root)
        record = trust_store.read_trust(project.dir(self.registry.home)) if project is not None else None
        return trusting.judge(root, record)

    def _last_good(self, root: str) -> Manifest | None:
        tracked = self._tracked.get(root)
        if tracked is not None and tracked.manifest is not None:
            return tracked.manifest
        project = self.registry.at(root)
        record = trust_store.read_trust(project.dir(self.registry.home)) if project is not None else None
        if record is None:
            return None
        from console.project.manifest import parse

        try:
            return parse(record.text, os.path.join(root, FILE_NAME))
        except ManifestError:
            return None

    def enqueue(self, requests: list[Request], action: str, **details: Any) -> list[Spec]:
        """Enqueue what a trigger wants; waits for it. Raises OSError, duckdb.Error, TimeoutError."""
        commands = self._keeper.commands
        actor = FILE_NAME
        return self._keeper.call(lambda: commands.submit_all(requests, actor, action, **details)).result(
            KEEPER_TIMEOUT_S
        )

    def active_at(self, root: str, jobs: set[str], at_s: float) -> str:
        """A run of these jobs, such as r5, that lived at a Unix time; empty when there was none."""
        return self._keeper.scheduler.activity.active_at(root, jobs, at_s)

    def waiting_run(self, root: str, job: str) -> int:
        """The number of a run of a job that a manifest wanted and that has not started; 0 for none."""
        return self._keeper.scheduler.waiting_run(root, job)

    def _answer_trust(self, root: str, problem: str) -> None:
        scheduler = self._keeper.scheduler
        self._keeper.call(lambda: scheduler.trust_answered(root, problem))

    def _record(self, actor: str, action: str, **details: Any) -> None:
        self._keeper.call(lambda: self._keeper.record(actor, action, **details)).result(KEEPER_TIMEOUT_S)

    def _row_at(self, root: str) -> dict[str, Any]:
        return next(row for row in self._rows if row["root"] == root)

    def _publish(self) -> None:
        tracked = [self._tracked[each.root] for each in self.registry.all() if each.root in self._tracked]
        rows = tuple(row_of(each, self._watcher.state(each.project.root)) for each in tracked)
        if rows != self._rows:
            self._rows = rows
            self._changes.tell(["projects", "runs"])
