import json
import random
from datetime import datetime, timedelta, timezone
from itertools import product
from pathlib import Path

import jsonschema
import pytest
import yaml

from pickflow.run.config_file import read_config
from pickflow.run.configuration import ConfigError, check_paths, complete, place
from pickflow.run.settings.configuration import Configuration
from pickflow.run.settings.download import FdsnParams
from pickflow.run.settings.pick import PickParams
from pickflow.run.settings.reference import page, sections
from pickflow.run.settings.section import section_of

ROOT = Path(__file__).parents[2]
MINIMAL = {"run": "test", "starttime": "2020-01-01", "endtime": "2020-01-02"}


def test_every_key_and_section_is_described():
    for key, section, _ in sections():
        assert section.__doc__, key
        for name, field in section.model_fields.items():
            assert field.description or section_of(field), f"{key}.{name} has no description"


def test_the_parameters_of_a_stage_have_the_defaults_of_a_configuration():
    assert complete(MINIMAL)["pick"] == json.loads(PickParams().model_dump_json())
    assert PickParams().backend == "auto"
    assert PickParams().changed(p_threshold=0.5).p_threshold == 0.5
    with pytest.raises(ValueError, match="less than or equal to 1"):
        PickParams(p_threshold=2)
    with pytest.raises(ValueError, match="frozen"):
        PickParams().backend = "torch"


def test_errors_of_parameters_do_not_repeat_what_may_be_a_secret():
    with pytest.raises(ValueError, match="password") as refusal:
        FdsnParams(password="s3cret")
    assert "s3cret" not in str(refusal.value)


def test_the_reference_of_all_keys_is_that_of_the_code():
    assert (ROOT / "docs" / "configuration-keys.md").read_text() == page(), "run make reference"


def test_there_is_a_json_schema_for_editors():
    jsonschema.validate(complete(MINIMAL), Configuration.model_json_schema())


