"""Waveforms from archives, folders and data centres; a reason code for every station-day asked for."""

from pickflow.download.answers import require_answers
from pickflow.download.day import download_day
from pickflow.download.params import CircleParams, DomainParams, DownloadParams, FdsnParams, RectangleParams
from pickflow.download.source import check_source, fetch_inventory
from pickflow.download.stations import asked_stations

__all__ = [
    "CircleParams",
    "DomainParams",
    "DownloadParams",
    "FdsnParams",
    "RectangleParams",
    "asked_stations",
    "check_source",
    "download_day",
    "fetch_inventory",
    "require_answers",
]
