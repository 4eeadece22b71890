"""Runs that wait although a supervisor of an earlier daemon may be on its way: it may claim them at any time.

That daemon was killed right after it had started the supervisor, which alone has the devices of the run.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from console.jobs import reconcile
from store import paths

if TYPE_CHECKING:
    from collections.abc import Iterable

    from console.daemon.scheduler import Scheduler
    from console.jobs.spec import Spec


class Begun:
    """Belongs to the keeper's thread."""

    def __init__(self, home: str, scheduler: Scheduler) -> None:
        self._home = home
        self._scheduler = scheduler
        self._attempts: dict[str, int] = {}
        """The attempt that is due, by run id."""

    def __contains__(self, run_id: object) -> bool:
        return run_id in self._attempts

    def expect(self, waiting: Iterable[tuple[Spec, int]]) -> None:
        """Of runs that wait for these attempts, those for which a supervisor was ever started."""
        for each, attempt in waiting:
            if os.path.exists(f"{paths.run_dir(self._home, each.id)}/supervisor.log"):
                self._attempts[each.id] = attempt

    def take_claimed(self) -> list[Spec]:
        """Those that a supervisor has claimed: they wait no more."""
        claimed = []
        for run_id, attempt in list(self._attempts.items()):
            if run_id not in self._scheduler:
                del self._attempts[run_id]
            elif os.path.exists(reconcile.claim_path(paths.run_dir(self._home, run_id), attempt)):
                del self._attempts[run_id]
                claimed.append(self._scheduler.spec_of(run_id))
                self._scheduler.take_out(claimed[-1])
        return claimed
