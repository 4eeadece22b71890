"""The configuration: where each value comes from, what is said of a bad one, and that the console opens anyway."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from console import config, config_check
from console.client import ClientError
from console.config_model import ConfigFile
from console.readonly import ReadOnlyClient
from console.tui import actions, keymap
from tests import recorded
from tests.support import FOOTPLATE
from tests.terminal import Terminal
from tests.tui.pressing import sent_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support import Home

F6, F7, F9 = "\x1b[17~", "\x1b[18~", "\x1b[20~"


@pytest.fixture
def written(tmp_path: Path) -> Any:
    """Writes the two files; returns what is loaded then."""

    def write(text: str, system: str | None = None, **variables: str) -> config.Loaded:
        folder = tmp_path / "footplate"
        folder.mkdir(exist_ok=True)
        (folder / "config.toml").write_text(text, encoding="utf-8")
        box = tmp_path / "system.toml"
        if system is not None:
            box.write_text(system, encoding="utf-8")
        return config.load({"XDG_CONFIG_HOME": str(tmp_path), **variables}, str(box))

    return write


@pytest.fixture(autouse=True)
def _own_keys() -> Iterator[None]:
    """No test leaves other keys behind."""
    yield
    actions.rebind({})


def test_without_a_file_every_key_has_its_default(tmp_path: Path) -> None:
    loaded = config.load({"XDG_CONFIG_HOME": str(tmp_path)}, str(tmp_path / "none"))
    assert loaded == config.Loaded(config.DEFAULTS, {}, (), str(tmp_path / "none"))
    assert not loaded.is_suspect


def test_the_box_has_the_last_word_then_the_environment_then_the_file(written: Any, tmp_path: Path) -> None:
    text = 'theme = "okabe-light"\nglyphs = "ascii"\nmouse = false\n[hosts]\na = "one"\n[keys]\n"runs.stop" = "f7"\n'
    loaded = written(text, 'readonly = true\nmouse = true\n[hosts]\nb = "two"\n', FOOTPLATE_GLYPHS="braille")
    own = str(tmp_path / "footplate" / "config.toml")
    assert loaded.settings == config.Settings(
        theme="okabe-light",
        glyphs="braille",
        mouse=True,
        readonly=True,
        keys={"runs.stop": ("f7",)},
        hosts={"a": "one", "b": "two"},
    )
    assert loaded.sources["theme"] == loaded.sources["hosts.a"] == own
    assert loaded.sources["glyphs"] == "FOOTPLATE_GLYPHS"
    assert loaded.is_locked("mouse")
    assert loaded.is_locked("hosts.b")
    assert not loaded.is_locked("theme")
    assert not loaded.is_suspect


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('theme = "red"', "1: theme: 'red' is none of its words; expected one of okabe-dark, okabe-light, terminal"),
        ('\nmouse = "yes"', "2: mouse: 'yes' is text; expected true or false"),
        ("readonly = 1", "1: readonly: 1 is a number; expected true or false"),
        ("glyph = 3", "1: glyph: is no key that footplate knows (did you mean 'glyphs'?); expected one of theme, "),
        ("keys = 3", "1: keys: 3 is a number; expected a table"),
        ('[keys]\n"runs.stop" = 3', "2: keys.'runs.stop': 3 is a number; expected a key such as"),
        ('[keys]\n"runs.stop" = []', "2: keys.'runs.stop': is empty; expected a key such as"),
        ('[keys]\n"runs.stpo" = "X"', "2: keys.'runs.stpo': is no action; expected a name that"),
        ('[keys]\n"runs.stop" = "alt+x"', "2: keys.'runs.stop': 'alt+x' is no key that every terminal can send"),
        ('[keys]\n"runs.stop" = "ctrl+z"', "2: keys.'runs.stop': 'ctrl+z' is no key that every terminal can send"),
        ('[keys]\n"runs.stop" = "s"', "2: keys.'runs.stop': 's' is taken by runs.sort"),
        ('[keys]\n"table.move(1)" = "s"', "2: keys.'table.move(1)': 's' is taken by runs.sort"),
        ('[keys]\n"details.search" = "G"', "2: keys.'details.search': 'G' is taken by log.last"),
        ('[keys]\n"runs.stop" = "?"', "2: keys.'runs.stop': 'question_mark' is taken by app.help"),
        ('[hosts]\na = ""', "2: hosts.a: is empty; expected the name to show"),
        ('theme = "red', "1: theme: is no TOML"),
        ("mouse = true\nmouse = true", "2: mouse: is defined twice, first on line 1"),
    ],
)
def test_a_bad_value_is_named_with_its_line_and_left_out(written: Any, text: str, words: str) -> None:
    loaded = written(text)
    path = loaded.files[0].path
    [said] = config_check.complaints(loaded)
    assert said.startswith(f"{path}:{words}")
    bound, refused = keymap.fitting(actions.ACTIONS, loaded.settings.keys)
    assert loaded.is_suspect or refused
    assert not bound


def test_what_is_right_beside_what_is_wrong_is_in_force(written: Any) -> None:
    loaded = written('theme = "red"\nmouse = false\n[hosts]\na = 3\nb = "two"\n')
    assert (loaded.settings.theme, loaded.settings.mouse, loaded.settings.hosts) == ("okabe-dark", False, {"b": "two"})
    assert len(config_check.complaints(loaded)) == 2


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "config.toml"
    folder.mkdir()
    assert "Is a directory" in str(config_check.problems(str(folder))[0])
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b'theme = "okabe-dark"\n[hosts]\na = "\xe4"\n')
    assert str(config_check.problems(str(latin))[0]) == f"{latin}:3: is not UTF-8; expected text in UTF-8"
    for path in (folder, latin):
        found = config.read(str(path))
        assert found is not None
        assert found.suspect


def test_the_model_and_the_settings_have_the_same_keys_and_defaults() -> None:
    assert tuple(ConfigFile.model_fields) == config.Settings._fields
    assert ConfigFile.model_validate({}).model_dump() == config.DEFAULTS._asdict()


def test_chosen_keys_are_bound_shown_and_swapped() -> None:
    assert actions.rebind(
        {"runs.stop": ("f7", "ctrl+k"), "app.quit": ("f8",), "runs.sort": ("S",), "runs.reverse": ("s",)}
    )
    by_name = {keymap.full_name(each): each for scope in actions.SCOPE_TITLES for each in actions.in_scope(scope)}
    assert by_name["runs.stop"].keys == ("f7", "ctrl+k")
    assert (by_name["runs.sort"].keys, by_name["runs.reverse"].keys) == (("S",), ("s",))
    assert by_name["app.quit"].keys == ("f8", "ctrl+c")  # the way out stays
    assert "f7" in {actions.key_name(each.keys[0]) for each in actions.footer_actions("runs")}
    assert any(getattr(each, "key", "") == "f7,ctrl+k" for each in actions.bindings("runs"))


def test_what_shares_a_key_from_the_first_may_share_another_one() -> None:
    assert actions.rebind({"runs.open": ("o",), "table.open": ("o",), "log.pan(-1)": ("h",), "run.cursor_left": ("h",)})


def test_keys_chosen_inside_tables_and_logs_work_there(home: Home, tmp_path: Path) -> None:
    home.wait_ended(home.submit("true", name="first"))
    home.wait_ended(home.python("for n in range(300): print('line', n, 'of the log')" + " " * 99, name="second"))
    home.wait_ended(home.submit("true", name="third"))
    chosen = {"table.move(1)": "F6", "log.first": "F7", "log.pan(1)": "F9"}
    folder = tmp_path / "footplate"
    folder.mkdir()
    lines = [f'"{name}" = "{key}"' for name, key in chosen.items()]
    (folder / "config.toml").write_text("\n".join(["[keys]", *lines]), encoding="utf-8")
    environment = home.environment(XDG_CONFIG_HOME=str(tmp_path), TERM="xterm-256color", LANG="C.UTF-8")
    terminal = Terminal([FOOTPLATE, "--fresh"], environment)
    try:
        terminal.read_until(lambda seen: seen.shows("q quit"))
        terminal.type("2")
        terminal.read_until(lambda seen: seen.shows("by started") and at_cursor(seen, "third"))
        terminal.type(sent_for("j") + sent_for("down") + F6)  # the first two no longer move anything
        terminal.read_until(lambda seen: at_cursor(seen, "second"))
        terminal.type(sent_for("enter"))
        terminal.read_until(lambda seen: seen.shows("line 299 of the log"))
        terminal.type(sent_for("shift+tab") + F7)
        terminal.read_until(lambda seen: seen.shows("line 0 of the log"))
        terminal.type("d")  # the details, whose texts have the keys of a log
        terminal.read_until(lambda seen: seen.shows("exit code"))
        terminal.type("]")
        terminal.read_until(lambda seen: seen.shows(" command  "))
        terminal.type(F9)
        terminal.read_until(lambda seen: not seen.shows(" command  "))
    finally:
        terminal.close()


def at_cursor(terminal: Terminal, text: str) -> bool:
    """Whether the row under the cursor of a table holds this text."""
    return any(line.startswith(">") and text in line for line in terminal.screen.display)


def test_a_client_that_only_looks_sends_no_act(home: Home) -> None:
    run_id = home.python("import time; time.sleep(60)")
    client = ReadOnlyClient()
    assert client.runs().rows[0].id == run_id
    with pytest.raises(ClientError, match="only looks"):
        client.stop(run_id, "tester")
    assert home.client().run(run_id).row.state not in ("stopping", "stopped")
    client.close()


def test_the_command_shows_values_with_their_sources(home: Home, tmp_path: Path) -> None:
    folder = tmp_path / "footplate"
    folder.mkdir()
    path = folder / "config.toml"
    path.write_text('mouse = false\n[keys]\n"runs.stop" = "f7"\n"runs.sort" = "?"\n', encoding="utf-8")
    environment = home.environment(XDG_CONFIG_HOME=str(tmp_path), FOOTPLATE_GLYPHS="ascii")
    done = home.footplate("config", "--json", env=environment, check=False)
    rows = {row["key"]: (row["value"], row["source"]) for row in json.loads(done.stdout)["settings"]}
    assert rows == {
        "theme": ("okabe-dark", "default"),
        "glyphs": ("ascii", "FOOTPLATE_GLYPHS"),
        "mouse": (False, str(path)),
        "readonly": (False, "default"),
        "slow": ("auto", "default"),
        "keys.runs.stop": (["f7"], str(path)),
    }
    assert done.returncode == 1
    assert done.stderr.startswith(f"footplate: {path}:4: keys.'runs.sort': 'question_mark' is taken by app.help")
    assert home.daemon_pid() is None
    listed = home.footplate("config", "--actions", env=environment).stdout
    assert re.search(r"^runs\.stop +f7 +stop the run$", listed, re.MULTILINE)


def test_the_console_opens_with_a_bad_file_and_says_so(home: Home, tmp_path: Path) -> None:
    folder = tmp_path / "footplate"
    folder.mkdir()
    (folder / "config.toml").write_text('theme = "red"\n[hosts]\n', encoding="utf-8")
    environment = home.environment(XDG_CONFIG_HOME=str(tmp_path), TERM="xterm-256color")
    terminal = Terminal([FOOTPLATE], environment)
    try:
        terminal.read_until(lambda seen: seen.shows("configuration") and seen.shows("'red'"))
        terminal.type("q")
        assert terminal.wait() == 0
    finally:
        terminal.close()


def reference() -> str:
    """The keys of the configuration as Markdown."""
    lines = ["\n| key | takes | default | example | |\n|---|---|---|---|---|\n"]
    for name, field in ConfigFile.model_fields.items():
        takes = "true or false" if name in config.FLAGS else "table"
        takes = " ".join(f"`{word}`" for word in config.CHOICES[name]) if name in config.CHOICES else takes
        default = "–" if field.default == {} else f"`{json.dumps(field.default)}`"
        [example] = field.examples or []
        lines.append(f"| `{name}` | {takes} | {default} | `{example}` | {field.description} |\n")
    return "".join(lines) + "\n"


def test_the_reference_in_the_docs_is_that_of_the_model_and_the_registry() -> None:
    recorded.compare_part("configuration.md", "configuration", reference())


def test_every_example_of_the_reference_is_right() -> None:
    for name, field in ConfigFile.model_fields.items():
        [example] = field.examples or []
        assert config_check.of_text(f"{name} = {example}\n", "x") == []
    page = (recorded.ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    for text in re.findall(r"```toml\n(.*?)```", page, re.DOTALL):
        assert config_check.of_text(text, "x") == []
