"""Every key of the screens: bindings, footer, help and palette are all made from this one table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

from textual.binding import Binding, BindingType

from console.tui import keymap

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Scope: TypeAlias = Literal[
    "app",
    "triage",
    "runs",
    "run",
    "details",
    "projects",
    "table",
    "log",
    "input",
    "confirm",
    "form",
    "help",
    "artifacts",
    "columns",
    "views",
    "beside",
]


class Action(NamedTuple):
    """One thing a key does; `name` is that of the method `action_<name>` of the app, screen or widget in `scope`."""

    name: str
    keys: tuple[str, ...]
    description: str
    scope: Scope
    footer: str = ""
    """The word in the footer; empty keeps the action out of it."""
    confirm: bool = False
    """Asks before it acts."""
    palette: bool = True
    priority: bool = False
    """Before the keys of what has the focus, such as a text that is typed."""
    writes: bool = False
    """Changes something; refused, and shown dimmed, in a console that was opened to look only."""


KEY_NAMES: Final = {
    "question_mark": "?",
    "slash": "/",
    "colon": ":",
    "equals_sign": "=",
    "plus": "+",
    "minus": "-",
    "less_than_sign": "<",
    "greater_than_sign": ">",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "escape": "esc",
    "pagedown": "PgDn",
    "pageup": "PgUp",
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
    "f1": "F1",
}
"""How keys are written for people, where that differs from Textual's name."""

SCOPE_TITLES: Final[dict[Scope, str]] = {
    "triage": "Triage",
    "runs": "Runs",
    "run": "One run",
    "details": "Details of a run",
    "projects": "Projects",
    "table": "In a table",
    "log": "In a log",
    "input": "While typing",
    "confirm": "In a question",
    "form": "In a form",
    "help": "In this help",
    "artifacts": "Among the files of a run",
    "columns": "Among the columns",
    "views": "Among the views",
    "beside": "Side by side",
    "app": "Everywhere",
}


def run_actions(scope: Scope, *, note_keys: tuple[str, ...] = ("n", "i")) -> tuple[Action, ...]:
    """What every screen with runs can do to the one under its cursor, or to those that are marked."""
    return (
        Action("stop", ("x",), "stop the run", scope, footer="stop", confirm=True, writes=True),
        Action("retry", ("R",), "retry the run: enqueue it once more", scope, footer="retry", writes=True),
        Action("clone", ("C",), "clone the run: edit its command, then enqueue it", scope, writes=True),
        Action("requeue", ("Q",), "put it in front of the queue, or an ended one into it", scope, writes=True),
        Action("release", ("L",), "let a held run start", scope, writes=True),
        Action("note", note_keys, "write a note about the run", scope, footer="note", writes=True),
        Action("tag", ("T",), "put tags on the run, take others off", scope, writes=True),
        Action("pin_run", ("p",), "keep the run from being deleted, or let go of it", scope, writes=True),
        Action("archive", ("A",), "pack the run's log and files away", scope, confirm=True, writes=True),
    )


