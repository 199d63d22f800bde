"""What is made from the parsers: the page of all commands, and what completes them in a shell."""

import subprocess

import pytest

from pickflow.command_line import COMMANDS, main
from pickflow.command_line.reference import help_of, page, parsers
from tests.conftest import ROOT


def test_the_page_of_all_commands_is_that_of_the_program():
    assert (ROOT / "docs" / "commands.md").read_text() == page(), "make docs writes it anew"


def test_every_option_says_what_it_means():
    for name, parser in parsers().items():
        silent = [action.dest for action in parser._actions if not help_of(parser, action)]
        assert silent in ([], ["denoise"], ["associators"], ["denoise", "associators"]), name


@pytest.fixture
def script(tmp_path, capsys):
    """The script for bash, in a file."""
    assert main(["completion", "bash"]) == 0
    path = tmp_path / "pickflow.bash"
    path.write_text(capsys.readouterr().out)
    return path


def completed(script, *words, folder="."):
    """What bash proposes for the last of some words."""
    line = " ".join(f"'{word}'" for word in words)
    code = f"source '{script}'; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _pickflow; echo ${{COMPREPLY[@]}}"
    process = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True, cwd=folder)
    return process.stdout.split()


def test_bash_completes_commands_options_and_files(script, tmp_path):
    folder = tmp_path / "empty"
    folder.mkdir()
    (folder / "my.yaml").touch()
    assert set(completed(script, "pickflow", "")) == set(COMMANDS)
    assert completed(script, "pickflow", "co") == ["compare", "convert", "completion"]
    assert completed(script, "pickflow", "status", "my-run", "--w") == ["--watch"]
    assert completed(script, "pickflow", "run", "m", folder=folder) == ["my.yaml"]


def test_zsh_and_fish_have_every_command_and_option(capsys):
    assert main(["completion", "zsh"]) == 0
    zsh = capsys.readouterr().out
    assert "bashcompinit" in zsh
    assert main(["completion", "fish"]) == 0
    fish = capsys.readouterr().out
    for name, parser in parsers().items():
        assert f"-a {name} -d " in fish
        for action in parser._actions:
            for flag in action.option_strings:
                assert flag in zsh
                assert f" -{'l' if flag.startswith('--') else 's'} {flag.lstrip('-')} " in fish
    assert main(["completion", "tcsh"]) == 2
