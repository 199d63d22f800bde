"""
ML against ComCat: events of Ridgecrest 2019, sized at the stations whose sensitivity is known.

    python benchmarks/magnitudes.py                              # arrivals predicted from ComCat's origins
    python benchmarks/magnitudes.py --run results/ridgecrest-2019 # and the catalogs of a run

The first needs no picks: P and S are predicted in a half space of 6.1 and 3.5 km/s from the reviewed origins. The
differences are ours minus ComCat's, of events that ComCat gives an ML (magType ml); no station corrections, no number
of the law is fitted.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import yaml

from pickflow.comparison.sources import read_reference
from pickflow.download import download_day
from pickflow.io.inventory import read_inventory
from pickflow.io.places import places_in_run, stations_table
from pickflow.io.tables import conform, read_table
from pickflow.magnitude import Catalog, amplitudes_of_day, corrected, network_magnitudes
from pickflow.run.configuration import complete
from pickflow.run.settings.download import DownloadParams
from pickflow.run.settings.magnitude import MagnitudeParams
from pickflow.schemas import ASSIGNMENTS, EVENTS, PICKS
from pickflow.statistics import MAD_TO_SIGMA
from pickflow.travel_times.geometry import distance_and_azimuth
from pickflow.travel_times.layers import homogeneous, travel_time_s
from pickflow.windows import parse_time

ROOT = Path(__file__).parents[1]
DAY = "2019-07-04"
WINDOW = (parse_time("2019-07-04T16:50:00Z"), parse_time("2019-07-04T18:10:00Z"))
P_KM_S, S_KM_S = 6.1, 3.5
MATCH_S, MATCH_KM = 2.5, 15.0  # chosen: one event in both catalogs


def section(data: Path, name: str) -> dict:
    """A completed section of the configuration of a run on these data."""
    config = {
        "run": "magnitudes",
        "starttime": WINDOW[0].isoformat(),
        "endtime": WINDOW[1].isoformat(),
        "download": {"source": "sds", "path": str(data / "sds"), "stations": ["*.*"]},
    }
    return complete(config)[name]


def predicted_picks(events: pd.DataFrame, stations: pd.DataFrame, model) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`PICKS` and `ASSIGNMENTS` as if every station had P and S exactly where the model puts them."""
    pairs = events.merge(stations, how="cross", suffixes=("", "_station"))
    distance, azimuth = distance_and_azimuth(
        pairs.latitude_deg, pairs.longitude_deg, pairs.latitude_deg_station, pairs.longitude_deg_station
    )
    frames = []
    for phase in "PS":
        travel = travel_time_s(model, phase, distance, pairs.depth_km, -pairs.elevation_m / 1000)
        arrivals = pairs.time + pd.to_timedelta(travel, unit="s")
        names = pairs.event_id + "." + pairs.network + "." + pairs.station + f".{phase}"
        frames.append(pairs.assign(pick_id=names, phase=phase, time=arrivals))
    rows = pd.concat(frames, ignore_index=True)
    unknown = {"location": "", "channel": "", "probability": np.nan, "amplitude_m_s": np.nan, "snr_db": np.nan}
    picks = rows.assign(starttime=rows.time, endtime=rows.time, **unknown)
    places = {"residual_s": 0.0, "distance_km": np.tile(distance, 2), "azimuth_deg": np.tile(azimuth, 2)}
    return conform(picks, PICKS), conform(rows.assign(**places), ASSIGNMENTS)


