"""Reading YAML that somebody else wrote, within bounds: plain values only, no depth and no expansion that ends us.

libyaml's composer calls itself for each level, and at some ten thousand the stack of the process is over; merge keys
(`<<`) can double with each use what they merge. Both are counted before anything is built.
"""

from __future__ import annotations

from typing import Any, Final

SIZE_MAX_BYTES: Final = 256 << 10
DEPTH_MAX: Final = 60
MERGES_MAX: Final = 40
"""Merge keys and references together: what they can grow to stays below a hundred thousand times."""


class YamlError(ValueError):
    """A text that is not read; the message is what to say after the name of the file."""


def load_yaml(content: bytes) -> Any:
    """The values of a YAML text: tables, lists, texts, numbers, dates; raises YamlError."""
    import yaml

    if len(content) > SIZE_MAX_BYTES:
        raise YamlError(f"has more than {SIZE_MAX_BYTES} bytes")
    try:
        check_shape(content)
        return yaml.load(content, yaml.CSafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" on line {mark.line + 1}" if mark is not None else ""
        raise YamlError(f"is no YAML that can be read{place}") from None
    except YamlError:
        raise
    except (ValueError, OverflowError, RecursionError) as error:
        # A date such as 2026-99-99, or a number with more digits than Python takes.
        raise YamlError(f"has a value that cannot be read: {str(error)[:80]}") from None


def check_shape(content: bytes) -> None:
    """Raise YamlError for a text that is too deep, or merges too much."""
    import yaml

    depth = merges = 0
    for event in yaml.parse(content, yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.AliasEvent) or (isinstance(event, yaml.ScalarEvent) and event.value == "<<"):
            merges += 1
        if depth > DEPTH_MAX:
            raise YamlError(f"is nested deeper than {DEPTH_MAX} levels")
        if merges > MERGES_MAX:
            raise YamlError(f"merges or refers more than {MERGES_MAX} times")
