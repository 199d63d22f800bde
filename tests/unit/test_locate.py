"""Location: true origins come back, uncertainties hold what they promise, and nothing is lost on the way."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from pickflow.io.places import places_in_run
from pickflow.io.tables import conform
from pickflow.locate.catalog import _gaps_deg
from pickflow.schemas import STATIONS
from pickflow.travel_times.geometry import azimuthal_gap_deg, distance_and_azimuth
from pickflow.travel_times.layers import travel_time_s
from tests.locate_fixture import (
    LAYERS,
    NO_CORRECTIONS,
    Catalog,
    errors_km,
    locate,
    locate_params,
    make_catalog,
    square_of_stations,
    stations_at,
)


def random_origins(n_events, half_width_km=35.0, seed=5, depths=(3.0, 18.0)):
    generator = np.random.default_rng(seed)
    return np.column_stack(
        [generator.uniform(-half_width_km, half_width_km, (n_events, 2)), generator.uniform(*depths, n_events)]
    )


@pytest.fixture(scope="module")
def noisy():
    return make_catalog(random_origins(40), square_of_stations(), error_s=0.1, seed=2)


def test_exact_arrivals_give_the_true_origin_back_wherever_the_search_began():
    catalog = make_catalog(random_origins(30), square_of_stations())
    events = locate(catalog, **NO_CORRECTIONS).events
    error = errors_km(events, catalog.truth)
    assert error.horizontal.median() < 0.02
    assert error.horizontal.max() < 0.1
    # The depth is the median of its posterior, which is lopsided near limits and interfaces.
    assert error.depth.abs().median() < 0.1
    assert (error.depth.abs() < 0.5 * events.depth_uncertainty_km).all()


def test_an_event_far_outside_of_the_network_is_found():
    catalog = make_catalog([(150.0, 40.0, 10.0), (-20.0, -210.0, 15.0)], square_of_stations())
    events = locate(catalog, **NO_CORRECTIONS).events
    error = errors_km(events, catalog.truth)
    assert (error.horizontal < events.horizontal_uncertainty_km).all()
    assert (events.quality >= "C").all()


def test_a_source_above_sea_level_is_found_there_if_stations_are_higher_still():
    catalog = make_catalog([(0.0, 0.0, -1.0)], square_of_stations(width_km=10, top_m=100).assign(elevation_m=2500.0))
    event = locate(catalog, **NO_CORRECTIONS).events.iloc[0]
    assert event.depth_km == pytest.approx(-1.0, abs=0.3)
    limited_event = locate(catalog, min_depth_km=0.0, **NO_CORRECTIONS).events.iloc[0]
    assert limited_event.depth_km >= 0


def test_depths_stay_inside_of_the_range(noisy):
    depth = locate(noisy, min_depth_km=5.0, max_depth_km=8.0, **NO_CORRECTIONS).events.depth_km
    assert depth.between(5.0, 8.0).all()


def shares_inside(catalog):
    """Shares of events whose true epicentre, depth and time lie inside of the stated regions."""
    events = locate(catalog, **NO_CORRECTIONS).events
    error = errors_km(events, catalog.truth)
    return (
        (error.horizontal <= events.horizontal_uncertainty_km).mean(),
        (error.depth.abs() <= events.depth_uncertainty_km).mean(),
        (error.time.abs() <= events.time_uncertainty_s).mean(),
    )


def assumed_error(is_s, travel):
    return np.hypot(np.hypot(0.2 if is_s else 0.1, 0.1), 0.02 * travel)


def test_two_thirds_of_the_true_origins_lie_inside_of_the_uncertainties_with_stations_all_around():
    catalog = make_catalog(random_origins(400, 25.0), square_of_stations(), assumed_error, n_seeing=10)
    epicentre, depth, time = shares_inside(catalog)
    # The circle of the long half axis holds more than the ellipse.
    assert 0.70 < epicentre < 0.90
    assert 0.62 < depth < 0.78
    assert 0.64 < time < 0.82


def test_two_thirds_lie_inside_with_stations_on_one_side_only():
    generator = np.random.default_rng(8)
    origins = np.column_stack(
        [generator.uniform(45, 110, 400), generator.uniform(-30, 30, 400), generator.uniform(1, 25, 400)]
    )
    epicentre, depth, time = shares_inside(make_catalog(origins, square_of_stations(), assumed_error, n_seeing=7))
    assert 0.66 < epicentre < 0.90
    assert 0.60 < depth < 0.80
    assert 0.62 < time < 0.84


def test_epicentres_with_larger_ellipses_have_larger_errors():
    catalog = make_catalog(random_origins(400, 25.0), square_of_stations(), assumed_error, n_seeing=8)
    events = locate(catalog, **NO_CORRECTIONS).events
    poor, good = (events.horizontal_uncertainty_km > 2), (events.horizontal_uncertainty_km < 1)
    error = errors_km(events, catalog.truth).horizontal
    assert good.sum() > 30 < poor.sum()
    assert error[poor].median() > 1.5 * error[good].median()


def test_larger_residuals_mean_larger_uncertainties():
    small, large = (
        locate(make_catalog(random_origins(30), square_of_stations(), error), **NO_CORRECTIONS).events
        for error in (0.05, 0.5)
    )
    for column in ("time_uncertainty_s", "horizontal_uncertainty_km", "depth_uncertainty_km"):
        assert large[column].median() > 1.5 * small[column].median()


def test_a_depth_that_far_stations_cannot_see_is_uncertain_and_not_at_a_limit():
    ring = np.radians(np.arange(0, 360, 45))
    stations = stations_at(60 * np.sin(ring), 60 * np.cos(ring))
    catalog = make_catalog([(2.0, 1.0, 2.0)], stations, error_s=0.1)
    event = locate(catalog, max_depth_km=20.0, **NO_CORRECTIONS).events.iloc[0]
    assert event.depth_uncertainty_km > 4
    assert 2 < event.depth_km < 18
    assert abs(event.depth_km - 2.0) <= 2 * event.depth_uncertainty_km
    assert event.horizontal_uncertainty_km < 3


def with_late_pick(catalog: Catalog, seconds, uncertainty_s=np.nan) -> Catalog:
    """The first pick of every event's nearest station comes late."""
    late = catalog.picks.merge(catalog.assignments, on="pick_id").sort_values(["event_id", "time"])
    late = set(late.drop_duplicates("event_id").pick_id)
    rows = catalog.picks.pick_id.isin(late)
    picks = catalog.picks.assign(time=catalog.picks.time + pd.to_timedelta(np.where(rows, seconds, 0.0), unit="s"))
    picks.loc[rows, "time_uncertainty_s"] = uncertainty_s
    return dataclasses.replace(catalog, picks=picks)


