"""The picker's command line: what each option says in the configuration, and what is refused before anything runs."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from datetime import date, timedelta

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pickflow.command_line.picker import make_plan, run_picker
from pickflow.command_line.picker_config import bands, domain, range_of, station_patterns
from pickflow.command_line.picker_dates import date_ranges, gregorian_date, julian_date
from pickflow.command_line.picker_files import Wanted, check_key, look_through, sort_files
from pickflow.command_line.picker_options import UsageError, make_parser, parse_options
from pickflow.command_line.picker_run import LogFollower, as_shell, failures, run, snakemake_command
from pickflow.command_line.picker_tables import CatalogName, as_text, picks_by_group, time_by_rule
from pickflow.config import complete, load_schema
from pickflow.io.tables import conform, write_table
from pickflow.io.velocity import write_velocity_model
from pickflow.schemas import ASSIGNMENTS, PICK_LEDGER, PICKS
from pickflow.travel_times import homogeneous
from tests.conftest import ROOT
from tests.waveform_fixture import DAY, inventory_of, trace

SCHEMA = load_schema(ROOT / "workflow" / "schemas")
BANDS = SCHEMA["properties"]["download"]["properties"]["channel_priority"]["default"]
ON_DAY = ["-D", DAY, DAY]


@pytest.fixture(autouse=True)
def _schema_read_once(monkeypatch):
    monkeypatch.setattr("pickflow.command_line.picker.load_schema", lambda folder: SCHEMA)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of two stations' waveforms of one day, in a working directory of its own."""
    monkeypatch.chdir(tmp_path)
    directory = tmp_path / "data"
    directory.mkdir()
    for station in ("AAA", "BBB"):
        trace(station=station).write(str(directory / f"{station}.mseed"), format="MSEED")
    return directory


@pytest.fixture
def stations(tmp_path):
    path = tmp_path / "network.xml"
    inventory_of(["AAA", "BBB"]).write(str(path), format="STATIONXML")
    return path


def plan(*arguments):
    return make_plan(parse_options([str(argument) for argument in arguments]), ROOT)


def configuration(*arguments):
    return plan(*arguments).config


def value(config, key):
    for part in key.split("."):
        config = config[part]
    return config


# Dates


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("980101", date(1998, 1, 1)),
        ("240229", date(2024, 2, 29)),
        ("690101", date(1969, 1, 1)),
        ("681231", date(2068, 12, 31)),
        ("19980131", date(1998, 1, 31)),
        ("1998-01-31", date(1998, 1, 31)),
        ("1998-01-31T00:00:00.000000Z", date(1998, 1, 31)),
    ],
)
def test_calendar_days_have_years_of_two_digits_or_four(text, day):
    assert gregorian_date(text) == day


@given(st.dates(date(1969, 1, 1), date(2068, 12, 31)))
def test_every_day_is_read_in_each_of_its_forms(day):
    assert gregorian_date(f"{day:%y%m%d}") == day
    assert [julian_date(f"{day:{form}}") for form in ("%y%j", "%Y%j", "%y%m%d", "%Y%m%d")] == [day] * 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("980231", "1998-02 has the days 01 to 28, not 31"),
        ("981301", "no month 13"),
        ("980100", "not 00"),
        ("9801", "write YYMMDD"),
        ("98010a", "write YYMMDD"),
        ("00000101", "no year 0"),
    ],
)
def test_days_that_do_not_exist_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        gregorian_date(text)


@pytest.mark.parametrize(("text", "message"), [("98366", "001 to 365, not 366"), ("98000", "not 000"), ("9", "YYDDD")])
def test_days_of_the_year_that_do_not_exist_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        julian_date(text)


def test_dates_are_sorted_and_the_last_day_is_included(folder):
    for words in (["-D", "240307", "240304"], ["-J", "24064", "24067"], ["-J", "240304", "240307"]):
        config = configuration("-d", folder, *words)
        assert (config["starttime"], config["endtime"]) == ("2024-03-04T00:00:00Z", "2024-03-08T00:00:00Z")


def test_without_dates_the_run_is_as_long_as_the_waveforms(folder):
    trace(starttime=pd.Timestamp("2024-03-09T10:00Z").to_pydatetime()).write(str(folder / "late"), format="MSEED")
    config = configuration("-d", folder)
    assert (config["starttime"], config["endtime"]) == ("2024-03-05T00:00:00Z", "2024-03-10T00:00:00Z")


