import pandas as pd
import pytest

from pickflow.command_line.configuration import remarks
from pickflow.io.tables import write_table
from pickflow.models.registry import compress_cpu_s
from pickflow.run.configuration import ConfigError, complete
from pickflow.run.grid import Candidate
from pickflow.run.plan import ASSOCIATE_CPU_S, count_stations, make_plan, sentence, training_cpu_s
from pickflow.schemas import STATIONS

STATION_XML = """<?xml version="1.0"?>
<FDSNStationXML xmlns="http://www.fdsn.org/xml/station/1" schemaVersion="1.2">
  <Network code="CI"><Station code="AAA"/><Station code="BBB"/></Network>
  <Network code="PB"><Station code="CCC"/></Network>
</FDSNStationXML>"""


def config(methods=("none",), associators=("pyocto",), **lab):
    sections = {"run": "x", "starttime": "2020-01-01", "endtime": "2020-01-02", "download": {"path": "archive"}}
    return complete(
        {**sections, "denoise": {"methods": list(methods)}, "associate": {"methods": list(associators)}, "lab": lab}
    )


def test_trainings_cost_what_their_windows_cost():
    optimisation = {"epochs": 10, "steps_per_epoch": 100, "batch_size": 32}
    sources = [{"name": "a", "kind": "synthetic", "n_events": 1, "n_noise": 1}]
    lab = {"variants": ["EQT"], "sources": sources, "training": {"optimisation": optimisation}}
    once = training_cpu_s(config(**lab)["lab"])
    assert 150 < once < 1000  # 32,000 windows of 12.6 ms, good to a factor of two
    assert training_cpu_s(config(**lab, seeds=[1, 2])["lab"]) == 2 * once
    assert training_cpu_s(config()["lab"]) == 0


def test_trainings_of_a_length_that_is_known_later_are_said_to_be_missing_in_the_estimate():
    sources = [{"name": "a", "kind": "synthetic", "n_events": 1, "n_noise": 1}]
    key = "lab.training.optimisation.steps_per_epoch"
    for n_steps, is_said in ((None, True), (100, False)):
        lab = {"variants": ["EQT"], "sources": sources, "training": {"optimisation": {"steps_per_epoch": n_steps}}}
        assert any(key in sentence for sentence in remarks(config(**lab))) == is_said
    assert not any(key in sentence for sentence in remarks(config()))


@pytest.mark.parametrize(
    ("patterns", "expected"), [(["CI.*"], 2), (["*.*"], 3), (["CI.AAA", "XX.NEW"], 2), (["*.CCC", "CI.AAA"], 2)]
)
def test_stations_are_counted_in_the_station_xml(tmp_path, patterns, expected):
    path = tmp_path / "stations.xml"
    path.write_text(STATION_XML)
    assert count_stations([str(path)], tmp_path / "none.parquet", patterns) == expected


def test_a_fetched_inventory_counts_more_than_a_guess(tmp_path):
    row = {"network": "XX", "station": "A", "latitude_deg": 1.0, "longitude_deg": 1.0, "elevation_m": 0.0}
    write_table(pd.DataFrame([row]), STATIONS, tmp_path / "stations.parquet", {})
    assert count_stations([], tmp_path / "stations.parquet", ["*.*"]) == 1


def test_only_the_server_knows_what_a_wildcard_means(tmp_path):
    assert count_stations([], tmp_path / "none.parquet", ["CI.*"]) is None
    assert count_stations([], tmp_path / "none.parquet", ["CI.AAA", "CI.BBB"]) == 2


def test_the_plan_grows_with_stations_days_and_models():
    plan_of_day = make_plan(config(), [Candidate("PhaseNet", "x")], {}, 10, [1.0], on_gpu=False)
    ten_days = make_plan(config(), [Candidate("PhaseNet", "x")], {}, 10, [1.0] * 10, on_gpu=False)
    two_models = make_plan(
        config(), [Candidate("PhaseNet", "x"), Candidate("EQTransformer", "y")], {}, 10, [1.0], on_gpu=False
    )
    nineteen_days = make_plan(config(), [Candidate("PhaseNet", "x")], {}, 10, [1.0] * 19, on_gpu=False)
    assert nineteen_days.cpu_hours - ten_days.cpu_hours == pytest.approx(ten_days.cpu_hours - plan_of_day.cpu_hours)
    assert two_models.cpu_hours > plan_of_day.cpu_hours
    assert ten_days.n_jobs > two_models.n_jobs > plan_of_day.n_jobs