def measure(data: Path, folder: Path, params: MagnitudeParams) -> tuple[pd.DataFrame, pd.DataFrame, float]:
    """
    Size the events of ComCat with predicted arrivals.

    Parameters
    ----------
    data : Path
        Folder ``ridgecrest-2019``.
    folder : Path
        Where the waveforms of the day go, as a run stores them.
    params : MagnitudeParams
        Law and the rest.

    Returns
    -------
    reference, amplitudes : DataFrame
        `EVENTS` of ComCat and `AMPLITUDES`.
    cpu_s : float
        CPU time of reading the waveforms and measuring.
    """
    folder.mkdir(parents=True, exist_ok=True)
    inventory = read_inventory([data / "stations.xml"])
    stations = places_in_run(stations_table(inventory), *WINDOW)
    download = DownloadParams(**section(data, "download"))
    manifest = download_day(DAY, WINDOW, stations, inventory, download, folder, map)
    events = read_reference(data / "catalog_comcat_reviewed.csv", *WINDOW).events
    model = homogeneous(P_KM_S, S_KM_S)
    picks, assignments = predicted_picks(events, stations, model)
    catalog = Catalog(events=events, assignments=assignments, picks=picks, stations=stations, model=model)
    start_s = time.process_time()
    amplitudes = amplitudes_of_day(catalog, folder, manifest, inventory, DAY, params)
    return events, corrected(amplitudes, params), time.process_time() - start_s


def nearest(events: pd.DataFrame, reference: pd.DataFrame) -> pd.DataFrame:
    """Each event with the reference event nearest in time, within the tolerances, one to one."""
    rows = []
    for event in events.itertuples():
        seconds = (reference.time - event.time).dt.total_seconds().abs()
        places = reference[["latitude_deg", "longitude_deg"]].to_numpy().T
        epicentres = np.full_like(places, [[event.latitude_deg], [event.longitude_deg]])
        distance, _ = distance_and_azimuth(*epicentres, *places)
        matches = seconds.where((distance <= MATCH_KM) & (seconds <= MATCH_S)).dropna()
        if not matches.empty:
            rows.append((event.event_id, reference.event_id[matches.idxmin()], matches.min()))
    pairs = pd.DataFrame(rows, columns=["event_id", "reference_id", "seconds"]).sort_values("seconds")
    return pairs.drop_duplicates("reference_id")


