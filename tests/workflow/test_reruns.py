"""A key changed runs again what it affects, and nothing else: each key in turn."""

import copy
import functools
import json
import re

import pytest

from pickflow.run.configuration import complete
from pickflow.run.effects import associator_settings, denoiser_settings, effects, settings_of, settings_of_results
from pickflow.run.settings.configuration import Configuration
from pickflow.run.settings.reference import bounds_of, type_text
from pickflow.run.settings.section import section_of
from tests.workflow_plan import (
    AMPLITUDE,
    ANALYZE,
    ASSOCIATE,
    CATALOG,
    LEAN,
    LOCATE,
    REPORT,
    finish,
    jobs_to_run,
    rules_to_run,
)

# Every rule has a job, in one day.
RICH = {
    **LEAN,
    "endtime": "2024-05-02",
    "denoise": {"methods": ["none", "bandpass"]},
    "associate": {**LEAN["associate"], "methods": ["pyocto", "gamma"]},
    "compress": {"target": {"macs": 0.5}},
}
COMPRESS = {"compress", "denoise", "pick"} | ASSOCIATE  # what is denoised is temporary, and read again
PICK = COMPRESS
DOWNLOAD = {"download"} | PICK
# Which days will differ is known after the inventory; until then all of them may.
INVENTORY = {"inventory"} | DOWNLOAD
# What has to be done after a key was changed. Keys that are not here: see KEYS_OF_PATHS.
WORK = {
    "compute": set(),
    "train": set(),
    "implicit": set(),  # this run makes catalogs
    "synthesize": set(),  # this run reads an archive of its own
    "weights": set(),
    "download.source": INVENTORY,
    "download.path": INVENTORY,
    "download.inventory": INVENTORY,
    "download.stations": INVENTORY,
    "download.exclude": INVENTORY,
    "download.domain": INVENTORY,
    "download.channel_priority": INVENTORY,
    "download.location_priority": DOWNLOAD,
    "download.network_priority": INVENTORY,
    "download.min_station_distance_km": INVENTORY,
    "download.padding_s": DOWNLOAD,
    "download.min_coverage": DOWNLOAD,
    "download.cache": set(),
    "download.fdsn": set(),
    "download.fdsn.servers": INVENTORY,
    "download.fdsn.routing": INVENTORY,
    "denoise": {"denoise"} | PICK,
    "pick": PICK,
    "pick.batch_size": set(),
    "compress": COMPRESS,
    "associate": ASSOCIATE,
    "associate.threads": set(),
    "associate.velocity_model.p_km_s": REPORT,  # a file of layers counts; the report shows the key
    "associate.velocity_model.s_km_s": REPORT,
    "associate.stack": ASSOCIATE,
    "locate": LOCATE,
    "magnitude": AMPLITUDE,
    "magnitude.min_stations": CATALOG,
    "magnitude.station_corrections": CATALOG,
    "magnitude.estimate_corrections": CATALOG,
    "magnitude.min_correction_events": CATALOG,
    "analyze": ANALYZE,
    "report": REPORT,
    "lab": set(),  # this run trains nothing
}
# They say which jobs there are, or the names of files: tested one by one below.
KEYS_OF_PATHS = {
    *("run", "starttime", "endtime", "denoise.methods", "denoise.weights", "pick.models", "pick.weights", "pick.pairs"),
    *("compress.target", "compress.methods", "compress.teachers", "compress.int8", "associate.methods"),
    *("associate.velocity_model.file", "catalog.formats", "analyze.reference.file", "analyze.reference.complete_file"),
    *(
        "implicit.whole",
        "implicit.layers",
        "lab.variants",
        "lab.seeds",
        "analyze.reference.complete_picks_file",
        "download.fdsn.password",
        "weights.files",
    ),
}
# Values other than what the type of the key suggests.
VALUES = {
    "download.source": "directory",
    "download.path": "elsewhere",
    "download.inventory": ["more.xml"],
    "download.stations": ["XX.A"],
    "download.exclude": ["XX.B"],
    "download.channel_priority": ["EH"],
    "download.location_priority": ["00"],
    "download.domain.rectangle.min_latitude_deg": 1.0,
    "download.fdsn.servers": ["INGV"],
    "download.fdsn.routing": "eida-routing",
    "download.fdsn.token_file": "stations.xml",
    "weights.cache": "elsewhere",
    "compute.dask.slurm.directives": ["--qos=x"],
    "magnitude.law": "italy",
    "magnitude.station_corrections": {"XX.A": 0.1},
    "associate.velocity_model.p_km_s": 5.9,
    "associate.velocity_model.s_km_s": 3.3,
    "denoise.minimum_frequency_hz": 2.0,
    "denoise.maximum_frequency_hz": 30.0,
    "pick.stacking": "max",
    "pick.backend": "torch",
    "train.model": "LEQNet",
    "train.teacher": "PhaseNet/stead",
    "implicit.labelled": ["sds"],
    "implicit.max_snr_db": 30.0,
    "implicit.penalties": ["group"],
    "implicit.ratios": [0.1, 0.01],
    "implicit.perturbed_ratio": 0.1,
    "implicit.narrow.channels": [2, 4, 4, 4],
    **{f"implicit.perturbations.{name}": [0.5] for name in ("noise", "gain", "dropout", "gap_s")},
    "lab.split.validation": 0.06,
    "lab.training.augmentation.noise_least": 0.02,
    "lab.training.augmentation.second_least": 0.2,
    "lab.sources": None,
    "synthesize.starttime": "2026-01-15T23:30:00Z",
    "synthesize.endtime": "2026-01-16T00:30:00Z",
    "synthesize.seismicity.min_magnitude": 1.0,
    "synthesize.seismicity.max_magnitude": 4.0,
    **{f"synthesize.{name}": None for name in ("stations", "layers", "faults")},
    **{f"synthesize.seismicity.{name}": None for name in ("pinned", "sources")},
}
OBJECTS = {
    "download.domain.rectangle": dict(
        min_latitude_deg=1.0, max_latitude_deg=2.0, min_longitude_deg=1.0, max_longitude_deg=2.0
    ),
    "download.domain.circle": dict(latitude_deg=1.0, longitude_deg=1.0, max_radius_km=9.0),
    "magnitude.custom": dict(a=1.0, b=0.002),
    "analyze.reference_window": dict(starttime="2024-05-01T01:00:00Z", endtime="2024-05-01T02:00:00Z"),
    "analyze.region": dict(min_latitude_deg=1.0, max_latitude_deg=2.0, min_longitude_deg=1.0, max_longitude_deg=2.0),
}


