"""Which keys change what: the notes beside the keys against a list made by hand."""

import pytest

from pickflow.run.configuration import complete
from pickflow.run.effects import (
    NOTHING,
    PATHS,
    associator_settings,
    denoiser_settings,
    effects,
    settings_of,
    settings_of_results,
    velocity_settings,
)

MINIMAL = {"run": "test", "starttime": "2020-01-01", "endtime": "2020-01-02"}
RULES = {
    *("inventory", "download", "denoise", "pick", "compress", "associate", "locate", "amplitude", "catalog", "analyze"),
    *("report", "synthesize", "train", "lab_data", "lab_train", "lab_table", "lab_inside"),
    *("implicit_teacher", "implicit_fit"),
}


@pytest.fixture(scope="module")
def config():
    return complete(MINIMAL)


def test_every_key_says_what_it_affects():
    for key, rules in effects():
        assert rules, f"{key} says nothing"
        assert set(rules) <= RULES | {PATHS, NOTHING}, key
        assert len(rules) == 1 or not {PATHS, NOTHING} & set(rules), f"{key} affects both something and nothing"


def test_where_and_how_fast_a_run_computes_affects_nothing():
    nothing = {key for key, rules in effects() if rules == (NOTHING,)}
    assert {key for key, _ in effects() if key.startswith("compute.")} <= nothing
    fdsn = {key for key, _ in effects() if key.startswith("download.fdsn.")}
    assert fdsn - nothing == {"download.fdsn.servers", "download.fdsn.routing"}
    speed_keys = {"download.cache", "associate.threads", "pick.batch_size", "weights.cache", "weights.repository"}
    assert speed_keys <= nothing
    assert {key.partition(".")[0] for key in nothing} == {
        *("compute", "download", "associate", "lab", "pick", "weights", "synthesize"),
    }


def test_a_rule_gets_the_keys_that_it_reads_and_no_others(config):
    assert settings_of("catalog", "magnitude", config) == {
        "min_stations": 2, "station_corrections": {}, "estimate_corrections": False, "min_correction_events": 10,
    }  # fmt: skip
    downloaded = settings_of("download", "download", config)
    assert set(downloaded["fdsn"]) == {"servers", "routing"}
    assert "stations" not in downloaded
    assert "token_file" not in str(settings_of_results(config, set()))


def test_the_order_of_keys_and_how_a_number_is_written_mean_nothing():
    config_in_order = {**MINIMAL, "locate": {"reach_km": 300, "min_depth_km": -1}, "pick": {"batch_size": 8.0}}
    config_out_of_order = {"pick": {"batch_size": 8}, **MINIMAL, "locate": {"min_depth_km": -1.0, "reach_km": 300.0}}
    first, second = complete(config_in_order), complete(config_out_of_order)
    assert repr(first["locate"]) == repr(second["locate"])
    assert repr(first["pick"]) == repr(second["pick"])
    default = complete(MINIMAL)
    assert repr(complete({**MINIMAL, "locate": {"reach_km": 300}})["locate"]) == repr(default["locate"])


def test_a_file_of_layers_counts_alone():
    assert velocity_settings({"p_km_s": 6.0, "s_km_s": 3.5, "file": "a.nd"}) == {"file": "a.nd"}
    assert velocity_settings({"p_km_s": 6.0, "s_km_s": 3.5, "file": None}) == {"p_km_s": 6.0, "s_km_s": 3.5}


def test_an_associator_is_not_run_again_for_settings_of_another(config):
    section = config["associate"]
    assert "gamma" not in associator_settings(section, "pyocto")
    assert {"gamma", "stack"} <= set(associator_settings(section, "gamma"))
    assert "stack" not in associator_settings(section | {"complete_with_stack": False}, "pyocto")
    assert "stack" in associator_settings(section | {"complete_with_stack": False}, "stack")


def test_a_network_that_denoises_does_not_read_the_corners_of_the_bandpass(config):
    assert "corners" in denoiser_settings(config["denoise"], "bandpass")
    assert "corners" not in denoiser_settings(config["denoise"], "deepdenoiser")
