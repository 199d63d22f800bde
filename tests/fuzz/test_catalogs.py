"""
Damaged files of every format that is read: no exception but the documented one, no hang, every line accounted for.

What was not touched is still read: damage to a line costs at most the event that it belongs to, and its neighbour.
"""

from __future__ import annotations

import logging
import random

import pandas as pd
import pytest

from pickflow.io.formats import READERS, parse_bulletin, write_catalog
from tests.format_samples import SAMPLES, n_accounted
from tests.fuzz.conftest import NIGHTLY, seeds
from tests.unit.test_formats import HYP, PHASENET, REAL, small_catalog
from tests.unit.test_formats_ogs import END, HPC, PHASES, TXT, card

N_EVENTS = 6 if NIGHTLY else 4
N_NIGHTLY = 250  # files of each format and kind of damage
NASTY = [
    "", " ", "nan", "inf", "-inf", "1e400", "9" * 400, "-1", "\0", "ÿ", "٣", "1_000", "1e18", "-1e19", "3e9", "99999",
    "2262-04-12T00:00:00Z", "1600-01-01T00:00:00", "9999-12-31T23:59:60Z", '"', "'", "<", "&x;", "</event>", "\t", "*",
    "\u2028", "=cmd|x", "#", ";", ",", "999", "-999", "x" * 5000,
]  # fmt: skip


def catalog():
    """Several events a day apart, with P and S of two stations."""
    tables = ([], [], [])
    for number in range(N_EVENTS):
        shift = pd.Timedelta(days=2 * number)
        events, assignments, picks = small_catalog(event_id=f"e{number}")
        picks = picks[picks.pick_id != "alone"]
        moved = {name: picks[name] + shift for name in ("time", "starttime", "endtime")}
        tables[0].append(events.assign(time=events.time + shift))
        tables[1].append(assignments.assign(event_id=f"e{number}", pick_id=assignments.pick_id + f"-{number}"))
        tables[2].append(picks.assign(pick_id=picks.pick_id + f"-{number}", **moved))
    return tuple(pd.concat(frames, ignore_index=True) for frames in tables)


def days(text, *replacements):
    """The same text for several days: of each pair, the first is a date in it, the second how to write another."""
    dates = [pd.Timestamp("2024-01-31") + pd.Timedelta(days=2 * number) for number in range(N_EVENTS)]
    return ["".join(_moved(text, date, replacements)) for date in dates]


def _moved(text, date, replacements):
    for old, form in replacements:
        text = text.replace(old, date.strftime(form))
    return text


def good_files(folder):
    """Name and content of a good file of each format."""
    files = {}
    for format in ("csv", "quakeml", "scml", "nonlinloc", "hypodd", "nordic", "parquet"):
        write_catalog(*catalog(), folder / format, format)
        files[format] = (folder / format).read_bytes()
    files["parquet-picks"] = (folder / "parquet.picks.parquet").read_bytes()
    texts = {
        "real": "".join(days(REAL, ("2024 01 31", "%Y %m %d"))),
        "hyp": "".join(days(HYP.format(status="LOCATED"), ("2024 01 31", "%Y %m %d"), ("20240131", "%Y%m%d"))),
        "phasenet": PHASENET.split("\n")[0] + "\n" + "".join(days(PHASENET.split("\n", 1)[1], ("2024-01-31", "%F"))),
        "ogs-dat": "\n".join(
            line
            for number, date in enumerate(days("0131", ("0131", "%m%d")))
            for line in (card(s="42.34", date=f"124{date}", number=str(number)), END)
        ),
        "ogs-hpc": "".join(days("\n".join([HPC, *PHASES, ""]), ("1240131", "124%m%d"))),
        "ogs-txt": TXT,
        "ogs-pun": "12401312359 57.05 46-30.00  10- 6.00   9.27   1.54 20  94 16.4 0.25  0.6  1.4 B1\n" * N_EVENTS,
    }
    return files | {name: text.encode() for name, text in (texts | SAMPLES).items()}


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    logging.disable(logging.WARNING)
    yield good_files(tmp_path_factory.mktemp("good"))
    logging.disable(logging.NOTSET)


FORMATS = ["csv", "quakeml", "scml", "nonlinloc", "hypodd", "nordic", "parquet", "parquet-picks", "real", "hyp"]
FORMATS += ["phasenet", "ogs-dat", "ogs-hpc", "ogs-txt", "ogs-pun"]
BINARY = ("parquet", "parquet-picks")
EVERY_FORMAT = [*FORMATS, *SAMPLES]  # the samples have one event


def keys(bulletin):
    """Events and picks as what they are, whatever they are called."""
    events = set(zip(bulletin.events.time, bulletin.events.latitude_deg.round(3).fillna(0), strict=True))
    picks = set(zip(bulletin.picks.station, bulletin.picks.phase, bulletin.picks.time, strict=True))
    return {event for event in events if event[0] is not pd.NaT}, picks


def check_account(fuzz, label, bulletin):
    if bulletin.n_lines != n_accounted(bulletin):
        fuzz.lost(label, f"{bulletin.n_lines} lines, {bulletin.n_read} read, {bulletin.n_rejected} rejected")
    if (bulletin.events.empty and bulletin.picks.empty) and bulletin.n_read:
        fuzz.lost(label, f"{bulletin.n_read} lines read, and nothing came of it")


def flip_bits(content, chance):
    damaged = bytearray(content)
    for _ in range(chance.randint(1, 5)):
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def cut(content, chance):
    return content[: chance.randrange(len(content))]


def cut_out(content, chance):
    start, end = sorted((chance.randrange(len(content)), chance.randrange(len(content))))
    return content[:start] + content[end:]