def test_waveforms_far_apart_need_dates():
    with pytest.raises(UsageError, match="say with -D"):
        range_of(None, [date(1970, 1, 1), date(2024, 3, 5)])
    year = [date(2023, 1, 1) + timedelta(days=offset) for offset in range(400)]
    assert range_of(None, year) == (year[0], year[-1])


def test_days_are_told_as_ranges():
    days = [date(1998, 1, 1), date(1998, 1, 2), date(1998, 1, 4), date(1998, 1, 2)]
    assert date_ranges(days) == "1998-01-01 to 1998-01-02, 1998-01-04"
    assert date_ranges([date(1998, month, 1) for month in range(1, 10)]).endswith("1998-04-01, … 1998-09-01")


# Each option lands where docs/picker.md says


@pytest.mark.parametrize(
    ("words", "key", "expected"),
    [
        (["-C", "EHZ", "HH?"], "download.channel_priority", ["EH", "HH"]),
        (["--channel", "*"], "download.channel_priority", [*BANDS, "??"]),
        (["-N", "XA", "OX"], "download.stations", ["XA.*", "OX.*"]),
        (["-S", "AAA", "B*", "OX.CAE"], "download.stations", ["*.AAA", "*.B*", "OX.CAE"]),
        (["-N", "XA", "-S", "AAA", "BBB"], "download.stations", ["XA.AAA", "XA.BBB"]),
        (["-M", "phasenet"], "pick.models", ["PhaseNet"]),
        ([], "pick.models", ["PhaseNet", "EQTransformer"]),
        (["-W", "stead"], "pick.weights", ["stead"]),
        ([], "pick.weights", ["instance", "original", "stead", "scedc"]),
        (["-M", "PickflowNet"], "pick.weights", ["bundled"]),
        (["-b", "64"], "pick.batch_size", 64),
        (["-p", "0.2"], "pick.p_threshold", 0.2),
        (["--swave", "1"], "pick.s_threshold", 1.0),
        ([], "pick.p_threshold", 0.1),
        (["--denoiser"], "denoise.methods", ["deepdenoiser"]),
        ([], "denoise.methods", ["none"]),
        (["--pyocto"], "associate.methods", ["pyocto"]),
        ([], "associate.methods", ["gamma"]),
        (["--pyrocko"], "catalog.formats", ["csv", "quakeml", "pyrocko"]),
        (["--run", "friuli"], "run", "friuli"),
        ([], "run", "data-240305-240305"),
        ([], "download.source", "directory"),
        ([], "download.min_coverage", 0),
        (
            ["--rectdomain", "-46.5", "-45", "179", "-179"],
            "download.domain.rectangle",
            {
                "min_latitude_deg": -46.5,
                "max_latitude_deg": -45.0,
                "min_longitude_deg": 179.0,
                "max_longitude_deg": -179.0,
            },
        ),
        (
            ["--circdomain", "46.3583", "12.808", "0.1", "0.3"],
            "download.domain.circle",
            {"latitude_deg": 46.3583, "longitude_deg": 12.808, "min_radius_km": 11.1195, "max_radius_km": 33.3585},
        ),
    ],
)
def test_each_option_is_a_key_of_the_configuration(folder, words, key, expected):
    config = configuration("-d", folder, *ON_DAY, *words)
    assert value(config, key) == expected
    complete(config, SCHEMA)


@pytest.mark.parametrize(
    ("words", "key", "expected"),
    [
        (["--client", "INGV", "https://ogs.example"], "download.fdsn.servers", ["INGV", "https://ogs.example"]),
        ([], "download.fdsn.servers", ["INGV", "GFZ", "IRIS", "ETH", "ORFEUS"]),
        ([], "download.source", "fdsn"),
        (["-N", "OX"], "download.stations", ["OX.*"]),
        ([], "download.domain.circle.max_radius_km", 33.3585),
        (["-d", "raw"], "download.cache", "raw"),
        (["-K", "token"], "download.fdsn.token_file", "token"),
        ([], "run", "download-240305-240305"),
    ],
)
def test_each_option_of_a_download_is_a_key_of_the_configuration(tmp_path, monkeypatch, words, key, expected):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "token").write_text("secret words")
    found = value(configuration("--download", *ON_DAY, *words), key)
    assert found == (str(tmp_path / expected) if key.endswith(("cache", "token_file")) else expected)


