"""The keys of `config.toml`, checked by pydantic. The text under each is its reference in docs/configuration.md.

Import this late: pydantic takes a tenth of a second.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr

from console.config import DEFAULTS, GlyphChoice, SlowChoice, Theme


class ConfigFile(BaseModel):
    """A configuration file; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    theme: Theme = Field(DEFAULTS.theme, examples=['"okabe-light"'])
    """The colours of the screens; `terminal` takes the sixteen of the terminal's own palette."""
    glyphs: GlyphChoice = Field(DEFAULTS.glyphs, examples=['"ascii"'])
    """What curves are drawn with; `auto` goes by `TERM` and the locale."""
    mouse: StrictBool = Field(DEFAULTS.mouse, examples=["false"])
    """Whether clicks and the wheel reach the console; without, the terminal's own selecting and copying works."""
    readonly: StrictBool = Field(DEFAULTS.readonly, examples=["true"])
    """Whether the console only looks: nothing is stopped, enqueued, noted or deleted from it."""
    slow: SlowChoice = Field(DEFAULTS.slow, examples=['"always"'])
    """Fewer pictures for a thin line, at most 5 KiB/s; `auto` does so when the terminal takes over 150 ms to answer."""
    keys: dict[StrictStr, StrictStr | list[StrictStr]] = Field({}, examples=['{ "runs.stop" = "F8" }'])
    """Other keys for actions, by their [names](#names-of-actions); one key, or a list of them."""
    hosts: dict[StrictStr, StrictStr] = Field({}, examples=['{ "ip-10-0-3-7" = "gpu-03" }'])
    """What boxes are called in the header, by their host names."""