def test_a_student_picks_and_makes_catalogs_but_is_not_fetched():
    teacher = Candidate("PhaseNet", "x")
    alone = make_plan(config(), [teacher], {}, 10, [1.0] * 3, on_gpu=False)
    taught = make_plan(config(), [teacher], {teacher: [Candidate("PhaseNet", "x-safe-s93")]}, 10, [1.0] * 3, False)
    plan_of_two = make_plan(config(), [teacher, Candidate("PhaseNet", "y")], {}, 10, [1.0] * 3, on_gpu=False)
    # compress instead of weights
    assert taught.n_jobs == plan_of_two.n_jobs
    assert taught.cpu_hours == pytest.approx(plan_of_two.cpu_hours + compress_cpu_s("PhaseNet") / 3600)
    assert plan_of_two.cpu_hours > alone.cpu_hours


def test_a_gpu_takes_the_networks_off_the_cpu():
    on_cpu, on_gpu = (
        make_plan(config(), [Candidate("PhaseNet", "x")], {}, 10, [1.0], on_gpu=gpu) for gpu in (False, True)
    )
    assert on_cpu.gpu_hours == 0
    assert 0 < on_gpu.gpu_hours < on_cpu.cpu_hours
    assert on_gpu.cpu_hours < on_cpu.cpu_hours


def test_a_station_that_moves_counts_once(tmp_path):
    row = {"network": "XX", "station": "A", "latitude_deg": 1.0, "longitude_deg": 1.0, "elevation_m": 0.0}
    places = [{**row, "starttime": pd.Timestamp(f"{year}-01-01", tz="UTC")} for year in (2010, 2020)]
    write_table(pd.DataFrame(places), STATIONS, tmp_path / "stations.parquet", {})
    assert count_stations([], tmp_path / "stations.parquet", ["*.*"]) == 1


@pytest.mark.parametrize(("associator", "measured_s"), [("gamma", 70.0), ("pyocto", 27.0), ("stack", 8.0)])
def test_the_plan_of_an_aftershock_day_is_what_was_measured_there(associator, measured_s):
    picker = [Candidate("PhaseNet", "x")]
    stations, share = 8, 20 / 24
    plan = make_plan(config(associators=(associator,)), picker, {}, stations, [share], on_gpu=False)
    more_s = 3600 * (plan.busy_cpu_hours - plan.cpu_hours)
    assert more_s + ASSOCIATE_CPU_S[associator] * stations * share == pytest.approx(measured_s, rel=0.05)
    assert "amid aftershocks" in sentence("run", plan)


def test_the_plan_is_a_sentence():
    plan = make_plan(config(), [Candidate("PhaseNet", "x")], {}, 100, [1.0] * 365, on_gpu=False)
    assert "100 stations x 365 days = 36500 station-days" in sentence("year", plan)
    unknown = make_plan(config(), [Candidate("PhaseNet", "x")], {}, None, [1.0], on_gpu=False)
    assert "snakemake inventory" in sentence("year", unknown)


def test_a_file_that_is_not_station_xml_is_named(tmp_path):
    path = tmp_path / "stations.xml"
    path.write_text("no xml")
    with pytest.raises(ConfigError, match=r"download.inventory: .*stations.xml is not StationXML"):
        count_stations([str(path)], tmp_path / "none.parquet", ["*.*"])


@pytest.mark.parametrize(
    "content",
    [b"", b"\0" * 100, b"<", b'<?xml version="1.0" encoding="x-unknown"?><a/>', b"<a>\xff</a>", b"<a>&b;</a>"],
)
def test_what_is_no_xml_is_named(content, tmp_path):
    path = tmp_path / "stations.xml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"download.inventory: .*stations.xml is not StationXML"):
        count_stations([str(path)], tmp_path / "none.parquet", ["*.*"])


def test_a_folder_in_place_of_an_inventory_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"download.inventory: .* is not StationXML"):
        count_stations([str(tmp_path)], tmp_path / "none.parquet", ["*.*"])


def test_codes_that_are_none_are_not_counted(tmp_path):
    path = tmp_path / "stations.xml"
    path.write_text(
        '<x><Network code="../CI"><Station code="A"/></Network><Network code="CI"><Station code="B"/></Network></x>'
    )
    assert count_stations([str(path)], tmp_path / "none.parquet", ["*.*"]) == 1


def test_a_damaged_table_of_stations_says_nothing(tmp_path):
    (tmp_path / "stations.parquet").write_bytes(b"PAR1 no table")
    assert count_stations([], tmp_path / "stations.parquet", ["*.*"]) is None