def test_a_download_of_named_networks_is_not_cut_to_a_circle(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "domain" not in configuration("--download", *ON_DAY, "-N", "OX")["download"]


ORIGINAL = """
-h --help -C --channel -F --file -G --groups -K --key -M --models -N --network -S --station -T --train -W --weights
-b --batch -c --config -d --directory -p --pwave -s --swave --client --denoiser --download --interactive --force
--pyrocko --pyocto --timing -D --dates -J --julian --rectdomain --circdomain --silent -v --verbose
"""


def test_every_option_of_the_original_is_there():
    assert set(ORIGINAL.split()) <= {option for action in make_parser()._actions for option in action.option_strings}


def test_every_option_stands_in_the_documentation():
    text = (ROOT / "docs" / "picker.md").read_text()
    options = {option for action in make_parser()._actions for option in action.option_strings[-1:]} - {"--help"}
    assert {option for option in options if f"`{option}`" not in text} == set()


@given(st.integers(-9000, 9000), st.integers(-18000, 36000), st.integers(1, 9000), st.integers(0, 8999))
def test_a_ring_in_degrees_is_the_same_in_km(latitude, longitude, width, inner):
    numbers = [latitude / 100, longitude / 100, inner / 100, (inner + width) / 100]
    options = parse_options(["--circdomain", *map(str, numbers)])
    ring = domain(None, options.circdomain)["circle"]
    assert list(ring.values()) == pytest.approx([*numbers[:2], *(radius * 111.195 for radius in numbers[2:])], abs=1e-4)


@pytest.mark.parametrize(
    ("channels", "expected"),
    [
        (["HHZ", "HHN", "HHE"], ["HH"]),
        (["hh?"], ["HH"]),
        (["H??"], ["HH", "HN", "H?"]),
        (["H*"], ["HH", "HN", "H?"]),
        (["EH[ZNE12]", "*"], ["EH", *[name for name in BANDS if name != "EH"], "??"]),
        (["*Z"], [*BANDS, "??"]),
        ([], BANDS),
    ],
)
def test_channels_are_read_as_bands_and_instruments(channels, expected):
    assert bands(channels, BANDS) == expected


@pytest.mark.parametrize("channel", ["H", "HHZZ", "12", "HH Z", ""])
def test_what_is_no_channel_is_refused(channel):
    with pytest.raises(UsageError, match="not a channel code"):
        bands([channel], BANDS)


def test_stations_that_name_their_network_keep_it():
    assert station_patterns(["XA", "XB"], ["AAA", "OX.CAE"]) == ["XA.AAA", "XB.AAA", "OX.CAE"]


def test_training_takes_models_that_can_be_trained(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PICKFLOW_SHARED", str(tmp_path))
    planned = plan("-T", "-M", "leqnet", "-b", "16")
    assert planned.config["train"] == {"model": "LEQNet", "batch_size": 16, "real_data": "synthetic_only"}
    assert "no real data" in planned.warnings[0]
    with pytest.raises(UsageError, match="one of PickflowNet and LEQNet can be trained"):
        plan("-T", "-M", "PhaseNet")


# What is refused, before anything runs


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-D", "980101", "980110"], r"holds no waveforms of \*\.\* from 1998-01-01 to 1998-01-10; .* on 2024-03-05"),
        (["-N", "YY"], r"no waveforms of YY\.\* and channels .*; there are others on 2024-03-05"),
        (["-C", "SH"], r"channels SH; there are others"),
        (["-d", "nowhere"], "there is no such folder"),
        (["-M", "PhaseNot"], "did you mean 'PhaseNet'"),
        (["-W", "instanze"], "did you mean 'instance'"),
        (["-M", "PhaseNet", "-W", "pnw"], "exists for none of PhaseNet"),
        (["-N", "ox"], "is not network.station"),
        (["--run", "../up"], "'run'"),
        (["-F", "nowhere.xml"], "-F nowhere.xml: .*No such file"),
        (["--rectdomain", "47", "45", "10", "14"], "min_lat 47 is not less than max_lat 45"),
        (["--rectdomain", "10", "95", "45", "47"], "95 is no latitude"),
        (["--circdomain", "46", "13", "0.3", "0.1"], "0 <= min_rad < max_rad"),
        (["--circdomain", "46", "13", "-1", "1"], "0 <= min_rad < max_rad"),
        (["-p", "1.5"], "a probability above 0 and up to 1"),
        (["-b", "0"], "a whole number from 1 on"),
        (["--cores", "some"], "a whole number from 1 on"),
        (["-D", "240305", "240306", "-J", "24065", "24066"], "not allowed with"),
        (["-G", "magnitude"], "invalid choice"),
        (["--nonsense"], "unrecognized arguments"),
    ],
)
def test_wrong_usage_says_what_and_the_way_out(folder, words, message):
    given_days = "-D" in words or words[0] in ("-d", "-N", "-C")
    with pytest.raises(ValueError, match=message):
        plan(*(["-d", folder] if words[0] != "-d" else []), *([] if given_days else ON_DAY), *words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "say which days"),
        ([*ON_DAY, "--client", "OGS", "INGV"], "no address is known for this name; give the URL"),
        ([*ON_DAY, "--client", "INVG"], "did you mean INGV"),
        ([*ON_DAY, "-K", "nowhere"], "-K nowhere: the key cannot be read"),
    ],
)
def test_a_download_that_cannot_work_is_refused(tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message):
        plan("--download", "-N", "OX", *words)


