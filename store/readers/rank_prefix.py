"""Which rank printed a line, where a launcher of several processes says so in front of it."""

from __future__ import annotations

import re
from typing import Final

# torchrun and torch's own handler of exceptions, torchelastic's redirects, OpenMPI's --tag-output, srun's --label.
_PREFIX: Final = re.compile(
    r"(?:\x1b\[[0-9;]*m)*(?:\[(?:rank|default|Rank)\s?(\d{1,6})\]:?|\[\d+,(\d{1,6})\]<std(?:out|err)>:|(\d{1,6}):(?=\s))\s?"
)


def split_rank(text: str) -> tuple[int, str]:
    """The rank that a line names and the line without it; 0 and the whole line when it names none."""
    match = _PREFIX.match(text)
    if match is None:
        return 0, text
    return int(match[match.lastindex or 0]), text[match.end() :]
