"""What keys do to the run under the cursor of a screen, or to the marked ones after a question that names them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from console import asked_of_runs
from console.tui import run_acts
from console.tui.actions import key_for
from console.tui.messages import ActDone, StopTargetsArrived
from console.tui.run_acts import ACTS, act_question, act_title, names, started_words
from console.tui.screens.confirm import ConfirmScreen
from console.tui.text_format import bytes_size

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.content import Content

    from console.client import Client
    from console.protocol import RunDetail, RunRow
    from console.tui.screens.acting import ActsOnRuns


class ActingOnRuns:
    """One for a screen, made at the first key."""

    def __init__(self, screen: ActsOnRuns) -> None:
        self._screen = screen
        self._session = screen.session
        self._stop_key = key_for(f"{screen.scope}.stop")
        self._stop_asked_for: frozenset[str] = frozenset()
        self._stop_left_out: tuple[str, ...] = ()

    def _act_on_runs(self, name: str, do: Callable[[tuple[RunRow, ...]], None], *, ask: bool = False) -> None:
        """Find out which runs an act is about, say why where there are none, ask where it is not the obvious one.

        The obvious one is the run under the cursor; marked runs are named first, as they may be out of sight.
        """
        chosen = self._chosen(name)
        if chosen is None:
            return
        rows, left_out = chosen
        cursor = self._screen.run_under_cursor
        if not ask and cursor is not None and [row.id for row in rows] == [cursor.id] and not left_out:
            do(rows)
            return

        def decided(yes: bool | None) -> None:
            if yes:
                do(rows)

        act = ACTS[name]
        question = act_question(act, rows, left_out)
        verb = f"{act.verb} {'it' if len(rows) == 1 else 'them'}"
        self._ask(act_title(act, rows), question, verb, decided)

    def _ask(self, title: str, question: Content, verb: str, decided: Callable[[bool | None], None]) -> None:
        self._screen.app.push_screen(ConfirmScreen(title, question, verb, self._session.monotonic), decided)

    def _chosen(self, name: str) -> tuple[tuple[RunRow, ...], tuple[str, ...]] | None:
        """The runs that an act fits, and why it does not fit the other marked ones; None when that was said."""
        cursor = self._screen.run_under_cursor
        rows = self._screen.marked_runs or ((cursor,) if cursor is not None else ())
        if not rows:
            self._screen.say("there is no run under the cursor")
            return None
        reasons = {row.id: run_acts.refusal(name, row, self._stop_key) for row in rows}
        able = tuple(row for row in rows if not reasons[row.id])
        left_out = tuple(filter(None, reasons.values()))
        if not able:
            more = f", and so on: none of the {len(rows)} marked runs" if len(rows) > 1 else ""
            self._screen.say(f"{left_out[0]}{more}")
            return None
        return able, left_out

    def stop(self) -> None:
        """Look at the runs as they are now, then ask."""
        chosen = self._chosen("stop")
        if chosen is None:
            return
        rows, self._stop_left_out = chosen
        ids = tuple(row.id for row in rows)

        def fetch(client: Client) -> StopTargetsArrived:
            return StopTargetsArrived(tuple(client.run(run_id) for run_id in ids))

        self._stop_asked_for = frozenset(ids)
        self._session.courier.ask("stop-target", self._screen, fetch)

    def ask_to_stop(self, found: tuple[RunDetail, ...]) -> None:
        """Ask before stopping; say why when there is nothing to stop."""
        if {each.row.id for each in found} != self._stop_asked_for or self._screen.app.screen is not self._screen:
            return
        self._stop_asked_for = frozenset()
        reasons = [run_acts.refusal("stop", each.row, self._stop_key) for each in found]
        details = tuple(each for each, reason in zip(found, reasons, strict=True) if not reason)
        left_out = (*self._stop_left_out, *filter(None, reasons))
        if not details:
            self._screen.say(left_out[0])
            return

        def decided(stop: bool | None) -> None:
            if stop:
                self._stop(details)

        rows = [each.row for each in details]
        question, verb = run_acts.stop_question(details, left_out), "stop it" if len(rows) == 1 else "stop them"
        title = act_title(ACTS["stop"], rows)
        self._ask(title, question, verb, decided)

    def _stop(self, details: tuple[RunDetail, ...]) -> None:
        actor, rows = self._session.actor, [each.row for each in details]

        def stop(client: Client) -> ActDone:
            for row in rows:
                client.stop(row.id, actor)
            return ActDone(f"{names(rows)} {'is' if len(rows) == 1 else 'are'} being stopped")

        what = "stop the run" if len(rows) == 1 else "stop the runs"
        self._screen.send(f"stop:{','.join(row.id for row in rows)}", what, stop)

    def retry(self) -> None:
        """Enqueue ended runs once more, as new ones."""
        self._act_on_runs("retry", self._retry)

    def _retry(self, rows: tuple[RunRow, ...]) -> None:
        context, ids = self._session.context(), [row.id for row in rows]

        def retry(client: Client) -> ActDone:
            made = asked_of_runs.retry(client, ids, context)
            return ActDone(f"retry of {names(rows)}: {started_words(made)}")

        self._screen.send(f"retry:{','.join(ids)}", f"retry {names(rows)}", retry)

    def clone(self) -> None:
        """Edit the command of the run under the cursor, then enqueue it."""
        row = self._screen.run_under_cursor
        reason = "there is no run under the cursor" if row is None else run_acts.refusal("clone", row, self._stop_key)
        if row is None or reason:
            self._screen.say(reason)
            return
        from console.tui.screens.clone import CloneScreen  # here: few open it

        self._screen.app.push_screen(CloneScreen(self._session, row))

    def requeue(self) -> None:
        """Put waiting runs in front; have ended ones wait for a slot once more."""
        self._act_on_runs("requeue", self._requeue)

    def _requeue(self, rows: tuple[RunRow, ...]) -> None:
        context, actor = self._session.context(), self._session.actor
        ended = [row for row in rows if run_acts.has_ended(row)]
        waiting = [row for row in rows if not run_acts.has_ended(row)]

        def requeue(client: Client) -> ActDone:
            said = []
            if waiting:
                asked_of_runs.to_the_front(client, [row.id for row in waiting], actor)
                said.append(f"{names(waiting)} in front of the queue")
            if ended:
                made = asked_of_runs.retry(client, [row.id for row in ended], context, takes_slot=True)
                said.append(f"{names(ended)} once more: {started_words(made)}")
            return ActDone("; ".join(said))

        self._screen.send(f"requeue:{','.join(row.id for row in rows)}", f"requeue {names(rows)}", requeue)

    def release(self) -> None:
        """Let held runs start."""
        self._act_on_runs("release", self._release)

    def _release(self, rows: tuple[RunRow, ...]) -> None:
        actor, ids = self._session.actor, [row.id for row in rows]

        def release(client: Client) -> ActDone:
            asked_of_runs.release(client, ids, actor)
            return ActDone(f"{names(rows)} may start")

        self._screen.send(f"release:{','.join(ids)}", f"release {names(rows)}", release)

    def note(self) -> None:
        """Write down something about the run under the cursor."""
        row = self._screen.run_under_cursor
        if row is None:
            self._screen.say("there is no run under the cursor")
            return
        from console.tui.screens.note import NoteScreen  # here: few open it

        self._screen.app.push_screen(NoteScreen(self._session, row))

    def tag(self) -> None:
        """Put words on runs, take others off."""
        chosen = self._chosen("tag")
        if chosen is not None:
            from console.tui.screens.tag import TagScreen  # here: few open it

            self._screen.app.push_screen(TagScreen(self._session, chosen[0]))

    def pin_run(self) -> None:
        """Keep runs from being deleted; let go of them when all of them are pinned."""
        rows = self._screen.marked_runs or ((self._screen.run_under_cursor,) if self._screen.run_under_cursor else ())
        pinned = not all(row.pinned for row in rows)
        actor = self._session.actor

        def send(rows: tuple[RunRow, ...]) -> None:
            ids = [row.id for row in rows]

            def pin(client: Client) -> ActDone:
                asked_of_runs.pin(client, ids, actor, pinned=pinned)
                words = "pinned: nothing deletes" if pinned else "pinned no more: a budget may delete"
                return ActDone(f"{names(rows)} {words} {'it' if len(rows) == 1 else 'them'}")

            self._screen.send(f"pin:{','.join(ids)}:{pinned}", f"{'pin' if pinned else 'unpin'} {names(rows)}", pin)

        self._act_on_runs("pin_run" if pinned or not rows else "unpin_run", send)

    def archive(self) -> None:
        """Pack the files of ended runs away; always asked by name."""
        self._act_on_runs("archive", self._archive, ask=True)

    def _archive(self, rows: tuple[RunRow, ...]) -> None:
        actor, ids = self._session.actor, [row.id for row in rows]

        def archive(client: Client) -> ActDone:
            freed_bytes = sum(asked_of_runs.archive(client, run_id, actor) for run_id in ids)
            return ActDone(f"{names(rows)} archived: {bytes_size(freed_bytes)} freed")

        self._screen.send(f"archive:{','.join(ids)}", f"archive {names(rows)}", archive)
