"""The person's configuration, read before the first frame with the standard library alone.

`$XDG_CONFIG_HOME/footplate/config.toml` holds the person's wishes, `/etc/footplate/config.toml` what the box decides:
a key there is locked. Here a value is taken when it is plainly right and left out otherwise; `console.config_check`
says afterwards, with file and line, what was wrong with the rest.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias, get_args

if TYPE_CHECKING:
    from collections.abc import Mapping

Theme: TypeAlias = Literal["okabe-dark", "okabe-light", "terminal"]
GlyphChoice: TypeAlias = Literal["auto", "braille", "ascii"]
SlowChoice: TypeAlias = Literal["auto", "always", "never"]

FILE_NAME: Final = "config.toml"
SYSTEM_PATH: Final = "/etc/footplate/config.toml"
VARIABLES: Final = {"glyphs": "FOOTPLATE_GLYPHS"}
"""Keys that a variable of the environment may set for one shell."""
CHOICES: Final[dict[str, tuple[str, ...]]] = {
    "theme": get_args(Theme),
    "glyphs": get_args(GlyphChoice),
    "slow": get_args(SlowChoice),
}
"""What the keys take that take one of a few words."""
FLAGS: Final = ("mouse", "readonly")
TABLES: Final = ("keys", "hosts")
"""Tables whose keys are chosen by the person: each of them comes from its own place."""
FILE_MAX_BYTES: Final = 1 << 20


class Settings(NamedTuple):
    """What is in force. `console.config_model` says what each key means; a test holds the two together."""

    theme: Theme = "okabe-dark"
    glyphs: GlyphChoice = "auto"
    mouse: bool = True
    readonly: bool = False
    slow: SlowChoice = "auto"
    keys: Mapping[str, tuple[str, ...]] = {}
    hosts: Mapping[str, str] = {}


DEFAULTS: Final = Settings()


class File(NamedTuple):
    """One configuration file as it was found."""

    path: str
    values: dict[str, Any]
    """What is plainly right in it."""
    suspect: bool
    """Something else stands in it, or it could not be read."""


class Loaded(NamedTuple):
    """The settings with where each comes from."""

    settings: Settings
    sources: dict[str, str]
    """By key, such as `theme` or `keys.runs.stop`: a path or a variable. Keys with their defaults are not in it."""
    files: tuple[File, ...]
    """The person's, then the box's, as far as they are there."""
    system_path: str = SYSTEM_PATH

    def is_locked(self, key: str) -> bool:
        """Whether the box has decided a key."""
        return self.sources.get(key) == self.system_path

    @property
    def is_suspect(self) -> bool:
        """Whether a file holds something that was left out."""
        return any(file.suspect for file in self.files)


def config_dir(environ: Mapping[str, str]) -> str:
    """`$XDG_CONFIG_HOME/footplate`, else `~/.config/footplate`."""
    base = environ.get("XDG_CONFIG_HOME", "")
    return os.path.join(base if os.path.isabs(base) else os.path.expanduser("~/.config"), "footplate")


def user_path(environ: Mapping[str, str]) -> str:
    """The person's own file, which need not be there."""
    return os.path.join(config_dir(environ), FILE_NAME)


def load(environ: Mapping[str, str], system_path: str = SYSTEM_PATH) -> Loaded:
    """Everything that is in force: defaults, the person's file, the environment, then the box's file over all."""
    own, box = read(user_path(environ)), read(system_path)
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    variables = {key: environ.get(name, "").lower() for key, name in VARIABLES.items()}
    wished = {key: value for key, value in variables.items() if value in CHOICES[key]}
    layers = [(own.path, own.values)] if own else []
    layers += [(VARIABLES[key], {key: value}) for key, value in wished.items()]
    layers += [(box.path, box.values)] if box else []
    for source, layer in layers:
        for key, value in layer.items():
            if key in TABLES:
                values[key] = {**values.get(key, {}), **value}
                sources |= {f"{key}.{name}": source for name in value}
            else:
                values[key], sources[key] = value, source
    return Loaded(DEFAULTS._replace(**values), sources, tuple(file for file in (own, box) if file), system_path)


def read(path: str) -> File | None:
    """A configuration file; None when there is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        return File(path, {}, suspect=True)
    import tomllib  # 3 ms, for those who have a file

    try:
        with open(descriptor, "rb") as file:
            tables = tomllib.loads(file.read(FILE_MAX_BYTES).decode())
    except (OSError, ValueError, RecursionError):
        return File(path, {}, suspect=True)
    values = {key: taken for key, value in tables.items() if (taken := plainly_right(key, value)) is not None}
    complete = set(values) == set(tables) and all(
        len(values[key]) == len(tables[key]) for key in TABLES if key in values
    )
    return File(path, values, suspect=not complete)


def plainly_right(key: str, value: Any) -> Any:
    """A value in the form of `Settings`; None for what cannot be used."""
    if key in CHOICES:
        return value if isinstance(value, str) and value in CHOICES[key] else None
    if key in FLAGS:
        return value if isinstance(value, bool) else None
    if key == "keys" and isinstance(value, dict):
        return {name: bound for name, entry in value.items() if (bound := key_list(entry))}
    if key == "hosts" and isinstance(value, dict):
        return {name: shown for name, shown in value.items() if isinstance(shown, str) and shown}
    return None


def key_list(entry: Any) -> tuple[str, ...]:
    """The keys of one entry of `[keys]`: one text, or a list of them; empty for anything else."""
    words = [entry] if isinstance(entry, str) else entry
    if isinstance(words, list) and words and all(isinstance(word, str) and word for word in words):
        return tuple(words)
    return ()


def names() -> tuple[str, ...]:
    """All keys of the top level."""
    return Settings._fields
