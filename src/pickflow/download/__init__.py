"""Waveforms from archives, folders and data centres; a reason code for every requested station-day."""

from pickflow.download.answers import require_answers
from pickflow.download.day import download_day
from pickflow.download.source import check_source, fetch_inventory
from pickflow.download.stations import requested_stations

__all__ = [
    "check_source",
    "download_day",
    "fetch_inventory",
    "requested_stations",
    "require_answers",
]
