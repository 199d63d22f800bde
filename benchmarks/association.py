"""
Associators as pickflow runs them, beside the libraries at their own defaults, on picks whose events are known.

ogs-2024: the manual picks of the bulletin of NE Italy 2024. pyocto-synthetic: the synthetic data of PyOcto. swarm:
made here, 30 stations in 200 x 200 km, 5,000 events a day (--events-per-day) with 7 picks or more, for 2 h (--hours).
Noise picks are added at random times, at the stations and phases of random true picks.

A found event is right if at least 60 % of its picks are those of one true event (a true event counts once); a pick is
assigned rightly if its event is right and its own. Recalls are of all events and picks. Prints a table and JSON.

Examples:
  python benchmarks/association.py --data ogs-2024 --noise 0 1 2
  python benchmarks/association.py --data ogs-2024 --noise 1 --days 30 --methods pyocto
  python benchmarks/association.py --data pyocto-synthetic --noise 0 1
  python benchmarks/association.py --data swarm --noise 0 1 --methods stack pyocto
The real data are found through PICKFLOW_SHARED (default: ../shared beside the repository).
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd

from pickflow.associate import associate, merge_days
from pickflow.io.tables import conform
from pickflow.run.settings.associate import AssociateParams
from pickflow.schemas import PICKS, STATIONS
from pickflow.travel_times.files import read_velocity_model
from pickflow.travel_times.geometry import LocalFrame, frame_around
from pickflow.travel_times.layers import VelocityModel, travel_time_s

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("PICKFLOW_SHARED", ROOT.parent / "shared")) / "data"
ONE_DAY = pd.Timedelta(days=1)
HALO = pd.Timedelta(hours=1)  # chosen: longer than any travel time
RIGHT_SHARE = 0.6  # chosen: of the picks of an event, from one true event
# What the examples of the libraries set, where there is no default.
TOLERANCE_S, TIME_BEFORE_S = 2.0, 300.0


@dataclass(frozen=True)
class Scene:
    """Picks with a column ``event`` (-1: noise), stations, and the velocity model."""

    picks: pd.DataFrame
    stations: pd.DataFrame
    model: VelocityModel


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=list(SCENES), default="ogs-2024")
    parser.add_argument("--noise", type=float, nargs="+", default=[0.0, 1.0, 2.0], help="noise picks per true pick")
    parser.add_argument("--methods", nargs="+", default=["pyocto", "gamma", "stack"], help="associators of ours")
    parser.add_argument("--defaults", nargs="*", default=["pyocto", "gamma"], help="libraries at their defaults")
    parser.add_argument("--days", type=int, default=366, help="ogs-2024: the first days of the year only")
    parser.add_argument("--events-per-day", type=int, default=5000, help="swarm")
    parser.add_argument("--hours", type=float, default=2.0, help="swarm")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if options.data != "swarm" and not (DATA / options.data).is_dir():
        print(f"no data in {DATA / options.data}; set PICKFLOW_SHARED", file=sys.stderr)
        return 1
    logging.disable(logging.WARNING)
    quiet = SCENES[options.data](options)
    print(f"{options.data}: {quiet.picks.event.nunique()} events, {len(quiet.picks)} picks", file=sys.stderr)
    rows = []
    for noise in options.noise:
        scene = with_noise(quiet, noise, options.seed)
        for name, find in runs(options):
            began = time.perf_counter()
            assignments = find(scene)
            row = {"noise": noise, "run": name} | score(scene.picks, assignments)
            rows.append(row | {"seconds": round(time.perf_counter() - began, 1)})
            print(" ".join(f"{key}={value}" for key, value in rows[-1].items()), flush=True)
    print(json.dumps({"benchmark": "association", "data": options.data, "seed": options.seed, "runs": rows}))
    return 0


def runs(options: argparse.Namespace) -> list[tuple[str, Callable[[Scene], pd.DataFrame]]]:
    """Names, and functions that give event_id and pick_id of each assignment."""
    ours = [(name, lambda scene, name=name: run_ours(scene, name)) for name in options.methods]
    libraries = {"pyocto": run_pyocto_defaults, "gamma": run_gamma_defaults}
    return ours + [(f"{name}-defaults", libraries[name]) for name in options.defaults]


@cache
def parameters() -> AssociateParams:
    return AssociateParams()


def run_ours(scene: Scene, method: str) -> pd.DataFrame:
    """Day by day, as the workflow does it."""
    picks = scene.picks.drop(columns="event")
    first, last = picks.time.min().floor("D"), picks.time.max().floor("D")
    days = []
    for day in pd.date_range(first, last):
        halo_picks = picks[(picks.time >= day - HALO) & (picks.time < day + ONE_DAY + HALO)]
        window = (max(day, first).to_pydatetime(), (day + ONE_DAY).to_pydatetime())
        days.append(associate(halo_picks, scene.stations, scene.model, parameters(), method, window))
    return merge_days(days, picks)[1][["event_id", "pick_id"]]


def run_pyocto_defaults(scene: Scene) -> pd.DataFrame:
    import pyocto

    stations = scene.stations.assign(id=scene.stations.network + "." + scene.stations.station).rename(
        columns={"latitude_deg": "latitude", "longitude_deg": "longitude", "elevation_m": "elevation"}
    )
    margin = 0.5
    associator = pyocto.OctoAssociator.from_area(
        lat=(stations.latitude.min() - margin, stations.latitude.max() + margin),
        lon=(stations.longitude.min() - margin, stations.longitude.max() + margin),
        zlim=(0, deepest_km(scene)),
        time_before=TIME_BEFORE_S,
        velocity_model=pyocto.VelocityModel0D(*mean_velocities(scene.model), TOLERANCE_S, 250.0),
    )
    stations = associator.transform_stations(stations)
    picks = scene.picks
    table = pd.DataFrame(
        {
            "station": picks.network + "." + picks.station,
            "phase": picks.phase,
            "time": picks.time.astype("int64") / 1e9,
        }
    )
    _, assignments = associator.associate(table.reset_index(drop=True), stations)
    if assignments.empty:
        return pd.DataFrame({"event_id": [], "pick_id": []})
    pick_ids = picks.pick_id.to_numpy()[assignments.pick_idx.to_numpy()]
    return pd.DataFrame({"event_id": assignments.event_idx.to_numpy(), "pick_id": pick_ids})


def run_gamma_defaults(scene: Scene) -> pd.DataFrame:
    import contextlib
    import io

    from gamma.utils import association, estimate_eps

    frame = frame_around(scene.stations)
    x, y = frame.to_local(scene.stations.latitude_deg, scene.stations.longitude_deg)
    ids = (scene.stations.network + "." + scene.stations.station).to_numpy()
    stations = pd.DataFrame({"id": ids, "x(km)": x, "y(km)": y, "z(km)": -scene.stations.elevation_m / 1000})
    p_km_s, s_km_s = mean_velocities(scene.model)
    picks = scene.picks
    table = pd.DataFrame(
        {
            "id": picks.network + "." + picks.station,
            "timestamp": picks.time.dt.tz_localize(None),
            "type": picks.phase.str.lower(),
            "prob": 0.5,
        }
    ).reset_index(drop=True)
    margin = 50.0
    x_range, y_range = (x.min() - margin, x.max() + margin), (y.min() - margin, y.max() + margin)
    config = {
        "dims": ["x(km)", "y(km)", "z(km)"],
        "use_dbscan": True,
        "use_amplitude": False,
        "x(km)": x_range,
        "y(km)": y_range,
        "z(km)": (0.0, deepest_km(scene)),
        "method": "BGMM",
        "oversample_factor": 5,
        "vel": {"p": p_km_s, "s": s_km_s},
        "dbscan_min_samples": 3,
        "min_picks_per_eq": 5,
        "min_p_picks_per_eq": 0,
        "min_s_picks_per_eq": 0,
        "max_sigma11": 2.0,
        "ncpu": 1,
        "bfgs_bounds": ((x_range[0] - 1, x_range[1] + 1), (y_range[0] - 1, y_range[1] + 1), (0, 151.0), (None, None)),
    }
    np.random.seed(0)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        config["dbscan_eps"] = estimate_eps(stations, p_km_s)
        _, assignments = association(table, stations, config, method=config["method"])
    associated_picks = pd.DataFrame(assignments, columns=["row", "event_id", "score"])
    return pd.DataFrame(
        {"event_id": associated_picks.event_id, "pick_id": picks.pick_id.to_numpy()[associated_picks.row.astype(int)]}
    )


def mean_velocities(model: VelocityModel) -> tuple[float, float]:
    """Velocities P and S of the layer at 8 km, near where most events are."""
    layer = int(model.layer_of(8.0))
    return float(model.vp_km_s[layer]), float(model.vs_km_s[layer])


def deepest_km(scene: Scene) -> float:
    x, y = frame_around(scene.stations).to_local(scene.stations.latitude_deg, scene.stations.longitude_deg)
    return float(np.clip(0.3 * np.hypot(np.ptp(x), np.ptp(y)), 30.0, 250.0))


def score(picks: pd.DataFrame, assignments: pd.DataFrame) -> dict[str, Any]:
    """Numbers of events, and shares of events and picks that are right."""
    table = assignments.assign(true=assignments.pick_id.map(picks.set_index("pick_id").event))
    n_true = picks.event[picks.event >= 0].nunique()
    size = table.groupby("event_id").size()
    counts = table[table.true >= 0].groupby(["event_id", "true"]).size().rename("n").reset_index()
    counts = counts[counts.n >= RIGHT_SHARE * counts.event_id.map(size)].sort_values("n", ascending=False)
    pairs = counts.drop_duplicates("event_id").drop_duplicates("true").set_index("event_id").true
    n_right = int((table.event_id.map(pairs) == table.true).sum())
    precision, recall = n_right / max(len(table), 1), n_right / max(int((picks.event >= 0).sum()), 1)
    return {
        "n_events": n_true,
        "n_found": len(size),
        "event_precision": round(len(pairs) / max(len(size), 1), 3),
        "event_recall": round(len(pairs) / max(n_true, 1), 3),
        "pick_precision": round(precision, 3),
        "pick_recall": round(recall, 3),
        "pick_f1": round(2 * precision * recall / max(precision + recall, 1e-12), 3),
    }


def ogs_2024(options: argparse.Namespace) -> Scene:
    """Picks of located events (explosions without a location are left out) at stations with known places."""
    from pickflow.io.formats import read_bulletin

    folder = DATA / "ogs-2024"
    bulletin = read_bulletin(folder / "RSFVG-2024.hpc")
    located = bulletin.events[bulletin.events.latitude_deg.notna()]
    located = located[located.time < pd.Timestamp("2024-01-01", tz="UTC") + options.days * ONE_DAY]
    places = pd.read_csv(folder / "stations_derived.csv").dropna(subset=["latitude", "longitude"])
    number = pd.Series(np.arange(len(located)), index=located.event_id.to_numpy())
    picks = bulletin.picks[bulletin.picks.event_id.isin(number.index) & bulletin.picks.station.isin(places.station)]
    table = pd.DataFrame(
        {
            "station": picks.station,
            "phase": picks.phase,
            "time": picks.time,
            "event": picks.event_id.map(number),
        }
    )
    stations = pd.DataFrame(
        {
            "network": "",
            "station": places.station,
            "latitude_deg": places.latitude,
            "longitude_deg": places.longitude,
            "elevation_m": 0.0,
        }
    )
    model = read_velocity_model(folder / "velocity_1d.nd", lines="layers")
    return Scene(picks=pick_table(table, ""), stations=conform(stations, STATIONS), model=model)


def pyocto_synthetic(options: argparse.Namespace) -> Scene:
    folder = DATA / "pyocto-synthetic"
    table, places = pd.read_parquet(folder / "picks"), pd.read_parquet(folder / "stations")
    table = table.assign(
        station=table.station.str.split(".").str[1], time=pd.to_datetime(table.time).dt.tz_localize("UTC")
    )
    stations = pd.DataFrame(
        {
            "network": "CX",
            "station": places.id.str.split(".").str[1],
            "latitude_deg": places.latitude,
            "longitude_deg": places.longitude,
            "elevation_m": places.elevation,
        }
    )
    # The table's own noise has the event -1.
    model = read_velocity_model(folder / "graeber.csv")
    return Scene(picks=pick_table(table, "CX"), stations=conform(stations, STATIONS), model=model)


def swarm(options: argparse.Namespace) -> Scene:
    """Events everywhere in the network, picked out to a distance that grows with magnitude."""
    generator = np.random.default_rng(options.seed)
    n_stations, width_km, span_s = 30, 200.0, options.hours * 3600
    model = VelocityModel(
        top_depth_km=np.array([0.0, 4.0, 12.0, 22.0, 35.0]),
        vp_km_s=np.array([5.0, 5.7, 6.2, 6.7, 8.0]),
        vs_km_s=np.array([2.85, 3.28, 3.58, 3.87, 4.5]),
    )
    x, y = generator.uniform(-width_km / 2, width_km / 2, (2, n_stations))
    elevation_m = generator.uniform(0, 1500, n_stations)
    latitude, longitude = LocalFrame(46.2, 12.8).to_geographic(x, y)
    codes = np.array([f"S{index:02d}" for index in range(n_stations)])
    stations = pd.DataFrame(
        {
            "network": "XX",
            "station": codes,
            "latitude_deg": latitude,
            "longitude_deg": longitude,
            "elevation_m": elevation_m,
        }
    )
    start, rows, n_made = pd.Timestamp("2026-01-15", tz="UTC"), [], 0
    while n_made < round(options.events_per_day * options.hours / 24):
        origin_s, depth_km = generator.uniform(0, span_s), generator.uniform(2, 18)
        east, north = generator.uniform(-width_km / 2, width_km / 2, 2)
        reach_km = 39 + 45 * generator.exponential(0.434)
        distance = np.hypot(x - east, y - north)
        chance = 1 / (1 + np.exp((distance - reach_km) / 8))
        is_seen = {"P": generator.random(n_stations) < 0.95 * chance, "S": generator.random(n_stations) < 0.8 * chance}
        n_p, n_s, n_both = is_seen["P"].sum(), is_seen["S"].sum(), (is_seen["P"] & is_seen["S"]).sum()
        if n_p + n_s < 7 or n_p < 3 or n_s < 2 or n_both < 2:
            continue
        for phase, error_s in (("P", 0.08), ("S", 0.15)):
            is_seen_by_phase = is_seen[phase]
            travel = travel_time_s(
                model, phase, distance[is_seen_by_phase], depth_km, -elevation_m[is_seen_by_phase] / 1000
            )
            travel = travel * (1 + generator.normal(0, 0.01, travel.size))
            seconds = origin_s + travel + generator.standard_t(4, travel.size) * error_s
            times = start + pd.to_timedelta(seconds, unit="s")
            rows += [
                {"station": code, "phase": phase, "time": at, "event": n_made}
                for code, at in zip(codes[is_seen_by_phase], times, strict=True)
            ]
        n_made += 1
    return Scene(picks=pick_table(pd.DataFrame(rows), "XX"), stations=conform(stations, STATIONS), model=model)


def pick_table(table: pd.DataFrame, network: str) -> pd.DataFrame:
    """Table `PICKS` with a column ``event``."""
    ordered = table.sort_values(["time", "station", "phase"], kind="stable").reset_index(drop=True)
    time = ordered.time.dt.as_unit("ns")
    picks = ordered.assign(
        pick_id=[f"p{index:07d}" for index in range(len(ordered))],
        network=network,
        location="",
        channel="HH",
        time=time,
        starttime=time,
        endtime=time,
        probability=0.5,
        amplitude_m_s=np.nan,
        snr_db=np.nan,
    )
    return conform(picks, PICKS).merge(picks[["pick_id", "event"]], on="pick_id")


def with_noise(scene: Scene, noise: float, seed: int) -> Scene:
    """The same with noise picks, as many per true pick."""
    generator = np.random.default_rng(seed + 1)
    event_picks = scene.picks[scene.picks.event >= 0]
    source = event_picks.iloc[generator.integers(0, len(event_picks), int(noise * len(event_picks)))]
    span_s = (event_picks.time.max() - event_picks.time.min()).total_seconds()
    random_times = event_picks.time.min() + pd.to_timedelta(generator.uniform(0, span_s, len(source)), unit="s")
    extra = source[["station", "phase"]].assign(time=random_times, event=-1)
    all_picks = pd.concat([scene.picks[["station", "phase", "time", "event"]], extra])
    return Scene(
        picks=pick_table(all_picks, str(scene.picks.network.iloc[0])), stations=scene.stations, model=scene.model
    )


SCENES: dict[str, Callable[[argparse.Namespace], Scene]] = {
    "ogs-2024": ogs_2024,
    "pyocto-synthetic": pyocto_synthetic,
    "swarm": swarm,
}

if __name__ == "__main__":
    sys.exit(main())
