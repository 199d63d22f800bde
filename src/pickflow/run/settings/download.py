"""Section ``download`` of a configuration."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from pickflow.run.layout import RunLayout
from pickflow.run.settings.section import Number, Section, Text, Whole, key


class RectangleParams(Section):
    """Edges in degrees; it crosses the date line if the minimum longitude is the larger one."""

    ORDERED: ClassVar = (("min_latitude_deg", "max_latitude_deg"),)

    min_latitude_deg: Number = key(..., "Southern edge in degrees.", ge=-90, le=90)
    max_latitude_deg: Number = key(..., "Northern edge in degrees.", ge=-90, le=90)
    min_longitude_deg: Number = key(..., "Western edge in degrees.", ge=-180, le=360)
    max_longitude_deg: Number = key(..., "Eastern edge in degrees.", ge=-180, le=360)


class CircleParams(Section):
    """Centre in degrees, radii in km."""

    ORDERED: ClassVar = (("min_radius_km", "max_radius_km"),)

    latitude_deg: Number = key(..., "Centre in degrees north.", ge=-90, le=90)
    longitude_deg: Number = key(..., "Centre in degrees east.", ge=-180, le=360)
    min_radius_km: Number = key(0.0, "Least distance in km.", ge=0)
    max_radius_km: Number = key(..., "Largest distance in km.", gt=0)


class DomainParams(Section):
    """Where stations are asked for, a rectangle or a circle or both; null is everywhere."""

    AFFECTS: ClassVar = ("inventory",)

    rectangle: RectangleParams | None = None
    circle: CircleParams | None = None


class FdsnParams(Section):
    """Data centres, access to restricted data, and manners."""

    AFFECTS: ClassVar = ("nothing",)

    servers: tuple[
        Annotated[
            Text,
            Field(
                pattern=r"\A(https?://[^ ]+|[A-Za-z0-9_-]+)\Z",
                description="an address by http or https or a name such as INGV",
            ),
        ],
        ...,
    ] = key(
        (),
        "Data centres in the order in which they are asked; names that ObsPy knows (INGV, EARTHSCOPE) or URLs.",
        affects=("inventory", "download"),
    )
    routing: Literal["eida-routing", "iris-federator"] | None = key(
        None,
        "Service that knows which data centre has what, asked in addition to the servers; null for none.",
        affects=("inventory", "download"),
    )
    token_file: Text | None = key(None, "File with an EIDA token; null for none.")
    user: Text | None = key(None, "User name for restricted data; null for none.")
    password_env: Text | None = key(None, "Name of the environment variable that holds the password of user.")
    password: None = key(
        None,
        "a password never stands in a configuration: put it into an environment variable and write the name of "
        "the variable as download.fdsn.password_env",
    )
    max_requests_per_second: Number = key(
        5.0, "Pace of requests to one server, per second, over all processes of a machine.", gt=0
    )
    connections: Whole = key(
        2, "Requests to one server at the same time, over all processes of a machine.", ge=1, le=20
    )
    retries: Whole = key(
        4, "Repetitions of a request that failed for a passing reason (429, 5xx, time limit, cut connection).", ge=0
    )
    server_errors: Literal["ask_again", "accept"] = key(
        "ask_again",
        "What becomes of a day with stations that a server did not answer for after all retries. ask_again: the "
        "job ends with an error, and the same command asks for them again; accept: the day is taken as it is, "
        "with server_error in the ledger. A change runs nothing again that was done.",
    )
    backoff_s: Number = key(
        2.0, "Wait before the first repetition in seconds, doubled with each; Retry-After of the server wins.", ge=0
    )
    timeout_s: Number = key(120.0, "Longest silence of a server in seconds.", gt=0)
    max_answer_mb: Number = key(
        500.0,
        "Largest answer in MB, unpacked; of waveforms, for each day and station asked for. What is larger is "
        "server_error.",
        gt=0,
    )
    max_answer_s: Number = key(
        3600.0, "Longest time of one answer in seconds, from the connection to the last byte.", gt=0
    )


class DownloadParams(Section):
    """Where waveforms and station metadata come from, and which of them are used."""

    AFFECTS: ClassVar = ("download",)

    source: Literal["sds", "directory", "fdsn"] = key(
        "sds",
        "sds: SeisComP archive (YEAR/NET/STA/CHAN.D); directory: any files that ObsPy reads; fdsn: data centres.",
        affects=("inventory", "download"),
    )
    path: Text | None = key(None, "Folder of the sources sds and directory.", affects=("inventory", "download"))
    inventory: tuple[Text, ...] = key(
        (),
        "StationXML files; without any, data centres are asked, and stations of archives have no coordinates.",
        affects="inventory",
    )
    stations: tuple[Text, ...] = key(
        ("*.*",),
        "Stations asked for as NETWORK.STATION, wildcards * and ? allowed; each has a row for every day.",
        affects="inventory",
        min_length=1,
    )
    exclude: tuple[Text, ...] = key((), "Stations left out, written as above.", affects="inventory")
    domain: DomainParams | None = None
    channel_priority: tuple[
        Annotated[Text, Field(pattern=r"\A[A-Z*?][A-Z*?]\Z", description="two letters such as HH")], ...
    ] = key(
        ("HH", "BH", "EH", "SH", "EP", "DP", "HN", "BN", "EN", "SN"),
        "Band and instrument codes, best first; others are not used.",
        affects=("inventory", "download"),
        min_length=1,
    )
    location_priority: tuple[
        Annotated[
            Text,
            Field(pattern=r"\A([A-Z0-9*?]{1,2}|--)\Z", description="a location code such as 00; -- is the empty one"),
        ],
        ...,
    ] = key(
        ("--", "00", "10", "*"),
        "Location codes, best first; -- is the empty one; without * at the end others are not used.",
        min_length=1,
    )
    network_priority: tuple[Text, ...] = key(
        ("*",),
        "Network codes, best first; decides which of two stations closer than min_station_distance_km is kept.",
        affects="inventory",
        min_length=1,
    )
    min_station_distance_km: Number = key(
        0.0, "Least distance between stations in km; 0 keeps all.", affects="inventory", ge=0
    )
    padding_s: Number = key(
        60.0,
        "Seconds of waveforms before and after the asked part of a day, so that windows at its edges are whole.",
        ge=0,
        le=3600,
    )
    min_coverage: Number = key(
        0.01,
        "Least share of the asked part of a day (0 to 1) that must be covered for a station to be used.",
        ge=0,
        le=1,
    )
    cache: Text = key(
        str(RunLayout("<results>").cache),
        "Folder of what can be used again - answers of data centres, the index of a folder of files.",
        affects="nothing",
    )
    fdsn: FdsnParams = FdsnParams()
