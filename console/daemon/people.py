"""What people add to runs: notes, tags, pins, metrics. Checked here, then journaled, then brought into the index."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from typing import TYPE_CHECKING, Any, Final

from ulid import ULID

from console.daemon import launch, metrics_by_hand, pause
from console.daemon.http import RefusedError
from console.daemon.references import LIST_HINT, runs_named
from store import additions, database
from store.queries import run_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from console.daemon.changes import Changes
    from console.daemon.command_journal import CommandJournal
    from store.database import Cursor
    from store.queries.run_table import NamedRun

NOTE_MAX_CHARACTERS: Final = 10_000
TAG_MAX_CHARACTERS: Final = 64
RUNS_MAX: Final = 100_000
REQUEST: Final = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")
"""A ULID, or 26 characters that look like one."""
VIEWS_MAX: Final = 1000
"""Of how many runs the views are told one by one; those who look at others see it with their next answer."""


class People:
    """Belongs to the keeper's thread. Commands raise RefusedError, and then have changed nothing unless it says so."""

    def __init__(
        self,
        journal: CommandJournal,
        changes: Changes,
        cursor: Callable[[], Cursor],
        settle_by_hand: Callable[[], None],
    ) -> None:
        """`cursor` gives the cursor of the keeper, which is another one after the index was opened again.

        `settle_by_hand` puts metrics by hand among the points of their runs.
        """
        self._settle_by_hand = settle_by_hand
        self._journal = journal
        self._changes = changes
        self._cursor = cursor
        self._behind = True
        self._added: set[str] = set()

    def expect(self, run_ids: Iterable[str]) -> None:
        """These runs came into the index after the journal: what it says of them is brought in with the next call."""
        self._added.update(run_ids)
        self._behind = True

    def catch_up(self) -> None:
        """Bring what the index lacks into it. Raises OSError, duckdb.Error."""
        if not self._behind:
            return
        cursor, path = self._cursor(), self._journal.path
        found = additions.catch_up(cursor, path)
        if self._added:
            additions.catch_up_runs(cursor, path, self._added)
        self._settle_by_hand()
        self._added.clear()
        self._behind = False
        if found.passed_over_count:
            with contextlib.suppress(OSError):
                words = f"passed over {found.passed_over_count} lines of {path}, the first at {found.first_passed_over}"
                print(words, file=sys.stderr, flush=True)

    def note(self, reference: str, text: object, actor: str, request: str) -> list[str]:
        """Write down something about a run; the note has the id of the request. Returns the id of the run."""
        text = note_text(text)
        (found,) = self._runs([reference])
        self._carry_out([found], actor, "note", request, run=found.id, note=request, text=text)
        return [found.id]

    def remove_note(self, reference: str, note: str, actor: str, request: str) -> list[str]:
        """Remove a note of a run, named by its id or the end of it; returns the id of the run."""
        (found,) = self._runs([reference])
        notes = run_table.notes_of(self._cursor(), found.id)
        fitting = [note_id for note_id, *_ in notes if note and note_id.endswith(note.upper())]
        if len(fitting) != 1 and not self._journal.knows(request):
            problem = "has several notes that end in" if fitting else "has no note"
            raise RefusedError(
                404, f"r{found.no} {problem} {note!r}", f"`footplate note r{found.no} --list` shows them"
            )
        self._carry_out([found], actor, "note-remove", request, run=found.id, note="".join(fitting))
        return [found.id]

    def tag(
        self, references: Sequence[str], add: Sequence[str], remove: Sequence[str], actor: str, request: str
    ) -> list[str]:
        """Put tags on runs and take others off; returns the ids of the runs."""
        for name in [*add, *remove]:
            check_tag(name)
        if both := set(add) & set(remove):
            raise RefusedError(400, f"the tag {min(both)!r} cannot be put on and taken off at once", "name it once")
        if not add and not remove:
            raise RefusedError(400, "no tag is named", "`footplate tag r12 +best -old` adds one and removes one")
        found = self._runs(references)
        ids = [run.id for run in found]
        details = {"runs": ids, "add": list(dict.fromkeys(add)), "remove": list(dict.fromkeys(remove))}
        self._carry_out(found, actor, "tag", request, **details)
        return ids

    def pin(self, references: Sequence[str], actor: str, request: str, *, pinned: bool) -> list[str]:
        """Pin runs, so that nothing deletes them, or let go of them; returns their ids."""
        found = self._runs(references)
        ids = [run.id for run in found]
        self._carry_out(found, actor, "pin" if pinned else "unpin", request, runs=ids)
        return ids

    def log(self, reference: str, values: object, step: object, actor: str, request: str) -> list[str]:
        """Add metrics to a run by hand, each at `step` or at the one after its latest; returns the id of the run."""
        checked = metrics_by_hand.checked_values(values)
        at = metrics_by_hand.checked_step(step)
        (found,) = self._runs([reference])
        cursor = self._cursor()
        metrics_by_hand.refuse_own(cursor, found, list(checked))
        steps = metrics_by_hand.next_steps(cursor, found.id)
        points = {key: [steps.get(key, 0) if at is None else at, value] for key, value in checked.items()}
        self._carry_out([found], actor, "metric", request, run=found.id, values=points)
        return [found.id]

    def pin_metric(self, project: str, key: str, goal: object, actor: str, request: str) -> None:
        """Have a metric stand for the runs of a project that have it; without a goal it is guessed from the key."""
        chosen = metrics_by_hand.checked_goal(goal, key)
        metrics_by_hand.refuse_unknown(self._cursor(), project, key)
        self._carry_out([], actor, "metric-pin", request, project=project, key=key, goal=chosen)

    def unpin_metric(self, project: str, actor: str, request: str) -> None:
        """Go back to the metric of the manifest, or to the guessed one."""
        metrics_by_hand.refuse_unknown(self._cursor(), project, None)
        self._carry_out([], actor, "metric-unpin", request, project=project)

    def _runs(self, references: Sequence[str]) -> list[NamedRun]:
        """Every named run once; all are found before anything is changed."""
        if not 0 < len(references) <= RUNS_MAX:
            raise RefusedError(400, f"{len(references)} runs are named; it takes 1 to {RUNS_MAX}")
        found, missing = runs_named(self._cursor(), references)
        if missing:
            more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
            said = "; nothing was changed" if len(references) > 1 else ""
            raise RefusedError(404, f"no run {missing[0]!r}{more}{said}", LIST_HINT)
        return found

    def _carry_out(self, about: Sequence[NamedRun], actor: str, action: str, request: str, **details: Any) -> None:
        """Journal a command and bring it into the index; one that came before is not journaled again."""
        if not self._journal.knows(request):
            try:
                self._journal.append(actor, action, request=request, **details)
            except OSError as error:
                reason = os.strerror(error.errno) if error.errno else error
                message = f"it could not be recorded in {self._journal.path}: {reason}; nothing was changed"
                raise RefusedError(503, message, pause.HINT) from error
            self._behind = True
        try:
            self.catch_up()
        except (OSError, database.Error) as error:
            reason = pause.words_of(error) or str(error).splitlines()[0]
            message = f"it is recorded, but the index cannot take it now: {reason}"
            raise RefusedError(503, message, "it shows once the store works again; do not repeat it") from error
        self._changes.tell(["runs", *(f"run:{run.id}" for run in about[:VIEWS_MAX])])


