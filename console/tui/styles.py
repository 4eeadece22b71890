"""Styles of text that several widgets share."""

from typing import Final

MUTED: Final = "$foreground 60%"
"""For Textual's Content, which does not know the theme's `$text-muted`; cells of tables do."""
