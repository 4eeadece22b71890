"""What is seen after each key of the registry: a key that is added there needs a line here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.tui.pressing import (
    CLEAR_UP,
    ESCAPE,
    READ_IT,
    Promise,
    Step,
    at_base,
    changed,
    cursor,
    gone,
    has,
    heard,
    repainted,
    step,
    typed,
    walk,
    yes,
)

if TYPE_CHECKING:
    from console.tui.actions import Scope

Key = tuple[str, str]
"""Scope and name of an action."""

MADE: Final = "r230 again is queued"


def run_promises(
    scope: Scope,
    *,
    to_ended: tuple[Step, ...] = (),
    to_live: tuple[Step, ...] = (),
    home: tuple[Step, ...] = (),
    ended: str = "r221",
    live: str = "r218",
) -> dict[Key, Promise]:
    """Of what every screen with runs can do; `home` leads back to where the cursor was."""
    ended_home = home if to_ended else ()
    live_home = home if to_live else ()
    is_ended = bool(ended)
    return {
        (scope, "stop"): Promise(
            has(f"Stop {live}?"),
            to_live,
            (*yes(heard("stop", has(f"{live} vit-b lr=1e-3"))), *live_home),
        ),
        (scope, "retry"): Promise(heard("/retry", has(MADE)) if is_ended else has("x stops it"), to_ended, ended_home),
        (scope, "clone"): Promise(has("Clone with changes", "--note 'two words'"), (), ESCAPE),
        (scope, "requeue"): Promise(
            heard("/retry", has("once more:", MADE)) if is_ended else has("does not wait"), to_ended, ended_home
        ),
        (scope, "release"): Promise(has("is not held")),
        (scope, "note"): Promise(has("Note", "ctrl+d sends"), (), ESCAPE),
        (scope, "tag"): Promise(has("Tags", "tags now: none"), (), ESCAPE),
        (scope, "pin_run"): Promise(heard("/pins", has("pinned: nothing deletes"))),
        (scope, "archive"): Promise(
            has(f"Archive {ended}?") if is_ended else has("x stops it"),
            to_ended,
            (*yes(heard("/chores", has("2.0 MiB freed"))), *ended_home) if is_ended else (),
        ),
        (scope, "copy_command"): Promise(has("sent to terminal: python train.py")),
        (scope, "copy_id"): Promise(has("sent to terminal: 01K7")),
    }


TRIAGE_HOME: Final = (step("g", cursor("r221")),)
TRIAGE: Final[dict[Key, Promise]] = {
    **run_promises("triage", to_live=(walk("j", cursor("r218")),), home=TRIAGE_HOME),
    ("triage", "open"): Promise(has("─ Metrics", "r221 vit-l"), (), ESCAPE),
    ("triage", "release"): Promise(
        heard("/queue/resume", has("ops goes on")), (walk("j", cursor("paused by bob")),), TRIAGE_HOME
    ),
    ("triage", "seen"): Promise(has("r221 vit-l lr=3e-3: seen by")),
    ("triage", "clear"): Promise(has("what ends from now on is listed")),
}

RUNS_HOME: Final = (step("g", cursor("r222")), walk("j", cursor("r218")))
MARKED: Final = (step("space", has("1 marked")),)
FILTERED: Final = (step("slash", has(" / ")), typed("sweep", has("of 32")), step("enter", has("esc clears the filter")))
RUNS: Final[dict[Key, Promise]] = {
    **run_promises("runs", to_ended=(walk("j", cursor("r221")),), home=RUNS_HOME),
    ("runs", "open"): Promise(has("─ Metrics", "following"), (), ESCAPE),
    ("runs", "mark"): Promise(has("1 marked"), (), (step("escape", gone("marked")), *RUNS_HOME)),
    ("runs", "filter"): Promise(has(" / words, or"), (), ESCAPE),
    ("runs", "sort"): Promise(gone("by started ▼"), (), (walk("s", has("by started ▼")), *RUNS_HOME)),
    ("runs", "reverse"): Promise(has("by started ▲"), (), (step("S", has("by started ▼")),)),
    ("runs", "columns"): Promise(has("╭─ Columns", "space toggles"), (), ESCAPE),
    ("runs", "views"): Promise(has("╭─ Views", "no views yet"), (), ESCAPE),
    ("runs", "pin_metric"): Promise(has("Pin the metric?"), (), yes(heard("pin_metric", has("stands for the runs")))),
    ("runs", "beside"): Promise(
        has("─ Side by side", "params differ"),
        (*MARKED, step("space", has("2 marked"))),
        (step("escape", has("2 marked")), step("escape", gone("marked")), *RUNS_HOME),
    ),
    ("runs", "back"): Promise(gone("esc clears the filter"), FILTERED, RUNS_HOME),
}
"""The cursor is on r218."""

FILTER_AGAIN: Final = (
    step("escape", gone(" / sweep")),
    step("slash", has(" / words, or")),
    typed("sweep", at_base),
)
INPUT: Final[dict[Key, Promise]] = {
    ("input", "keep_filter"): Promise(gone(" / sweep"), (), (step("slash", at_base),)),
    ("input", "drop_filter"): Promise(gone(" / sweep"), (), FILTER_AGAIN[1:]),
    ("input", "take_completion"): Promise(
        has(" / sweep val/acc"), (typed(" val/ac", has("val/acc 410")),), FILTER_AGAIN
    ),
    ("input", "earlier_filter"): Promise(has(" / sweep"), FILTER_AGAIN[:2]),
}
"""In the filter of the runs "sweep" is typed."""

CHART_HOME: Final = (step("0", at_base),)
NEARER: Final = (step("plus", changed),)
SEARCHED: Final = (
    step("slash", has("text to find in the log")),
    typed("example", has("/example")),
    step("enter", has("n N next, previous", "an example of an error")),
)
FROM_LOG: Final = (step("f", has("following")), Step(("shift+tab",), repainted))
FOUND: Final = (step("f", has("following", "[199]")),)
RUN: Final[dict[Key, Promise]] = {
    **run_promises("run", ended=""),
    ("run", "back"): Promise(has("─ Runs 32", "space mark"), (), (step("enter", at_base),)),
    ("run", "next_metric"): Promise(cursor("lr ↓"), (), (step("left_square_bracket", at_base),)),
    ("run", "previous_metric"): Promise(cursor("val/loss ↓"), (), (step("right_square_bracket", at_base),)),
    ("run", "pin_metric"): Promise(has("Pin the metric?"), (), yes(heard("pin_metric", has("stands for the runs")))),
    ("run", "smooth"): Promise(changed, (), (walk("s", at_base),)),
    ("run", "next_axis"): Promise(changed, (), (walk("t", at_base),)),
    ("run", "grid"): Promise(gone("goal guessed"), (), (step("v", at_base),)),
    ("run", "logs"): Promise(changed, (), (walk("l", at_base),)),
    ("run", "look_nearer"): Promise(changed, (), CHART_HOME),
    ("run", "look_farther"): Promise(at_base, NEARER),
    ("run", "look_before"): Promise(changed, NEARER, CHART_HOME),
    ("run", "look_after"): Promise(changed, (*NEARER, step("less_than_sign", changed)), CHART_HOME),
    ("run", "look_at_all"): Promise(at_base, NEARER),
    ("run", "cursor_left"): Promise(changed, (), ESCAPE),
    ("run", "cursor_right"): Promise(changed, (step("left", changed), step("left", changed)), ESCAPE),
    ("run", "follow"): Promise(has("f follows the end"), (), (step("f", has("following")),)),
    ("run", "search"): Promise(has("text to find in the log"), (), (step("escape", at_base), *FROM_LOG[1:])),
    ("run", "next_hit"): Promise(
        has("search went on at the top"), SEARCHED, (step("escape", gone("n N next")), *FROM_LOG)
    ),
    ("run", "previous_hit"): Promise(
        has("search went on at the end"), SEARCHED, (step("escape", gone("n N next")), *FROM_LOG)
    ),
    ("run", "next_error"): Promise(has("Traceback (most recent call last)"), (), FOUND),
    ("run", "previous_error"): Promise(has("ValueError: an example of an error"), (), FOUND),
    ("run", "next_warning"): Promise(has("warning: the learning rate is high"), (), FOUND),
    ("run", "previous_warning"): Promise(has("warning: the learning rate is high"), (), FOUND),
    ("run", "zoom"): Promise(gone("─ Log"), (), (step("z", at_base),)),
    ("run", "next_pane"): Promise(repainted, (), (step("shift+tab", repainted),)),
    ("run", "previous_pane"): Promise(repainted, (), (step("tab", repainted),)),
    ("run", "details"): Promise(has("] section", "About"), (), ESCAPE),
    ("run", "diff"): Promise(has("RandAug(2, 9)"), (), ESCAPE),
    ("run", "artifacts"): Promise(has("numbers.csv", "plots/loss.png"), (), ESCAPE),
}
"""r218, its metrics in focus."""

END: Final = (step("G", has("following", "[199]")),)
TOP: Final = (step("g", has("loading data/train.parquet")),)
LONG_LINE: Final = has("epoch 12 done, a long line: 0123456789")
AT_LONG_LINE: Final = (step("e", has("went on at the top")), step(CLEAR_UP, gone("went on at the top")))
PANNED: Final = (*AT_LONG_LINE, step("right", gone("epoch 12 done")))
LOG: Final[dict[Key, Promise]] = {
    ("log", "move(1)"): Promise(changed, TOP, END),
    ("log", "move(-1)"): Promise(has("f follows the end"), (), END),
    ("log", "page(1)"): Promise(gone("loading data/train.parquet"), TOP, END),
    ("log", "page(-1)"): Promise(has("f follows the end"), (), END),
    ("log", "half_page(1)"): Promise(gone("loading data/train.parquet"), TOP, END),
    ("log", "half_page(-1)"): Promise(has("f follows the end"), (), END),
    ("log", "first"): Promise(has("loading data/train.parquet"), (), END),
    ("log", "last"): Promise(at_base, TOP),
    ("log", "toggle_follow"): Promise(has("f follows the end"), (), (step("f", at_base),)),
    ("log", "pan(-1)"): Promise(LONG_LINE, PANNED, END),
    ("log", "pan(1)"): Promise(gone("epoch 12 done"), AT_LONG_LINE, (step("0", LONG_LINE), *END)),
    ("log", "pan(0)"): Promise(LONG_LINE, PANNED, END),
}

DETAILS_BACK: Final = (step("left_square_bracket", at_base),)
DETAILS_FOUND: Final = (
    step("slash", has("text to find here")),
    typed("e", changed),
    step("enter", repainted),
)
DETAILS: Final[dict[Key, Promise]] = {
    ("details", "back"): Promise(has("─ Metrics"), (), (step("d", at_base),)),
    ("details", "next_section"): Promise(changed, (), DETAILS_BACK),
    ("details", "previous_section"): Promise(has("RandAug(2, 9)"), (), (step("right_square_bracket", at_base),)),
    ("details", "search"): Promise(has("text to find here"), (), ESCAPE),
    ("details", "next_hit"): Promise(has("nothing to search for yet")),
    ("details", "previous_hit"): Promise(has("nothing to search for yet")),
    ("details", "copy_command"): Promise(has("sent to terminal: python train.py")),
    ("details", "copy_id"): Promise(has("sent to terminal: 01K7")),
}

LOOKED_AT: Final = (step("enter", has("epoch,loss")),)
FROM_LOOK: Final = (step("escape", has("numbers.csv", "plots/loss.png")), step("k", at_base))
ARTIFACTS: Final[dict[Key, Promise]] = {
    ("artifacts", "next_artifact"): Promise(has("640 x 480 PNG"), LOOKED_AT, FROM_LOOK),
    ("artifacts", "previous_artifact"): Promise(has("640 x 480 PNG"), LOOKED_AT, FROM_LOOK),
    ("artifacts", "close"): Promise(gone("numbers.csv"), (), (step("a", at_base),)),
}

PROJECTS: Final[dict[Key, Promise]] = {
    ("projects", "open"): Promise(
        has("esc clears the filter"), (), (step("escape", gone("esc clears")), step("9", at_base))
    ),
    ("projects", "trust"): Promise(
        has("Trust footplate.toml?", "+[jobs.report]"),
        (),
        yes(heard("/projects/trust", has("is trusted as it is now"))),
    ),
    ("projects", "unwatch"): Promise(
        has("Watch it no more?"), (), yes(heard("/projects/unwatch", has("is watched no more")))
    ),
    ("projects", "copy_root"): Promise(has("sent to terminal: /home/ana/vit [red]")),
    ("projects", "back"): Promise(has("─ Runs 32"), (), (step("9", at_base),)),
}

CONFIRM: Final[dict[Key, Promise]] = {
    ("confirm", "accept"): Promise(
        heard("/projects/unwatch", has("is watched no more")),
        (step(READ_IT, lambda _: True),),
        (step(READ_IT, lambda _: True), step(CLEAR_UP, gone("watched no more")), step("u", at_base)),
    ),
    ("confirm", "decline"): Promise(gone("Watch it no more?"), (), (step("u", at_base),)),
}
"""Whether a project is to be let go of."""

UNSENT_NOTE: Final = (
    step("n", has("ctrl+d sends")),
    typed("hello", has("hello")),
    step("escape", gone("ctrl+d sends")),
    step("n", has("hello", "written before and not sent yet")),
)
FORM: Final[dict[Key, Promise]] = {
    ("form", "submit"): Promise(
        heard("/notes", has("noted at r218")), (), (step(CLEAR_UP, gone("noted at")), *UNSENT_NOTE)
    ),
    ("form", "close"): Promise(gone("ctrl+d sends"), (), (step("n", has("written before and not sent yet")),)),
}
"""A note of one word at r218."""

HELP: Final[dict[Key, Promise]] = {("help", "close"): Promise(gone("╭─ Keys"), (), (step("question_mark", at_base),))}

MANY_COLUMNS: Final = (
    step("c", has("╭─ Columns", "in 32 runs")),
    step("slash", has("a part of a param")),
    typed("val", changed),
    step("enter", gone("a part of a param")),
    *[step(key, changed) for key in ("space", "j") * 5],
    step("space", changed),
    step("escape", changed),
    step("escape", gone("╭─ Columns")),
)
FEW_COLUMNS: Final = (
    step("c", has("╭─ Columns", "in 32 runs")),
    step("a", has("─ automatic")),
    step("escape", at_base),
)
TABLE_HOME: Final = (step("g", cursor("r222")),)
TABLE: Final[dict[Key, Promise]] = {
    ("table", "move(1)"): Promise(cursor("r220"), (), TABLE_HOME),
    ("table", "move(-1)"): Promise(cursor("r222"), (step("j", cursor("r220")),)),
    ("table", "page(1)"): Promise(gone(">  ‖ r222"), (), TABLE_HOME),
    ("table", "page(-1)"): Promise(cursor("r222"), (step("pagedown", gone(">  ‖ r222")),)),
    ("table", "half_page(1)"): Promise(gone(">  ‖ r222"), (), TABLE_HOME),
    ("table", "half_page(-1)"): Promise(cursor("r222"), (step("ctrl+d", gone(">  ‖ r222")),)),
    ("table", "move_to(0)"): Promise(cursor("r222"), (step("j", cursor("r220")),)),
    ("table", "move_to(-1)"): Promise(cursor("r191"), (), TABLE_HOME),
    ("table", "pan(1)"): Promise(changed, MANY_COLUMNS, (step("left", changed), *FEW_COLUMNS)),
    ("table", "pan(-1)"): Promise(changed, (*MANY_COLUMNS, step("right", changed)), FEW_COLUMNS),
    ("table", "open"): Promise(has("─ Metrics"), (), ESCAPE),
}
"""In the table of runs, on its first row."""

AUTOMATIC: Final = (step("a", has("─ automatic")), walk("k", at_base))
COLUMNS: Final[dict[Key, Promise]] = {
    ("columns", "toggle_column"): Promise(has(" chosen"), (), AUTOMATIC),
    ("columns", "move_column(1)"): Promise(has(" chosen"), (), AUTOMATIC),
    ("columns", "move_column(-1)"): Promise(has(" chosen"), (step("j", changed),), AUTOMATIC),
    ("columns", "automatic"): Promise(has("─ automatic"), (step("space", has(" chosen")),), (walk("k", at_base),)),
    ("columns", "search"): Promise(has("a part of a param"), (), ESCAPE),
    ("columns", "close"): Promise(gone("╭─ Columns"), (), (step("c", at_base),)),
}

KEPT_VIEW: Final = (
    step("s", has("keep as")),
    typed("mine", has("keep as mine")),
    step("enter", has("kept as mine")),
    step(CLEAR_UP, cursor("mine")),
)
VIEWS: Final[dict[Key, Promise]] = {
    ("views", "save"): Promise(has("keep as"), (), ESCAPE),
    ("views", "delete_view"): Promise(has("Delete the view?"), KEPT_VIEW, (*yes(has("the view mine is gone")),)),
    ("views", "close"): Promise(gone("╭─ Views"), (), (step("v", at_base),)),
}

BESIDE: Final[dict[Key, Promise]] = {
    ("beside", "back"): Promise(has("2 marked", "space mark"), (), (step("b", at_base),)),
    ("beside", "equal_params"): Promise(changed, (), (step("d", at_base),)),
}

APP: Final[dict[Key, Promise]] = {
    ("app", "start_job"): Promise(has("╭─ Start a job"), (), ESCAPE),
    ("app", "pause"): Promise(has("= paused"), (), (step("equals_sign", at_base),)),
    ("app", "command_palette"): Promise(has("Search for commands"), (), ESCAPE),
    ("app", "help"): Promise(has("╭─ Keys", "type to search"), (), ESCAPE),
    ("app", "show_triage"): Promise(has("Since you left"), (step("2", has("─ Runs 32")),)),
    ("app", "show_runs"): Promise(has("─ Runs 32"), (), (step("1", at_base),)),
    ("app", "show_projects"): Promise(has("─ Projects 3"), (), (step("1", at_base),)),
    ("app", "lofi"): Promise(has("plain text: select and copy"), (), ESCAPE),
    ("app", "next_theme"): Promise(repainted, (), (step("ctrl+t", repainted), step("ctrl+t", has("theme okabe-dark")))),
}
"""On triage."""

PROMISES: Final[dict[Key, Promise]] = {
    **APP,
    **TRIAGE,
    **RUNS,
    **INPUT,
    **RUN,
    **LOG,
    **DETAILS,
    **ARTIFACTS,
    **PROJECTS,
    **CONFIRM,
    **FORM,
    **HELP,
    **TABLE,
    **COLUMNS,
    **VIEWS,
    **BESIDE,
}
