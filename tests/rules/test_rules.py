"""Each rule, run by Snakemake on waveforms of a small synthetic network, keeps its contract."""

import json

import numpy as np
import obspy
import pandas as pd
import pytest

from pickflow.associate import merge_days
from pickflow.io.formats import FORMATS, read_bulletin
from pickflow.io.tables import read_provenance, read_table
from pickflow.schemas import (
    AMPLITUDE_REASONS,
    AMPLITUDES,
    ASSIGNMENTS,
    CATALOG_FILE,
    EVENTS,
    IMPLICIT_FITS,
    IMPLICIT_SCORES,
    LEDGER,
    MANIFEST,
    MATCHES,
    PICK_LEDGER,
    PICKS,
    STATION_CORRECTIONS,
    STATIONS,
)
from tests.snakemake_runner import SMALL, snakemake

DAYS = ["2026-01-15", "2026-01-16"]
PICKER = "PickflowNet/bundled"
CATALOG = f"none/{PICKER}/pyocto"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def make(tmp_path_factory):
    """Make a target with all that it needs, and give its path."""
    directory = tmp_path_factory.mktemp("rules")

    def make_target(target, **changes):
        snakemake(f"results/small/{target}", directory=directory, config={**SMALL, **changes})
        return directory / "results" / "small" / target

    return make_target


def test_synthesize_makes_an_archive_with_its_truth(make):
    folder = make("synthetic")
    assert len(list(folder.glob("sds/2026/*/*/*.D/*.016"))) >= 36
    assert len(obspy.read_events(str(folder / "truth.quakeml"))) >= len(
        obspy.read_events(str(folder / "reference.quakeml"))
    )


def test_inventory_lists_the_stations_asked_for(make):
    stations = read_table(make("inventory/stations.parquet"), STATIONS)
    assert len(stations) == 12
    assert stations["latitude_deg"].notna().all()


def test_download_writes_a_row_for_every_station(make):
    folder = make(f"waveforms/{DAYS[0]}")
    manifest = read_table(folder / "manifest.parquet", MANIFEST)
    assert len(manifest) == 12
    assert {path.stem for path in folder.glob("*.mseed")} == {
        f"{row.network}.{row.station}" for row in manifest.itertuples() if row.usable
    }
    assert read_provenance(folder / "manifest.parquet")["stage"] == "download"


def test_weights_writes_a_model_with_its_card(make):
    card = json.loads(make(f"models/{PICKER}/card.json").read_text())
    assert card["model"] == "PickflowNet"
    assert len(card["sha256"]) == 64


def test_denoise_leaves_the_codes_and_filters_the_samples(make):
    clean = make(f"denoised/bandpass/{DAYS[0]}", denoise={"methods": ["bandpass"]})
    raw = make(f"waveforms/{DAYS[0]}")
    raw_traces, clean_traces = (obspy.read(str(next(iter(sorted(folder.glob("*.mseed")))))) for folder in (raw, clean))
    assert [trace.id for trace in raw_traces] == [trace.id for trace in clean_traces]
    assert [trace.stats.starttime for trace in raw_traces] == [trace.stats.starttime for trace in clean_traces]
    for before, after in zip(raw_traces, clean_traces, strict=True):
        below, passed = (
            np.abs(trace.copy().detrend("demean").filter("lowpass", freq=0.2, corners=4).data).mean()
            for trace in (before, after)
        )
        assert passed < 0.05 * below
        high = [trace.copy().filter("bandpass", freqmin=5, freqmax=15).data[1000:] for trace in (before, after)]
        assert np.corrcoef(*high)[0, 1] > 0.8


def test_pick_finds_arrivals_inside_its_day_only(make):
    path = make(f"picks/none/{PICKER}/{DAYS[0]}.parquet")
    picks = read_table(path, PICKS)
    assert {"P", "S"} == set(picks["phase"])
    assert (picks["time"] >= pd.Timestamp(SMALL["starttime"])).all()
    assert (picks["time"] < pd.Timestamp(DAYS[1], tz="UTC")).all()
    ledger = read_table(path.with_name(f"{DAYS[0]}.ledger.parquet"), PICK_LEDGER)
    assert len(ledger) == 12
    assert ledger["n_p"].sum() + ledger["n_s"].sum() == len(picks)


