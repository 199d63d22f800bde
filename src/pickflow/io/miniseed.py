"""
MiniSEED records of a file: of any length, in any order, with other content between them.

libmseed stops at the first record that it cannot read, and reads beyond the end of records whose headers are wrong.
Here every record is found and compared with its own header; only consistent ones are given to libmseed.
Format: SEED manual 2.4, chapter 8 (fixed section of the data header, blockettes 100, 1000 and 1001).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from obspy.io.mseed.headers import ENCODINGS

from pickflow.sampling.rates import RATE_TOLERANCE
from pickflow.sampling.timeline import NS_PER_S

SHORTEST_EXPONENT, LONGEST_EXPONENT = 7, 20  # 128 bytes to 1 MiB: what libmseed reads
SHORTEST_BYTES = 1 << SHORTEST_EXPONENT
FIXED_BYTES = 48  # SEED 2.4: the fixed section of a data header
YEARS = (1900, 2100)  # what is outside is a damaged header
RATES_HZ = (1e-4, 1e5)  # beyond, times cannot be counted any more
MOST_BLOCKETTES = 64  # records have a few; the chain of a damaged one may go in circles
MOST_ALIKE = 1024  # records compared at once
TEXT, UNKNOWN = 0, 10  # encodings; libmseed takes a record without blockette 1000 for STEIM1
# Of the best case of each encoding; 2 bytes a sample where it is not named.
SAMPLES_PER_BYTE = {TEXT: 1.0, 1: 0.5, 3: 0.25, 4: 0.25, 5: 0.125, 10: 1.0, 11: 1.75}
FAULTS = ("code", "time", "rate", "encoding", "position of the samples", "number of samples")
LEAP_SECOND = 60  # value of the field of seconds
# Position of a record, and length and encoding of its blockette 1000.
PLACE = np.dtype([("offset", "i8"), ("length", "i8"), ("encoding", "i4")])

_HEADER = re.compile(rb"(?<=[0-9 \0]{6})[DRQM][ \0](?=.{16}[\0-\x17][\0-\x3b][\0-\x3c])", re.DOTALL)
_CONTROL_HEADER = re.compile(rb"[0-9 \0]{6}[VAST][ *]")
_NOISE = re.compile(rb"[0-9 \0]{6} {42}")
_CODES = re.compile(rb"[!-~]*[ \0]*")
_BLANK = b"0123456789 \r\n\0"
_CODE_SLICES = (slice(0, 5), slice(5, 7), slice(7, 10), slice(10, 12))


class Walk(NamedTuple):
    """Records and other bytes of a file."""

    places: np.ndarray  # of `PLACE`, shape (n_records,)
    n_untrue: int  # records whose length is wrong
    n_foreign_bytes: int  # neither records nor control headers nor blanks
    n_cut_bytes: int  # of the record that the content ends in


class Records(NamedTuple):
    """Records as columns, each of shape (n_records,)."""

    codes: np.ndarray  # station, location, channel, network in 12 bytes
    start_ns: np.ndarray  # since 1970
    end_s: np.ndarray  # since 1970
    n_samples: np.ndarray
    rate_hz: np.ndarray
    fault: np.ndarray  # one of `FAULTS`, or empty

    @property
    def start_s(self) -> np.ndarray:
        """Time of the first sample in seconds since 1970."""
        return self.start_ns / NS_PER_S

    def part(self, rows: slice | np.ndarray) -> Records:
        """Some of the records."""
        return Records(*(column[rows] for column in self))

    def within(self, starttime: datetime | None, endtime: datetime | None) -> np.ndarray:
        """Whether records may have samples between two times, or have a wrong time; shape (n_records,)."""
        if starttime is None or endtime is None:
            return np.ones(len(self.start_s), bool)
        overlaps = (self.start_s < endtime.timestamp() + 1.0) & (self.end_s > starttime.timestamp() - 1.0)
        return overlaps | (self.fault == "time")


def begins_with_record(content: bytes) -> bool:
    """Whether a content has a data record somewhere: MiniSEED, even where its beginning is damaged."""
    return _next_record(content, 0) < len(content)


def walk(content: bytes) -> Walk:
    """
    Find the records of a content.

    Parameters
    ----------
    content : bytes
        Of a file, or an answer of a data centre.

    Returns
    -------
    Walk
        In the order of the file. A record is not taken if another one begins inside it.
    """
    parts: list[np.ndarray] = []
    n_untrue = n_foreign = n_cut = offset = usual_length = 0
    while offset < len(content):
        if not _HEADER.match(content, offset + 6):
            if parts and len(content) - offset < FIXED_BYTES and content[offset:].strip(_BLANK):
                n_cut = len(content) - offset
                break
            next_offset = _next_record(content, offset)
            n_foreign += _n_foreign(content, offset, next_offset)
            offset = next_offset
            continue
        record = _place(content, offset)
        length = int(record["length"][0])
        end = offset + length
        follows = end == len(content) or _begins(content, end)
        if not length or length > usual_length or not follows:
            next_inside = _next_record(content, offset + FIXED_BYTES)
            if (
                not length
                or next_inside < min(end, len(content))
                or (not follows and _is_odd(length, usual_length, offset, len(content)))
            ):
                n_untrue += 1
                offset = next_inside
                continue
            if end > len(content):
                n_cut = len(content) - offset
                break
        n_alike = _n_alike(content, offset, length)
        parts.append(np.repeat(record, n_alike))
        parts[-1]["offset"] += length * np.arange(n_alike)
        offset, usual_length = offset + n_alike * length, length
    return Walk(np.concatenate([np.empty(0, PLACE), *parts]), n_untrue, n_foreign, n_cut)


def _is_odd(length: int, usual_length: int, offset: int, n_bytes: int) -> bool:
    """Whether the last record, of another length than those before it, would fit with their length."""
    return usual_length not in (0, length) and (offset + length < n_bytes or offset + usual_length == n_bytes)


def _n_alike(content: bytes, offset: int, length: int) -> int:
    """Number of records from one on, this included, that have its blockettes and are each followed by another."""
    order = _byte_order(content, offset) or ">"
    if struct.unpack_from(f"{order}HH", content, offset + 46) != (FIXED_BYTES, 1000):
        return 1  # blockette 1000 may stand anywhere in the others
    n_rows = min(MOST_ALIKE, (len(content) - offset) // length)
    rows = np.frombuffer(content, np.uint8, n_rows * length, offset).reshape(n_rows, length)[:, :60]
    digits = ((rows[:, :6] >= ord("0")) & (rows[:, :6] <= ord("9"))) | np.isin(rows[:, :6], (0, ord(" ")))
    is_alike = digits.all(axis=1) & (rows[:, 46:60] == rows[0, 46:60]).all(axis=1)
    is_alike &= np.isin(rows[:, 6], tuple(b"DRQM")) & np.isin(rows[:, 7], (0, ord(" ")))
    is_alike &= (rows[:, 24:27] <= (23, 59, 60)).all(axis=1)
    n_alike = n_rows if is_alike.all() else int(is_alike.argmin())
    return max(1, n_alike - 1)


def _begins(content: bytes, offset: int) -> bool:
    """Whether a record, a control header or a noise record begins at an offset."""
    return bool(
        _HEADER.match(content, offset + 6) or _CONTROL_HEADER.match(content, offset) or _NOISE.match(content, offset)
    )


def _next_record(content: bytes, offset: int) -> int:
    """Offset of the next certain data record; the end if there is none."""
    for header in _HEADER.finditer(content, offset + 6):
        start = header.start() - 6
        if _byte_order(content, start) and _place(content, start)["length"][0]:
            return start
    return len(content)


def _n_foreign(content: bytes, start: int, end: int) -> int:
    """Number of bytes that are not SEED."""
    if _CONTROL_HEADER.match(content, start) or not content[start:end].strip(_BLANK):
        return 0
    return end - start


def _byte_order(content: bytes, offset: int) -> str:
    """Byte order in which year and day of a header are possible; empty if neither is."""
    for order in "><":
        year, day = struct.unpack_from(f"{order}HH", content, offset + 20)
        if YEARS[0] <= year <= YEARS[1] and 1 <= day <= 366:
            return order
    return ""


def _place(content: bytes, offset: int) -> np.ndarray:
    """One record as `PLACE`, shape (1,); its length is 0 if the header has no possible one."""
    order = _byte_order(content, offset) or ">"
    for kind, position in _blockettes(content, offset, order):
        if kind == 1000:
            encoding, exponent = content[position + 4], content[position + 6]
            length = 1 << exponent if SHORTEST_EXPONENT <= exponent <= LONGEST_EXPONENT else 0
            return np.array([(offset, length, encoding)], PLACE)
    return np.array([(offset, _length_up_to_the_next(content, offset), UNKNOWN)], PLACE)


def _blockettes(content: bytes, offset: int, order: str) -> Iterator[tuple[int, int]]:
    """Types and positions of the blockettes of a record."""
    if offset + FIXED_BYTES > len(content):
        return
    position = struct.unpack_from(f"{order}H", content, offset + 46)[0]
    for _ in range(MOST_BLOCKETTES):
        if position < FIXED_BYTES or offset + position + 8 > len(content):
            return
        kind, next_position = struct.unpack_from(f"{order}HH", content, offset + position)
        yield kind, offset + position
        if next_position <= position:
            return
        position = next_position


def _length_up_to_the_next(content: bytes, offset: int) -> int:
    """Length of a record without blockette 1000: up to the next one, or to the end if that makes a power of two."""
    for end in range(offset + SHORTEST_BYTES, min(len(content), offset + (1 << LONGEST_EXPONENT) + 1), SHORTEST_BYTES):
        if _begins(content, end):
            return end - offset
    n_bytes = len(content) - offset
    return n_bytes if n_bytes >= SHORTEST_BYTES and n_bytes & (n_bytes - 1) == 0 else 0


def read_headers(content: bytes, places: np.ndarray) -> Records:
    """
    Compare each record with its own header.

    Parameters
    ----------
    content : bytes
        Of the file.
    places : ndarray, shape (n_records,)
        Of `walk`; at least one.

    Returns
    -------
    Records
        In the same order.
    """
    whole = np.frombuffer(content, np.uint8)
    raw = whole[places["offset"][:, None] + np.arange(FIXED_BYTES)]
    headers = raw.view(_header(">"))[:, 0].copy()
    is_little = ~_possible(headers)
    headers[is_little] = raw.view(_header("<"))[:, 0][is_little]
    stated_hz, micro_s = _rates_and_microseconds(whole, places["offset"], headers["blockette"], is_little)
    rate_hz = np.where(stated_hz == 0.0, _nominal_rate_hz(headers), stated_hz)
    start_ns = _start_ns(headers) + micro_s * 1000
    with np.errstate(divide="ignore", invalid="ignore"):
        duration_s = np.where(rate_hz > 0, headers["n_samples"] / rate_hz, 0.0)
    n_samples = headers["n_samples"].astype(np.int64)
    unjudged = np.full(len(places), "", object)
    records = Records(headers["codes"], start_ns, start_ns / NS_PER_S + duration_s, n_samples, rate_hz, unjudged)
    _find_faults(records, headers, places)
    return records


def record_at(content: bytes, offset: int, length: int) -> bytes:
    """A record as ObsPy takes it: a leap second is the first second of the next minute."""
    record = content[offset : offset + length]
    if record[26] != LEAP_SECOND:
        return record
    order = _byte_order(record, 0) or ">"
    year, day, hour, minute = struct.unpack_from(f"{order}HHBB", record, 20)
    moment = datetime(year, 1, 1, tzinfo=UTC) + timedelta(days=day - 1, hours=hour, minutes=minute + 1)
    fields = (moment.year, moment.timetuple().tm_yday, moment.hour, moment.minute, 0)
    return record[:20] + struct.pack(f"{order}HHBBB", *fields) + record[27:]


def _header(order: str) -> np.dtype:
    fields = [("sequence", "S8"), ("codes", "S12"), ("year", "u2"), ("day", "u2"), ("hour", "u1"), ("minute", "u1")]
    fields += [("second", "u1"), ("unused", "u1"), ("fraction", "u2"), ("n_samples", "u2"), ("factor", "i2")]
    fields += [("multiplier", "i2"), ("activity", "u1"), ("flags", "V2"), ("n_blockettes", "u1")]
    fields += [("correction", "i4"), ("data", "u2"), ("blockette", "u2")]
    return np.dtype([(name, kind if kind[0] in "SV" else order + kind) for name, kind in fields])


def _possible(headers: np.ndarray) -> np.ndarray:
    """Whether year and day are possible; shape (n_records,)."""
    year, day = headers["year"], headers["day"]
    return (year >= YEARS[0]) & (year <= YEARS[1]) & (day >= 1) & (day <= 366)


def _start_ns(headers: np.ndarray) -> NDArray[np.int64]:
    """Time of the first sample in ns since 1970, without blockette 1001; shape (n_records,)."""
    names = ("year", "day", "hour", "minute", "second", "fraction", "correction")
    year, day, hour, minute, second, fraction, correction = (headers[name].astype(np.int64) for name in names)
    days = (year - 1970).astype("M8[Y]").astype("M8[D]").astype(np.int64) + day - 1
    seconds = days * 86_400 + hour * 3600 + minute * 60 + second
    return seconds * NS_PER_S + (fraction + np.where(headers["activity"] & 2, 0, correction)) * 100_000


def _rates_and_microseconds(
    whole: NDArray[np.uint8], offsets: NDArray[np.int64], first: np.ndarray, is_little: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Sampling rates of blockettes 100 in Hz and microseconds of blockettes 1001, each (n_records,); 0 without."""
    rate_hz, micro_s = np.zeros(len(offsets)), np.zeros(len(offsets), np.int64)
    positions = first.astype(np.int64)
    for _ in range(MOST_BLOCKETTES):
        exists = (positions >= FIXED_BYTES) & (offsets + positions + 8 <= whole.size)
        if not exists.any():
            break
        raw = whole[np.where(exists, offsets + positions, 0)[:, None] + np.arange(8)]
        rows = raw.view(_blockette(">"))[:, 0].copy()
        rows[is_little] = raw.view(_blockette("<"))[:, 0][is_little]
        with np.errstate(invalid="ignore"):
            rate_hz = np.where(exists & (rows["kind"] == 100), rows["rate_hz"].astype(np.float64), rate_hz)
        micro_s = np.where(exists & (rows["kind"] == 1001), raw[:, 5].view(np.int8), micro_s)
        next_positions = rows["following"].astype(np.int64)
        positions = np.where(exists & (next_positions > positions), next_positions, 0)
    return rate_hz, micro_s


