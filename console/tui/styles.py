"""Styles of text that several widgets share."""

from typing import Final

MUTED: Final = "$foreground 60%"
"""For Textual's Content, which does not know the theme's `$text-muted`; cells of tables do."""
REFUSED: Final = "strike $foreground 40%"
"""Keys that a console which only looks refuses: dim, and struck through where colours do not tell."""
