"""Data centres of each station: EIDA's routing service and EarthScope's federator."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import NamedTuple

from pickflow.codes import StationCode
from pickflow.download.webservice import ServiceError, post
from pickflow.run.settings.download import FdsnParams
from pickflow.secrets import printable

ROUTING_URLS = {
    "eida-routing": "https://www.orfeus-eu.org/eidaws/routing/1/query",
    "iris-federator": "https://service.earthscope.org/irisws/fedcatalog/1/query",
}
FEDERATOR_KEYS = {"dataselect": "DATASELECTSERVICE", "station": "STATIONSERVICE"}


class Route(NamedTuple):
    """Base URL of a data centre, and the request lines that it answers."""

    base: str
    lines: list[str]

    def covers(self, code: StationCode) -> bool:
        """Whether a request line is about a station."""
        return any(all(map(fnmatchcase, code, line.split()[:2])) for line in self.lines)


def routes(service: str, lines: list[str], params: FdsnParams) -> list[Route]:
    """
    Ask the routing service for the data centres of the lines of a request.

    Parameters
    ----------
    service : str
        ``dataselect`` or ``station``.
    lines : list of str
        ``NET STA LOC CHA start end``, wildcards allowed.
    params : FdsnParams
        With `routing` set.

    Returns
    -------
    list of Route
        In the order of the answer; empty if there is none.
    """
    header = [f"service={service}", "format=post"] if params.routing == "eida-routing" else ["format=request"]
    url = ROUTING_URLS[str(params.routing)]
    answer = post(url, "\n".join([*header, *lines, ""]).encode(), params).decode(errors="replace")
    blocks = [block.strip().splitlines() for block in answer.replace("\r", "").split("\n\n") if block.strip()]
    data_centres = [route for route in (_route(block, service) for block in blocks) if route.base and route.lines]
    if blocks and not data_centres:
        raise ServiceError("server_error", f"{params.routing} answers with what is no route: {printable(answer)!r}")
    return data_centres


def _route(block: list[str], service: str) -> Route:
    """One data centre: its address, in either dialect, then request lines."""
    base, lines = "", []
    for line in map(str.strip, block):
        key, separator, value = line.partition("=")
        if separator and key == FEDERATOR_KEYS[service]:
            base = value
        elif line.startswith(("http://", "https://")):
            base = line
        elif len(line.split()) == 6:
            lines.append(line)
    return Route(base.split("/fdsnws/")[0].rstrip("/"), lines)