def paired(events: pd.DataFrame, reference: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """Pairs with an ML in ComCat: ours (NaN: none), theirs, uncertainty and number of stations n."""
    ours = events.set_index("event_id").loc[pairs.event_id].reset_index()
    theirs = reference.set_index("event_id").loc[pairs.reference_id].reset_index()
    table = pd.DataFrame(
        {
            "ours": ours.magnitude,
            "theirs": theirs.magnitude,
            "uncertainty": ours.magnitude_uncertainty,
            "n": ours.n_magnitude_stations,
        }
    )
    return table[theirs.magnitude_type.str.lower() == "ml"]


def print_differences(title: str, local: pd.DataFrame) -> pd.DataFrame:
    """Print how our magnitudes differ from the reference's, and give those that have both."""
    sized = local.dropna(subset="ours")
    difference = sized.ours - sized.theirs
    scatter = MAD_TO_SIGMA * (difference - difference.median()).abs().median()
    print(f"{title}: {len(sized)} of {len(local)} ML events sized")
    print(
        f"  median |dML| {difference.abs().median():.3f}, bias (median) {difference.median():+.3f},"
        f" scatter (1.4826 MAD) {scatter:.3f}, 90 % |dML| {difference.abs().quantile(0.9):.3f},"
        f" worst {difference.abs().max():.2f}"
    )
    is_within = (difference - difference.median()).abs() <= sized.uncertainty
    print(f"  bias taken off, {100 * is_within.mean():.0f} % lie within our uncertainty of one standard deviation")
    for low, high in ((0, 1.5), (1.5, 2), (2, 2.5), (2.5, 3), (3, 4), (4, 8)):
        bin_difference = difference[(sized.theirs >= low) & (sized.theirs < high)]
        n_all = int(((local.theirs >= low) & (local.theirs < high)).sum())
        if len(bin_difference):
            print(
                f"  ComCat {low} to {high}: {len(bin_difference)} of {n_all}, bias {bin_difference.median():+.3f},"
                f" median |dML| {bin_difference.abs().median():.3f}"
            )
    return sized


def draw(magnitudes: dict[str, pd.DataFrame], law: str, folder: Path) -> None:
    """Ours against theirs, and the differences."""
    figure, axes = plt.subplots(
        len(magnitudes), 2, figsize=(10, 4.4 * len(magnitudes)), squeeze=False, layout="constrained"
    )
    for row, (title, sized) in zip(axes, magnitudes.items(), strict=True):
        limits = [min(sized.ours.min(), sized.theirs.min()) - 0.2, max(sized.ours.max(), sized.theirs.max()) + 0.2]
        row[0].plot(limits, limits, color="0.6", lw=1, zorder=0)
        row[0].errorbar(sized.theirs, sized.ours, sized.uncertainty, fmt="none", ecolor="0.75", lw=1, zorder=1)
        points = row[0].scatter(sized.theirs, sized.ours, c=sized.n, s=26, cmap="viridis", zorder=2)
        figure.colorbar(points, ax=row[0], label="stations")
        row[0].set(xlabel="ComCat ML", ylabel="our ML", title=f"{title} ({law})")
        row[0].set(xlim=limits, ylim=limits, aspect="equal")
        difference = sized.ours - sized.theirs
        row[1].axhline(0, color="0.6", lw=1)
        row[1].axhline(difference.median(), color="tab:red", lw=1, label=f"median {difference.median():+.2f}")
        row[1].axhspan(-0.3, 0.3, color="0.94", zorder=0)
        row[1].scatter(sized.theirs, difference, c=sized.n, s=26, cmap="viridis")
        row[1].set(xlabel="ComCat ML", ylabel="our ML - ComCat ML", title=f"n = {len(sized)}")
        row[1].legend(frameon=False)
    path = folder / f"magnitudes-{law}.png"
    figure.savefig(path, dpi=110)
    print(f"figure {path}")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--law", default="california", help="california (default), italy or ne-italy")
    parser.add_argument("--run", type=Path, help="results of a run on these data, with magnitudes")
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks/magnitudes"), help="figure and tables")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="other keys of the section magnitude")
    options = parser.parse_args()
    data = Path(os.environ.get("PICKFLOW_SHARED", ROOT.parent / "shared")) / "data" / "ridgecrest-2019"
    if not data.is_dir():
        sys.exit(f"ERROR no real data in {data}; set PICKFLOW_SHARED to the folder that holds them")
    changes = {key: yaml.safe_load(value) for key, _, value in (text.partition("=") for text in options.set)}
    params = MagnitudeParams(**(section(data, "magnitude") | {"law": options.law} | changes))
    events, amplitudes, cpu_s = measure(data, options.out / "waveforms" / DAY, params)
    amplitudes.to_csv(options.out / "amplitudes.csv", index=False)
    n_pairs = len(amplitudes)
    print(f"{n_pairs} pairs of event and station in {cpu_s:.1f} CPU-s, {1000 * cpu_s / n_pairs:.2f} s for 1000")
    print("reasons:", ", ".join(f"{count} {reason}" for reason, count in amplitudes.reason.value_counts().items()))
    identity_pairs = pd.DataFrame({"event_id": events.event_id, "reference_id": events.event_id})
    magnitudes = {"predicted arrivals": paired(network_magnitudes(events, amplitudes, params), events, identity_pairs)}
    for path in sorted(options.run.glob("catalog/*/*/*/*/catalog.parquet")) if options.run else []:
        catalog = read_table(path, EVENTS)
        magnitudes[str(path.parent.relative_to(options.run / "catalog"))] = paired(
            catalog, events, nearest(catalog, events)
        )
    sized = {title: print_differences(title, local) for title, local in magnitudes.items()}
    draw({title: pairs for title, pairs in sized.items() if len(pairs)}, options.law, options.out)


if __name__ == "__main__":
    main()
