"""Spares the first frame the modules that Textual imports at its start and uses much later: a tenth of all it imports.

Each has a stand-in while Textual is imported, and is itself again for whoever imports it afterwards.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CALLED_LATER: Final = {
    "platformdirs": ("user_downloads_path",),
    "rich.table": ("Table",),
    "uuid": ("uuid4",),
}
"""What is taken out of them and called later, if at all."""
SAID_ELSEWHERE: Final = {"textual.types": "textual._types"}
"""Where the types stand that are taken out of them; they themselves import half of the widgets."""
DONE_WITHOUT: Final = ("ssl",)
"""asyncio is made for a Python that lacks it, and we speak through Unix sockets."""


class StandIn(ModuleType):
    """A module in the place of another, which it loads when it is asked for more than it has."""

    def __init__(self, name: str, elsewhere: str, called_later: tuple[str, ...]) -> None:
        super().__init__(name)
        self._elsewhere = elsewhere
        vars(self).update({each: self._loading(each) for each in called_later})

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if self._elsewhere and hasattr(found := importlib.import_module(self._elsewhere), name):
            return getattr(found, name)
        return getattr(self._itself(), name)

    def _loading(self, name: str) -> Callable[..., Any]:
        def call(*values: Any, **named: Any) -> Any:
            return getattr(self._itself(), name)(*values, **named)

        return call

    def _itself(self) -> ModuleType:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return importlib.import_module(self.__name__)


@contextlib.contextmanager
def put_off() -> Iterator[None]:
    """Within it, Textual is imported without them; before other threads begin."""
    stand_ins: dict[str, ModuleType | None] = {name: StandIn(name, "", names) for name, names in CALLED_LATER.items()}
    stand_ins |= {name: StandIn(name, elsewhere, ()) for name, elsewhere in SAID_ELSEWHERE.items()}
    stand_ins |= dict.fromkeys(DONE_WITHOUT)
    for name in [*stand_ins]:
        if name in sys.modules:
            del stand_ins[name]
    # A module of None is one that cannot be imported.
    sys.modules.update(stand_ins)  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name, stand_in in stand_ins.items():
            if sys.modules.get(name, stand_in) is stand_in:
                sys.modules.pop(name, None)
