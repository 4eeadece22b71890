"""Notices that files of watched projects change: one inotify instance for all of them, a slow look where it cannot see.

Only folders get a watch in which something of interest can lie: the project's own folder, for its manifest, and those
that a trigger's patterns lead into. Events are not kept: they set the time of a project's last change, so that a storm
of them costs no memory. When a project has been quiet for QUIET_S, or changed for LONGEST_S, `on_settled` is called.

Two threads: watchdog's reader of the inotify instance, and ours, which sleeps until something is due.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

from console.project.manifest_model import FILE_NAME
from store import local_home

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from watchdog.observers.inotify_c import InotifyEvent, InotifyFD, WatchDescriptor

    from console.project.file_sets import FileSet

Mode: TypeAlias = Literal["starting", "inotify", "mixed", "poll", "gone", "unreadable"]
QUIET_S: Final = 0.5
LONGEST_S: Final = 60.0
"""Half of a copy is no data set: what changes all the time is looked at now and then only."""
CHECK_S: Final = 60.0
"""How often it is looked whether a project's folder is still the same one."""
AWAY_S: Final = 3.0
"""The same while it is gone or cannot be read."""
POLL_S: Final = 20.0
"""How often a project is taken for changed that inotify does not see whole."""
DISTRUST_S: Final = 600.0
"""The same for one that it sees: a mapped file changes without an event."""
WATCH_SHARE: Final = 0.25
"""Of the watches that the kernel grants the user."""
LIMIT_FILE: Final = "/proc/sys/fs/inotify/max_user_watches"


class WatchState(NamedTuple):
    """How a project is watched."""

    mode: Mode
    watch_count: int
    reason: str
    """Why it is not `inotify`; empty when it is."""


@dataclass(slots=True)
class Times:
    """When things are due for a project; monotonic seconds."""

    first_change_s: float = 0.0
    """0 while nothing has changed."""
    last_change_s: float = 0.0
    check_s: float = 0.0
    poll_s: float = 0.0


class ProjectWatch:
    """One project: what watchdog's reader calls, and what our thread keeps of it. Guarded by the watcher's lock."""

    def __init__(self, watcher: Watcher, root: str, sets: Sequence[FileSet]) -> None:
        self.root = root
        self.sets = tuple(sets)
        self.folders: dict[WatchDescriptor, str] = {}
        """Watched folders, relative to the root."""
        self.state = WatchState("starting", 0, "")
        self.identity: tuple[int, int] | None = None
        """Device and inode of the root."""
        self.restructure = False
        """Folders came, went or moved: the watches are gone through again."""
        self.times = Times()
        self._watcher = watcher

    def on_event(self, event: InotifyEvent) -> None:
        """From watchdog's reader, for every event."""
        self._watcher.note(self, event)

    def on_watch_deleted(self, wd: WatchDescriptor) -> None:
        """A watched folder is gone."""
        self._watcher.forget(self, wd)

    def on_queue_overflow(self) -> None:
        """Events were lost, so anything may have happened."""
        self._watcher.mark(self, restructure=True)

    def is_of_interest(self, path: str) -> bool:
        """Whether a file, by its path from the root, can matter."""
        return path == FILE_NAME or any(files.holds(path) for files in self.sets)

    def leads_on(self, path: str) -> bool:
        """Whether something of interest can lie below a folder."""
        return any(files.may_lie_below(path) for files in self.sets)


@dataclass(slots=True)
class Budget:
    """How many watches we may have in all."""

    most: int
    used: int = 0


