"""An archived run that the index lacks, as after a rebuild: unpacked for as long as it is brought in."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from console.daemon.leftovers import leftover_path
from console.daemon.watched import Look, WatchedRun
from console.jobs import spec
from console.protocol import ENDED_STATES
from store import archive, removal
from store.tarballs import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from store.ingest import JournalCursor


@dataclass(slots=True)
class PackedRun(WatchedRun):
    """Looked after as any other run that has ended, in a directory that exists from the first look to the last."""

    home: str = ""
    archived_at_s: float = 0.0
    unpacked: bool = False

    def look(self, cursor: JournalCursor) -> Look:
        """As for a run directory. Raises OSError, ArchiveError."""
        if not self.unpacked:
            outer = os.path.dirname(self.run_dir)
            removal.remove_tree(outer)
            os.mkdir(outer, 0o700)
            archive.extract_index_source(self.home, self.spec.id, outer)
            self.unpacked = True
        found = WatchedRun.look(self, cursor)
        if found.over:
            found.columns["archived_at_s"] = self.archived_at_s
        return found

    def leave(self) -> None:
        """It is in the index: what was unpacked goes."""
        WatchedRun.leave(self)
        removal.remove_tree(os.path.dirname(self.run_dir))


def packed_runs(home: str, states: Mapping[str, str], report: Callable[[str], None]) -> list[PackedRun]:
    """The archived runs that the index does not know as ended; `states` is what it knows. Raises OSError."""
    found: list[PackedRun] = []
    for run_id, at_s in sorted(archive.archived_runs(home).items()):
        if states.get(run_id) in ENDED_STATES:
            continue
        try:
            with archive.index_source(home, run_id, facts_only=True) as facts:
                asked = spec.read_spec(facts)
        except (OSError, ValueError, ArchiveError) as error:
            report(f"passed over the archived run {archive.path_of(home, run_id)}: {error}")
            continue
        run_dir = os.path.join(leftover_path(home, "index", run_id), run_id)
        state = states.get(run_id, "queued")
        found.append(PackedRun(asked, run_dir, state, home=home, archived_at_s=at_s))
    return found
