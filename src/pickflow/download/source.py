"""The source as a whole: is it there, and what stations does it describe."""

from __future__ import annotations

import os
import re
from datetime import datetime
from pathlib import Path

import obspy

from pickflow.codes import matches
from pickflow.download.fdsn import fetch_stations
from pickflow.download.params import DownloadParams, FdsnParams
from pickflow.download.sds import sds_stations
from pickflow.download.webservice import ServiceError, base_url, post
from pickflow.io.inventory import read_inventory
from pickflow.windows import days_between

ENVIRONMENT_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")


def check_source(params: DownloadParams, starttime: datetime, endtime: datetime) -> None:
    """
    Find what makes a download impossible, in a moment and without network.

    Raises
    ------
    ValueError
        Missing files and folders, an archive without the years or stations asked for, unknown data centres, a token
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
    elif not any(path.is_file() for path in Path(params.path).rglob("*")):
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
    found = sds_stations(root)
    wanted = [code for code in found if matches(code, list(params.stations))]
    if not [code for code in wanted if not matches(code, list(params.exclude))]:
        raise ValueError(
            f"download.stations: the archive {root} has none of {', '.join(params.stations)}; it has "
            f"{', '.join(map(str, found[:5]))}{' …' if len(found) > 5 else ''}"
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
    if params.password_env and not ENVIRONMENT_NAME.match(params.password_env):
        raise ValueError(
            "download.fdsn.password_env: this is not the name of an environment variable; put the password into one, "
            "such as FDSN_PASSWORD, and write its name here, never the password"
        )
    if params.password_env and params.password_env not in os.environ:
        raise ValueError("download.fdsn.password_env: the environment variable that it names is not set")


def fetch_inventory(params: DownloadParams, starttime: datetime, endtime: datetime) -> obspy.Inventory:
    """
    Station metadata of a run.

    Parameters
    ----------
    params : DownloadParams
        With `inventory` files given, these; else for data centres what their station services have, at level response
        where possible; else an empty inventory (stations are then found in the archive and have no coordinates).
    starttime, endtime : datetime
        Of the run.

    Returns
    -------
    Inventory
        Channels of other bands than asked included.

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
    """Ask each data centre for its version: better no answer now than after hours."""
    for server in params.fdsn.servers if params.source == "fdsn" else ():
        try:
            post(f"{base_url(server)}/fdsnws/dataselect/1/version", b"", params.fdsn)
        except ServiceError as error:
            raise ValueError(
                f"download.fdsn.servers: {error.detail}; check the address and the network; on a node without "
                "internet, run the targets download_all and weights_all on a login node first"
            ) from error
