"""Opens the full-screen console: its options, the configuration, the terminal; nothing heavy before the first frame."""

from __future__ import annotations

import gc
import os
from typing import TYPE_CHECKING, Any

from console import config, remembered
from console.tui import early_frame, terminal
from console.tui.memory import Memory

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Sequence

    from console.config import Loaded, Settings
    from console.tui.courier import ClientFactory
    from console.tui.terminal import TerminalProfile


def open_console(arguments: Sequence[str] = (), host: str | None = None) -> int:
    """The console of this box or of `host`, where the terminal can show it; returns the exit code."""
    from console.__main__ import EXIT_INTERRUPTED, fail

    loaded = config.load(os.environ)
    settings = wished(loaded, arguments)
    profile = terminal.detect(os.environ, has_terminal=terminal.has_terminal())
    refusal = terminal.refuse(profile)
    if refusal:
        return fail(refusal)
    fresh = "--fresh" in arguments
    if host is not None:
        return open_elsewhere(profile, loaded, settings, host, fresh=fresh)
    problem = prepare_home()
    if problem:
        return fail(problem)
    try:
        return show(profile, loaded, settings, os.uname().nodename, fresh=fresh)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def open_elsewhere(profile: TerminalProfile, loaded: Loaded, settings: Settings, host: str, *, fresh: bool) -> int:
    """The console of another host, whose daemon is reached through ssh while questions can still be asked."""
    from console.__main__ import EXIT_INTERRUPTED, fail, say
    from console.client import ClientError
    from console.remote import HostClient, Remote

    there = Remote(host)
    try:
        if words := there.open(ask=True):
            say(words)
        return show(profile, loaded, settings, host, fresh=fresh, client_factory=HostClient)
    except ClientError as error:
        return fail(error.message, error.hint)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    finally:
        there.close()


def show(
    profile: TerminalProfile,
    loaded: Loaded,
    settings: Settings,
    host: str,
    *,
    fresh: bool,
    client_factory: ClientFactory | None = None,
) -> int:
    """Take the screen."""
    profile = terminal.adjusted(profile, settings)
    terminal.apply_environment(profile, os.environ)
    kept = Memory(remembered.path_for(host), writes=not settings.readonly, fresh=fresh)
    early = early_frame.of(profile, settings, kept.kept)
    with early.shown():
        gc.disable()  # until the first frame: what is made before it stays, and collecting takes a tenth of its time
        from console.tui.put_off import put_off

        with put_off():
            import textual.app  # noqa: F401
        from console.tui import actions

        suspect = not actions.rebind(settings.keys) or loaded.is_suspect
        from console.tui.app import run_tui

        return run_tui(
            client_factory=client_factory,
            profile=profile,
            settings=settings,
            suspect=loaded if suspect else None,
            kept=kept,
            early=early,
        )


def wished(loaded: Loaded, arguments: Sequence[str]) -> Settings:
    """The settings with what the options of the command line say, as far as the box has not locked it."""
    if not arguments:
        return loaded.settings
    options = parser().parse_args(arguments)
    chosen: dict[str, Any] = {
        "theme": options.theme,
        "glyphs": options.glyphs,
        "readonly": options.readonly or None,
        "mouse": False if options.no_mouse else None,
        "slow": "always" if options.slow else None,
    }
    given = {key: value for key, value in chosen.items() if value is not None}
    return loaded.settings._replace(**{key: value for key, value in given.items() if not loaded.is_locked(key)})


def parser() -> ArgumentParser:
    """The options of `footplate` without a command."""
    import argparse

    made = argparse.ArgumentParser(prog="footplate", description="the console", add_help=False)
    made.add_argument("--theme", choices=config.CHOICES["theme"], help="colours of the screens")
    made.add_argument("--glyphs", choices=config.CHOICES["glyphs"], help="what curves are drawn with")
    made.add_argument("--readonly", action="store_true", help="only look: nothing can be stopped, noted or deleted")
    made.add_argument("--no-mouse", action="store_true", help="leave the mouse to the terminal, to select and copy")
    made.add_argument("--fresh", action="store_true", help="do not come back to where the last console was left")
    made.add_argument("--host", metavar="BOX", help="the daemon there, through your own ssh")
    made.add_argument("--slow", action="store_true", help="send at most 5 KiB/s to the terminal")
    return made


def prepare_home() -> str:
    """Choose a local directory where the state directory is on a network, while questions can still be asked; returns
    what is wrong, or ""."""
    from console.__main__ import ask, say
    from store import local_home, paths

    home = paths.state_dir()
    try:
        words = local_home.settle(home, ask)
    except OSError as error:
        return f"cannot use {error.filename or home}: {error.strerror or error}"
    if words:
        say(words)
    return ""