def keys():
    """Every key that holds a value; keys below an object that is null by default stand for the whole object."""
    names = [key for key, _ in effects() if key not in KEYS_OF_PATHS and VALUES.get(key, 0) is not None]
    whole = {key: next((name for name in OBJECTS if key.startswith(f"{name}.")), key) for key in names}
    return list(dict.fromkeys(whole.values()))


def work_after(key):
    """What `WORK` says of a key, or of the section around it."""
    section = key
    while section and section not in WORK:
        section = section.rpartition(".")[0]
    assert section, f"WORK says nothing of {key}"
    return frozenset(WORK[section])


def field_of(key):
    *sections, name = key.split(".")
    section = functools.reduce(lambda section, name: section_of(section.model_fields[name]), sections, Configuration)
    return section.model_fields[name]


def other_value(key, value):
    """A valid value that is not this one."""
    if key in VALUES or key in OBJECTS:
        return VALUES.get(key) or OBJECTS[key]
    field = field_of(key)
    words = type_text(field.annotation)
    if "`" in words and not words.startswith("list"):
        return next(item for item in re.findall("`(.*?)`", words) if item != value)
    if words == "true or false":
        return not value
    if "integer" in words or "number" in words:
        bounds = bounds_of(field)
        low, high = bounds.get("ge", bounds.get("gt", 0)), bounds.get("le", bounds.get("lt", 1e9))
        step = 1 if "integer" in words else (min(high, low + 1.0) - low) / 4
        return next(number for number in (low + step, low + 2 * step) if number != value)
    return ["XX"] if words.startswith("list") else "other"


@functools.cache
def completed(text):
    return complete(json.loads(text))


def changed(config, *names):
    """A configuration with other values of some keys."""
    config, values = copy.deepcopy(config), completed(json.dumps(config))
    for key in names:
        *sections, name = key.split(".")
        value = functools.reduce(lambda part, section: (part or {}).get(section), key.split("."), values)
        section = functools.reduce(lambda part, name: part.setdefault(name, {}), sections, config)
        section[name] = other_value(key, value)
    return config


@pytest.fixture(scope="module")
def rich(tmp_path_factory):
    return finish(tmp_path_factory.mktemp("rich") / "run", RICH)


def test_nothing_changed_runs_nothing(rich):
    assert jobs_to_run(rich, RICH) == []


def groups():
    """Keys after which the same has to be done, in one run: one dry run for each set of rules."""
    together = {}
    for key in keys():
        together.setdefault(work_after(key), []).append(key)
    return list(together.items())


@pytest.mark.parametrize(("rules", "names"), groups(), ids=lambda part: "+".join(sorted(part))[:40] or "nothing")
def test_what_keys_affect_runs_again_and_nothing_else(rules, names, rich):
    assert rules_to_run(rich, changed(RICH, *names)) == rules


@pytest.mark.nightly
@pytest.mark.parametrize("key", keys())
def test_what_each_key_affects_runs_again_and_nothing_else(key, rich):
    assert rules_to_run(rich, changed(RICH, key)) == work_after(key)


# The section that each rule reads, and what has to be done after a change in it.
SECTIONS = {
    "inventory": ("download", INVENTORY),
    "download": ("download", DOWNLOAD),
    "denoise": ("denoise", {"denoise"} | PICK),
    "pick": ("pick", PICK),
    "compress": ("compress", COMPRESS),
    "associate": ("associate", ASSOCIATE),
    "locate": ("locate", LOCATE),
    "amplitude": ("magnitude", AMPLITUDE),
    "catalog": ("magnitude", CATALOG),
    "analyze": ("analyze", ANALYZE),
}


def read_by_rules(config):
    """What each rule of the rich run reads of a configuration."""
    values = complete(config)
    read = {rule: settings_of(rule, section, values) for rule, (section, _) in SECTIONS.items()}
    read["denoise"] = denoiser_settings(read["denoise"], "bandpass")
    read["associate"] = [associator_settings(read["associate"], method) for method in RICH["associate"]["methods"]]
    read["report"] = settings_of_results(values, {"synthesize", "train", "implicit", "lab"})
    return read


@functools.cache
def read_before():
    return read_by_rules(RICH)


@pytest.mark.parametrize("key", keys())
def test_each_key_is_read_by_the_first_rule_that_has_to_run_again(key):
    before, after = read_before(), read_by_rules(changed(RICH, key))
    rules = [rule for rule in before if before[rule] != after[rule]]
    assert set().union(*(SECTIONS[rule][1] if rule in SECTIONS else REPORT for rule in rules)) == work_after(key)