def test_associate_assigns_picks_that_exist(make):
    events = make(f"events/{CATALOG}/{DAYS[1]}.events.parquet")
    assignments = read_table(events.with_name(f"{DAYS[1]}.assignments.parquet"), ASSIGNMENTS)
    picks = pd.concat(read_table(make(f"picks/none/{PICKER}/{day}.parquet"), PICKS) for day in DAYS)
    assert set(assignments["pick_id"]) <= set(picks["pick_id"])
    assert set(assignments["event_id"]) == set(read_table(events, EVENTS)["event_id"])


def test_locate_joins_the_days_and_loses_nothing(make):
    events = make(f"located/{CATALOG}/events.parquet")
    table = read_table(events, EVENTS)
    assignments = read_table(events.with_name("assignments.parquet"), ASSIGNMENTS)
    read_table(events.with_name("station_corrections.parquet"), STATION_CORRECTIONS)
    folder = make(f"events/{CATALOG}/{DAYS[0]}.events.parquet").parent
    names = (("events", EVENTS), ("assignments", ASSIGNMENTS))
    days = [tuple(read_table(folder / f"{day}.{name}.parquet", kind) for name, kind in names) for day in DAYS]
    picks = pd.concat(read_table(make(f"picks/none/{PICKER}/{day}.parquet"), PICKS) for day in DAYS)
    merged_events, merged_assignments = merge_days(days, picks)
    assert list(table["event_id"].sort_values()) == list(merged_events["event_id"].sort_values())
    keys = ["event_id", "pick_id"]
    pd.testing.assert_frame_equal(assignments[keys], merged_assignments[keys])
    assert assignments.groupby("event_id").size().to_dict() == table.set_index("event_id")["n_picks"].to_dict()


def test_amplitude_has_a_row_for_each_event_of_the_day_and_station_with_an_arrival(make):
    table = pd.concat(read_table(make(f"amplitudes/{CATALOG}/{day}.parquet"), AMPLITUDES) for day in DAYS)
    assignments = read_table(make(f"located/{CATALOG}/assignments.parquet"), ASSIGNMENTS)
    picks = pd.concat(read_table(make(f"picks/none/{PICKER}/{day}.parquet"), PICKS) for day in DAYS)
    arrivals = assignments.merge(picks, on="pick_id")[["event_id", "network", "station"]].drop_duplicates()
    assert len(arrivals) > 0
    assert set(arrivals.itertuples(index=False, name=None)) == set(
        table[list(arrivals)].itertuples(index=False, name=None)
    )
    assert table["magnitude"].notna().sum() >= 2
    usable = table["reason"].map(lambda reason: AMPLITUDE_REASONS[reason].usable)
    assert (usable == table["magnitude"].notna()).all()


def test_catalog_has_no_magnitude_without_the_number_of_its_stations(make):
    path = make(f"catalog/{CATALOG}/catalog.parquet")
    table, amplitudes = read_table(path, EVENTS), read_table(path.with_name("amplitudes.parquet"), AMPLITUDES)
    counts = amplitudes[amplitudes["magnitude"].notna()].groupby("event_id").size()
    assert table["magnitude"].notna().any()
    for event in table.itertuples():
        assert event.n_magnitude_stations == counts.get(event.event_id, 0)
        assert (event.magnitude_type == "ML") == (event.n_magnitude_stations >= 2) == (event.magnitude_uncertainty > 0)


