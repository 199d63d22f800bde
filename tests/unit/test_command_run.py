"""``pickflow check``, ``plan`` and ``run``: what is said before the workflow starts, and how it is started."""

import json

import pytest
import yaml

from pickflow.command_line import main, plan, run
from pickflow.run.settings.configuration import Configuration
from tests.conftest import ROOT
from tests.snakemake_runner import SMALL

FAULTS = {"pick": {"modells": ["PhaseNet"]}, "download": SMALL["download"] | {"source": "sdss", "padding_s": "long"}}


@pytest.fixture
def configuration(tmp_path, monkeypatch):
    """Writes a configuration into a working directory of its own."""
    monkeypatch.chdir(tmp_path)

    def write(**sections):
        (tmp_path / "my.yaml").write_text(yaml.safe_dump(SMALL | sections))
        return "my.yaml"

    return write


@pytest.fixture
def commands(monkeypatch):
    """The commands that would run, each of which ends with exit code 7."""
    calls = []
    monkeypatch.setattr(run, "run_process", lambda command: calls.append(command) or 7)
    return calls


def test_a_sound_configuration_is_told_by_its_size(configuration, capsys):
    assert main(["check", configuration()]) == 0
    output = capsys.readouterr()
    assert "run small: 12 stations x 2 days = 24 station-days" in output.out
    assert output.err == ""


def test_all_errors_are_told_at_once(configuration, capsys):
    assert main(["check", configuration(**FAULTS)]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    for words in ("did you mean 'models'", "did you mean 'sds'", "'long' is not of type 'number'"):
        assert words in output.err
    assert all(line.startswith("ERROR config key") for line in output.err.splitlines())


def test_errors_of_the_grid_of_files_and_of_velocities_are_told_together(configuration, tmp_path, capsys):
    (tmp_path / "layers.nd").write_text("0 nonsense\n")
    sections = {
        "pick": {"models": ["PhaseNot"]},
        "associate": {"velocity_model": {"file": "layers.nd"}},
        "download": {"source": "sds", "path": "nowhere"},
    }
    assert main(["check", configuration(**sections)]) == 1
    output = capsys.readouterr().err
    for words in (
        "did you mean 'PhaseNet'",
        "layers.nd",
        "'nowhere' does not exist",
        "WARNING config key download",
    ):
        assert words in output


def test_a_data_set_that_seisbench_lacks_is_told_before_a_job_asks_for_it(configuration, capsys):
    sources = [{"name": name, "kind": "seisbench"} for name in ("STEADD", "stead", "STEADmini", "ETHZ")]
    assert main(["check", configuration(lab={"variants": ["EQT"], "sources": sources})]) == 1
    errors = capsys.readouterr().err.splitlines()
    assert [line for line in errors if line.startswith("ERROR")] == [
        "ERROR config key lab.sources: no data set 'STEADD': did you mean 'STEAD'? (a folder is written with its path)"
    ]


def test_what_is_skipped_is_a_warning(configuration, capsys):
    grid = {"models": ["PhaseNet", "PickflowNet"], "weights": ["stead", "bundled"]}
    assert main(["check", configuration(pick=grid)]) == 0
    assert "WARNING PickflowNet/stead does not exist and is skipped" in capsys.readouterr().err


def test_the_complete_configuration_has_every_section_and_is_as_sound(configuration, tmp_path, capsys):
    assert main(["check", configuration(), "--all"]) == 0
    text = capsys.readouterr().out
    assert set(yaml.safe_load(text)) == set(Configuration.model_fields)
    (tmp_path / "complete.yaml").write_text(text)
    assert main(["check", "complete.yaml", "--all"]) == 0
    assert capsys.readouterr().out == text


def test_a_run_says_and_does_the_same_command_and_its_exit_code_comes_back(configuration, commands, capsys):
    words = ["run", configuration(), "--cores", "3", "--target", "picks_all", "--", "--forcerun", "pick"]
    assert main(words) == 7
    (command,) = commands
    assert command[1] == "picks_all"
    assert command[-4:] == ["--cores", "3", "--forcerun", "pick"]
    assert " ".join(command) in capsys.readouterr().out


def test_a_run_with_errors_does_not_start(configuration, commands, capsys):
    assert main(["run", configuration(**FAULTS)]) == 1
    assert main(["run", "nowhere.yaml"]) == 2
    assert main(["run", configuration(), "--cores", "some"]) == 2
    assert commands == []
    assert "Traceback" not in capsys.readouterr().err


def test_where_a_profile_sends_jobs_files_may_be_that_are_not_here(configuration, commands):
    sections = {"download": {"source": "sds", "path": "/volume/of/pods"}}
    assert main(["run", configuration(**sections)]) == 1
    assert main(["run", configuration(**sections), "--profile", "ada-cloud"]) == 7
    assert commands[0][-2:] == ["--profile", str(ROOT / "profiles" / "ada-cloud")]


STATISTICS = """Building DAG of jobs...
Job stats:
job         count
--------  -------
download        9
all             1
total          10

DAG of jobs will be updated after completion.
Job stats:
job         count
--------  -------
download        2
pick           31
lab_all         1
all             1
total          35

"""


def test_jobs_are_counted_from_the_last_statistics_of_a_dry_run():
    assert plan.jobs_of(STATISTICS) == {"download": 2, "pick": 31}
    assert plan.jobs_of("Nothing to be done (all requested files are present and up to date).") == {}


@pytest.mark.slow
def test_a_plan_has_the_jobs_and_the_cost(configuration, capsys):
    assert main(["plan", configuration(), "--json"]) == 0
    planned = json.loads(capsys.readouterr().out)
    assert planned["jobs_to_do"]["pick"] == planned["jobs_to_do"]["download"] == 2
    assert sum(planned["jobs_to_do"].values()) == planned["estimate"]["n_jobs"] - 1
    assert planned["estimate"]["n_stations"] == 12


@pytest.mark.slow
def test_a_plan_that_snakemake_refuses_says_why(configuration, capsys):
    assert main(["plan", configuration(), "--target", "nothing_like_it"]) == 1
    assert "nothing_like_it" in capsys.readouterr().err
