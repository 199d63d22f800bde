"""Lines with fixed columns, as FORTRAN programs read and write them."""

from __future__ import annotations

import codecs
import math
import re

_MARKS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_LINE_END = re.compile(r"\r*\n|\r")
codecs.register_error("latin-1", lambda error: (_latin_1(error), error.end))  # type: ignore[attr-defined]
# HYPO71 (Lee & Lahr, 1975): weights 0 to 4 stand for these shares of a full one.
WEIGHTS = {" ": 1.0, "0": 1.0, "1": 0.75, "2": 0.5, "3": 0.25, "4": 0.0}
_UP_DOWN = dict.fromkeys("CcUu+", "U") | dict.fromkeys("DdRr-", "D")


def _latin_1(error: UnicodeError) -> str:
    return error.object[error.start : error.end].decode("latin-1")  # type: ignore[attr-defined]


def weight_of(code: str) -> float:
    """
    Weight of HYPO71's code 0 (or blank) to 4, which is a share of a full one.

    Raises
    ------
    ValueError
        If it is another one.
    """
    if code not in WEIGHTS:
        raise ValueError(f"weight {code!r} is none of 0 to 4")
    return WEIGHTS[code]


def code_of(weight: float) -> str:
    """HYPO71's code nearest to a weight; 4, not used, is no weight but 0. Unknown weights count in full."""
    if not math.isfinite(weight):
        return "0"
    return "4" if weight <= 0 else str(min(4 - round(4 * min(weight, 1.0)), 3))


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
            If there is something else.
        """
        text = self.field(start, end)
        if not text or "*" in text:
            return math.nan
        try:
            value = float(text)
        except ValueError:
            raise ValueError(f"{name} {text!r} in columns {start + 1}-{end} is no number") from None
        if not math.isfinite(value) or not text.isascii() or "_" in text:
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
        Weight of HYPO71's code 0 (or blank) to 4; 0 for 9, which means S-P only: the time itself is not to be used.

        Raises
        ------
        ValueError
            If it is another one.
        """
        code = self.letter(index)
        if code not in {*WEIGHTS, "9"}:
            raise ValueError(f"weight {code!r} in column {index + 1} is none of 0 to 4")
        return WEIGHTS.get(code, 0.0)

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


def decode(content: bytes) -> str:
    """
    Text of any encoding: UTF-8 or UTF-16, with a mark of byte order or without; bytes that are no UTF-8 are Latin-1.

    Marks, and fill at the end (NUL, Control-Z), are removed.
    """
    encoding = next((name for mark, name in _MARKS.items() if content.startswith(mark)), None) or _without_mark(content)
    text = content.decode(encoding, "replace" if encoding.startswith("utf-16") else "latin-1")
    return text.replace("\ufeff", "").rstrip("\x00\x1a")


def _without_mark(content: bytes) -> str:
    """UTF-16 of letters has a NUL in every second byte."""
    head = content[:4096].rstrip(b"\0")
    counts = head[::2].count(0), head[1::2].count(0)  # of a file in UTF-16, one is 0 and the other half the length
    if len(head) < 4 or max(counts) * 5 < len(head) * 2 or min(counts) * 50 > len(head):
        return "utf-8"
    return "utf-16-be" if counts[0] > counts[1] else "utf-16-le"


def lines_of(text: str) -> list[str]:
    """Lines, ended by line feeds, carriage returns or both, of which the last need not end."""
    lines = _LINE_END.split(text)
    return lines[:-1] if lines[-1] == "" else lines