@pytest.mark.parametrize("path", sorted((ROOT / "config").glob("*.yaml")), ids=lambda path: path.name)
def test_the_configurations_that_we_ship_are_valid(path):
    complete(yaml.safe_load(path.read_text()))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pick": {"modles": []}}, r"'pick.modles' is not known; did you mean 'models'"),
        ({"pik": {}}, r"'pik' is not known; did you mean 'pick'"),
        ({"run": "a/b"}, r"'run'"),
        ({"endtime": "2019-01-01"}, r"endtime .* must be later"),
        ({"endtime": "2020-02-31"}, r"endtime: '2020-02-31' is not a time"),
        ({"denoise": {"methods": ["bandpas"]}}, r"did you mean 'bandpass'"),
        ({"pick": {"p_threshold": 3}}, r"pick.p_threshold.*3 is greater"),
        ({"pick": {"batch_size": "many"}}, r"pick.batch_size.*'many'"),
        ({"pick": None}, r"'pick'"),
        ({"run": "x" * 300}, r"'run'.*too long"),
        (
            {"denoise": {"minimum_frequency_hz": 20, "maximum_frequency_hz": 1}},
            r"minimum_frequency_hz: 20 must be smaller",
        ),
        (
            {"associate": {"velocity_model": {"p_km_s": 3.5, "s_km_s": 6.1}}},
            r"velocity_model.s_km_s: 6.1 must be smaller",
        ),
        (
            {"associate": {"velocity_model": {"p_km_s": 6100, "s_km_s": 3500}}},
            r"p_km_s.*6100 is greater than the maximum",
        ),
        (
            {"analyze": {"reference_window": {"starttime": "foo", "endtime": "2020"}}},
            r"reference_window.starttime/endtime: 'foo' is not a time",
        ),
        ({"download": {"stations": ["CLC"]}}, r"download.stations.*'CLC' is not network.station"),
        ({"download": {"fdsn": {"servers": 5}}}, r"download.fdsn.servers.*5 is not of type 'array'"),
        ({"download": {"stations": "CI.CCC"}}, r"download.stations.*write a list: \[CI.CCC\]"),
        ({"download": None}, r"'download': None.*leave the key out"),
        ({"run": "my run"}, r"'run': 'my run'.*of letters, digits, dots, _ and -"),
        ({"download": {"source": "fdsn"}}, r"download.fdsn.servers: name a data centre"),
        ({"download": {"fdsn": {"servers": ["htp://x.org"]}}}, r"download.fdsn.servers.0.*htp://x.org"),
        ({"synthesize": {"faults": [{"fault": "gap", "station": "XX.A"}]}}, r"synthesize.faults: no station 'XX.A'"),
    ],
)
def test_mistakes_are_named_with_key_and_way_out(change, message):
    with pytest.raises(ConfigError, match=message):
        complete({**MINIMAL, **change})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"run": "demo\n"}, r"'run': 'demo\\n' has a line break"),
        ({"run": "../x"}, r"'run'"),
        ({"run": "x/y"}, r"'run'"),
        ({"run": ".x"}, r"'run'"),
        ({"run": ""}, r"'run': '' is empty"),
        ({"run": False}, r"'run': False is not of type 'string'; YAML takes no, off"),
        ({"run": 20240501}, r"'run': 20240501 is not .*; a text of digits needs quotes"),
        ({"download": {"path": "data/{x}"}}, r"download.path': 'data/\{x\}' has one of the characters"),
        ({"download": {"path": "data/<x>"}}, r"download.path': 'data/<x>' has .*known: <results>, <shared>"),
        ({"download": {"path": "data\0"}}, r"download.path': 'data\\x00' has"),
        ({"download": {"path": "x" * 5000}}, r"download.path': 'xxx.* has 5000 characters"),
        ({"download": {"inventory": [""]}}, r"download.inventory.0': '' is empty"),
        ({"download": {"stations": ["CI.CLC\n"]}}, r"download.stations.0'.*line break"),
        ({"download": {"network_priority": [False]}}, r"network_priority.0': False .*'NO' needs quotes"),
        ({"download": {"padding_s": float("nan")}}, r"download.padding_s': nan is not a number"),
        ({"pick": {"p_threshold": float("inf")}}, r"pick.p_threshold': inf is not a number"),
        ({"pick": {"p_threshold": "1e-3"}}, r"pick.p_threshold'.*; as a number write 0.001, without quotes"),
        ({"pick": {"p_threshold": True}}, r"pick.p_threshold': True is not of type 'number'"),
        ({"pick": {"batch_size": 10**400}}, r"pick.batch_size': .* is not a number that can be used"),
        ({"pick": {"batch_size": 2.5}}, r"pick.batch_size': 2.5 is not of type 'integer'"),
        ({"pick": {"drop_artefacts": "no"}}, r"pick.drop_artefacts': 'no' is not of type 'boolean'"),
        ({"weights": {"files": {"PhaseNet/{x}": "a"}}}, r"weights.files': 'PhaseNet/\{x\}' has"),
        ({"endtime": "9999-12-31"}, r"starttime/endtime: 9999-12-31.* is not between 1850 and 2200"),
        ({"starttime": "0001-01-01"}, r"starttime/endtime: 0001-01-01.* is not between"),
        ({"starttime": "0001-01-01T00:00+12:00"}, r"starttime/endtime: .* is not a time of our calendar"),
        ({"starttime": "1900-01-01"}, r"starttime/endtime: from 1900.* are 43830 days"),
        ({"starttime": 750}, r"'starttime': 750 is not of type 'string'"),
        ({"starttime": "2020-01-01T24:30"}, r"is not a time"),
        ({"compute": {"dask": {"slurm": {"interface": "ib0; true"}}}}, r"slurm.interface'.*does not match"),
        ({"denoise": {"weights": "../x"}}, r"denoise.weights'.*does not match"),
        ({"synthesize": {"endtime": "9999-01-01"}}, r"synthesize.starttime/endtime: 9999"),
        (
            {"synthesize": {"seismicity": {"pinned": [{"time": "noon", "magnitude": 1}]}}},
            r"seismicity.pinned: 'noon' is",
        ),
    ],
)
def test_what_can_be_no_value_is_named_at_once(change, message):
    with pytest.raises(ConfigError, match=message) as refusal:
        complete({**MINIMAL, **change})
    assert len(str(refusal.value)) < 600