class Watcher:
    """See the head of the module. Methods may be called from any thread."""

    def __init__(
        self, on_settled: Callable[[str], None], *, most_watches: int | None = None, poll_s: float = POLL_S
    ) -> None:
        """`on_settled` gets a project's root, from our thread; it must be quick."""
        self._on_settled = on_settled
        self._poll_s = poll_s
        self._budget = Budget(allowed_watches() if most_watches is None else most_watches)
        self._condition = threading.Condition()
        self._projects: dict[str, ProjectWatch] = {}
        self._inotify: InotifyFD | None = None
        self._thread: threading.Thread | None = None
        self._ending = False

    def watch(self, root: str, sets: Sequence[FileSet] = ()) -> None:
        """Watch a project, or watch it for other files than before."""
        with self._condition:
            known = self._projects.get(root)
            if known is not None and known.sets == tuple(sets):
                return
            if known is not None:
                known.sets = tuple(sets)
            else:
                self._projects[root] = known = ProjectWatch(self, root, sets)
            known.restructure = True
            known.times.check_s = 0.0
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)
                self._thread.start()
            self._condition.notify()

    def unwatch(self, root: str) -> None:
        """Watch a project no more."""
        with self._condition:
            gone = self._projects.pop(root, None)
        if gone is not None:
            self._drop(gone, list(gone.folders))

    def state(self, root: str) -> WatchState:
        """How a project is watched."""
        with self._condition:
            found = self._projects.get(root)
            return found.state if found is not None else WatchState("gone", 0, "it is not watched")

    def close(self) -> None:
        """End both threads; a folder that hangs is not waited for."""
        with self._condition:
            self._ending = True
            self._condition.notify()
        if self._thread is not None:
            self._thread.join(timeout=2.0)
        if self._inotify is not None:
            self._inotify.stop()

    def note(self, project: ProjectWatch, event: InotifyEvent) -> None:
        """An event in a watched folder."""
        with self._condition:
            folder = project.folders.get(event.wd)
            if folder is None:
                return
            name = os.fsdecode(event.name)
            path = f"{folder}/{name}" if folder and name else folder or name
            if event.is_delete_self or event.is_move_self:
                project.times.check_s = 0.0
                self._mark(project, restructure=True)
            elif event.is_directory:
                if project.leads_on(path):
                    self._mark(project, restructure=True)
            elif project.is_of_interest(path):
                self._mark(project)

    def forget(self, project: ProjectWatch, wd: WatchDescriptor) -> None:
        """The kernel has dropped a watch."""
        with self._condition:
            if project.folders.pop(wd, None) is not None:
                self._budget.used -= 1
                self._mark(project, restructure=True)

    def mark(self, project: ProjectWatch, *, restructure: bool = False) -> None:
        """Something may have changed."""
        with self._condition:
            self._mark(project, restructure=restructure)

    def _mark(self, project: ProjectWatch, *, restructure: bool = False) -> None:
        now_s = time.monotonic()
        project.restructure = project.restructure or restructure
        times = project.times
        times.last_change_s = now_s
        if not times.first_change_s:
            times.first_change_s = now_s
            self._condition.notify()

    def _run(self) -> None:
        while True:
            with self._condition:
                if self._ending:
                    return
                now_s = time.monotonic()
                due = [(self._due_s(each), each) for each in self._projects.values()]
                soonest_s = min((due_s for due_s, _ in due), default=now_s + CHECK_S)
                if soonest_s > now_s:
                    self._condition.wait(soonest_s - now_s)
                    continue
                ready = [each for due_s, each in due if due_s <= now_s]
            for project in ready:
                self._attend(project)

    def _due_s(self, project: ProjectWatch) -> float:
        times = project.times
        due = [times.check_s, times.poll_s]
        if times.first_change_s:
            due.append(min(times.last_change_s + QUIET_S, times.first_change_s + LONGEST_S))
        return min(due)

    def _attend(self, project: ProjectWatch) -> None:
        """Do what is due for a project; its folder is looked at without the lock, as it may hang."""
        now_s = time.monotonic()
        times = project.times
        with self._condition:
            settled = bool(times.first_change_s) and (
                now_s >= times.last_change_s + QUIET_S or now_s >= times.first_change_s + LONGEST_S
            )
            polls, checks = now_s >= times.poll_s, now_s >= times.check_s
            restructure = project.restructure and (settled or checks)
            if settled:
                times.first_change_s = 0.0
            if restructure:
                project.restructure = False
            # Before the look: what is noted meanwhile must not be overwritten.
            if checks:
                times.check_s = now_s + CHECK_S
            if polls:
                times.poll_s = now_s + self._poll_s
        before = project.state.mode
        if checks or restructure:
            self._check(project, restructure=restructure)
        away = project.state.mode in ("gone", "unreadable")
        is_back = before in ("gone", "unreadable") and not away
        with self._condition:
            if away:
                times.check_s = min(times.check_s, now_s + AWAY_S)
            if polls and project.state.mode == "inotify":
                times.poll_s = now_s + DISTRUST_S
            known = self._projects.get(project.root) is project
        if known and (settled or polls or restructure or is_back or before != project.state.mode):
            self._on_settled(project.root)

    def _check(self, project: ProjectWatch, *, restructure: bool) -> None:
        """Look whether the folder is there and the same, and bring its watches up to date."""
        try:
            facts = os.stat(project.root)
            os.close(os.open(project.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        except OSError as error:
            self._drop(project, list(project.folders))
            gone = error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ESTALE)
            said = "its folder is gone" if gone else f"its folder cannot be read: {error.strerror}"
            self._settle_state(project, "gone" if gone else "unreadable", said)
            project.identity = None
            project.restructure = True
            return
        identity = (facts.st_dev, facts.st_ino)
        if identity != project.identity:
            self._drop(project, list(project.folders))
            project.identity, restructure = identity, True
        if restructure:
            self._rewatch(project)

    def _rewatch(self, project: ProjectWatch) -> None:
        """Watch every folder that matters, and no other one."""
        file_system = local_home.file_system_of(project.root)
        if local_home.is_network(file_system):
            self._settle_state(project, "poll", f"{file_system} tells nobody of what others change")
            return
        inotify, reason = self._instance()
        if inotify is None:
            self._settle_state(project, "poll", reason)
            return
        # All anew: which of the known ones were moved cannot be told. What happens in between is seen by who is told
        # that the project has settled.
        self._drop(project, list(project.folders))
        missed, problem = 0, ""
        for folder in folders_of_interest(project):
            reason = self._add(project, inotify, folder)
            missed += bool(reason)
            problem = problem or reason
        mode: Mode = "inotify" if not missed else "mixed" if project.folders else "poll"
        count = f"{missed} folder{'s are' if missed > 1 else ' is'} not watched: {problem}" if missed else ""
        self._settle_state(project, mode, count)
        if not os.path.isdir(project.root):
            project.times.check_s = 0.0  # it went away meanwhile, and no watch will tell

    def _add(self, project: ProjectWatch, inotify: InotifyFD, folder: str) -> str:
        """Watch one folder; why it cannot be watched, or nothing."""
        from console.daemon import inotify as events

        path = os.path.join(project.root, folder) if folder else project.root
        if not os.access(path, os.R_OK):
            return "it cannot be read"
        with self._condition:
            if self._budget.used >= self._budget.most:
                return f"{self._budget.most} watches, a quarter of what the kernel grants, are in use"
            try:
                wd = inotify.add_callback(os.fsencode(path), events.MASK, project, events.CallbackId(id(project)))
            except FileNotFoundError:
                return ""  # gone again
            except OSError as error:
                return "all watches of the user are in use" if error.errno == errno.ENOSPC else str(error)
            if wd == -1:  # what watchdog makes of EACCES
                return "it cannot be read"
            project.folders[wd] = folder
            self._budget.used += 1
            return ""

    def _drop(self, project: ProjectWatch, wds: Sequence[WatchDescriptor]) -> None:
        with self._condition:
            ours = [wd for wd in wds if project.folders.pop(wd, None) is not None]
            self._budget.used -= len(ours)
        if self._inotify is not None and ours:
            from console.daemon import inotify as events

            # A watch that the kernel has dropped meanwhile is an error to it.
            with contextlib.suppress(OSError):
                self._inotify.remove_callbacks([(wd, events.CallbackId(id(project))) for wd in ours])

    def _settle_state(self, project: ProjectWatch, mode: Mode, reason: str) -> None:
        with self._condition:
            project.state = WatchState(mode, len(project.folders), reason)

    def _instance(self) -> tuple[InotifyFD | None, str]:
        if self._inotify is None:
            from console.daemon import inotify as events

            try:
                self._inotify = events.InotifyFD()
            except OSError as error:
                few = error.errno == errno.EMFILE
                return None, "no inotify instance is left for the user" if few else f"no inotify: {error.strerror}"
            self._inotify.start()
        return self._inotify, ""


def folders_of_interest(project: ProjectWatch) -> Iterator[str]:
    """The project's folder and all below it in which something of interest can lie; links are not followed."""
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        yield folder
        try:
            with os.scandir(os.path.join(project.root, folder) if folder else project.root) as entries:
                names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        except OSError:
            continue  # gone, or not to be read: watching it has failed as well and is said there
        prefix = f"{folder}/" if folder else ""
        waiting += [prefix + name for name in names if project.leads_on(prefix + name)]


def allowed_watches() -> int:
    """Our share of the watches that the kernel grants the user."""
    try:
        with open(LIMIT_FILE, encoding="utf-8") as file:
            return int(int(file.read()) * WATCH_SHARE)
    except (OSError, ValueError):
        return 0
