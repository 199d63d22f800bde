"""
Our locations of an observatory's own picks beside its own locations, and PyOcto's depths before and after; prints JSON.

ogs-2024: every located event of the bulletin is located from its picks alone, in the bulletin's velocity model; the
search begins at the station of the first arrival and knows nothing of the bulletin's origin. With and without station
corrections; those of the even events are tried on the odd ones.
ridgecrest-2019: picks of a run (config/ridgecrest-2019.yaml), associated by PyOcto alone, relocated.

Examples:
  python benchmarks/location.py --data ogs-2024 --figure location.png
  python benchmarks/location.py --data ridgecrest-2019 --figure stripes.png
The real data are found through PICKFLOW_SHARED (default: ../shared beside the repository).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("PICKFLOW_SHARED", ROOT.parent / "shared"))
RIDGECREST_RUN = ROOT / "results" / "ridgecrest-2019"
START_DEPTH_KM = 10.0
STRIPE_KM = 0.1  # chosen: bins of depth
N_STRIPES = 5
# Goal of the comparison: medians for events with stations around them and enough picks.
MAX_GAP_DEG, MIN_PICKS = 180.0, 8


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=["ogs-2024", "ridgecrest-2019"], default="ogs-2024")
    parser.add_argument("--figure", type=Path, help="PNG: shifts and depths")
    options = parser.parse_args()
    if not (SHARED / "data").is_dir():
        print(f"no real data in {SHARED}; set PICKFLOW_SHARED", file=sys.stderr)
        return 1
    compare = compare_with_bulletin if options.data == "ogs-2024" else compare_stripes
    print(json.dumps({"benchmark": "location", "data": options.data, **compare(options.figure)}, sort_keys=True))
    return 0


def located(tables: tuple, model: Any, corrections: bool) -> tuple[Any, float]:
    from pickflow.locate import locate_catalog
    from pickflow.run.settings.locate import CorrectionParams, LocateParams

    params = LocateParams(corrections=CorrectionParams(enabled=corrections))
    begin = time.process_time()
    result = locate_catalog(*tables, model, params)
    return result, time.process_time() - begin


def ogs_tables() -> tuple[pd.DataFrame, tuple]:
    """The bulletin's events, and events, assignments, picks and stations with origins at the first station."""
    from pickflow.io.formats import read_bulletin
    from pickflow.io.tables import conform
    from pickflow.schemas import ASSIGNMENTS, EVENTS, PICKS, STATIONS

    folder = SHARED / "data" / "ogs-2024"
    bulletin = read_bulletin(folder / "RSFVG-2024.hpc")
    stations = pd.read_csv(folder / "stations_derived.csv").rename(
        columns={"latitude": "latitude_deg", "longitude": "longitude_deg"}
    )
    stations = stations.assign(network="", elevation_m=0.0)
    reference = bulletin.events[bulletin.events.latitude_deg.notna()]
    picks = bulletin.picks[bulletin.picks.event_id.isin(reference.event_id)].reset_index(drop=True)
    picks = picks.assign(pick_id=[f"p{row:05d}" for row in range(len(picks))], network="", probability=1.0)
    # The analysts' weights are left out, as pickers give none: every pick counts by its phase and travel time.
    picks = picks.assign(time_uncertainty_s=np.nan, starttime=picks.time, endtime=picks.time)
    picks = picks.assign(amplitude_m_s=np.nan, snr_db=np.nan)
    first = picks.merge(stations.dropna(subset="latitude_deg"), on="station").sort_values("time")
    first = first.drop_duplicates("event_id").set_index("event_id")
    start = reference.set_index("event_id").assign(
        time=first.time, latitude_deg=first.latitude_deg, longitude_deg=first.longitude_deg, depth_km=START_DEPTH_KM
    )
    start = start[start.time.notna()].reset_index()
    picks_of = picks[picks.event_id.isin(start.event_id)]
    assignments = picks_of[["event_id", "pick_id"]].assign(residual_s=0.0, distance_km=0.0, azimuth_deg=0.0)
    tables = (conform(start, EVENTS), conform(assignments, ASSIGNMENTS), conform(picks, PICKS))
    return reference, (*tables, conform(stations, STATIONS))


