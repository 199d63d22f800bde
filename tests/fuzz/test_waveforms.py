"""MiniSEED damaged in every way that was thought of, and at random, through the whole download of a day."""

from __future__ import annotations

import random
import struct
from datetime import timedelta
from pathlib import Path

import numpy as np
import obspy
import pytest

from pickflow.download import download_day, fdsn, requested_stations
from pickflow.io.waveforms import read_stream
from pickflow.schemas import REASONS
from tests.fuzz.conftest import seeds
from tests.waveform_fixture import DAY, START, download_params, inventory_of, miniseed, trace, write_sds

END = START + timedelta(minutes=2)
RECORD_BYTES = 512
HEADER_BYTES = 64
FILES_A_SEED = 25
CHANNEL = miniseed(trace("HHZ", seconds=120))
LONG_RECORDS = miniseed(trace("HHZ", seconds=120), 4096)
N_SAMPLES = 12_000
UNSEEN_SAMPLES = 210  # a second at either end is no gap
# Position and type of the fields of a header, and values that programs stumble over.
FIELDS = {
    "station": (8, "5s", [b"/../x", b"A\0AA ", b"\xff\xfe\xfd  ", b"     ", b"aaa  ", b"*?[( "]),
    "location": (13, "2s", [b"..", b"//", b"\0\0", b"--"]),
    "channel": (15, "3s", [b"   ", b"HH ", b"hhz", b"LOG", b"HH0", b"HHX", b"\0\0\0"]),
    "network": (18, "2s", [b"  ", b"??", b"(]", b"\xff\xff"]),
    "year": (20, "H", [0, 1, 1600, 1969, 1970, 2023, 2262, 2300, 9999, 65535]),
    "day": (22, "H", [0, 64, 66, 366, 367, 65535]),
    "hour": (24, "B", [9, 23, 24, 99, 255]),
    "second": (26, "B", [59, 60, 61, 255]),
    "fraction": (28, "H", [9999, 10_000, 65535]),
    "samples": (30, "H", [0, 1, 2, 10_000, 65535]),
    "rate": (32, "h", [0, 1, -1, -100, 99, 101, 200, 32767, -32768]),
    "multiplier": (34, "h", [0, -1, -100, 2, 32767, -32768]),
    "activity": (36, "B", [2, 255]),
    "blockettes": (39, "B", [0, 255]),
    "correction": (40, "i", [1, -1, 10_000, 2**31 - 1, -(2**31)]),
    "data": (44, "H", [0, 1, 48, 56, 511, 512, 65535]),
    "first blockette": (46, "H", [0, 1, 8, 47, 64, 511, 512, 65535]),
    "type of blockette": (48, "H", [0, 100, 1001, 2000, 65535]),
    "next blockette": (50, "H", [1, 48, 49, 65535]),
    "encoding": (52, "B", [0, 1, 3, 4, 5, 10, 12, 19, 30, 32, 33, 255]),
    "byte order": (53, "B", [0, 9, 255]),
    "length": (54, "B", [0, 1, 6, 7, 8, 10, 12, 20, 21, 31, 64, 255]),
}


def change_fields(rng, content):
    changed = bytearray(content)
    n_records = len(content) // RECORD_BYTES
    everywhere = rng.random() < 0.3
    for position, kind, values in rng.sample(list(FIELDS.values()), rng.randint(1, 3)):
        value = rng.choice(values)
        for record in range(n_records) if everywhere else rng.sample(range(n_records), rng.randint(1, 3)):
            struct.pack_into(f">{kind}", changed, record * RECORD_BYTES + position, value)
    return bytes(changed)


