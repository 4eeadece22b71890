"""The colours of chart series; nothing is imported, so that commands can draw charts too."""

from typing import Final

SERIES_COLOURS: Final[tuple[str, ...]] = (
    "#56B4E9",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#F0E442",
    "#D55E00",
    "#3D8BFD",
    "#C9D1D9",
    "#7FDBCA",
    "#A78BFA",
)
"""Okabe and Ito's colours in the order in which neighbours differ most; their dark blue and black are lightened,
because on a dark background nobody would see them."""