def test_a_wrong_pick_is_kept_reported_and_moves_nothing(noisy):
    right, wrong = locate(noisy, **NO_CORRECTIONS), locate(with_late_pick(noisy, 5.0), **NO_CORRECTIONS)
    moved = errors_km(wrong.events, right.events[["event_id", "time", "latitude_deg", "longitude_deg", "depth_km"]])
    assert moved.horizontal.median() < 0.2
    assert moved.horizontal.max() < 2
    assert len(wrong.assignments) == len(noisy.assignments)
    assert set(wrong.outliers.event_id) == set(noisy.events.event_id)
    assert wrong.outliers.residual_s.max() == pytest.approx(5, abs=0.6)
    assert (wrong.outliers.weight < 0.25).all()


def test_a_pick_with_a_large_uncertainty_of_its_own_counts_less(noisy):
    right = locate(noisy, **NO_CORRECTIONS).events[["event_id", "time", "latitude_deg", "longitude_deg", "depth_km"]]
    sure, unsure = (
        errors_km(locate(with_late_pick(noisy, 0.3, sigma), **NO_CORRECTIONS).events, right).horizontal.median()
        for sigma in (0.01, 1.0)
    )
    assert unsure < 0.5 * sure


def test_depth_stripes_go_away():
    catalog = make_catalog(random_origins(150, depths=(2.0, 20.0)), square_of_stations(), error_s=0.1)
    striped = catalog.events.assign(depth_km=(catalog.truth.depth_km.to_numpy() / 2.5).round() * 2.5)
    located = locate(dataclasses.replace(catalog, events=striped), **NO_CORRECTIONS).events
    bins = (located.depth_km / 0.1).round().value_counts()
    assert striped.depth_km.nunique() < 10
    assert bins.max() <= 6
    assert errors_km(located, catalog.truth).depth.abs().median() < 0.8


def test_nothing_is_lost_and_other_columns_stay(noisy):
    located = locate(noisy)
    assert set(located.events.event_id) == set(noisy.events.event_id)
    assert set(map(tuple, located.assignments[["event_id", "pick_id"]].to_numpy())) == set(
        map(tuple, noisy.assignments[["event_id", "pick_id"]].to_numpy())
    )
    before, after = (table.set_index("event_id").sort_index() for table in (noisy.events, located.events))
    for column in ("n_picks", "n_p", "n_s", "n_stations", "magnitude", "magnitude_type", "n_magnitude_stations"):
        pd.testing.assert_series_equal(before[column], after[column])


