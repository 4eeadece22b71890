"""What the screens say about keys follows the keys that a person chose."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from console.tui import actions, keymap, screens
from console.tui.widgets.tab_bar import TABS
from tests.tui.artifact_boxes import box_with_files
from tests.tui.pilots import opened, press, run, screen_text
from tests.tui.stand_in import TO_R218, Box, example_box

if TYPE_CHECKING:
    from collections.abc import Iterator

TUI = Path(actions.__file__).parent
A_KEY_AND_WHAT_IT_DOES = re.compile(
    r"(?:^|[·:;,(\n] ?|then |with |press )(esc|enter|space|tab|ctrl\+[a-z]|F1|[b-zA-Z/+=\[\]?<>])"
    r"(?= [a-z]+s\b| goes| back| done| next| before| list| side| looks)"
)
NOBODY_CHOOSES = {
    "enter chooses": "Textual's field",
    "enter sends": "Textual's field",
    "enter starts": "Textual's field",
    "tab next field": "Textual's focus",
    "plain text: select and copy it with the terminal; esc goes back": "no screen is there",
}
"""Words about keys that are no action's."""


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every key is another one in all that is said; what was bound before stays bound."""
    for module in pkgutil.iter_modules(screens.__path__):
        importlib.import_module(f"{screens.__name__}.{module.name}")
    names = (keymap.full_name(action) for action in actions.ACTIONS if action.scope != "input")
    monkeypatch.setattr(actions, "_chosen", {name: (f"<{name.replace('_', '.')}>",) for name in names})


def strings(source: str) -> Iterator[str]:
    """All texts in a module that are no docstrings."""
    tree = ast.parse(source)
    docs = {
        node.value for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docs:
            yield node.value


def test_no_sentence_of_the_screens_names_a_key_by_itself() -> None:
    found = {
        f"{path.name}: {text}"
        for path in TUI.rglob("*.py")
        if path.name != "actions.py"
        for text in strings(path.read_text(encoding="utf-8"))
        if A_KEY_AND_WHAT_IT_DOES.search(text) and text not in NOBODY_CHOOSES
    }
    assert found == set()


def test_the_names_are_those_of_the_chosen_keys_and_of_the_first_of_several() -> None:
    assert actions.key_for("runs.back") == "esc"
    assert actions.key_for("table.move_to(-1)") == "G"
    assert actions.hints("type", ("form.submit", "sends")) == "type · ctrl+d sends"
    try:
        assert actions.rebind({"form.submit": ("f5", "f6")})
        assert actions.hints("type", ("form.submit", "sends")) == "type · f5 sends"
    finally:
        actions.rebind({})


@pytest.mark.usefixtures("chosen")
@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ((), tuple(f"<{action.replace('_', '.')}>{name}" for action, name in TABS)),
        (("equals_sign",), ("<app.pause> paused",)),
        (("b",), ("mark two runs with <runs.mark>, then <runs.beside>",)),
        (("space", "space"), ("<runs.beside> side by side",)),
        (("down", "down", "space", "space", "b"), ("<beside.equal.params> shows it",)),
        (("slash", *"no such", "enter"), ("<runs.back> clears",)),
        ((*TO_R218, "R"), ("<runs.stop> stops it",)),
        ((*TO_R218, "x"), ("<confirm.accept> stop it", "<confirm.decline>")),
        ((*TO_R218, "n"), ("<form.submit> sends · <form.close> closes, the text stays",)),
        ((*TO_R218, "T"), ("enter sends · <form.close> closes",)),
        ((*TO_R218, "enter", "greater_than_sign"), ("<run.look.nearer> looks nearer",)),
        ((*TO_R218, "enter", "n"), ("nothing to search for yet: <run.search> asks",)),
        ((*TO_R218, "enter", "d", "n"), ("nothing to search for yet: <details.search> asks",)),
        ((*TO_R218, "enter", "f"), ("<run.follow> follows the end",)),
        (("C",), ("<form.submit> enqueues · <form.close> closes",)),
        (("J",), ("enter chooses · <form.close> closes",)),
        (("c",), ("<columns.toggle.column> toggles",)),
        (("v",), ("<views.save> keeps what is shown", "no views yet", "<views.save> keeps filter")),
        (("question_mark",), ("<help.close> closes",)),
    ],
)
def test_what_is_said_names_the_chosen_key(keys: tuple[str, ...], words: tuple[str, ...]) -> None:
    run(lambda: says(example_box(), keys, words))


@pytest.mark.usefixtures("chosen")
def test_what_is_said_of_files_names_the_chosen_key() -> None:
    box = box_with_files()
    run(lambda: says(box, (*TO_R218, "enter"), ("<run.artifacts> shows them",)))
    run(lambda: says(box, (*TO_R218, "enter", "a"), ("<table.open> shows it · <artifacts.close> closes",)))


async def says(box: Box, keys: tuple[str, ...], words: tuple[str, ...]) -> None:
    """Press keys on the table of runs and look."""
    async with opened(box, size=(200, 60)) as (app, pilot):
        await press(pilot, *keys)
        shown = squeezed(screen_text(app))
        assert [each for each in words if squeezed(each) not in shown] == [], screen_text(app)


def squeezed(text: str) -> str:
    """Without the places where a line may end."""
    return "".join(text.replace("▌", " ").split())
