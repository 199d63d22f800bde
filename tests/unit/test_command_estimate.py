"""What a campaign costs: ``pickflow estimate``."""

import json
from pathlib import Path

import pytest

from pickflow.command_line import main

ROOT = Path(__file__).parents[2]
YEAR = ("estimate", "--stations", "1400", "--days", "365", "--models", "PhaseNet")


def estimated(capsys, *arguments):
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_cost_grows_with_stations_and_is_shared_between_cores(capsys):
    year = estimated(capsys, *YEAR)
    half = estimated(capsys, *YEAR, "--stations", "700", "--cores", "64")
    assert year["station_days"] == 1400 * 365
    assert year["stages"]["pick"]["cpu_hours"] == pytest.approx(2 * half["stages"]["pick"]["cpu_hours"], abs=0.01)
    assert year["n_jobs"] == half["n_jobs"]
    assert year["days_on_cores"] == pytest.approx(half["days_on_cores"], rel=0.01)
    assert year["waveform_gb"] == pytest.approx(2 * half["waveform_gb"])
    assert year["cpu_hours"] == pytest.approx(sum(stage["cpu_hours"] for stage in year["stages"].values()), abs=0.01)


def test_a_gpu_takes_the_networks_and_says_that_its_speed_is_assumed(capsys):
    cpu, gpu = estimated(capsys, *YEAR), estimated(capsys, *YEAR, "--gpu")
    assert gpu["stages"]["pick"] == {"cpu_hours": 0.0, "gpu_hours": pytest.approx(gpu["gpu_hours"])}
    assert cpu["gpu_hours"] == 0
    assert gpu["cpu_hours"] < cpu["cpu_hours"]
    assert main([*YEAR, "--gpu"]) == 0
    assert "ASSUMED: a GPU is as fast as" in capsys.readouterr().out


def test_prices_are_the_users(capsys):
    dear = estimated(capsys, *YEAR, "--eur-per-cpu-hour", "1")
    assert dear["eur_cpu"] == pytest.approx(dear["cpu_hours"], abs=0.01)


def test_picking_can_cost_what_it_cost_in_a_run(tmp_path, capsys):
    logs = tmp_path / "logs" / "pick"
    logs.mkdir(parents=True)
    for name, cpu_s in (("a", 30.0), ("b", 10.0)):
        (logs / f"{name}.timing.json").write_text(json.dumps({"cpu_s": cpu_s, "full_station_days": 2.0}))
    measured = estimated(capsys, *YEAR, "--measured", str(tmp_path))
    assert measured["stages"]["pick"]["cpu_hours"] == pytest.approx(10 * 1400 * 365 / 3600, abs=0.01)
    assert measured["picking_measured"]


def test_a_configuration_says_its_own_size(capsys):
    demo = estimated(capsys, "estimate", "--configfile", str(ROOT / "config" / "config.yaml"))
    assert (demo["run"], demo["n_stations"], demo["n_days"]) == ("demo", 12, 2)
    assert demo["station_days"] == pytest.approx(1.0)


def test_numbers_beside_a_configuration_stand_in_for_its_own(capsys):
    call = ("estimate", "--configfile", str(ROOT / "config" / "config.yaml"))
    year = estimated(capsys, *call, "--stations", "1400", "--days", "365")
    assert (year["run"], year["n_stations"], year["n_days"], year["station_days"]) == ("demo", 1400, 365, 1400 * 365)
    many = estimated(capsys, *call, "--stations", "1400")
    assert (many["n_stations"], many["n_days"]) == (1400, 2)
    assert many["station_days"] == pytest.approx(1400 / 12, abs=1e-3)


@pytest.mark.parametrize("option", ["--models PhaseNet", "--denoise bandpass", "--associators gamma stack"])
def test_methods_beside_a_configuration_are_refused(option, capsys):
    config = str(ROOT / "config" / "config.yaml")
    assert main(["estimate", "--configfile", config, *option.split()]) == 2
    assert f"{option}: --configfile {config} has the methods; change them there" in capsys.readouterr().err


def test_what_only_a_server_knows_is_said(tmp_path, capsys):
    config = tmp_path / "my.yaml"
    config.write_text(
        "run: x\nstarttime: 2024-01-01\nendtime: 2024-01-02\n"
        "download: {source: fdsn, fdsn: {servers: [INGV]}, stations: ['IV.*']}\n"
    )
    assert main(["estimate", "--configfile", str(config)]) == 1
    assert "only the server knows how many stations IV.* are" in capsys.readouterr().err
    assert estimated(capsys, "estimate", "--configfile", str(config), "--stations", "80")["n_stations"] == 80
