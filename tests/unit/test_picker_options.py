"""The picker's options: what each says in the configuration, also from a file of options, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pickflow.command_line.parser import UsageError
from pickflow.command_line.picker.configuration import bands, domain, station_patterns
from pickflow.command_line.picker.options import make_parser, parse_options
from pickflow.command_line.picker.work import run_picker
from pickflow.run.configuration import complete
from tests.conftest import ROOT
from tests.picker_fixture import ON_DAY, configuration, plan, usual_bands, waveform_folder


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of waveforms, in a working directory of its own."""
    monkeypatch.chdir(tmp_path)
    return waveform_folder(tmp_path)


def value(config, key):
    for part in key.split("."):
        config = config[part]
    return config


# Each option lands where docs/picker.md says


@pytest.mark.parametrize(
    ("words", "key", "expected"),
    [
        (["-C", "EHZ", "HH?"], "download.channel_priority", ["EH", "HH"]),
        (["--channel", "*"], "download.channel_priority", [*usual_bands(), "??"]),
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
    complete(config)


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
    setting = value(configuration("--download", *ON_DAY, *words), key)
    assert setting == (str(tmp_path / expected) if key.endswith(("cache", "token_file")) else expected)


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
        (["EH[ZNE12]", "*"], ["EH", *[name for name in usual_bands() if name != "EH"], "??"]),
        (["*Z"], [*usual_bands(), "??"]),
        ([], usual_bands()),
    ],
)
def test_channels_are_read_as_bands_and_instruments(channels, expected):
    assert bands(channels, usual_bands()) == expected


@pytest.mark.parametrize("channel", ["H", "HHZZ", "12", "HH Z", ""])
def test_what_is_no_channel_is_refused(channel):
    with pytest.raises(UsageError, match="not a channel code"):
        bands([channel], usual_bands())


def test_stations_that_name_their_network_keep_it():
    assert station_patterns(["XA", "XB"], ["AAA", "OX.CAE"]) == ["XA.AAA", "XB.AAA", "OX.CAE"]


def test_training_takes_models_that_can_be_trained(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PICKFLOW_SHARED", str(tmp_path))
    planned = plan("-T", "-M", "leqnet", "-b", "16")
    assert planned.config["train"] == {"model": "LEQNet", "batch_size": 16, "real_data": "synthetic_only"}
    assert "no real data" in planned.warnings[0]
    with pytest.raises(UsageError, match="one of PhaseNet, .*LEQNet, .* can be trained"):
        plan("-T", "-M", "GPD")
    assert plan("-T").config["train"]["model"] == "PickflowNet"


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
    assert run_picker(options, ["-d", "data"]) == 2
    assert "holds no waveforms that can be read" in capsys.readouterr().err
    assert not list((tmp_path / "results").rglob("picker.yaml"))


def test_combinations_that_do_not_exist_are_skipped_with_a_warning(folder):
    planned = plan("-d", folder, *ON_DAY, "-M", "PhaseNet", "EQTransformer", "-W", "diting", "pnw", "bundled")
    assert [str(pair) for pair in planned.candidates] == ["PhaseNet/diting", "EQTransformer/pnw"]
    warnings = " ".join(planned.warnings)
    assert all(name in warnings for name in ("bundled", "PhaseNet/pnw", "EQTransformer/diting"))


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
        ('{"xyz": 1}', "known: batch, channel"),
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


def test_help_needs_no_libraries_and_shows_examples(tmp_path):
    command = [sys.executable, str(ROOT / "scripts" / "picker.py"), "--help"]
    output = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=True, timeout=60).stdout
    assert "picker.py -v -D 980101 980110 --directory" in output
    wrong = subprocess.run([*command[:2], "--nonsense"], capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert wrong.returncode == 2
    assert "ERROR unrecognized arguments: --nonsense" in wrong.stderr
