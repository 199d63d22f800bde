import numpy as np
import pandas as pd
import pytest

from pickflow.io.tables import conform
from pickflow.magnitude import corrected, network_magnitudes
from pickflow.magnitude.network import uncertainty
from pickflow.schemas import AMPLITUDES
from tests.magnitude_fixture import START, events_of, magnitude_params


def amplitudes_of(magnitudes):
    """`AMPLITUDES` from {event: {station: magnitude}}."""
    rows = [
        {"event_id": event, "network": "XX", "station": station, "location": "", "channel": "HH", "magnitude": value}
        for event, stations in magnitudes.items()
        for station, value in stations.items()
    ]
    table = pd.DataFrame(rows).assign(amplitude_mm=1.0, snr_db=20.0, hypocentral_distance_km=50.0)
    return conform(table.assign(reason=np.where(table.magnitude.notna(), "ok", "low_snr")), AMPLITUDES)


def sized(magnitudes, **changes):
    events = events_of(**dict.fromkeys(magnitudes, START))
    return network_magnitudes(events, amplitudes_of(magnitudes), magnitude_params(**changes)).set_index("event_id")


def test_the_magnitude_is_the_median_with_the_number_of_stations():
    event = sized({"a": {"A": 2.0, "B": 2.1, "C": 9.0, "D": np.nan}}).loc["a"]
    assert (event.magnitude, event.magnitude_type, event.n_magnitude_stations) == (2.1, "ML", 3)


@pytest.mark.parametrize("stations", [{"A": 2.0}, {"A": 2.0, "B": np.nan}, {"A": np.nan}])
def test_too_few_stations_give_no_magnitude_but_their_number(stations):
    event = sized({"a": stations}).loc["a"]
    assert np.isnan(event.magnitude)
    assert event.magnitude_type is None
    assert np.isnan(event.magnitude_uncertainty)
    assert event.n_magnitude_stations == sum(np.isfinite(value) for value in stations.values())


def test_an_event_without_rows_stays_without_magnitude():
    events = events_of(a=START, b=START)
    table = network_magnitudes(events, amplitudes_of({"a": {"A": 1.0, "B": 1.0}}), magnitude_params())
    assert list(table.n_magnitude_stations) == [2, 0]
    assert list(table.magnitude.isna()) == [False, True]


def test_a_magnitude_from_elsewhere_does_not_survive():
    events = events_of(a=START).assign(magnitude=7.0, magnitude_type="Mw")
    table = network_magnitudes(events, amplitudes_of({"b": {"A": 1.0}}), magnitude_params())
    assert table.magnitude.isna().all()
    assert table.magnitude_type.isna().all()


def test_an_empty_catalog_stays_empty():
    empty = events_of(a=START)[:0]
    assert network_magnitudes(empty, amplitudes_of({"a": {"A": 1.0}})[:0], magnitude_params()).empty
    assert corrected(amplitudes_of({"a": {"A": 1.0}})[:0], magnitude_params(estimate_corrections=True)).empty


def test_more_stations_are_asked_for():
    assert np.isnan(sized({"a": {"A": 1.0, "B": 1.0}}, min_stations=3).loc["a"].magnitude)


@pytest.mark.parametrize("n_stations", [2, 3, 4, 5, 8, 15])
def test_the_uncertainty_covers_68_per_cent(n_stations):
    values = np.random.default_rng(n_stations).normal(0, 0.25, (4000, n_stations))
    inside = [abs(np.median(row)) <= uncertainty(row) for row in values]
    assert 0.63 <= np.mean(inside) <= 0.73


def test_agreement_by_chance_is_not_certainty():
    assert uncertainty(np.array([2.0, 2.0])) > 0.1
    assert uncertainty(np.full(50, 2.0)) < uncertainty(np.full(5, 2.0))


def test_given_corrections_are_added():
    table = corrected(
        amplitudes_of({"a": {"A": 1.0, "B": np.nan, "C": 1.0}}),
        magnitude_params(station_corrections={"XX.A": 0.25, "XX.B": 1.0, "YY.C": 3.0}),
    )
    assert dict(zip(table.station, table.magnitude.fillna(-9), strict=True)) == {"A": 1.25, "B": -9, "C": 1.0}


def test_a_correction_without_network_is_refused():
    with pytest.raises(ValueError, match=r"station_corrections\.CLC"):
        magnitude_params(station_corrections={"CLC": 0.1})


def catalog_with_site_effects(effects, n_events=60):
    generator = np.random.default_rng(5)
    truth = generator.uniform(0.5, 3.5, n_events)
    return truth, {
        f"e{index:02d}": {name: value + effect + generator.normal(0, 0.1) for name, effect in effects.items()}
        for index, value in enumerate(truth)
    }


def test_estimated_corrections_undo_what_the_sites_do():
    effects = {"A": 0.4, "B": -0.3, "C": 0.0, "D": 0.1, "E": -0.1}
    truth, magnitudes = catalog_with_site_effects(effects)
    raw = amplitudes_of(magnitudes)
    better = corrected(raw, magnitude_params(estimate_corrections=True))
    shift = (better.magnitude - raw.magnitude).groupby(raw.station).first()
    for name, effect in effects.items():
        assert shift[name] == pytest.approx(-effect, abs=0.06)
    spread = [table.groupby("event_id").magnitude.std().mean() for table in (raw, better)]
    assert spread[1] < 0.6 * spread[0]
    assert truth.size == 60


def test_a_station_with_few_events_and_one_with_a_given_correction_are_left_alone():
    effects = {"A": 0.4, "B": -0.3, "C": 0.0, "D": 0.1}
    _, magnitudes = catalog_with_site_effects(effects)
    for index, stations in enumerate(magnitudes.values()):
        if index >= 5:
            stations["A"] = np.nan
    raw = amplitudes_of(magnitudes)
    params = magnitude_params(estimate_corrections=True, station_corrections={"XX.B": 0.5})
    shift = (corrected(raw, params).magnitude - raw.magnitude).groupby(raw.station).median()
    assert shift["A"] == pytest.approx(0, abs=1e-4)
    assert shift["B"] == pytest.approx(0.5, abs=1e-4)


def test_corrections_are_off_by_default():
    _, magnitudes = catalog_with_site_effects({"A": 0.4, "B": -0.4, "C": 0.0})
    raw = amplitudes_of(magnitudes)
    assert corrected(raw, magnitude_params()).magnitude.to_numpy() == pytest.approx(raw.magnitude.round(4).to_numpy())
