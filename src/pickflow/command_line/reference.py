"""The page of all commands: ``python -m pickflow.command_line.reference > docs/commands.md``."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module

from pickflow.command_line import COMMANDS, GROUPS
from pickflow.command_line.parser import EXIT_CODES

_HEAD = """\
# Commands

All commands are called as `pickflow COMMAND`; in the checkout it is `.venv/bin/pickflow`. `pickflow COMMAND --help`
shows the same text. (This page is made from the program: `make docs`.)

A run is named by its name (`my-run`, below `results/` of the current folder), its folder (`results/my-run`), or its
configuration (`my.yaml`). An error is a line that begins with `ERROR` and names the thing, the value and the remedy;
no message holds a secret.

| exit code | |
|---|---|
"""


def parsers() -> dict[str, argparse.ArgumentParser]:
    """The parser of each command."""
    return {name: import_module(f"pickflow.command_line.{name}").make_parser() for name in COMMANDS}


def help_of(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    """Help text of an option, with its default filled in."""
    return parser._get_formatter()._expand_help(action) if action.help else ""


def page() -> str:
    """The page in Markdown."""
    codes = EXIT_CODES.removeprefix("exit code: ").split("; ")
    parts = [_HEAD + "\n".join(f"| {code.partition(' ')[0]} | {code.partition(' ')[2]} |" for code in codes)]
    parsers_by_name = parsers()
    for title, commands in GROUPS.items():
        parts.append(f"## {title[0].upper()}{title[1:]}")
        parts += [_section(name, parsers_by_name[name]) for name in commands]
    return "\n\n".join(parts) + "\n"


def _section(name: str, parser: argparse.ArgumentParser) -> str:
    summary = COMMANDS[name]
    details = (parser.description or "").removeprefix(summary).strip()
    parts = [f"### pickflow {name}", f"{summary[0].upper()}{summary[1:]}. {details}".strip()]
    examples = getattr(import_module(f"pickflow.command_line.{name}"), "EXAMPLES", "").strip()
    if examples:
        parts.append("\n".join(["```bash", *map(_as_shell, examples.splitlines()), "```"]))
    options = [action for action in parser._actions if action.dest != "help"]
    rows = [f"| {_name(action)} | {_cell(help_of(parser, action))} |" for action in options]
    return "\n\n".join([*parts, "\n".join(["| | |", "|---|---|", *rows])])


def _as_shell(example: str) -> str:
    """An example with its remark as a comment."""
    call, bracket, remark = example.partition("  (")
    return f"{call}  # {remark.removesuffix(')')}" if bracket else call


def _name(action: argparse.Action) -> str:
    """Name of an option or argument."""
    value = action.metavar or (None if action.option_strings else action.dest.upper())
    if value is None and action.nargs != 0:
        value = "\\|".join(map(str, action.choices)) if action.choices else action.dest.upper()
    default = " ".join(value) if isinstance(value, tuple) else value or ""
    default += " …" if action.nargs in ("+", "*") else ""
    return f"`{' '.join([*action.option_strings, _cell(default)]).strip()}`"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


if __name__ == "__main__":
    sys.stdout.write(page())