def test_residuals_gap_and_rms_are_those_of_the_new_origins():
    delays = {("S03", "P"): 0.4, ("S05", "S"): -0.5}
    catalog = make_catalog(random_origins(40), square_of_stations(), 0.05, delays)
    located = locate(catalog)
    assert len(located.corrections)
    table = located.assignments.merge(catalog.picks, on="pick_id").merge(catalog.stations, on=["network", "station"])
    table = table.merge(located.events, on="event_id", suffixes=("", "_origin"))
    table = table.merge(located.corrections, on=["network", "station", "phase"])
    distance, azimuth = distance_and_azimuth(
        table.latitude_deg_origin, table.longitude_deg_origin, table.latitude_deg, table.longitude_deg
    )
    np.testing.assert_allclose(table.distance_km, distance, atol=1e-3)
    np.testing.assert_allclose(table.azimuth_deg, azimuth, atol=1e-2)
    for phase, rows in table.groupby("phase"):
        travel = travel_time_s(LAYERS, phase, rows.distance_km, rows.depth_km, -rows.elevation_m / 1000)
        took = (rows.time - rows.time_origin).dt.total_seconds()
        np.testing.assert_allclose(rows.residual_s, took - travel - rows.correction_s, atol=1e-4)
    rms = table.groupby("event_id").residual_s.agg(lambda residual: np.sqrt((residual**2).mean()))
    np.testing.assert_allclose(located.events.set_index("event_id").rms_residual_s.loc[rms.index], rms, atol=1e-5)


def test_gaps_of_many_events_are_those_of_each():
    generator = np.random.default_rng(1)
    event = np.concatenate([np.arange(30), generator.integers(0, 30, 100)])
    azimuth = generator.uniform(0, 360, 130).round(-1)
    expected = [azimuthal_gap_deg(azimuth[event == number]) for number in range(30)]
    np.testing.assert_allclose(_gaps_deg(event, azimuth), expected)
    assert len(_gaps_deg(event[:0], azimuth[:0])) == 0


def test_the_order_of_the_rows_does_not_matter(noisy):
    mixed = Catalog(*(getattr(noisy, field.name).sample(frac=1, random_state=4) for field in dataclasses.fields(noisy)))
    for name in ("events", "assignments", "corrections", "outliers"):
        first, second = (getattr(locate(catalog), name) for catalog in (noisy, mixed))
        pd.testing.assert_frame_equal(first, second, check_exact=True)


def test_an_event_depends_on_no_other_event_without_corrections(noisy):
    chosen = noisy.events.event_id.iloc[[3, 17, 30]]
    alone, together = locate(noisy.only(chosen), **NO_CORRECTIONS), locate(noisy, **NO_CORRECTIONS)
    for name in ("events", "assignments"):
        whole = getattr(together, name)
        part = whole[whole.event_id.isin(chosen)].reset_index(drop=True)
        pd.testing.assert_frame_equal(getattr(alone, name), part, check_exact=True)


@pytest.mark.parametrize("n_seeing", [1, 2])
def test_events_of_fewer_than_three_stations_stay_where_they_are(n_seeing):
    catalog = make_catalog([(5.0, 5.0, 8.0)], square_of_stations(), n_seeing=n_seeing)
    located = locate(catalog)
    event, before = located.events.iloc[0], catalog.events.iloc[0]
    for column in ("time", "latitude_deg", "longitude_deg", "depth_km"):
        assert event[column] == before[column]
    assert event.quality == "D"
    assert np.isnan([event.time_uncertainty_s, event.horizontal_uncertainty_km, event.depth_uncertainty_km]).all()
    assert len(located.assignments) == 2 * n_seeing
    assert (located.assignments.residual_s != 9.0).all()


def test_three_arrivals_are_not_enough():
    catalog = make_catalog([(5.0, 5.0, 8.0)], square_of_stations(), n_seeing=3)
    is_p = catalog.picks.pick_id[catalog.picks.phase == "P"]
    catalog = dataclasses.replace(catalog, assignments=catalog.assignments[catalog.assignments.pick_id.isin(is_p)])
    assert locate(catalog).events.depth_km.iloc[0] == 10.0


def test_arrivals_at_stations_without_coordinates_or_of_unknown_picks_are_kept_without_residual(noisy):
    stations = noisy.stations.copy()
    stations.loc[0, "latitude_deg"] = np.nan
    unknown_id = noisy.picks.pick_id.iloc[7]
    catalog = dataclasses.replace(noisy, stations=stations, picks=noisy.picks[noisy.picks.pick_id != unknown_id])
    located = locate(catalog)
    assert len(located.assignments) == len(noisy.assignments)
    of_station = set(noisy.picks.pick_id[noisy.picks.station == stations.station[0]])
    nameless = set(located.assignments.pick_id[located.assignments.residual_s.isna()])
    assert nameless == of_station | {unknown_id}
    assert errors_km(located.events, noisy.truth).horizontal.median() < 0.5


