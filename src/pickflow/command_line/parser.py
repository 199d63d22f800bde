"""Shared parts of all commands: descriptions of options, output, and exit codes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from pickflow.command_line import COMMANDS

EXIT_CODES = (
    "exit code: 0 done; 1 something is not as it should be, and the message says what; 2 wrong call; 130 interrupted"
)


class UsageError(ValueError):
    """A wrong call of a command; the message has the reason and the remedy."""


class Parser(argparse.ArgumentParser):
    """Leaves the end of the program to the caller."""

    def error(self, message: str) -> NoReturn:
        """Raise a `UsageError`."""
        raise UsageError(message)


def command_parser(command: str, examples: str, details: str = "") -> Parser:
    """
    Parser of a command without options.

    Parameters
    ----------
    command : str
        One of the commands of the program.
    examples : str
        Example calls, one a line.
    details : str, optional
        Text after the summary in the help.
    """
    lines = "\n".join(f"  {line}" for line in examples.strip().splitlines())
    return Parser(
        f"pickflow {command}",
        description=f"{COMMANDS[command]}\n\n{details}".strip(),
        epilog=f"examples:\n{lines}\n\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def value(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """A type of argparse that keeps the message of a ValueError."""

    def convert(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return convert


def number(text: str, description: str, check: Callable[[float], bool], kind: type = float) -> Any:
    """
    A number of an option.

    Raises
    ------
    ValueError
        If it is none, or none that passes the check.
    """
    try:
        value = kind(text)
    except ValueError:
        raise ValueError(f"{text!r} is not {description}") from None
    if not check(value):
        raise ValueError(f"{text!r} is not {description}")
    return value


def count(text: str) -> int:
    """A whole number from 1 on."""
    return int(number(text, "a whole number from 1 on", lambda value: value >= 1, int))


def cores(text: str) -> str:
    """A number of processors, or all."""
    return text if text == "all" else str(count(text))


def require_configuration(path: str) -> None:
    """
    Refuse a configuration that does not exist.

    Raises
    ------
    UsageError
        Naming the path.
    """
    if not Path(path).is_file():
        raise UsageError(f"{path}: there is no such configuration (seen from {Path.cwd()}); write one first")


def say(text: str) -> int:
    """Write a text to standard output, without secrets; returns 0."""
    _write(sys.stdout, text)
    return 0


def write_error(text: str) -> None:
    """Write an error or a warning, without secrets."""
    _write(sys.stderr, text)


def _write(stream: Any, text: str) -> None:
    from pickflow import secrets

    secrets.remember_environment()
    stream.write(secrets.redact(text) + "\n")
    stream.flush()