def test_codes_of_the_synthetic_network_make_no_paths_elsewhere():
    sites = complete(MINIMAL)["synthesize"]["stations"]
    with pytest.raises(ConfigError, match=r"synthesize.stations: network code '\.\./x'"):
        complete({**MINIMAL, "synthesize": {"stations": [{**sites[0], "network": "../x"}]}})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("run: a\nrun: b\n", r"line 2: key 'run' stands there for the second time, first in line 1"),
        ("pick:\n  models: [A]\n  models: [B]\n", r"line 3: key 'models'"),
        ("associate: {min_picks: 010}\n", r"line 1: YAML reads 010 as the number 8"),
        ("a: 12:30\n", r"YAML reads 12:30 as the number 750"),
        ("a: [00, 10]\n", r"YAML reads 00 as the number 0"),
        ("a: 190:20:30.15\n", r"YAML reads 190:20:30.15 as the number 685"),
        ("a: 1\nendtime: 2020-02-31\n", r"line 2: 2020-02-31 is not a time"),
        ("pick:\n\tmodels: []\n", r"not readable as YAML .* not tabs"),
        ("a: &b {c: *b}\n", r"not readable as YAML .*recursion"),
        ("? [a, b]\n: c\n", r"line 1: a key is a word"),
        ("? {a: b}\n: c\n", r"line 1: a key is a word"),
        ("- run\n", r"keys and values are expected"),
        ("", r"keys and values are expected"),
        ("null", r"keys and values are expected"),
        ("run: [", r"not readable as YAML"),
        ("[" * 5000, r"not readable as YAML"),
        ("run: !!python/object/apply:os.system [id]", r"not readable as YAML"),
        (b"\xff\xfer\0u\0n\0", r"not readable as YAML in UTF-8"),
        ("run: a\0b", r"not readable as YAML"),
    ],
)
def test_what_yaml_would_misread_is_named_with_its_line(text, message, tmp_path):
    path = tmp_path / "my.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError, match=rf"my\.yaml.*{message}"):
        read_config(path)


def test_a_configuration_may_be_json(tmp_path):
    path = tmp_path / "my.json"
    path.write_text('{"run":\t"a", "pick": {"batch_size": 10}}')
    assert read_config(path) == {"run": "a", "pick": {"batch_size": 10}}
    path.write_text('{"run": "a", "run": "b"}')
    with pytest.raises(ConfigError, match="'run' stands there twice"):
        read_config(path)


@pytest.mark.parametrize("path", sorted((ROOT / "config").glob("*.yaml")), ids=lambda path: path.name)
def test_the_configurations_that_we_ship_are_read_as_by_everyone(path):
    assert read_config(path) == yaml.safe_load(path.read_text())


def test_a_time_that_yaml_has_read_and_that_is_none_in_utc_is_named():
    moment = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=12)))
    with pytest.raises(ConfigError, match=r"starttime/endtime: '0001-01-01.* is not a time of our calendar"):
        complete({**MINIMAL, "starttime": moment})


def test_whole_numbers_are_integers():
    completed = complete({**MINIMAL, "pick": {"batch_size": 4.0}, "download": {"padding_s": 4}})
    assert isinstance(completed["pick"]["batch_size"], int)


def test_a_missing_key_is_named():
    with pytest.raises(ConfigError, match="'endtime' is missing"):
        complete({"run": "test", "starttime": "2020-01-01"})


def test_a_missing_file_is_named_with_its_key():
    config = complete({**MINIMAL, "download": {"source": "sds", "path": "nowhere/sds"}})
    with pytest.raises(ConfigError, match=r"download.path: 'nowhere/sds' does not exist"):
        check_paths(config, made_by_run="results/test/")
    config = complete({**MINIMAL, "download": {"source": "sds", "path": "results/test/sds"}})
    check_paths(config, made_by_run="results/test/")