def test_elevations_that_are_unknown_count_as_sea_level(noisy):
    unknown, flat = (dataclasses.replace(noisy, stations=noisy.stations.assign(elevation_m=e)) for e in (np.nan, 0.0))
    pd.testing.assert_frame_equal(locate(unknown).events, locate(flat).events)


def test_no_events_give_no_events(noisy):
    located = locate(noisy.only([]))
    assert [len(table) for table in (located.events, located.assignments, located.corrections)] == [0, 0, 0]


def test_assignments_of_unknown_events_are_refused(noisy):
    with pytest.raises(ValueError, match="'e0000', which is not in the table of events"):
        locate(dataclasses.replace(noisy, events=noisy.events[1:]))


def test_a_network_without_coordinates_is_refused(noisy):
    with pytest.raises(ValueError, match="no station has coordinates"):
        locate(dataclasses.replace(noisy, stations=noisy.stations.assign(latitude_deg=np.nan)))


def test_a_depth_range_upside_down_is_refused(noisy):
    with pytest.raises(ValueError, match=r"min_depth_km: 9 must be smaller"):
        locate_params(min_depth_km=9.0, max_depth_km=3.0)
    sunk = dataclasses.replace(noisy, stations=noisy.stations.assign(elevation_m=-4000.0))
    with pytest.raises(ValueError, match=r"locate.max_depth_km: 3 km is not below the least depth, 4 km"):
        locate(sunk, max_depth_km=3.0)


def moved(stations, name, north_km, at):
    """The table of stations if one of them stood further north until a time."""
    chosen = stations.station == name
    before = stations[chosen].assign(latitude_deg=lambda row: row.latitude_deg + north_km / 111.2, endtime=at)
    after = stations[chosen].assign(starttime=at)
    return conform(pd.concat([stations[~chosen], before, after]), STATIONS)


def test_arrivals_are_at_the_place_that_their_station_had_then():
    # All events are before the move: their stations stand where the arrivals were made.
    catalog = make_catalog(random_origins(12), square_of_stations())
    later = catalog.picks.time.max() + pd.Timedelta(days=1)
    name = catalog.stations.station[0]
    elsewhere = moved(catalog.stations.assign(latitude_deg=catalog.stations.latitude_deg), name, 0.0, later)
    elsewhere.loc[(elsewhere.station == name) & elsewhere.endtime.isna(), "latitude_deg"] += 0.5
    events = locate(dataclasses.replace(catalog, stations=elsewhere), **NO_CORRECTIONS).events
    assert errors_km(events, catalog.truth).horizontal.max() < 0.1
    at_once = catalog.stations.assign(
        latitude_deg=catalog.stations.latitude_deg + 0.5 * (catalog.stations.station == name)
    )
    located = locate(dataclasses.replace(catalog, stations=at_once), **NO_CORRECTIONS)
    fitted = located.assignments.merge(catalog.picks[["pick_id", "station"]], on="pick_id")
    assert fitted[fitted.station == name].residual_s.abs().median() > 1.0  # the wrong place is seen, if it is used


def test_a_station_that_had_closed_before_the_run_changes_nothing():
    catalog = make_catalog(random_origins(6), square_of_stations())
    begin, end = catalog.picks.time.min().floor("D"), catalog.picks.time.max().ceil("D")
    closed = catalog.stations.head(1).assign(station="OLD", endtime=begin - pd.Timedelta(days=1))
    stations = places_in_run(conform(pd.concat([catalog.stations, closed]), STATIONS), begin, end)
    assert "OLD" in set(stations.station)
    located = locate(dataclasses.replace(catalog, stations=stations), **NO_CORRECTIONS)
    pd.testing.assert_frame_equal(located.events, locate(catalog, **NO_CORRECTIONS).events)


def test_a_station_that_moves_gets_no_correction():
    stations = square_of_stations()
    name = stations.station[3]
    catalog = make_catalog(random_origins(40), stations, error_s=0.02, delays={name: 0.4})
    half = catalog.picks.time.quantile(0.5)
    still = locate(catalog).corrections
    moving = locate(dataclasses.replace(catalog, stations=moved(stations, name, 3.0, half))).corrections
    assert name in set(still.station)
    assert name not in set(moving.station)
    assert len(moving) > 0
