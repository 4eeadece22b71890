"""A screen shows runs, and keys act on them; how is said in `run_acting`, which the first key loads."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from console.tui.screens.sized import SizedScreen
from console.tui.text_format import visible

if TYPE_CHECKING:
    from console.protocol import RunRow
    from console.tui.actions import Scope
    from console.tui.courier import Call
    from console.tui.messages import StopTargetsArrived
    from console.tui.screens.run_acting import ActingOnRuns
    from console.tui.session import Session

NOTICE_CHARACTERS = 300


class ActsOnRuns(SizedScreen[None]):
    """A screen shows runs: it says which one is under the cursor and which are marked, the keys do the rest."""

    scope: ClassVar[Scope] = "app"
    """Whose keys count on it."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session

    @property
    def run_under_cursor(self) -> RunRow | None:
        """The run that acts are about while none is marked."""
        return None

    @property
    def marked_runs(self) -> tuple[RunRow, ...]:
        """Those that acts are about, where a screen has marks; in the order of marking."""
        return ()

    @cached_property
    def _acting(self) -> ActingOnRuns:
        from console.tui.screens.run_acting import ActingOnRuns  # here: the first frame does not need it

        return ActingOnRuns(self)

    def send(self, kind: str, failing: str, call: Call) -> None:
        """Have an act carried out; the app says how it went."""
        refused = self.session.acts.send(kind, failing, self.app, call)
        if refused:
            self.say(refused)

    def action_stop(self) -> None:
        """Look at the runs as they are now, then ask."""
        self._acting.stop()

    def on_stop_targets_arrived(self, message: StopTargetsArrived) -> None:
        """Ask before stopping; say why when there is nothing to stop."""
        self._acting.ask_to_stop(message.details)

    def action_retry(self) -> None:
        """Enqueue ended runs once more, as new ones."""
        self._acting.retry()

    def action_clone(self) -> None:
        """Edit the command of the run under the cursor, then enqueue it."""
        self._acting.clone()

    def action_requeue(self) -> None:
        """Put waiting runs in front; have ended ones wait for a slot once more."""
        self._acting.requeue()

    def action_release(self) -> None:
        """Let held runs start."""
        self._acting.release()

    def action_note(self) -> None:
        """Write down something about the run under the cursor."""
        self._acting.note()

    def action_tag(self) -> None:
        """Put words on runs, take others off."""
        self._acting.tag()

    def action_pin_run(self) -> None:
        """Keep runs from being deleted; let go of them when all of them are pinned."""
        self._acting.pin_run()

    def action_archive(self) -> None:
        """Pack the files of ended runs away; always asked by name."""
        self._acting.archive()

    def say(self, text: str, ours: str = "", *, severe: bool = False) -> None:
        """A short notice; `text` may come from outside, `ours` may hold line ends."""
        shown = visible(text)
        shown = shown if len(shown) <= NOTICE_CHARACTERS else f"{shown[: NOTICE_CHARACTERS - 1]}…"
        self.notify(f"{shown}{ours}", severity="error" if severe else "information", markup=False, timeout=6)
