"""Options of the picker: those of the original program of OGS, with their names and meanings, and a few more."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from pickflow.command_line.parser import Parser, UsageError, cores, count, number, value
from pickflow.command_line.picker.dates import gregorian_date, julian_date
from pickflow.models.registry import trainable
from pickflow.suggestions import suggestion
from pickflow.travel_times.sphere import KM_PER_DEGREE

GROUPS = ("date", "network", "station")
DEFAULT_MODELS = ("PhaseNet", "EQTransformer")
DEFAULT_WEIGHTS = ("instance", "original", "stead", "scedc")
DEFAULT_CLIENTS = ("OGS", "INGV", "GFZ", "IRIS", "ETH", "ORFEUS")
DEFAULT_DIRECTORY = Path("data/waveforms")
# Default area of the original program: latitude, longitude and radii in degrees.
DEFAULT_CIRCLE = (46.3583, 12.808, 0.0, 0.3)
# Of these options only one may be given; one on the command line also replaces the others in a file.
_EXCLUSIVE = (("dates", "julian"), ("rectdomain", "circdomain"), ("silent", "verbose"))
# Names that the original program used when it stored its arguments.
_STORED_AS = {"model": "models", "weight": "weights", "date": "dates", "group": "groups", "p": "pwave", "s": "swave"}
_EXAMPLES = """\
examples:
  picker.py -v --directory data/waveforms --interactive
      all waveforms in a folder or SDS archive, with all pickers; then the report in a browser
  picker.py -v -D 980101 980110 --directory /data/sds -M PhaseNet EQTransformer -W instance original
      ten days, the last one included, with up to four combinations of models and weights
  picker.py -J 98001 98010 -d /data/sds -F stations.xml velocity.nd bulletin.hpc --pyocto
      the same days; where the stations are, the velocities, and a bulletin to compare with
  picker.py --download -D 240501 240507 -N OX NI --client INGV ORFEUS -K eida.token
      from data centres, restricted data too
  picker.py -c picker.json --run friuli -n
      options from a JSON file; says what would be done, and does nothing