def test_a_folder_without_waveforms_is_an_error_that_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "notes.txt").write_text("nothing to pick")
    options = parse_options(["-d", "data"])
    assert run_picker(options, ["-d", "data"], ROOT) == 2
    assert "holds no waveforms that can be read" in capsys.readouterr().err
    assert not list((tmp_path / "results").rglob("picker.yaml"))


def test_combinations_that_do_not_exist_are_skipped_with_a_warning(folder):
    planned = plan("-d", folder, *ON_DAY, "-M", "PhaseNet", "EQTransformer", "-W", "diting", "pnw", "bundled")
    assert [str(pair) for pair in planned.candidates] == ["PhaseNet/diting", "EQTransformer/pnw"]
    said = " ".join(planned.warnings)
    assert all(name in said for name in ("bundled", "PhaseNet/pnw", "EQTransformer/diting"))


# Files


def test_files_are_told_apart_by_what_they_hold(tmp_path, stations):
    write_velocity_model(homogeneous(6.0, 3.46), tmp_path / "model.nd")
    (tmp_path / "layers.txt").write_text("# top\nDepth; vp; vs\n0; 5.85; 3.29\n22; 6.8; 3.8\n")
    table = tmp_path / "events.dat"
    table.write_text("time,latitude,longitude,depth,mag,id\n2024-03-05T10:02:30,46.3,13.1,8,2.1,e1\n")
    found = sort_files([stations, tmp_path / "layers.txt", table])
    assert found == ((stations,), tmp_path / "layers.txt", table)
    assert sort_files([tmp_path / "model.nd"]).velocity == tmp_path / "model.nd"
    with pytest.raises(UsageError, match="there can be one velocity model, these are 2"):
        sort_files([tmp_path / "model.nd", tmp_path / "layers.txt"])
    (tmp_path / "list.csv").write_text("station,latitude,longitude\nAAA,46.3,13.1\n")
    with pytest.raises(UsageError, match=r"list\.csv: neither StationXML, nor a velocity model"):
        sort_files([tmp_path / "list.csv"])
    (tmp_path / "list.csv").unlink()
    with pytest.raises(UsageError, match="velocity model"):
        sort_files([tmp_path])


def test_a_bulletin_of_ogs_is_one_whatever_files_of_it_are_given(shared):
    files = sorted((shared / "data" / "ogs-2024").glob("RSFVG-2024.*"))
    assert len(files) == 4
    assert sort_files(files).reference in files
    assert sort_files([*files[:1], shared / "data" / "ogs-2024" / "velocity_1d.nd"]).velocity


def test_supporting_files_land_in_the_configuration(folder, tmp_path, stations):
    write_velocity_model(homogeneous(6.0, 3.46), tmp_path / "model.nd")
    (tmp_path / "events.csv").write_text("id,time,latitude,longitude\ne1,2024-03-05T10:02:30,46.3,13.1\n")
    config = configuration("-d", folder, *ON_DAY, "-F", "network.xml", "model.nd", "events.csv")
    assert config["download"]["inventory"] == [str(stations)]
    assert config["associate"]["velocity_model"] == {"file": str(tmp_path / "model.nd")}
    assert config["analyze"] == {"reference": {"file": str(tmp_path / "events.csv")}}