def _blockette(order: str) -> np.dtype:
    return np.dtype([("kind", order + "u2"), ("following", order + "u2"), ("rate_hz", order + "f4")])


def _nominal_rate_hz(headers: np.ndarray) -> np.ndarray:
    """Sampling rate of the fixed section in Hz as libmseed takes it, shape (n_records,); negative: divisors."""
    factor, multiplier = headers["factor"].astype(float), headers["multiplier"].astype(float)
    with np.errstate(divide="ignore"):
        rate_hz = np.where(factor > 0, factor, np.where(factor < 0, -1.0 / factor, 0.0))
        return rate_hz * np.where(multiplier > 0, multiplier, np.where(multiplier < 0, -1.0 / multiplier, 1.0))


def _find_faults(records: Records, headers: np.ndarray, places: np.ndarray) -> None:
    """Fill in the column ``fault``, the first in the order of `FAULTS`."""
    encoding = places["encoding"]
    per_byte = np.select([encoding == code for code in SAMPLES_PER_BYTE], list(SAMPLES_PER_BYTE.values()), 0.5)
    n_samples, rate_hz = records.n_samples, records.rate_hz
    room = places["length"] - headers["data"].astype(int)
    codes, channel = np.unique(records.codes, return_inverse=True)
    is_waveform = (n_samples > 0) & (rate_hz > 0) & (encoding != TEXT)
    # Channels of text or of states have no waveforms.
    expected = (n_samples > 0) & (np.bincount(channel[is_waveform], minlength=len(codes)) > 0)[channel]
    tests = {
        "code": ~np.array([_is_code(code.ljust(12, b"\0")) for code in codes])[channel],
        "time": ~_possible(headers),
        "rate": ~((rate_hz >= RATES_HZ[0]) & (rate_hz <= RATES_HZ[1])) & (expected | (rate_hz != 0))
        | _overreach(records, channel),
        "encoding": ~np.isin(encoding, list(ENCODINGS)) | (expected & (encoding == TEXT)),
        "position of the samples": (n_samples > 0) & ((headers["data"] < FIXED_BYTES) | (room <= 0)),
        "number of samples": n_samples > room * per_byte,
    }
    for fault in reversed(FAULTS):
        records.fault[tests[fault]] = fault


def _is_code(codes: bytes) -> bool:
    return all(_CODES.fullmatch(codes[part]) for part in _CODE_SLICES)


def _overreach(records: Records, channel: np.ndarray) -> np.ndarray:
    """
    Whether records of another rate than most of their channel would overlap the next record, shape (n_records,).

    A flipped sign makes 0.01 Hz of 100 Hz, and the record would outlast all others.
    """
    rate_hz, start_s = records.rate_hz, records.start_s
    overreaches = np.zeros(len(channel), bool)
    for index in range(channel.max() + 1):
        members = np.flatnonzero((channel == index) & (rate_hz > 0))
        rates, rate_index = np.unique(rate_hz[members], return_inverse=True)
        if len(rates) < 2:
            continue
        usual_hz = rates[np.argmax(np.bincount(rate_index, records.n_samples[members]))]
        members = members[np.argsort(start_s[members], kind="stable")]
        starts = start_s[members]
        next_start = np.append(starts, np.inf)[np.searchsorted(starts, starts, side="right")]
        odd = np.abs(rate_hz[members] - usual_hz) > RATE_TOLERANCE * usual_hz
        overreaches[members] = odd & (records.end_s[members] > next_start + 1.0 / usual_hz)
    return overreaches