def differences(events: pd.DataFrame, reference: pd.DataFrame) -> pd.DataFrame:
    from pickflow.travel_times.geometry import distance_and_azimuth

    pairs = events.merge(reference, on="event_id", suffixes=("", "_reference"))
    distance, _ = distance_and_azimuth(
        pairs.latitude_deg_reference, pairs.longitude_deg_reference, pairs.latitude_deg, pairs.longitude_deg
    )
    return pairs.assign(
        epicentre_km=distance,
        deeper_km=pairs.depth_km - pairs.depth_km_reference,
        later_s=(pairs.time - pairs.time_reference).dt.total_seconds(),
    )


def quantiles(rows: pd.DataFrame) -> dict[str, Any]:
    values = {"epicentre_km": rows.epicentre_km, "depth_km": rows.deeper_km.abs(), "time_s": rows.later_s.abs()}
    return {
        "n_events": len(rows),
        **{
            f"{name}_{int(share * 100)}%": round(float(size.quantile(share)), 3)
            for name, size in values.items()
            for share in (0.5, 0.9)
        },
        "depth_bias_km": round(float(rows.deeper_km.median()), 3),
        # As far as the bulletin can stand for the truth.
        "inside_horizontal_uncertainty": round(float((rows.epicentre_km <= rows.horizontal_uncertainty_km).mean()), 3),
        "inside_depth_uncertainty": round(float((rows.deeper_km.abs() <= rows.depth_uncertainty_km).mean()), 3),
    }


def compare_with_bulletin(figure: Path | None) -> dict[str, Any]:
    from pickflow.travel_times.files import read_velocity_model

    model = read_velocity_model(SHARED / "data" / "ogs-2024" / "velocity_1d.nd", lines="layers")
    reference, tables = ogs_tables()
    located(_part(tables, slice(0, 5)), model, False)  # compiles
    result: dict[str, Any] = {"n_bulletin": len(reference), "n_picks": len(tables[1])}
    for name, corrections in (("without_corrections", False), ("with_corrections", True)):
        solution, seconds = located(tables, model, corrections)
        shifts = differences(solution.events, reference)
        well_located = (shifts.azimuthal_gap_deg < MAX_GAP_DEG) & (shifts.n_picks >= MIN_PICKS)
        result[name] = {
            "cpu_seconds": round(seconds, 1),
            "events_with_gap_below_180_and_8_picks": quantiles(shifts[well_located]),
            "all_located": quantiles(shifts[shifts.horizontal_uncertainty_km.notna()]),
            "median_rms_s": round(float(shifts.rms_residual_s.median()), 3),
            "n_corrections": len(solution.corrections),
            "n_outliers": len(solution.outliers),
            "quality": solution.events.quality.value_counts().sort_index().to_dict(),
            "stripes": stripes(solution.events.depth_km),
        }
        if figure and not corrections:
            draw_shifts(shifts[well_located], tables[3], figure)
    result["bulletin_stripes"] = stripes(reference.depth_km)
    result["held_out"] = held_out(tables, model)
    return result


def _part(tables: tuple, rows: slice) -> tuple:
    """Some of the events with their assignments."""
    events = tables[0].iloc[rows]
    return (events, tables[1][tables[1].event_id.isin(events.event_id)], *tables[2:])


def held_out(tables: tuple, model: Any) -> dict[str, float]:
    """Residuals of the odd events, each located anew, without corrections and with those of the even events."""
    from pickflow.locate.corrections import correction_s

    even, odd = _part(tables, slice(0, None, 2)), _part(tables, slice(1, None, 2))
    late = pd.to_timedelta(correction_s(tables[2], located(even, model, True)[0].corrections), unit="s")
    corrected = (*odd[:2], odd[2].assign(time=odd[2].time - late), odd[3])
    before, after = (located(part, model, False)[0] for part in (odd, corrected))
    return {
        f"median_{name}_{stage}": round(float(values.median()), 4)
        for stage, solution in (("before", before), ("after", after))
        for name, values in (
            ("abs_residual_s", solution.assignments.residual_s.abs()),
            ("rms_s", solution.events.rms_residual_s[solution.events.horizontal_uncertainty_km.notna()]),
            ("horizontal_uncertainty_km", solution.events.horizontal_uncertainty_km),
            ("depth_uncertainty_km", solution.events.depth_uncertainty_km),
        )
    }


