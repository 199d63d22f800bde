"""The program as a whole: its overview, the help of its commands, and how it ends."""

import subprocess
import sys

import pytest

from pickflow.command_line import COMMANDS, main
from pickflow.command_line.parser import EXIT_CODES

HEAVY = {"torch", "obspy", "seisbench", "pandas", "matplotlib", "snakemake", "scipy"}


def modules_after(*calls):
    """Names of the modules that are loaded when these calls have shown their help."""
    code = f"""
import sys
from importlib import import_module
from contextlib import suppress
from pickflow.command_line import main
for call in {calls!r}:
    with suppress(SystemExit):
        main(call)
sys.stderr.write(" ".join(sys.modules))
"""
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stderr.split())


def test_the_overview_needs_the_standard_library_alone():
    outside = {name.partition(".")[0] for name in modules_after(["--help"])} - sys.stdlib_module_names
    # What the environment itself loads when Python starts stands in the second set too.
    assert outside - {name.partition(".")[0] for name in modules_after()} <= {"pickflow"}


def test_no_help_needs_a_heavy_library():
    assert HEAVY & modules_after(*([name, "--help"] for name in COMMANDS)) == set()


def test_the_overview_names_every_command_and_is_the_answer_to_none(capsys):
    assert main(["--help"]) == 0
    help_text = capsys.readouterr().out
    assert all(f"  {name} " in help_text for name in COMMANDS)
    assert main([]) == 2
    assert main(["estmate"]) == 2
    assert "no command 'estmate'" in capsys.readouterr().err
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("pickflow ")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_examples_and_exit_codes(name, capsys):
    with pytest.raises(SystemExit) as end:
        main([name, "--help"])
    assert end.value.code == 0
    help_text = capsys.readouterr().out
    assert "examples:" in help_text
    if name != "picker":  # which has those of the original
        assert f"  pickflow {name}" in help_text
        assert COMMANDS[name] in help_text
        assert EXIT_CODES in help_text


@pytest.mark.parametrize("name", COMMANDS)
def test_a_wrong_call_of_any_command_ends_with_2_and_one_message(name, capsys):
    assert main([name, "--no-such-option"]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("ERROR ")
    assert f"pickflow {name} --help shows all options" in output.err
    assert len(output.err.splitlines()) == 2


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["estimate"], 2, "give --configfile, or both --stations and --days"),
        (["estimate", "--stations", "3"], 2, "both --stations and --days"),
        (["estimate", "--stations", "3", "--days", "2", "--models", "Phasenet"], 2, "'Phasenet' is not known; known:"),
        (["estimate", "--stations", "0", "--days", "2"], 2, "'0' is not a whole number from 1 on"),
        (["estimate", "--configfile", "nowhere.yaml"], 1, "nowhere.yaml"),
        (["estimate", "--stations", "3", "--days", "2", "--measured", "nowhere"], 1, "no timings of picking"),
        (["trace", "e1", "--run", "nowhere"], 2, "run nowhere: there is no folder nowhere"),
        (["trace", "e1"], 1, "no event or pick 'e1' in the runs below results/"),
        (["trace", "e1", "--run", "empty"], 1, "not the folder of a run"),
        (["report", "empty"], 1, "no summary.json; the run has not ended"),
        (["report", "empti"], 2, "did you mean 'empty'?"),
        (["show", "empty"], 1, "no catalog; give the folder of a run"),
        (["compare", "nowhere.csv", "nowhere.xml"], 1, "nowhere.csv"),
        (["compare", "nowhere.csv", "nowhere.xml", "--pick-time-tolerance-s", "much"], 2, "float value: 'much'"),
        (["convert", "nowhere.dat", "--to", "csv", "--out", "x.csv"], 1, "nowhere.dat"),
        (["calibrate", "nowhere"], 1, "nowhere"),
        (["picker", "-d", "nowhere"], 2, "there is no such folder"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_line_without_a_traceback(words, status, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results" / "empty").mkdir(parents=True)
    assert main(words) == status
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert len([line for line in error.splitlines() if line.startswith("ERROR")]) == 1


@pytest.mark.parametrize("text", ["pick: {}\n", "run:\n", "run: ''\n", "run: ../elsewhere\n", "run: 7\n"])
def test_a_configuration_without_the_name_of_a_run_is_refused(text, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    (tmp_path / "my.yaml").write_text(text)
    assert main(["status", "my.yaml"]) == 2
    assert "run my.yaml: its key run is " in capsys.readouterr().err


def test_an_interruption_ends_with_130(monkeypatch, capsys):
    def interrupted(arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("pickflow.command_line.report.run", interrupted)
    assert main(["report", "x"]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_an_error_shows_no_secret(monkeypatch, capsys):
    def failing(arguments):
        raise ValueError("https://me:sesame@fdsn.example does not answer to open-sesame")

    monkeypatch.setattr("pickflow.command_line.report.run", failing)
    monkeypatch.setenv("FDSN_PASSWORD", "open-sesame")
    assert main(["report", "x"]) == 1
    assert "sesame" not in capsys.readouterr().err


def test_a_reader_that_goes_away_is_no_error():
    code = "from pickflow.command_line import main; raise SystemExit(main(['convert', '--formats']))"
    command = f'{sys.executable} -c "{code}" | true'
    assert subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False).stderr == ""