ACTIONS: Final[tuple[Action, ...]] = (
    Action("open", ("enter",), "open the run, or what the row is about", "triage", footer="open"),
    *run_actions("triage"),
    Action("seen", ("a",), "mark the row as seen: it leaves your list", "triage", footer="seen", writes=True),
    Action("clear", ("c",), "clear what has ended while you were away", "triage", footer="clear", writes=True),
    Action("copy_command", ("y",), "copy the command", "triage"),
    Action("copy_id", ("Y",), "copy the run's id", "triage"),
    Action("open", ("enter",), "open the run under the cursor", "runs", footer="open"),
    Action("mark", ("space",), "mark the run: its curve joins the chart", "runs", footer="mark"),
    Action("filter", ("slash",), "filter by name, command, project, parameter or rN", "runs", footer="filter"),
    Action("sort", ("s",), "sort by the next column", "runs", footer="sort"),
    Action("reverse", ("S",), "reverse the order", "runs"),
    Action("beside", ("b",), "the marked runs side by side", "runs"),
    Action("columns", ("c",), "choose the columns", "runs"),
    Action("views", ("v",), "saved views: filter, order and columns", "runs"),
    Action("pin_metric", ("m",), "pin the metric for the project", "runs", confirm=True, writes=True),
    *run_actions("runs"),
    Action("copy_command", ("y",), "copy the command", "runs"),
    Action("copy_id", ("Y",), "copy the run's id", "runs"),
    Action("back", ("escape",), "clear the filter, then the marks", "runs", palette=False),
    Action("back", ("escape",), "back to the runs", "run", footer="back"),
    Action("next_metric", ("right_square_bracket",), "chart the next metric", "run", footer="metric"),
    Action("previous_metric", ("left_square_bracket",), "chart the previous metric", "run"),
    Action("pin_metric", ("m",), "pin the charted metric for the project", "run", confirm=True, writes=True),
    Action("smooth", ("s",), "smooth the curves: EMA 0.6, 0.9, 0.97, none", "run", footer="smooth"),
    Action("next_axis", ("t",), "x is step, epoch, time of day, time since the start", "run", footer="x axis"),
    Action("grid", ("v",), "as many charts as there is room for, or one", "run", footer="grid"),
    Action("logs", ("l",), "logarithmic y, then x, then both, then none", "run"),
    Action("look_nearer", ("plus",), "look at half the stretch of x", "run"),
    Action("look_farther", ("minus",), "look at twice the stretch of x", "run"),
    Action("look_before", ("less_than_sign",), "look at what lies before on x", "run"),
    Action("look_after", ("greater_than_sign",), "look at what lies after on x", "run"),
    Action("look_at_all", ("0",), "look at all of x", "run"),
    Action("cursor_left", ("left",), "read the curves one place to the left", "run"),
    Action("cursor_right", ("right",), "read the curves one place to the right", "run"),
    Action("follow", ("f",), "follow the end of the log", "run", footer="follow"),
    Action("search", ("slash",), "search the log", "run", footer="search"),
    Action("next_hit", ("n",), "next line that matches", "run"),
    Action("previous_hit", ("N",), "previous line that matches", "run"),
    Action("next_error", ("e",), "next line of the log that tells of an error", "run", footer="error"),
    Action("previous_error", ("E",), "previous line that tells of an error", "run"),
    Action("next_warning", ("w",), "next line that tells of a warning", "run"),
    Action("previous_warning", ("W",), "previous line that tells of a warning", "run"),
    Action("zoom", ("z",), "give the pane in focus the whole screen", "run", footer="zoom"),
    Action("next_pane", ("tab",), "focus the next pane", "run"),
    Action("previous_pane", ("shift+tab",), "focus the previous pane", "run"),
    *run_actions("run", note_keys=("i",)),
    Action("details", ("d",), "how it ended, params, environment, packages, code, notes", "run", footer="details"),
    Action("diff", ("D",), "the difference between the commit and the code that ran", "run"),
    Action("artifacts", ("a",), "what the run left behind: pictures, texts, models", "run", footer="files"),
    Action("copy_command", ("y",), "copy the command", "run"),
    Action("copy_id", ("Y",), "copy the run's id", "run"),
    Action("open", ("enter",), "show the runs of the project", "projects", footer="runs"),
    Action(
        "trust",
        ("t",),
        "let its footplate.toml start things by itself",
        "projects",
        footer="trust",
        confirm=True,
        writes=True,
    ),
    Action(
        "unwatch",
        ("u",),
        "watch the folder no more; its runs stay",
        "projects",
        footer="unwatch",
        confirm=True,
        writes=True,
    ),
    Action("copy_root", ("y",), "copy the folder's path", "projects", footer="copy"),
    Action("back", ("escape",), "back to the runs", "projects", footer="back"),
    Action("back", ("escape",), "back to the run", "details", footer="back"),
    Action("next_section", ("right_square_bracket", "tab"), "the next section", "details", footer="section"),
    Action("previous_section", ("left_square_bracket", "shift+tab"), "the section before", "details"),
    Action("search", ("slash",), "search the section", "details", footer="search"),
    Action("next_hit", ("n",), "next line that matches", "details", footer="next"),
    Action("previous_hit", ("N",), "previous line that matches", "details"),
    Action("copy_command", ("y",), "copy the command", "details"),
    Action("copy_id", ("Y",), "copy the run's id", "details"),
    Action("move(1)", ("j", "down"), "down", "table", palette=False),
    Action("move(-1)", ("k", "up"), "up", "table", palette=False),
    Action("page(1)", ("pagedown", "ctrl+f"), "a page down", "table", palette=False),
    Action("page(-1)", ("pageup", "ctrl+b"), "a page up", "table", palette=False),
    Action("half_page(1)", ("ctrl+d",), "half a page down", "table", palette=False),
    Action("half_page(-1)", ("ctrl+u",), "half a page up", "table", palette=False),
    Action("move_to(0)", ("g", "home"), "first row", "table", palette=False),
    Action("move_to(-1)", ("G", "end"), "last row", "table", palette=False),
    Action("pan(1)", ("right",), "more columns to the right", "table", palette=False),
    Action("pan(-1)", ("left",), "back to the columns on the left", "table", palette=False),
    Action("open", ("enter",), "open the row", "table", palette=False),
    Action("move(1)", ("j", "down"), "down", "log", palette=False),
    Action("move(-1)", ("k", "up"), "up; following ends", "log", palette=False),
    Action("page(1)", ("pagedown", "ctrl+f"), "a page down", "log", palette=False),
    Action("page(-1)", ("pageup", "ctrl+b"), "a page up", "log", palette=False),
    Action("half_page(1)", ("ctrl+d",), "half a page down", "log", palette=False),
    Action("half_page(-1)", ("ctrl+u",), "half a page up", "log", palette=False),
    Action("first", ("g", "home"), "first line of the log", "log", palette=False),
    Action("last", ("G", "end"), "last line, and follow", "log", palette=False),
    Action("toggle_follow", ("f",), "follow the end, or stop following", "log", palette=False),
    Action("pan(-1)", ("left",), "move left along long lines", "log", palette=False),
    Action("pan(1)", ("right",), "move right along long lines", "log", palette=False),
    Action("pan(0)", ("0",), "back to the start of the lines", "log", palette=False),
    Action("keep_filter", ("enter", "down"), "keep what was typed and go on", "input", palette=False),
    Action("drop_filter", ("escape",), "drop what was typed", "input", palette=False),
    Action("take_completion", ("tab",), "take the first completion; so does right", "input", palette=False),
    Action("earlier_filter", ("up",), "type a filter of before again", "input", palette=False),
    Action("accept", ("y",), "yes", "confirm", palette=False),
    Action("decline", ("n", "escape", "q"), "no", "confirm", palette=False),
    Action("submit", ("ctrl+d",), "send what was typed", "form", palette=False, priority=True),
    Action("close", ("escape",), "close it; an unsent note stays", "form", palette=False),
    Action("close", ("escape", "f1"), "close the help", "help", palette=False),
    Action("next_artifact", ("right_square_bracket",), "look at the next file", "artifacts", palette=False),
    Action("previous_artifact", ("left_square_bracket",), "look at the file before", "artifacts", palette=False),
    Action("close", ("escape", "a"), "back to the list, then to the run", "artifacts", palette=False),
    Action("start_job", ("J",), "start a job of a watched project", "app", writes=True),
    Action("toggle_column", ("space",), "choose the column, or choose it no more", "columns", palette=False),
    Action("move_column(1)", ("J",), "move the column behind the next", "columns", palette=False),
    Action("move_column(-1)", ("K",), "move the column before the one above", "columns", palette=False),
    Action("automatic", ("a",), "let the table choose its columns again", "columns", palette=False),
    Action("search", ("slash",), "search by a part of a name", "columns", palette=False),
    Action("close", ("escape",), "drop the search, then back to the table", "columns", palette=False),
    Action("save", ("s",), "keep what the table shows as a view", "views", palette=False),
    Action("delete_view", ("x",), "delete the view", "views", confirm=True, palette=False),
    Action("close", ("escape", "v"), "back to the table", "views", palette=False),
    Action("back", ("escape", "b"), "back to the runs", "beside", footer="back"),
    Action("equal_params", ("d",), "show the params that are equal, or hide them", "beside", footer="equal params"),
    Action("pause", ("equals_sign",), "pause the picture; runs go on", "app"),
    Action(
        "command_palette", ("colon", "ctrl+p"), "find an action by its name", "app", footer="palette", palette=False
    ),
    Action("lofi", ("ctrl+l",), "plain text of the screen, to select and copy", "app"),
    Action("next_theme", ("ctrl+t",), "the next theme: dark, light, the terminal's own colours", "app"),
    Action("help", ("question_mark", "f1"), "what every key does", "app", footer="help"),
    Action("show_triage", ("1",), "what wants you, what runs, what has ended", "app"),
    Action("show_runs", ("2",), "the table of runs", "app"),
    Action("show_projects", ("9",), "the watched projects", "app"),
    Action("quit", ("q", "ctrl+c"), "quit the screens; runs go on", "app", footer="quit"),
)