def stripes(depth_km: pd.Series) -> dict[str, float]:
    """Shares of the events in the fullest bins of depth; what even depths would give depends on their number."""
    share = (depth_km / STRIPE_KM).round().value_counts(normalize=True)
    return {
        "fullest_bin": round(float(share.iloc[0]), 3),
        f"fullest_{N_STRIPES}": round(float(share.head(N_STRIPES).sum()), 3),
    }


def compare_stripes(figure: Path | None) -> dict[str, Any]:
    from pickflow.io.formats.folders import read_stations_of_run
    from pickflow.io.tables import read_table
    from pickflow.run.keys import PickSetKey
    from pickflow.run.layout import RunLayout
    from pickflow.schemas import PICKS
    from pickflow.travel_times.layers import VelocityModel

    run, pick_set = RunLayout(RIDGECREST_RUN), PickSetKey("none", "PhaseNet", "original_converted")
    days = run.days_of_picks(pick_set)
    if not days:
        raise SystemExit(f"no picks in {RIDGECREST_RUN}; run snakemake --configfile config/ridgecrest-2019.yaml first")
    picks = pd.concat([read_table(run.picks(pick_set, day), PICKS) for day in days])
    stations = read_stations_of_run(run, days)
    # Hadley and Kanamori (1977), the standard model of southern California.
    p_km_s = np.array([5.5, 6.3, 6.7, 7.8])
    model = VelocityModel(top_depth_km=np.array([0.0, 5.5, 16.0, 32.0]), vp_km_s=p_km_s, vs_km_s=p_km_s / 1.73)
    result: dict[str, Any] = {}
    catalogs = {}
    for name, layers in (("half_space", None), ("layers", model)):
        raw, assignments = plain_pyocto(picks, stations, layers)
        solution, seconds = located((raw, assignments, picks, stations), model, True)
        catalogs[name] = (raw, solution.events)
        result[name] = {"n_events": len(raw), "n_picks": len(assignments), "cpu_seconds": round(seconds, 1)}
        for stage, events in (("pyocto", raw), ("relocated", solution.events)):
            rms = round(float(events.rms_residual_s.median()), 3)
            result[name][stage] = {"stripes": stripes(events.depth_km), "median_rms_s": rms, **against_comcat(events)}
    if figure:
        draw_stripes(*catalogs["layers"], figure)
    return result


def against_comcat(events: pd.DataFrame) -> dict[str, Any]:
    """Differences from the reviewed catalog's event that is nearest in time, up to 2.5 s and 15 km."""
    from pickflow.io.formats import read_bulletin

    reference = read_bulletin(SHARED / "data" / "ridgecrest-2019" / "catalog_comcat_reviewed.csv").events
    nearest = pd.merge_asof(
        events.sort_values("time"),
        reference.assign(time_reference=reference.time, reference_id=reference.event_id)
        .drop(columns="event_id")
        .sort_values("time"),
        on="time",
        direction="nearest",
        tolerance=pd.Timedelta(seconds=2.5),
        suffixes=("", "_reference"),
    )
    nearest = nearest[nearest.reference_id.notna()].drop_duplicates("reference_id")
    renamed = nearest[["event_id", *(name for name in nearest if name.endswith("_reference"))]]
    renamed = renamed.rename(columns=lambda name: name.removesuffix("_reference"))
    shifts = differences(events, renamed)
    return {"comcat": quantiles(shifts[shifts.epicentre_km <= 15])}


