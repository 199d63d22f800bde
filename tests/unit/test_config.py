from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from pickflow.config import ConfigError, build, check_paths, complete, load_schema, place

ROOT = Path(__file__).parents[2]
MINIMAL = {"run": "test", "starttime": "2020-01-01", "endtime": "2020-01-02"}


@pytest.fixture(scope="module")
def schema():
    return load_schema(ROOT / "workflow" / "schemas")


def test_every_default_is_valid_and_described(schema):
    def check(part, path):
        for key, value in part.get("properties", {}).items():
            assert value.get("description"), f"{path}.{key} has no description"
            check(value, f"{path}.{key}")

    check(schema, "config")
    completed = complete(MINIMAL, schema)
    assert completed["pick"]["backend"] == "auto"
    assert completed["denoise"]["methods"] == ["none"]


@pytest.mark.parametrize("path", sorted((ROOT / "config").glob("*.yaml")), ids=lambda path: path.name)
def test_the_configurations_that_we_ship_are_valid(path, schema):
    complete(yaml.safe_load(path.read_text()), schema)


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
            r"minimum_frequency_hz \(20\) .* smaller",
        ),
        (
            {"associate": {"velocity_model": {"p_km_s": 3.5, "s_km_s": 6.1}}},
            r"velocity_model.s_km_s \(6.1\) .* smaller",
        ),
        (
            {"associate": {"velocity_model": {"p_km_s": 6100, "s_km_s": 3500}}},
            r"p_km_s.*6100 is greater than the maximum",
        ),
        (
            {"analyze": {"reference_window": {"starttime": "foo", "endtime": "2020"}}},
            r"reference_window: 'foo' is not a time",
        ),
        ({"download": {"stations": ["CLC"]}}, r"download.stations.*'CLC' is not network.station"),
        ({"download": {"fdsn": {"servers": 5}}}, r"download.fdsn.servers.*5 is not of type 'array'"),
        ({"download": {"source": "fdsn"}}, r"download.fdsn.servers: name a data centre"),
        ({"download": {"fdsn": {"servers": ["htp://x.org"]}}}, r"download.fdsn.servers.0.*htp://x.org"),
        ({"synthesize": {"faults": [{"fault": "gap", "station": "XX.A"}]}}, r"synthesize.faults: no station 'XX.A'"),
    ],
)
def test_mistakes_are_named_with_key_and_way_out(change, message, schema):
    with pytest.raises(ConfigError, match=message):
        complete({**MINIMAL, **change}, schema)


def test_a_missing_key_is_named(schema):
    with pytest.raises(ConfigError, match="'endtime' is missing"):
        complete({"run": "test", "starttime": "2020-01-01"}, schema)


def test_a_missing_file_is_named_with_its_key(schema):
    config = complete({**MINIMAL, "download": {"source": "sds", "path": "nowhere/sds"}}, schema)
    with pytest.raises(ConfigError, match=r"download.path: 'nowhere/sds' does not exist"):
        check_paths(config, made_by_run="results/test/")
    config = complete({**MINIMAL, "download": {"source": "sds", "path": "results/test/sds"}}, schema)
    check_paths(config, made_by_run="results/test/")


def test_places_are_filled_in_at_any_depth():
    assert place({"a": ["<results>/x", 1], "b": {"c": "<results>"}}, {"results": "results/r"}) == {
        "a": ["results/r/x", 1],
        "b": {"c": "results/r"},
    }


def test_parameters_are_built_with_their_parts():
    @dataclass(frozen=True, kw_only=True)
    class Part:
        size_km: float

    @dataclass(frozen=True, kw_only=True)
    class Whole:
        names: tuple[str, ...]
        part: Part | None

    Whole.__annotations__ = {"names": tuple[str, ...], "part": Part | None}
    whole = build(Whole, {"names": ["a"], "part": {"size_km": 1.0}, "other": 3})
    assert whole == Whole(names=("a",), part=Part(size_km=1.0))
    assert build(Whole, {"names": [], "part": None}).part is None


def test_a_password_in_an_address_is_refused_and_not_repeated(schema):
    servers = {"download": {"source": "fdsn", "fdsn": {"servers": ["https://me:secret@server.org"]}}}
    with pytest.raises(ConfigError, match="download.fdsn.servers: an address holds a user or password") as refusal:
        complete({**MINIMAL, **servers}, schema)
    assert "secret" not in str(refusal.value)