def test_station_xml_in_the_directory_is_taken_and_beside_it_is_named(folder, stations):
    planned = plan("-d", folder, *ON_DAY)
    assert "nothing can be associated" in planned.warnings[0]
    assert f"-F {stations}" in planned.warnings[0]
    assert planned.target == "picks_all"
    shutil.copy(stations, folder / "stations.xml")
    planned = plan("-d", folder, *ON_DAY)
    assert planned.config["download"]["inventory"] == [str(folder / "stations.xml")]
    assert planned.target is None


def test_a_key_is_named_but_what_it_holds_is_told_to_nobody(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    key = tmp_path / "token"
    key.write_text("-----BEGIN PGP MESSAGE-----\nvery secret\n")
    key.chmod(0o600)
    assert check_key(key) == []
    key.chmod(0o644)
    assert "chmod 600" in check_key(key)[0]
    key.write_text("name:very secret")
    assert "does not look like an EIDA token" in check_key(key)[1]
    planned = plan("--download", *ON_DAY, "-N", "OX", "-K", key)
    assert "secret" not in json.dumps([planned.config, planned.warnings])


def test_an_sds_archive_is_known_as_one(tmp_path):
    folder = tmp_path / "2024" / "XA" / "AAA" / "HHZ.D"
    folder.mkdir(parents=True)
    for day in ("065", "067"):
        (folder / f"XA.AAA..HHZ.D.2024.{day}").write_bytes(b"-")
    everything = Wanted(("*.*",), tuple(BANDS), None)
    holding = look_through(tmp_path, tmp_path / "cache", everything)
    assert holding == ("sds", (date(2024, 3, 5), date(2024, 3, 7)))
    with pytest.raises(
        UsageError, match="from 2024-03-06 to 2024-03-06; there are waveforms on 2024-03-05, 2024-03-07"
    ):
        look_through(tmp_path, tmp_path / "cache", everything._replace(days=(date(2024, 3, 6), date(2024, 3, 6))))


def test_a_record_that_reaches_a_little_over_midnight_is_of_one_day(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    start = pd.Timestamp("2024-03-05T22:00Z").to_pydatetime()
    trace(starttime=start, seconds=7230, rate=1).write("data/a.mseed", format="MSEED")
    everything = Wanted(("*.*",), ("??",), None)
    assert look_through(tmp_path / "data", tmp_path / "cache", everything).days == (date(2024, 3, 5),)


# A file of options


def test_the_command_line_wins_over_the_file(tmp_path):
    stored = {"models": ["PhaseNet"], "pwave": 0.3, "denoiser": True, "dates": ["980101", "980110"], "force": False}
    (tmp_path / "picker.json").write_text(json.dumps(stored))
    options = parse_options(["-c", str(tmp_path / "picker.json"), "-p", "0.4", "-J", "98005", "98006"])
    assert (options.models, options.pwave, options.denoiser, options.force) == (("PhaseNet",), 0.4, True, False)
    assert options.days() == (date(1998, 1, 5), date(1998, 1, 6))


def test_a_file_that_the_original_stored_is_understood(tmp_path):
    stored = {
        "MODEL": ["PhaseNet"],
        "weight": ["instance"],
        "Network": ["OX"],
        "date": ["1998-01-01T00:00:00.000000Z", "1998-01-10T00:00:00.000000Z"],
        "circdomain": [46.3583, 12.808, 0.0, 0.3],
        "key": None,
    }
    (tmp_path / "arguments.json").write_text(json.dumps(stored))
    options = parse_options(["-c", str(tmp_path / "arguments.json")])
    assert (options.models, options.weights, options.network) == (("PhaseNet",), ("instance",), ("OX",))
    assert options.days() == (date(1998, 1, 1), date(1998, 1, 10))
    assert options.circdomain == (46.3583, 12.808, 0.0, 0.3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"modells": ["PhaseNet"]}', "key 'modells' is not known; did you mean 'models'"),
        ('{"xyz": 1}', "known keys: batch, channel"),
        ('{"domain": [1, 2, 3, 4]}', "rectdomain or circdomain"),
        ('{"denoiser": "yes"}', "is not true or false"),
        ('{"pwave": true}', "is not what the option takes"),
        ('{"pwave": 7}', "a probability"),
        ('{"dates": ["980101"]}', "expected 2 arguments"),
        ("[1]", "a JSON object"),
        ("{", "not JSON"),
    ],
)
def test_a_file_of_options_with_faults_is_refused(tmp_path, content, message):
    path = tmp_path / "picker.json"
    path.write_text(content)
    with pytest.raises(UsageError, match=message) as refused:
        parse_options(["-c", str(path)])
    assert str(path) in str(refused.value)