def plain_pyocto(picks: pd.DataFrame, stations: pd.DataFrame, layers: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Events and assignments of PyOcto alone, with plain settings for a network of this size."""
    import tempfile

    import pyocto

    from pickflow.io.tables import conform
    from pickflow.schemas import ASSIGNMENTS, EVENTS

    if layers is None:
        velocity = pyocto.VelocityModel0D(6.1, 3.5, tolerance=1.5, association_cutoff_distance=150)
    else:
        table = pd.DataFrame({"depth": layers.top_depth_km, "vp": layers.vp_km_s, "vs": layers.vs_km_s})
        # PyOcto takes velocities as linear between rows: each layer needs its bottom too.
        bottom = table.assign(depth=table.depth.shift(-1) - 1e-3).dropna()
        table = pd.concat([table, bottom]).sort_values("depth")
        path = Path(tempfile.mkdtemp()) / "layers"
        pyocto.VelocityModel1D.create_model(table, 1.0, 300, 60, str(path))
        velocity = pyocto.VelocityModel1D(str(path), tolerance=1.0, association_cutoff_distance=150)
    associator = pyocto.OctoAssociator.from_area(
        lat=(35.0, 36.5), lon=(-118.5, -116.5), zlim=(0, 30), time_before=60, velocity_model=velocity,
        n_picks=7, n_p_picks=3, n_s_picks=2, n_p_and_s_picks=2, n_threads=1,
    )  # fmt: skip
    sites = stations.rename(
        columns={"latitude_deg": "latitude", "longitude_deg": "longitude", "elevation_m": "elevation"}
    ).assign(id=stations.network + "." + stations.station)
    associator.transform_stations(sites)
    picks_used = picks.assign(station=picks.network + "." + picks.station, time=picks.time.astype("int64") / 1e9)
    picks_used = picks_used[picks_used.station.isin(sites.id)].reset_index(drop=True)
    events, arrivals = associator.associate(picks_used[["station", "phase", "time"]], sites)
    associator.transform_events(events)
    rms = np.sqrt((arrivals.residual**2).groupby(arrivals.event_idx).mean()).reindex(events.idx).to_numpy()
    table = pd.DataFrame(
        {"event_id": events.idx.astype(str), "time": pd.to_datetime(events.time, unit="s", utc=True),
         "latitude_deg": events.latitude, "longitude_deg": events.longitude, "depth_km": events.depth,
         "n_picks": events.picks, "n_p": 0, "n_s": 0, "n_stations": 0, "rms_residual_s": rms,
         "azimuthal_gap_deg": np.nan, "magnitude": np.nan, "magnitude_type": None}
    )  # fmt: skip
    assignments = pd.DataFrame(
        {"event_id": arrivals.event_idx.astype(str), "pick_id": picks_used.pick_id.to_numpy()[arrivals.pick_idx],
         "residual_s": arrivals.residual, "distance_km": np.nan, "azimuth_deg": np.nan}
    )  # fmt: skip
    return conform(table, EVENTS), conform(assignments, ASSIGNMENTS)


def draw_shifts(shifts: pd.DataFrame, stations: pd.DataFrame, path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (map_axes, depth_axes) = plt.subplots(1, 2, figsize=(13, 6), width_ratios=(1.4, 1))
    map_axes.plot(stations.longitude_deg, stations.latitude_deg, "^", color="0.7", markersize=5, label="stations")
    map_axes.plot(
        [shifts.longitude_deg_reference, shifts.longitude_deg],
        [shifts.latitude_deg_reference, shifts.latitude_deg],
        color="tab:red",
        linewidth=0.8,
    )
    map_axes.plot(shifts.longitude_deg, shifts.latitude_deg, ".", color="black", markersize=1.5, label="relocated")
    map_axes.set(xlabel="longitude (°)", ylabel="latitude (°)", title="shift from the bulletin's epicentre (red)")
    map_axes.set_aspect(1 / np.cos(np.radians(shifts.latitude_deg.mean())))
    map_axes.legend(loc="lower left")
    bins = np.arange(0, 30.5, 0.5)
    depth_axes.hist(shifts.depth_km_reference, bins, histtype="step", color="tab:blue", label="bulletin")
    depth_axes.hist(shifts.depth_km, bins, histtype="step", color="black", label="relocated")
    depth_axes.set(xlabel="depth (km)", ylabel="events", title=f"{len(shifts)} events, gap < 180°, at least 8 picks")
    depth_axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def draw_stripes(raw: pd.DataFrame, relocated: pd.DataFrame, path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, rows = plt.subplots(2, 2, figsize=(12, 8), sharex="col")
    for (section_axes, depth_axes), (name, events) in zip(
        rows, (("PyOcto", raw), ("relocated", relocated)), strict=True
    ):
        section_axes.plot(events.longitude_deg, events.depth_km, ".", color="black", markersize=4)
        section_axes.set(
            ylabel="depth (km)", title=f"{name}: {len(events)} events", ylim=(30, -2), xlim=(-117.8, -117.3)
        )
        depth_axes.hist(events.depth_km, np.arange(-2, 30, STRIPE_KM), color="black")
        depth_axes.set(ylabel=f"events per {STRIPE_KM:g} km")
    rows[1, 0].set_xlabel("longitude (°)")
    rows[1, 1].set_xlabel("depth (km)")
    figure.tight_layout()
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    sys.exit(main())
