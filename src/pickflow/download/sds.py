"""SeisComP Data Structure: ``YEAR/NET/STA/CHAN.D/NET.STA.LOC.CHAN.D.YEAR.DAY``."""

from __future__ import annotations

import glob
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from pathlib import Path

from pickflow.codes import StationCode, band_instrument, rank
from pickflow.windows import days_between

RECORD_OVERHANG = timedelta(minutes=10)  # the last record of a day file reaches into the next day


def sds_day(day: str) -> str:
    """Ending of the names of files of a day (``YYYY-MM-DD``)."""
    moment = date.fromisoformat(day)
    return f".{moment.year:04d}.{moment.timetuple().tm_yday:03d}"


def sds_files(
    root: Path, code: StationCode, starttime: datetime, endtime: datetime, channel_priority: Iterable[str]
) -> tuple[list[Path], list[str]]:
    """
    Day files of a station that may hold samples of [starttime, endtime).

    Returns
    -------
    files : list of Path
        Of the bands that the priorities allow, in order.
    unused : list of str
        Channel codes of the files of other bands.
    """
    priority = list(channel_priority)
    files, unused = [], set()
    for day in days_between(starttime - RECORD_OVERHANG, endtime):
        station = root / day[:4] / code.network / code.station
        pattern = f"{glob.escape(str(code))}.*.*.D{sds_day(day)}"
        for path in sorted(Path(name) for name in glob.glob(str(Path(glob.escape(str(station))) / "*.D" / pattern))):
            channel = path.parent.name.removesuffix(".D")
            if rank(band_instrument(channel.upper()), priority) < len(priority):
                files.append(path)
            else:
                unused.add(channel)
    return files, sorted(unused)


def sds_stations(root: Path) -> list[StationCode]:
    """Stations with a folder in an SDS archive, in any year."""
    years = "[0-9][0-9][0-9][0-9]"
    codes = {(path.parent.name, path.name) for path in root.glob(f"{years}/[!.]*/[!.]*") if path.is_dir()}
    return [StationCode(*names) for names in sorted(codes)]