def change_header_bytes(rng, content):
    changed = bytearray(content)
    for _ in range(rng.randint(1, 6)):
        changed[rng.randrange(len(content) // RECORD_BYTES) * RECORD_BYTES + rng.randrange(HEADER_BYTES)] = (
            rng.randrange(256)
        )
    return bytes(changed)


def flip_bits(rng, content):
    changed = bytearray(content)
    for _ in range(rng.randint(1, 50)):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def cut(rng, content):
    return content[: rng.randrange(len(content))]


def insert(rng, content):
    at = rng.randrange(len(content))
    return content[:at] + rng.choice([rng.randbytes, bytes])(rng.randrange(1, 700)) + content[at:]


def take_out(rng, content):
    at = rng.randrange(len(content))
    return content[:at] + content[at + rng.randrange(1, 700) :]


def rearrange(rng, content):
    records = [content[first : first + RECORD_BYTES] for first in range(0, len(content), RECORD_BYTES)]
    kind = rng.randrange(4)
    if kind == 0:
        rng.shuffle(records)
    elif kind == 1:
        records = [record for record in records for _ in range(rng.choice([0, 1, 1, 1, 2]))]
    elif kind == 2:
        del records[rng.randrange(len(records))]
    else:
        records.reverse()
    return b"".join(records)


def mix_record_lengths(rng, content):
    at = rng.randrange(1, len(LONG_RECORDS) // 4096) * 4096
    parts = [LONG_RECORDS[:at], content[rng.randrange(len(content) // RECORD_BYTES) * RECORD_BYTES :]]
    rng.shuffle(parts)
    return rng.choice([b"", b" " * 128, b"000001V 010" + b" " * 501, b"\0" * 4096]).join(parts)


def be_something_else(rng, content):
    beginning = rng.choice([b"<html>", b"\0", b"\xff", b" ", b"MS\x03\x04", b"\x1f\x8b\x08", content[:8], b"\n"])
    return beginning * rng.randrange(1, 2000) + rng.choice([b"", content])


DAMAGES = (
    change_fields,
    change_fields,
    change_header_bytes,
    flip_bits,
    cut,
    insert,
    take_out,
    rearrange,
    mix_record_lengths,
    be_something_else,
)


def damaged_files(seed, whole, damages):
    """Labels and contents, always the same for a seed."""
    rng = random.Random(seed)
    for number in range(FILES_A_SEED):
        damage = rng.choice(damages)
        content = damage(rng, whole)
        if rng.random() < 0.2 and len(content) > RECORD_BYTES:
            content = rng.choice([change_header_bytes, flip_bits, cut, insert, take_out])(rng, content)
        yield f"seed {seed}, file {number} ({damage.__name__})", content


class Download:
    """A day of two stations: XA.AAA, which is damaged, and XA.GOOD, which is not."""

    def __init__(self, source, monkeypatch):
        good = obspy.Stream([trace("HHZ", station="GOOD", seconds=120)])
        self.bodies = {"GOOD": miniseed(good), "AAA": CHANNEL}
        self.source = source
        self.n_days = 0
        self.inventory = inventory_of(["AAA", "GOOD"])
        section = {"path": "data"} if source != "fdsn" else {"fdsn": {"servers": ["http://127.0.0.1"], "retries": 0}}
        self.params = download_params(source=source, stations=["XA.AAA", "XA.GOOD"], **section)
        Path("data").mkdir()
        self.stations = requested_stations(self.inventory, self.params)
        if source == "fdsn":
            monkeypatch.setattr(fdsn, "post", lambda url, body, *_, **__: self.bodies[body.decode().split()[1]])
        elif source == "sds":
            write_sds(good + trace("HHZ", seconds=120), "data")
            self.path = next(Path("data").rglob("*AAA*.065"))
        else:
            Path("data/good").write_bytes(self.bodies["GOOD"])
            self.path = Path("data/XA.AAA.20240305")
        self.whole = self.rows(CHANNEL)

    def rows(self, content):
        """Rows of the manifest by station."""
        self.n_days += 1
        self.bodies["AAA"] = content
        if self.source != "fdsn":
            self.path.write_bytes(content)
        # A new cache: answers of data centres are kept, and a file of the same size and time is not opened again.
        params = self.params.changed(cache=f"cache/{self.n_days}")
        table = download_day(DAY, (START, END), self.stations, self.inventory, params, "out")
        return {row["station"]: row for row in table.to_dict("records")}

    def n_samples(self, row):
        return sum(piece.stats.npts for piece in read_stream("out/XA.AAA.mseed")) if row["usable"] else 0


def try_files(files, day, fuzz, caplog):
    for label, content in files:
        caplog.clear()
        with fuzz.file(label):
            rows = day.rows(content)
            row = rows.get("AAA")
            if rows.get("GOOD") != day.whole["GOOD"]:
                fuzz.lost(label, f"the healthy station has {rows.get('GOOD')}")
            if row is None or row["reason"] not in REASONS:
                fuzz.lost(label, f"the damaged station has {row}")
            elif row["reason"] == "download_failed":
                raise RuntimeError(caplog.records[-1].exc_text)
            elif day.n_samples(row) < N_SAMPLES - UNSEEN_SAMPLES and row["detail"] == day.whole["AAA"]["detail"]:
                fuzz.lost(label, f"{N_SAMPLES - day.n_samples(row)} samples, and nothing is said of it")


@pytest.mark.parametrize("source", ["sds", "directory", "fdsn"])
@pytest.mark.parametrize("seed", seeds(50))
def test_damaged_miniseed_has_a_row_and_takes_nothing_with_it(source, seed, fuzz, tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    day = Download(source, monkeypatch)
    assert day.n_samples(day.whole["AAA"]) == N_SAMPLES
    try_files(damaged_files(seed, CHANNEL, DAMAGES), day, fuzz, caplog)


@pytest.mark.parametrize("form", ["SAC", "GSE2", "SLIST", "SEGY"])
@pytest.mark.parametrize("seed", seeds(10))
def test_damaged_files_of_other_formats_take_nothing_with_them(form, seed, fuzz, tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    day = Download("directory", monkeypatch)
    original = trace("HHZ", seconds=120)
    original.data = original.data.astype(np.int32 if form in ("GSE2", "SLIST") else np.float32)
    original.write("whole", format=form)
    damages = (change_header_bytes, flip_bits, cut, insert, take_out, be_something_else)
    try_files(damaged_files(seed, Path("whole").read_bytes(), damages), day, fuzz, caplog)
