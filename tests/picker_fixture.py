"""The picker's command line as far as a run that can start, and waveforms for it."""

from __future__ import annotations

from pickflow.command_line.picker.options import parse_options
from pickflow.command_line.picker.work import make_plan
from pickflow.run.settings.download import DownloadParams
from tests.waveform_fixture import DAY, inventory_of, trace

ON_DAY = ["-D", DAY, DAY]


def usual_bands():
    return list(DownloadParams().channel_priority)


def waveform_folder(directory):
    """A folder of two stations' waveforms of one day."""
    folder = directory / "data"
    folder.mkdir()
    for station in ("AAA", "BBB"):
        trace(station=station).write(str(folder / f"{station}.mseed"), format="MSEED")
    return folder


def network_file(directory):
    """StationXML of the two stations."""
    path = directory / "network.xml"
    inventory_of(["AAA", "BBB"]).write(str(path), format="STATIONXML")
    return path


def plan(*arguments):
    return make_plan(parse_options([str(argument) for argument in arguments]))


def configuration(*arguments):
    return plan(*arguments).config
