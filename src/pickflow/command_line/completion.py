"""``pickflow completion``: scripts that complete commands and options in a shell."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from pickflow.command_line import COMMANDS
from pickflow.command_line.parser import Parser, command_parser, say

EXAMPLES = """
pickflow completion bash > ~/.local/share/bash-completion/completions/pickflow
pickflow completion zsh > ~/.pickflow.zsh       (then in ~/.zshrc: source ~/.pickflow.zsh)
pickflow completion fish > ~/.config/fish/completions/pickflow.fish
"""
_BASH = """\
_pickflow() {{
    local current="${{COMP_WORDS[COMP_CWORD]}}" words=""
    case "$COMP_CWORD ${{COMP_WORDS[1]}}" in
        1\\ *) words="{commands}" ;;
{cases}
    esac
    case "$COMP_CWORD $current" in
        1\\ *|*\\ -*) COMPREPLY=($(compgen -W "$words" -- "$current")) ;;
        *) COMPREPLY=($(compgen -f -- "$current")) ;;
    esac
}}
complete -o filenames -F _pickflow pickflow"""
_ZSH = "autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\n"


def make_parser() -> Parser:
    """The options of ``pickflow completion``."""
    parser = command_parser("completion", EXAMPLES)
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="shell of the script")
    return parser


def run(arguments: Sequence[str]) -> int:
    """Run ``pickflow completion``."""
    shell = make_parser().parse_args(arguments).shell
    return say(_fish() if shell == "fish" else (_ZSH if shell == "zsh" else "") + _bash())


def _bash() -> str:
    from pickflow.command_line.reference import parsers

    options_of = {
        name: " ".join(option for action in parser._actions for option in action.option_strings)
        for name, parser in parsers().items()
    }
    cases = [f'        *\\ {name}) words="{options}" ;;' for name, options in options_of.items()]
    return _BASH.format(commands=" ".join(COMMANDS), cases="\n".join(cases))


def _fish() -> str:
    from pickflow.command_line.reference import help_of, parsers

    lines = [
        f"complete -c pickflow -n __fish_use_subcommand -f -a {name} -d {shlex.quote(summary)}"
        for name, summary in COMMANDS.items()
    ]
    for name, parser in parsers().items():
        for action in parser._actions:
            flags = [f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}" for flag in action.option_strings]
            if flags:
                flags += ["-r"] if action.nargs != 0 else []
                condition = shlex.quote(f"__fish_seen_subcommand_from {name}")
                flags += ["-d", shlex.quote(help_of(parser, action))]
                lines.append(f"complete -c pickflow -n {condition} {' '.join(flags)}")
    return "\n".join(lines)