# Snakemake


def test_the_command_can_be_pasted_into_a_shell(tmp_path, monkeypatch):
    place = tmp_path / "a place"
    place.mkdir()
    monkeypatch.chdir(place)
    options = parse_options(["--force", "-n", "--cores", "3"])
    command = snakemake_command(ROOT, options, place / "picker.yaml", "train")
    assert command[1] == "train"
    assert {"--forceall", "--dry-run", "--keep-going"} <= set(command)
    assert command[command.index("--cores") + 1] == "3"
    words = shlex.split(as_shell(command))
    assert words[1:] == command
    assert words[0].startswith("OMP_NUM_THREADS=")


def test_a_profile_of_ours_is_found_from_any_folder(tmp_path):
    command = snakemake_command(ROOT, parse_options(["--profile", "leonardo"]), tmp_path / "picker.yaml")
    assert command[command.index("--profile") + 1] == str(ROOT / "profiles" / "leonardo")
    assert "--cores" not in command
    command = snakemake_command(ROOT, parse_options(["--profile", "mine"]), tmp_path / "picker.yaml")
    assert command[command.index("--profile") + 1] == "mine"


def test_the_exit_code_and_the_words_of_a_process_come_back(tmp_path):
    with (tmp_path / "said").open("w") as output:
        assert run([sys.executable, "-c", "import sys; print('out'); sys.exit(3)"], output) == 3
    assert (tmp_path / "said").read_text() == "out\n"


PATIENT = """
import signal, sys, time
def end(number, frame):
    time.sleep(1)
    open("ended", "w").close()
    sys.exit(1)
signal.signal(signal.SIGINT, end)
open("ready", "w").close()
time.sleep(60)
"""


def test_ctrl_c_waits_for_the_process_to_end(tmp_path):
    code = (
        "import sys; from pickflow.command_line.picker_run import run; sys.exit(run([sys.executable, *sys.argv[1:]]))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, "-c", PATIENT], cwd=tmp_path, start_new_session=True)
    deadline = time.monotonic() + 60
    while not (tmp_path / "ready").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=60) == 130
    assert (tmp_path / "ended").exists()


def test_logs_are_told_as_they_grow_and_failures_are_named(tmp_path):
    (tmp_path / "pick").mkdir()
    old, new = tmp_path / "pick" / "old.log", tmp_path / "pick" / "new.log"
    old.write_text("INFO of yesterday\n")
    said = []
    with LogFollower(tmp_path, said.append):
        new.write_text("INFO one\nTraceback (most recent call last):\nValueError: no such weights\n")
    assert said == [f"pick/new.log: {line}" for line in new.read_text().splitlines()]
    assert failures(tmp_path, 0.0) == [f"no such weights\n      the whole story: {new}"]
    assert failures(tmp_path, new.stat().st_mtime + 10) == []


# Tables


CATALOG = CatalogName("none", "PhaseNet", "stead", "gamma")


