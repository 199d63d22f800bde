"""Lines with fixed columns, as FORTRAN programs read and write them."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

# ASSUME two digits from 70 on are years of the last century: digital networks begin about then.
_FIRST_YEAR = 70
# HYPO71 (Lee & Lahr, 1975): weights 0 to 4 stand for these shares of a full one.
WEIGHTS = {" ": 1.0, "0": 1.0, "1": 0.75, "2": 0.5, "3": 0.25, "4": 0.0}
_UP_DOWN = dict.fromkeys("CcUu+", "U") | dict.fromkeys("DdRr-", "D")


class Card:
    """A line whose fields are found by their columns; errors name them, counted from 1."""

    def __init__(self, text: str) -> None:
        self.text = text.rstrip("\r\n")

    def field(self, start: int, end: int) -> str:
        """Text of the columns [start, end), counted from 0, without blanks around it."""
        return self.text[start:end].strip()

    def letter(self, index: int) -> str:
        """One column; a blank beyond the end of the line."""
        return self.text[index : index + 1] or " "

    def number(self, start: int, end: int, name: str, decimals: int = 0) -> float:
        """
        A number, NaN if there is none or it did not fit (asterisks).

        Parameters
        ----------
        start, end : int
            Columns, counted from 0, half-open.
        name : str
            For the message.
        decimals : int
            Digits behind the point where none is written, as FORTRAN's format F5.2 reads ``3460`` as 34.60.

        Raises
        ------
        ValueError
            If something else stands there.
        """
        text = self.field(start, end)
        if not text or "*" in text:
            return math.nan
        try:
            value = float(text)
        except ValueError:
            raise ValueError(f"{name} {text!r} in columns {start + 1}-{end} is no number") from None
        if not math.isfinite(value) or "_" in text:
            raise ValueError(f"{name} {text!r} in columns {start + 1}-{end} is no number")
        return value if "." in text else value / 10**decimals

    def whole(self, start: int, end: int, name: str) -> int:
        """
        A whole number.

        Raises
        ------
        ValueError
            If there is none.
        """
        text = self.field(start, end)
        if not text.isascii() or not text.isdigit():
            raise ValueError(f"{name} {text!r} in columns {start + 1}-{end} is no whole number")
        return int(text)

    def weight(self, index: int) -> float:
        """
        Weight of HYPO71's code 0 (or blank) to 4; NaN for 9, which asks for S-P only.

        Raises
        ------
        ValueError
            If it is another one.
        """
        code = self.letter(index)
        if code == "9":
            return math.nan
        if code not in WEIGHTS:
            raise ValueError(f"weight {code!r} in column {index + 1} is none of 0 to 4")
        return WEIGHTS[code]

    def polarity(self, index: int) -> str:
        """``U`` of c, u and +, ``D`` of d, r and -, else nothing."""
        return _UP_DOWN.get(self.letter(index), "")

    def onset(self, index: int) -> str:
        """``i`` or ``e``, else nothing."""
        letter = self.letter(index).lower()
        return letter if letter in ("i", "e") else ""

    def coordinate(self, start: int, end: int, name: str) -> float:
        """
        Degrees of ``46-49.99`` (degrees, sign or letter, minutes); S and W are negative.

        Parameters
        ----------
        start, end : int
            Columns, counted from 0; degrees fill all but the last six.
        name : str
            For the message.
        """
        degrees = self.number(start, end - 6, f"degrees of {name}")
        minutes = self.number(end - 5, end, f"minutes of {name}", decimals=2)
        sign = -1.0 if self.letter(end - 6).upper() in ("S", "W") else 1.0
        return sign * (degrees + minutes / 60)


def full_year(text: str) -> int:
    """
    Year of two digits, or of three as programs count from 1900 (124 is 2024).

    Two digits from 70 on are of the 20th century, others of the 21st.

    Raises
    ------
    ValueError
        If it is no year.
    """
    digits = text.strip()
    if not digits.isascii() or not digits.isdigit():
        raise ValueError(f"year {text!r} is no number")
    year = int(digits)
    if len(digits) > 2:
        return 1900 + year if year < 1000 else year
    return 1900 + year if year >= _FIRST_YEAR else 2000 + year


def moment(year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: float = 0.0) -> datetime:
    """
    A time from its parts, in UTC; hours, minutes and seconds may overflow into the next day, hour or minute.

    Raises
    ------
    ValueError
        If there is no such day.
    """
    try:
        date = datetime(year, month, day, tzinfo=UTC)
    except ValueError as error:
        raise ValueError(f"date {year}-{month:02d}-{day:02d}: {error}") from None
    return date + timedelta(hours=hour, minutes=minute, microseconds=round(second * 1_000_000))


def decode(content: bytes) -> str:
    """Text in UTF-8, or else in Latin-1, which any bytes are."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def lines_of(text: str) -> list[str]:
    """Lines, of which the last need not end; other separators than line feeds stay inside."""
    lines = text.split("\n")
    return lines[:-1] if lines[-1] == "" else lines