def insert(content, chance):
    at = chance.randrange(len(content))
    return content[:at] + chance.randbytes(chance.randint(1, 60)) + content[at:]


def twice(content, chance):
    return content + content[chance.randrange(len(content)) :]


def damage_words(content, chance):
    lines = content.decode("latin-1").split("\n")
    for _ in range(chance.randint(1, 6)):
        number = chance.randrange(len(lines))
        lines[number] = damage_line(lines[number], chance)
    return "\n".join(lines).encode()


BYTES = [flip_bits, cut, cut_out, insert, twice, damage_words]


@pytest.mark.parametrize("format", EVERY_FORMAT)
def test_no_damage_to_bytes_ends_in_an_unnamed_error_or_an_untrue_account(fuzz, good, format):
    content = good[format]
    for seed in seeds(N_NIGHTLY, 6):
        chance = random.Random(f"{format}{seed}")
        damage = BYTES[seed % len(BYTES)]
        damaged = damage(content, chance)
        if chance.random() < 0.3:
            damaged = flip_bits(damaged, chance) if damaged else damaged
        format_name = chance.choice(list(READERS)) if chance.random() < 0.15 else None
        label = f"{format} {damage.__name__} {seed}"
        with fuzz.file(label, documented=ValueError):
            check_account(fuzz, label, parse_bulletin(damaged, f"x.{format}", format_name))


def damage_line(line, chance):
    """A line with a part replaced, with columns swapped, or longer than it should be."""
    separator = chance.choice([",", " ", ";", ">", "<", "."])
    words = line.split(separator)
    kind = chance.randrange(4)
    if kind == 0:
        words[chance.randrange(len(words))] = chance.choice(NASTY)
    elif kind == 1:
        position, other_position = chance.randrange(len(words)), chance.randrange(len(words))
        words[position], words[other_position] = words[other_position], words[position]
    elif kind == 2:
        start = chance.randrange(len(line) + 1)
        return line[:start] + chance.choice(NASTY) + line[start + chance.randint(0, 6) :]
    else:
        words += words[: chance.randint(1, 5)]
    return separator.join(words)


@pytest.mark.parametrize("format", [format for format in FORMATS if format not in BINARY])
def test_a_damaged_line_costs_no_event_but_its_own_and_its_neighbour(fuzz, good, format):
    text = good[format].decode()
    events, picks = keys(parse_bulletin(text.encode(), f"x.{format}"))
    lines = text.split("\n")
    first = {"csv": 1, "phasenet": 1, "ogs-txt": 1, "quakeml": 2, "scml": 3}.get(format, 0)
    of_an_event = len(picks) / N_EVENTS
    for seed in seeds(N_NIGHTLY, 2):
        chance = random.Random(f"line {format}{seed}")
        number = chance.randrange(first, len(lines) - 1)
        line = lines[number]
        instead = chance.choice([[damage_line(line, chance)], [], [line, line]])
        label = f"{format} line {number + 1} {seed}: {instead}"[:200]
        with fuzz.file(label):
            bulletin = parse_bulletin(
                "\n".join([*lines[:number], *instead, *lines[number + 1 :]]).encode(), f"x.{format}"
            )
            check_account(fuzz, label, bulletin)
            events_left, picks_left = keys(bulletin)
            if len(events - events_left) > 2 or len(picks - picks_left) > 2 * of_an_event:
                fuzz.lost(label, f"{len(events - events_left)} events and {len(picks - picks_left)} picks are gone")


CODINGS = {
    "carriage returns": lambda text: text.replace("\n", "\r").encode(),
    "two and one": lambda text: text.replace("\n", "\r\r\n").encode(),
    "Control-Z": lambda text: text.encode() + b"\x1a",
    "both": lambda text: text.replace("\n", "\r\n").encode(),
    "a mixture": lambda text: text.replace("\n", "\r\n", 3).encode(),
    "mark": lambda text: b"\xef\xbb\xbf" + text.encode(),
    "UTF-16": lambda text: text.encode("utf-16"),
    "UTF-16, no mark": lambda text: text.encode("utf-16-le"),
    "Latin-1": lambda text: text.encode("latin-1"),
    "NUL at the end": lambda text: text.encode() + b"\0" * 3000,
    "no last line end": lambda text: text.rstrip("\n").encode(),
    "empty lines before": lambda text: b"\n \n" + text.encode(),
    "blanks behind": lambda text: "".join(f"{line}  \n" for line in text.split("\n")).encode(),
}


@pytest.mark.parametrize("format", [format for format in EVERY_FORMAT if format not in BINARY])
def test_encodings_and_line_ends_change_nothing(fuzz, good, format):
    text = good[format].decode()
    expected = keys(parse_bulletin(text.encode(), f"x.{format}"))
    codings = list(CODINGS.items())
    if not NIGHTLY:  # each coding with some formats
        codings = codings[EVERY_FORMAT.index(format) % 4 :: 4]
    for name, coded in codings:
        with fuzz.file(f"{format}, {name}"):
            if keys(parse_bulletin(coded(text), f"x.{format}")) != expected:
                fuzz.lost(f"{format}, {name}", "other events or picks")


@pytest.mark.parametrize("format", [format for format in FORMATS if format not in BINARY])
def test_a_very_long_line_is_one_rejected_line(fuzz, good, format):
    text = good[format].decode()
    expected = keys(parse_bulletin(text.encode(), f"x.{format}"))
    with fuzz.file(format):
        long = parse_bulletin(text.encode() + b"\n" + b"A1 " * 700_000 + b"\n", f"x.{format}")
        check_account(fuzz, format, long)
        if keys(long) != expected:
            fuzz.lost(format, "other events or picks")