WRITING: Final = frozenset((action.scope, action.name) for action in ACTIONS if action.writes)
"""Scope and name of what a console that only looks refuses."""

_chosen: dict[str, tuple[str, ...]] = {}
"""Keys that the person chose, by action name."""


def rebind(wishes: Mapping[str, Sequence[str]]) -> bool:
    """Take the keys of the configuration, before any screen is imported; False when some of them cannot be had."""
    fitting, refused = keymap.fitting(ACTIONS, wishes)
    _chosen.clear()
    _chosen.update(fitting)
    return not refused


def in_scope(*scopes: Scope) -> tuple[Action, ...]:
    """The actions of scopes with the keys they have, in the order of the table."""
    return tuple(
        action._replace(keys=_chosen.get(keymap.full_name(action), action.keys))
        for action in ACTIONS
        if action.scope in scopes
    )


def bindings(scope: Scope, *, without: Sequence[str] = ()) -> list[BindingType]:
    """What Textual binds in a scope, but for some actions by name; the footer is drawn by our own key bar."""
    return [
        Binding(",".join(action.keys), action.name, action.description, show=False, priority=action.priority)
        for action in in_scope(scope)
        if action.name not in without
    ]


def footer_actions(scope: Scope) -> tuple[Action, ...]:
    """What the key bar of a screen offers, most used first."""
    return tuple(action for action in (*in_scope(scope), *in_scope("app")) if action.footer)


def palette_actions(scope: Scope) -> tuple[Action, ...]:
    """What the palette of a screen offers."""
    return tuple(action for action in (*in_scope(scope), *in_scope("app")) if action.palette)


def key_for(name: str) -> str:
    """The first key of an action such as `runs.stop`, as people write it: what a sentence names it by."""
    keys = _chosen.get(name) or next(action.keys for action in ACTIONS if keymap.full_name(action) == name)
    return key_name(keys[0])


def hints(*offers: str | tuple[str, str]) -> str:
    """What keys do, in one line: names of actions each with a word for it, and words about keys nobody can choose."""
    said = [offer if isinstance(offer, str) else f"{key_for(offer[0])} {offer[1]}" for offer in offers]
    return " · ".join(said)


def key_name(key: str) -> str:
    """A key as people write it."""
    return KEY_NAMES.get(key, key)


def key_names(action: Action) -> str:
    """All keys of an action as people write them."""
    return " ".join(map(key_name, action.keys))