Results are written below results/ in the current folder. Exit code 0: all done; 1: the workflow failed, or a part of
it; 2: wrong usage, or there are no such waveforms. More, and what each option means in the configuration of pickflow:
docs/picker.md."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """
    Options by their long names; None or empty where an option is absent.

    Attributes
    ----------
    dates, julian : list of date or None
        Two days, in the order as written.
    rectdomain, circdomain : list of float or None
        Degrees.
    """

    channel: tuple[str, ...] = ()
    file: tuple[Path, ...] = ()
    groups: tuple[str, ...] | None = None
    key: Path | None = None
    models: tuple[str, ...] | None = None
    network: tuple[str, ...] = ("*",)
    station: tuple[str, ...] = ("*",)
    train: bool = False
    weights: tuple[str, ...] | None = None
    batch: int | None = None
    config: Path | None = None
    directory: Path | None = None
    pwave: float = 0.1
    swave: float = 0.1
    client: tuple[str, ...] | None = None
    denoiser: bool = False
    download: bool = False
    interactive: bool = False
    force: bool = False
    pyrocko: bool = False
    pyocto: bool = False
    timing: bool = False
    dates: tuple[date, ...] | None = None
    julian: tuple[date, ...] | None = None
    rectdomain: tuple[float, ...] | None = None
    circdomain: tuple[float, ...] | None = None
    silent: bool = False
    verbose: bool = False
    dry_run: bool = False
    run: str | None = None
    cores: str | None = None
    profile: str | None = None

    def days(self) -> tuple[date, date] | None:
        """First and last requested day, both included."""
        dates = self.dates or self.julian
        return (min(dates), max(dates)) if dates else None


def parse_options(arguments: list[str]) -> Options:
    """
    Options of a command line, and of the JSON file that it names; the command line takes precedence.

    Raises
    ------
    UsageError
        Unknown options or keys (with the nearest known one), wrong values.
    """
    parser = make_parser()
    call = vars(parser.parse_args(arguments))
    if "config" in call:
        file_options = _read_json(parser, call["config"])
        for exclusive in _EXCLUSIVE:
            if any(name in call for name in exclusive):
                file_options = {name: value for name, value in file_options.items() if name not in exclusive}
        call = file_options | call
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in call.items()}
    return Options(**values)


def _read_json(parser: Parser, path: Path) -> dict[str, Any]:
    """Options of a JSON file, parsed as the corresponding command line."""
    try:
        content = json.loads(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"-c {path}: the file cannot be read ({error})") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"-c {path}: not JSON ({error})") from None
    if not isinstance(content, Mapping):
        raise UsageError(f'-c {path}: a JSON object of option names and values is needed, such as {{"models": [...]}}')
    try:
        arguments = [argument for key, value in content.items() for argument in _as_arguments(parser, str(key), value)]
        return vars(parser.parse_args(arguments))
    except UsageError as error:
        raise UsageError(f"-c {path}: {error}") from None


def _as_arguments(parser: Parser, key: str, value: Any) -> list[str]:
    names = {option.removeprefix("--") for action in parser._actions for option in action.option_strings[-1:]}
    names -= {"help", "config"}
    name = key.strip().lower().replace("_", "-")
    name = _STORED_AS.get(name, name)
    if name == "domain":
        raise UsageError(f"key {key!r} does not say of which kind; call it rectdomain or circdomain")
    if name not in names:
        raise UsageError(f"key {key!r} is not known; {suggestion(name, names)}")
    is_flag = any(f"--{name}" in action.option_strings and action.nargs == 0 for action in parser._actions)
    if isinstance(value, bool) != is_flag and value is not None:
        raise UsageError(f"key {key!r}: {value!r} is not {'true or false' if is_flag else 'what the option takes'}")
    if value is None or value is False:
        return []
    if is_flag:
        return [f"--{name}"]
    if isinstance(value, list):
        return [f"--{name}", *map(str, value)]
    return [f"--{name}={value}"]


def _probability(text: str) -> float:
    return float(number(text, "a probability above 0 and up to 1", lambda value: 0 < value <= 1))


def _degrees(text: str) -> float:
    return float(number(text, "a number of degrees", lambda value: abs(value) <= 360))


def make_parser() -> Parser:
    """Parser of the options; absent options are absent from its result."""
    parser = Parser(
        prog="picker.py",
        description="Continuous seismic waveforms in, picks and an earthquake catalog out. Defaults are in brackets.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    _add_waveforms(parser)
    _add_where_and_when(parser)
    _add_data_centres(parser)
    _add_pickers(parser)
    _add_events(parser)
    _add_run(parser)
    return parser


def _add_waveforms(parser: Parser) -> None:
    group = parser.add_argument_group("waveforms")
    group.add_argument(
        "-d", "--directory", type=Path, metavar="DIR",
        help=f"folder of waveform files of any format, or SDS archive ({DEFAULT_DIRECTORY})",
    )  # fmt: skip
    group.add_argument(
        "-C", "--channel", nargs="*", metavar="CHA",
        help="channels, best first: HH, HHZ, 'H??'; '*' is any (velocity sensors, then accelerometers)",
    )  # fmt: skip
    group.add_argument("-N", "--network", nargs="+", metavar="NET", help="networks, with * and ? ('*')")
    group.add_argument(
        "-S", "--station", nargs="+", metavar="STA", help="stations, with * and ?, also as NET.STA ('*')"
    )
    group.add_argument(
        "-F", "--file", nargs="*", type=Path, metavar="FILE",
        help="StationXML, velocity model (.nd, CSV) and bulletin to compare with, told apart by their content",
    )  # fmt: skip


def _add_where_and_when(parser: Parser) -> None:
    group = parser.add_argument_group("time and place")
    time_group = group.add_mutually_exclusive_group()
    time_group.add_argument(
        "-D", "--dates", nargs=2, type=value(gregorian_date), metavar="YYMMDD",
        help="first and last day, both included (all days in the directory)",
    )  # fmt: skip
    time_group.add_argument(
        "-J", "--julian", nargs=2, type=value(julian_date), metavar="YYDDD",
        help="the same by the day of the year; YYMMDD is understood too",
    )  # fmt: skip
    place_group = group.add_mutually_exclusive_group()
    place_group.add_argument(
        "--rectdomain", nargs=4, type=value(_degrees), metavar=("min_lat", "max_lat", "min_lon", "max_lon"),
        help="only stations in this rectangle, degrees",
    )  # fmt: skip
    latitude, longitude, _, radius = DEFAULT_CIRCLE
    place_group.add_argument(
        "--circdomain", nargs=4, type=value(_degrees), metavar=("lat", "lon", "min_rad", "max_rad"),
        help=f"only stations in this ring, degrees, one of which is {KM_PER_DEGREE:g} km; a download without networks, "
        f"stations or domain takes {latitude} {longitude} 0 {radius}",
    )  # fmt: skip


def _add_data_centres(parser: Parser) -> None:
    group = parser.add_argument_group("data centres")
    group.add_argument(
        "--download", action="store_true",
        help="fetch waveforms and StationXML from the clients instead of reading the directory; a directory that is "
        "given keeps the answers",
    )  # fmt: skip
    group.add_argument(
        "--client", nargs="+", metavar="NAME|URL",
        help=f"data centres in the order in which they are asked ({' '.join(DEFAULT_CLIENTS)}); OGS by its URL only",
    )  # fmt: skip
    group.add_argument("-K", "--key", type=Path, metavar="FILE", help="file with the EIDA token, for restricted data")


def _add_pickers(parser: Parser) -> None:
    group = parser.add_argument_group("pickers")
    group.add_argument("-M", "--models", nargs="+", metavar="MODEL", help=f"({' '.join(DEFAULT_MODELS)})")
    group.add_argument(
        "-W", "--weights", nargs="+", metavar="NAME",
        help=f"tried with each model; what does not exist is skipped with a warning ({' '.join(DEFAULT_WEIGHTS)})",
    )  # fmt: skip
    group.add_argument("-p", "--pwave", type=value(_probability), metavar="P", help="least probability of P (0.1)")
    group.add_argument("-s", "--swave", type=value(_probability), metavar="P", help="least probability of S (0.1)")
    group.add_argument("-b", "--batch", type=value(count), metavar="N", help="windows at a time (the engine's own)")
    group.add_argument("--denoiser", action="store_true", help="DeepDenoiser before the picker")
    group.add_argument(
        "-T", "--train", action="store_true",
        help=f"train a picker instead of using one (-M, of {', '.join(trainable())}); -b is the size of its batches",
    )  # fmt: skip


def _add_events(parser: Parser) -> None:
    group = parser.add_argument_group("results")
    group.add_argument("--pyocto", action="store_true", help="associate with PyOcto (GaMMA)")
    group.add_argument("--pyrocko", action="store_true", help="write Snuffler's markers as well")
    group.add_argument(
        "-G", "--groups", nargs="+", type=str.lower, choices=GROUPS, metavar="GROUP",
        help=f"show picks counted by some of: {', '.join(GROUPS)}; picks_by_group.csv is always written (all three)",
    )  # fmt: skip
    group.add_argument("--timing", action="store_true", help="show time and memory of each step afterwards")
    group.add_argument(
        "--interactive", action="store_true", help="open the report and the viewer of events in a browser afterwards"
    )


def _add_run(parser: Parser) -> None:
    group = parser.add_argument_group("run")
    group.add_argument(
        "-c", "--config", type=Path, metavar="FILE", help="JSON with options by their long names; the command line wins"
    )
    group.add_argument("--run", metavar="NAME", help="name of the run (made of the directory and the dates)")
    group.add_argument("-n", "--dry-run", action="store_true", help="show the configuration and the jobs; do nothing")
    group.add_argument("--force", action="store_true", help="do everything anew")
    group.add_argument("--cores", type=value(cores), metavar="N", help="processors to use at most (all)")
    group.add_argument("--profile", metavar="NAME", help="where to run: leonardo, ada-cloud, or a profile of your own")
    how_loud = group.add_mutually_exclusive_group()
    how_loud.add_argument("--silent", action="store_true", help="say errors and the names of the results only")
    how_loud.add_argument("-v", "--verbose", action="store_true", help="show all messages of the steps")