def picks_of_a_run(results):
    """Two stations on two days: AAA has three picks on the first day, two of them in an event; BBB has none."""
    times = pd.to_datetime(["2024-03-05T10:00", "2024-03-05T10:01", "2024-03-05T10:02"], utc=True)
    picks = pd.DataFrame(
        {
            "pick_id": ["a", "b", "c"], "network": "XA", "station": "AAA", "location": "", "channel": "HH",
            "phase": ["P", "P", "S"], "time": times, "starttime": times, "endtime": times, "probability": 0.5,
            "amplitude_m_s": 0.0, "snr_db": 0.0,
        }
    )  # fmt: skip
    folder = results / "picks" / "none" / "PhaseNet" / "stead"
    for day, table in (("2024-03-05", picks), ("2024-03-06", picks[:0])):
        write_table(table, PICKS, folder / f"{day}.parquet", {})
        rows = [("XA", station, day, "ok", "", 0, 0, 0) for station in ("AAA", "BBB")]
        ledger = pd.DataFrame(rows, columns=PICK_LEDGER.schema.names)
        ledger.loc[0, ["n_p", "n_s"]] = [int((table["phase"] == phase).sum()) for phase in ("P", "S")]
        write_table(ledger, PICK_LEDGER, folder / f"{day}.ledger.parquet", {})
    rows = [("e", pick, 0.0, 1.0, 0.0) for pick in ("a", "c")]
    assigned = conform(pd.DataFrame(rows, columns=ASSIGNMENTS.schema.names), ASSIGNMENTS)
    path = results / "catalog" / "none" / "PhaseNet" / "stead" / "gamma" / "assignments.parquet"
    write_table(assigned, ASSIGNMENTS, path, {})


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        (["station"], [("AAA", 3, 2, 1, 2), ("BBB", 0, 0, 0, 0)]),
        (["date"], [("2024-03-05", 3, 2, 1, 2), ("2024-03-06", 0, 0, 0, 0)]),
        (["network", "network"], [("XA", 3, 2, 1, 2)]),
        (
            ["station", "date"],
            [("AAA", "2024-03-05", 3, 2, 1, 2), ("AAA", "2024-03-06", 0, 0, 0, 0)]
            + [("BBB", day, 0, 0, 0, 0) for day in ("2024-03-05", "2024-03-06")],
        ),
    ],
)
def test_picks_are_counted_by_the_groups_asked_for(tmp_path, groups, expected):
    picks_of_a_run(tmp_path)
    table = picks_by_group(tmp_path, [CATALOG], ["2024-03-05", "2024-03-06"], groups)
    assert set(table["model"] + table["weights"] + table["associator"]) == {"PhaseNetsteadgamma"}
    assert [tuple(row) for row in table.iloc[:, 4:].itertuples(index=False)] == expected


def test_days_of_an_earlier_run_do_not_count(tmp_path):
    picks_of_a_run(tmp_path)
    assert picks_by_group(tmp_path, [CATALOG], ["2024-03-06"], ["network"])["n_picks"].tolist() == [0]


def test_picks_that_nobody_associated_are_counted_too(tmp_path):
    picks_of_a_run(tmp_path)
    alone = CATALOG._replace(associator=None)
    table = picks_by_group(tmp_path, [alone, CATALOG], ["2024-03-05"], ["network"])
    assert table[["associator", "n_picks", "n_in_events"]].to_numpy().tolist() == [["", 3, 0], ["gamma", 3, 2]]


def test_time_and_memory_are_added_up_by_rule(tmp_path):
    head = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"
    for name, line in (
        ("a", "2.0\t0:00:02\t100\t1\t1\t1\t1\t1\t1\t1.5\n"),
        ("b", "4.0\t0:00:04\t300\t1\t1\t1\t1\t1\t1\t3.5\n"),
    ):
        path = tmp_path / "benchmarks" / "pick" / f"{name}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(head + line)
    (tmp_path / "benchmarks" / "report").mkdir()
    (tmp_path / "benchmarks" / "report" / "r.tsv").write_text(head + "0.1\t0:00:00\tNA\tNA\tNA\tNA\tNA\tNA\tNA\tNA\n")
    table = time_by_rule(tmp_path)
    assert table.iloc[0].tolist() == ["pick", 2, 6.0, 5.0, 300.0]
    assert table["rule"].tolist() == ["pick", "report"]


def test_a_long_table_is_shown_in_part():
    assert as_text(pd.DataFrame({"row": range(70)})).endswith("… and 10 rows more")
    assert len(as_text(pd.DataFrame({"row": range(60)})).splitlines()) == 61


def test_help_needs_no_libraries_and_shows_examples(tmp_path):
    command = [sys.executable, str(ROOT / "scripts" / "picker.py"), "--help"]
    said = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=True, timeout=60).stdout
    assert "picker.py -v -D 980101 980110 --directory" in said
    wrong = subprocess.run([*command[:2], "--nonsense"], capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert wrong.returncode == 2
    assert "ERROR unrecognized arguments: --nonsense" in wrong.stderr
