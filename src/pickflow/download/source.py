"""The source as a whole: whether it exists, and the metadata of its stations."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

import obspy

from pickflow.codes import matches
from pickflow.download.directory import regular_files
from pickflow.download.fdsn import fetch_stations
from pickflow.download.sds import sds_stations
from pickflow.download.webservice import SMALL_MB, WITHOUT_INTERNET, ServiceError, base_url, post
from pickflow.io.inventory import read_inventory
from pickflow.run.settings.download import DownloadParams, FdsnParams
from pickflow.windows import days_between


def check_source(params: DownloadParams, starttime: datetime, endtime: datetime) -> None:
    """
    Find errors that make a download impossible, quickly and without network.

    Raises
    ------
    ValueError
        Missing files and folders, an archive without the requested years or stations, unknown data centres, a token
        file or password that is not there.
    """
    for path in params.inventory:
        if not Path(path).is_file():
            raise ValueError(f"download.inventory: there is no file {path}")
    if params.source == "fdsn":
        _check_access(params.fdsn)
        if not params.inventory and not params.domain and any(set(pattern) <= set("*.") for pattern in params.stations):
            raise ValueError(
                "download.stations: '*.*' asks data centres for the whole world; name networks or a domain"
            )
    elif params.path is None or not Path(params.path).is_dir():
        raise ValueError(f"download.path: there is no folder {params.path}; source {params.source!r} reads from it")
    elif params.source == "sds":
        _check_sds(params, starttime, endtime)
    elif next(regular_files(Path(params.path)), None) is None:
        raise ValueError(f"download.path: the folder {params.path} holds no files")


def _check_sds(params: DownloadParams, starttime: datetime, endtime: datetime) -> None:
    root = Path(str(params.path))
    asked_years = {day[:4] for day in days_between(starttime, endtime)}
    years = {path.name for path in root.glob("[0-9][0-9][0-9][0-9]") if path.is_dir()}
    if not years:
        raise ValueError(
            f"download.path: {root} is not an SDS archive (YEAR/NET/STA/CHAN.D); for other layouts set "
            "download.source to 'directory'"
        )
    if not years & asked_years:
        raise ValueError(
            f"starttime/endtime: the archive {root} has the years {', '.join(sorted(years))}, "
            f"not {', '.join(sorted(asked_years))}"
        )
    codes = sds_stations(root)
    matched = [code for code in codes if matches(code, list(params.stations))]
    if not [code for code in matched if not matches(code, list(params.exclude))]:
        raise ValueError(
            f"download.stations: the archive {root} has none of {', '.join(params.stations)}; it has "
            f"{', '.join(map(str, codes[:5]))}{' …' if len(codes) > 5 else ''}"
        )


def _check_access(params: FdsnParams) -> None:
    if not params.servers and params.routing is None:
        raise ValueError("download.fdsn.servers: name a data centre or URL, or set download.fdsn.routing")
    for server in params.servers:
        base_url(server)
    if params.token_file and not Path(params.token_file).is_file():
        raise ValueError(f"download.fdsn.token_file: there is no file {params.token_file}")
    if bool(params.user) != bool(params.password_env):
        raise ValueError("download.fdsn: user and password_env belong together; the other one is missing")
    if params.password_env and params.password_env not in os.environ:
        raise ValueError("download.fdsn.password_env: the environment variable that it names is not set")


def fetch_inventory(params: DownloadParams, starttime: datetime, endtime: datetime) -> obspy.Inventory:
    """
    Station metadata of a run.

    Parameters
    ----------
    params : DownloadParams
        With `inventory` files given, these; else for data centres the answers of their station services, at level
        response where possible; else an empty inventory (stations are then found in the archive and have no
        coordinates).
    starttime, endtime : datetime
        Of the run.

    Returns
    -------
    Inventory
        Also channels of bands that are not requested.

    Raises
    ------
    ValueError
        If a file cannot be read, or a data centre not be reached.
    """
    if params.inventory:
        inventory = read_inventory(params.inventory)
        _check_servers(params)
        return inventory
    if params.source == "fdsn":
        return fetch_stations(params, starttime, endtime)
    return obspy.Inventory()


def _check_servers(params: DownloadParams) -> None:
    """Request the version of each data centre: an error now is better than one after hours."""
    for server in params.fdsn.servers if params.source == "fdsn" else ():
        url = f"{base_url(server)}/fdsnws/dataselect/1/version"
        try:
            version = post(url, b"", params.fdsn, max_mb=SMALL_MB)
        except ServiceError as error:
            raise ValueError(
                f"download.fdsn.servers: {error.detail}; check the address and the network; {WITHOUT_INTERNET}"
            ) from error
        if not version:  # 204 and 404, which elsewhere say that there are no data
            raise ValueError(f"download.fdsn.servers: {url} is not there; check the address")
