"""A run with tables of a catalog and the waveforms of its first day, to look at single events of."""

from __future__ import annotations

import numpy as np

from pickflow.io.tables import write_table
from pickflow.schemas import ASSIGNMENTS, EVENTS, MANIFEST, MATCHES, PICKS, REFERENCE_PICKS, STATIONS
from tests import report_fixture
from tests.waveform_fixture import with_digests

CATALOG = "none/PhaseNet/original/pyocto"
RECORDED = ("ACOM", "DRE", "FUSE")


def write_run(folder):
    """Write the run; three stations have waveforms, until noon."""
    run = report_fixture.report_content(with_gathers=False)
    catalog = run.catalogs[0]
    place, picks = folder / "catalog" / CATALOG, folder / "picks" / "none" / "PhaseNet" / "original"
    write_table(catalog.events, EVENTS, place / "catalog.parquet", {})
    write_table(catalog.assignments, ASSIGNMENTS, place / "assignments.parquet", {})
    write_table(catalog.picks, PICKS, picks / "2024-03-09.parquet", {})
    write_table(catalog.matches, MATCHES, folder / "analysis" / CATALOG / "matches.parquet", {})
    write_table(run.reference, EVENTS, folder / "analysis" / "reference.parquet", {})
    manual = report_fixture.manual_picks(run.stations, run.reference)
    write_table(manual, REFERENCE_PICKS, folder / "analysis" / "reference_picks.parquet", {})
    write_table(run.stations, STATIONS, folder / "inventory" / "stations.parquet", {})
    read = report_fixture.read_waveforms_of(run.reference.head(3), run.stations)
    (folder / "waveforms" / "2024-03-09").mkdir(parents=True)
    recorded = run.stations[run.stations.station.isin(RECORDED)]
    for site in recorded.itertuples():
        stream = read(site.network, site.station, "2024-03-09")
        end = stream[0].stats.starttime + 12 * 3600
        name = f"{site.network}.{site.station}.mseed"
        stream.slice(endtime=end).write(str(folder / "waveforms" / "2024-03-09" / name), format="MSEED")
    manifest = recorded[["network", "station"]].assign(
        date="2024-03-09", reason="ok", remarks="ok", detail="", usable=True, location="", channel="HH",
        components="ZNE", alternatives="", coverage=0.5, n_gaps=0, sensitivity_counts_per_unit=np.nan,
        sampling_rate_hz=100.0,
    )  # fmt: skip
    waveforms = folder / "waveforms" / "2024-03-09"
    write_table(with_digests(manifest, waveforms), MANIFEST, waveforms / "manifest.parquet", {})
    return folder
