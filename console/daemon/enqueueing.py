"""New runs: recorded, given numbers and directories, made known to the index. All of a batch or none of it."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from ulid import ULID

from console.daemon import launch, sweeps
from console.jobs import spec
from console.project.masking import mask_argv
from store import identity, local_home, paths, removal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from console.daemon.data_life import DataLife, Record
    from console.daemon.registry import WatchedProject
    from console.jobs.options import Adopted
    from console.jobs.spec import Request, Spec
    from store.ingest import Index


class Enqueuer:
    """Belongs to the keeper's thread."""

    def __init__(
        self,
        home: str,
        record: Record,
        data_life: DataLife,
        index: Callable[[], Index],
        project_around: Callable[[str], WatchedProject | None],
    ) -> None:
        """`project_around` tells the watched project that a folder belongs to, if any."""
        self._home = home
        self._record = record
        self._data_life = data_life
        self._index = index
        self._project_around = project_around

    def enqueue(
        self, requests: Sequence[Request], actor: str, action: str, adopted: Adopted | None = None, **details: Any
    ) -> list[Spec]:
        """Make run directories and rows of the index. Raises OSError, duckdb.Error: then there is none of them.

        `details` go into the audit trail, and into the file of the sweep when the runs are one.
        """
        numbers = self._numbers(len(requests))
        new = [self._spec_of(request, no, adopted) for request, no in zip(requests, numbers, strict=True)]
        first = new[0]
        named: dict[str, Any] = {"run": first.id} if len(new) == 1 else {"runs": [each.id for each in new]}
        said = {"no": new[-1].no, "argv": mask_argv(first.argv), "working_dir": first.working_dir}
        self._record(actor, action, **named, **said, **details)
        spec.write_run_dirs(self._home, list(zip(new, requests, strict=True)))
        sweep = first.queueing.sweep
        try:
            if sweep and sweeps.is_unfinished(self._home, sweep):
                asked = {"actor": actor, "project": first.project, "job": first.queueing.job, "name": first.name}
                sweeps.commit(self._home, sweep, {**asked, "argv": mask_argv(first.argv), **details})
            self._index().add_runs([launch.columns_of_spec(each) for each in new])
        except BaseException:
            # Whoever asked is told that it failed: then they must not start with the next daemon either.
            for each in new:
                self._delete_run_dir(each.id)
            raise
        return new

    def take_back_unfinished(self, waiting: Sequence[Spec]) -> set[str]:
        """Take away the runs of sweeps that a killed daemon was about to make; returns their ids. Raises OSError."""
        unfinished = {each.queueing.sweep for each in waiting if each.queueing.sweep}
        unfinished = {label for label in unfinished if sweeps.is_unfinished(self._home, label)}
        gone = {each.id for each in waiting if each.queueing.sweep in unfinished}
        for run_id in gone:
            self._delete_run_dir(run_id)
        for label in unfinished:
            sweeps.drop(self._home, label)
        return gone

    def _numbers(self, count: int) -> list[int]:
        numbers: list[int] = []
        wanted = self._data_life.next_no()
        for _ in range(count):
            numbers.append(local_home.claim_number(self._home, wanted))
            wanted = numbers[-1] + 1
        self._data_life.took_no(numbers[-1])
        return numbers

    def _spec_of(self, request: Request, no: int, adopted: Adopted | None) -> Spec:
        watched = self._project_around(request.working_dir)
        project = request.project if request.names_project or watched is None else watched.name
        pattern = request.log_pattern
        if pattern is None:
            pattern = watched.log_pattern if watched is not None else ""
        return spec.Spec(
            format=spec.FORMAT,
            id=request.id or str(ULID()),
            no=no,
            name=request.name,
            project=project or request.project,
            argv=request.argv,
            working_dir=request.working_dir,
            grace_s=request.grace_s,
            params=spec.params_of(request.argv) | request.params,
            created_at_s=time.time(),
            host=os.uname().nodename,
            boot_id=identity.boot_id(),
            options=request.options,
            interpreter=request.interpreter,
            adopted=adopted,
            queueing=request.queueing,
            variables=request.variables,
            log_pattern=pattern,
        )

    def _delete_run_dir(self, run_id: str) -> None:
        run_dir = paths.run_dir(self._home, run_id)
        if os.path.isdir(run_dir):
            # Renamed first, out of what is scanned at start: a half-deleted run must not come back.
            gone = os.path.join(paths.runs_dir(self._home), f".gone-{run_id}")
            os.rename(run_dir, gone)
            removal.remove_tree(gone)
