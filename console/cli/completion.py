"""`footplate completion`: a script that teaches a shell to complete commands, options, runs, projects and metrics.

Each script hands the words so far to `footplate __complete` (`console.cli.completing`), which prints one candidate a
line with a description behind a tab, or `:files` where a path is wanted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

BASH: Final = r"""# footplate completion bash; in ~/.bashrc: source <(footplate completion bash)
_footplate() {
    local line quoted
    local -a lines=()
    mapfile -t lines < <(footplate __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
    COMPREPLY=()
    if [[ ${lines[0]} == :files ]]; then
        compopt -o default
        return
    fi
    for line in "${lines[@]}"; do
        printf -v quoted %q "${line%%$'\t'*}"
        COMPREPLY+=("$quoted")
    done
}
complete -F _footplate footplate
"""
ZSH: Final = r"""#compdef footplate
# footplate completion zsh; in ~/.zshrc, after compinit: source <(footplate completion zsh)
_footplate() {
    local line
    local -a names shown
    while IFS= read -r line; do
        if [[ $line == :files ]]; then
            _files
            return
        fi
        names+=("${line%%$'\t'*}")
        shown+=("${line/$'\t'/  }")
    done < <(footplate __complete "${(@)words[2,CURRENT]}" 2>/dev/null)
    compadd -l -d shown -a names
}
compdef _footplate footplate
"""
FISH: Final = r"""# footplate completion fish; in ~/.config/fish/config.fish: footplate completion fish | source
function __footplate_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l lines (footplate __complete $words[2..-1] 2>/dev/null)
    if test "$lines[1]" = :files
        __fish_complete_path (commandline -ct)
    else
        printf '%s\n' $lines
    end
end
complete -c footplate -f -a '(__footplate_complete)'
"""
SCRIPTS: Final = {"bash": BASH, "zsh": ZSH, "fish": FISH}


def add_arguments(parser: ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("shell", choices=tuple(SCRIPTS))


def execute(options: Namespace) -> int:
    """Print the script."""
    print(SCRIPTS[options.shell], end="")
    return 0