def note_text(text: object) -> str:
    """The text of a note, without white space at its end. Raises RefusedError."""
    if not isinstance(text, str) or not text.strip():
        raise RefusedError(400, "a note needs a text", "`footplate note r12 'what is worth knowing'`")
    text = launch.readable(text).rstrip()
    if len(text) > NOTE_MAX_CHARACTERS:
        hint = "keep long texts in a file and note its path"
        raise RefusedError(400, f"a note of {len(text):,} characters; at most {NOTE_MAX_CHARACTERS:,} are taken", hint)
    return text


def check_tag(name: str) -> None:
    """Refuse what cannot be typed and read back as one word. Raises RefusedError."""
    hint = f"1 to {TAG_MAX_CHARACTERS} printable characters without white space and commas, not beginning with + or -"
    problem = ""
    if not name:
        problem = "it is empty"
    elif len(name) > TAG_MAX_CHARACTERS:
        problem = f"it has {len(name)} characters"
    elif any(character.isspace() for character in name):
        problem = "it holds white space"
    elif not name.isprintable():
        problem = "it holds a character that cannot be printed"
    elif "," in name:
        problem = "it holds a comma"
    elif name[0] in "+-":
        problem = f"it begins with {name[0]}"
    if problem:
        raise RefusedError(400, f"{name[:80]!r} cannot be a tag: {problem}", hint)


def request_of(data: Any) -> str:
    """The id by which a request that is sent again is known; one of our own when the client gives none."""
    request = data.get("request") if isinstance(data, dict) else None
    if request is None:
        return str(ULID())
    if not isinstance(request, str) or not REQUEST.fullmatch(request):
        raise RefusedError(400, "request must be a ULID: 26 characters of 0-9 and A-Z without I, L, O and U")
    return request