def test_all_missing_files_are_named_at_once():
    config = complete({**MINIMAL, "download": {"source": "sds", "path": "nowhere", "inventory": ["a.xml", "b.xml"]}})
    with pytest.raises(ConfigError) as error:
        check_paths(config, made_by_run="results/test/")
    assert [line.split("'")[1] for line in str(error.value).splitlines()] == ["a.xml", "b.xml", "nowhere"]


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        ({"path": "~/sds"}, r"path: '~/sds' does not exist .* write the whole path"),
        ({"path": "$HOME/sds"}, r"path: '\$HOME/sds' does not exist .* write the whole path"),
        ({"path": __file__}, "path: a folder is needed, and '.*' is a file"),
        ({"path": ".", "inventory": ["."]}, "inventory: a file is needed, and '.' is a folder"),
    ],
    ids=str,
)
def test_a_path_that_cannot_be_meant_is_named_before_anything_runs(section, problem):
    config = complete({**MINIMAL, "download": {"source": "sds", **section}})
    with pytest.raises(ConfigError, match=f"config key download.{problem}"):
        check_paths(config, made_by_run="results/test/")


def test_weights_given_as_files_are_looked_for(tmp_path):
    path = tmp_path / "mine"
    config = complete({**MINIMAL, "weights": {"files": {"PhaseNet/mine": str(path)}}})
    config["download"].update(source="fdsn")
    with pytest.raises(ConfigError, match=r"weights.files.PhaseNet/mine: '.*mine.json' does not exist"):
        check_paths(config, made_by_run="results/test/")
    path.with_suffix(".json").write_text("{}")
    check_paths(config, made_by_run="results/test/")
    path.mkdir()
    check_paths(config, made_by_run="results/test/")


def test_a_file_that_cannot_be_looked_at_is_named(tmp_path):
    (tmp_path / "file").touch()
    for path, problem in ((f"{tmp_path}/file/x", "Not a directory"), (f"{tmp_path}/{'x' * 300}", "too long")):
        config = complete({**MINIMAL, "download": {"source": "sds", "path": path}})
        with pytest.raises(ConfigError, match=rf"download.path: .* cannot be used: .*{problem}"):
            check_paths(config, made_by_run="results/test/")


def test_places_are_filled_in_at_any_depth():
    assert place({"a": ["<results>/x", 1], "b": {"c": "<results>"}}, {"results": "results/r"}) == {
        "a": ["results/r/x", 1],
        "b": {"c": "results/r"},
    }


def test_a_password_in_an_address_is_refused_and_not_repeated():
    servers = {"download": {"source": "fdsn", "fdsn": {"servers": ["https://me:secret@server.org"]}}}
    with pytest.raises(ConfigError, match="download.fdsn.servers: an address holds a user or password") as refusal:
        complete({**MINIMAL, **servers})
    assert "secret" not in str(refusal.value)


KEYS = [
    (*key.split("."), name) if key else (name,)
    for key, section, _ in sections()
    if "[]" not in key
    for name in section.model_fields
]
ODD = [
    None,
    True,
    "x",
    "",
    [],
    {},
    -1,
    0,
    1e308,
    float("nan"),
    "1e-3",
    10**30,
    [[]],
    [None],
    {"a": {}},
    [{}],
    "\n",
    "{x}",
]


@pytest.mark.parametrize(("key", "value"), random.Random(0).sample(list(product(KEYS, ODD)), 100))
def test_any_value_of_any_key_is_taken_or_named(key, value):
    config = dict(MINIMAL)
    section = config
    for name in key[:-1]:
        section = section.setdefault(name, {})
    section[key[-1]] = value
    refusal = ""
    try:
        complete(config)
    except ConfigError as error:
        refusal = str(error)
    assert not refusal or key[0] in refusal
    assert len(refusal) < 1500
