"""A run that has been downloaded is made longer, before and after: only the new day is downloaded, from any source."""

from datetime import date, timedelta

import obspy
import pytest

from tests.fdsn_server import serving
from tests.snakemake_runner import snakemake
from tests.waveform_fixture import channel_of, inventory_of, trace, write_sds

pytestmark = [pytest.mark.slow, pytest.mark.nightly]
DAYS = ("2024-03-04", "2024-03-05", "2024-03-06", "2024-03-07")
CODES = ("BHZ", "BHN", "BHE")


def waveforms():
    """Ten minutes at noon of each day, of two stations."""
    noon = [obspy.UTCDateTime(f"{day}T12:00:00") for day in DAYS]
    return obspy.Stream(
        trace(channel, time.datetime, 600.0, 20.0, station=station)
        for time in noon
        for station in ("AAA", "BBB")
        for channel in CODES
    )


def logs_of(directory):
    """When each job has last begun to write its log, by rule and name of the log."""
    logs = (directory / "results" / "longer" / "logs").rglob("*.log")
    return {f"{path.parent.name} {path.stem}": path.stat().st_mtime_ns for path in logs}


def jobs_of(directory, download, first, last):
    """Download a run from a day to another, both included; the jobs that ran."""
    end = date.fromisoformat(last) + timedelta(days=1)
    config = {"run": "longer", "starttime": first, "endtime": f"{end}", "download": download}
    before = logs_of(directory)
    snakemake("download_all", directory=directory, config=config)
    return sorted(job for job, time in logs_of(directory).items() if before.get(job) != time)


def check_that_days_are_added(directory, download, asks_again=()):
    """Two days, then one after, then one before."""
    first, second, third, fourth = DAYS
    first_jobs = [f"download {second}", f"download {third}", "inventory stations"]
    assert jobs_of(directory, download, second, third) == first_jobs
    assert jobs_of(directory, download, second, fourth) == [f"download {fourth}", *asks_again]
    assert jobs_of(directory, download, first, fourth) == [f"download {first}", *asks_again]
    assert jobs_of(directory, download, first, fourth) == []


def test_a_data_centre_is_asked_for_its_stations_again_but_for_waveforms_of_the_new_day_alone(tmp_path):
    changes = obspy.UTCDateTime(f"{DAYS[3]}T06:00:00")
    usual = [channel_of(code, rate=20.0) for code in CODES]
    before, after = (
        [channel_of(code, rate=20.0, sensitivity=value, **span) for code in CODES]
        for value, span in ((1e9, {"end": changes}), (2e9, {"start": changes}))
    )
    with serving(waveforms(), inventory_of({"AAA": usual, "BBB": [*before, *after]})) as server:
        fdsn = {"servers": [server.url], "max_requests_per_second": 100, "backoff_s": 0.01}
        download = {"source": "fdsn", "stations": ["XA.*"], "fdsn": fdsn}
        check_that_days_are_added(tmp_path, download, asks_again=["inventory stations"])


def test_an_archive_without_an_inventory_is_read_for_the_new_day_alone(tmp_path):
    write_sds(waveforms(), tmp_path / "sds")
    check_that_days_are_added(tmp_path, {"source": "sds", "path": "sds", "stations": ["XA.*"]})


def test_a_folder_of_files_without_an_inventory_is_read_for_the_new_day_alone(tmp_path):
    (tmp_path / "files").mkdir()
    waveforms().write(str(tmp_path / "files" / "all.mseed"), format="MSEED")
    check_that_days_are_added(tmp_path, {"source": "directory", "path": "files", "stations": ["XA.*"]})