def test_catalog_is_the_same_in_every_format(make):
    table = read_table(make(f"catalog/{CATALOG}/catalog.parquet"), EVENTS)
    quakeml = obspy.read_events(str(make(f"catalog/{CATALOG}/catalog.quakeml")))
    text = pd.read_csv(make(f"catalog/{CATALOG}/catalog.csv"))
    assert len(table) == len(quakeml) == len(text) > 0
    assert [event.preferred_origin().time for event in quakeml] == [
        obspy.UTCDateTime(time.isoformat()) for time in table["time"]
    ]


def test_catalog_is_written_in_each_format_asked_for(make):
    formats = [name for name in FORMATS if name in CATALOG_FILE]
    folder = make(f"catalog/{CATALOG}/{CATALOG_FILE[formats[-1]]}", catalog={"formats": formats}).parent
    table = read_table(folder / "catalog.parquet", EVENTS)
    for name in formats:
        path = folder / CATALOG_FILE[name]
        assert path.stat().st_size > 0, name
        if name not in ("csv", "pyrocko"):
            bulletin = read_bulletin(path)
            assert (len(bulletin.events), len(bulletin.picks)) == (len(table), table["n_picks"].sum()), name


def test_analyze_accounts_for_every_station_day(make):
    summary = json.loads(make("summary.json").read_text())
    ledger = read_table(make("analysis/ledger.parquet"), LEDGER)
    assert len(ledger) == summary["station_days"] == sum(summary["ledger"].values()) == 24
    catalog = summary["catalogs"][0]
    assert catalog["reference"]["matched"] <= catalog["reference"]["n"]
    matches = read_table(make(f"analysis/{CATALOG}/matches.parquet"), MATCHES)
    is_match = matches["reference_id"].notna() & matches["event_id"].notna()
    assert is_match.sum() == catalog["reference"]["matched"]


def test_report_is_one_page_without_requests(make):
    page = make("report.html").read_text()
    assert "small" in page
    assert 'src="http' not in page
    assert "<script" not in page


def test_implicit_goes_from_configuration_to_a_page_and_leaves_finished_pickers_alone(tmp_path):
    tiny = {
        "whole": ["PickflowNet/narrow"],
        "layers": ["PickflowNet/narrow"],
        **{"whole_samples": 64, "n_calibration": 48, "n_development": 8, "n_test": 12},
        **{"penalties": ["element"], "ratios": [0.01], "perturbed_ratio": 0.01, "n_draws": 20},
        "perturbations": {"noise": [0.0, 0.3], "gain": [], "dropout": [], "gap_s": []},
        "narrow": {"channels": [2, 4, 4, 4], "steps": 4, "batch_size": 4, "n_signals": 4},
    }
    snakemake(directory=tmp_path, config={**SMALL, "implicit": tiny})
    folder = tmp_path / "results" / "small" / "implicit"
    page = (folder / "implicit.html").read_text()
    assert "PickflowNet narrow as one equation" in page
    assert "<script" not in page
    assert 'src="http' not in page
    scores, fits = (
        read_table(folder / "whole/PickflowNet/narrow" / name, table)
        for name, table in (("scores.parquet", IMPLICIT_SCORES), ("fits.parquet", IMPLICIT_FITS))
    )
    assert set(scores["method"]) == {"teacher", "lasso", "magnitude"}
    assert fits["n_checked"].sum() > 0
    assert fits["n_false"].sum() == 0
    (folder / "implicit.html").unlink()
    again = snakemake(directory=tmp_path, config={**SMALL, "implicit": tiny})
    assert "implicit_fit" not in again.stdout + again.stderr
    assert (folder / "implicit.html").read_text() == page


def test_train_goes_from_configuration_to_a_model_that_picks(tmp_path):
    sizes = {"epochs": 1, "steps_per_epoch": 2, "batch_size": 4, "n_signals": 8, "n_noise": 4}
    tiny = {"real_data": "synthetic_only", **sizes}
    snakemake("results/small/trained/card.json", directory=tmp_path, config={**SMALL, "train": tiny})
    card = json.loads((tmp_path / "results/small/trained/card.json").read_text())
    assert card["model"] == "PickflowNet"
    assert card["parent"] is None
