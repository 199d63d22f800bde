"""GSE1 and GSE2 files by waveform: at too long lines ObsPy's decoder writes beyond its memory, and the process dies."""

from __future__ import annotations

import io
import re
import warnings

import obspy

LONGEST_LINE = 82  # of the decoder's buffer; the format allows 80 and a line end
_WAVEFORM = re.compile(rb"^WID[12] ", re.MULTILINE)


def read_gse(content: bytes, form: str, headonly: bool) -> tuple[obspy.Stream, list[str]]:
    """
    Read the waveforms of a GSE file.

    Parameters
    ----------
    content : bytes
        Of the file.
    form : str
        ``GSE1`` or ``GSE2``.
    headonly : bool
        Leave the samples out.

    Returns
    -------
    stream : Stream
        The readable waveforms.
    problems : list of str
        The error of each of the others.
    """
    stream, problems = obspy.Stream(), []
    starts = [match.start() for match in _WAVEFORM.finditer(content)]
    for start, end in zip(starts, [*starts[1:], len(content)], strict=True):
        waveform = content[start:end]
        if not _fits(waveform):
            problems.append(f"a line has more than {LONGEST_LINE} bytes")
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                stream += obspy.read(io.BytesIO(waveform), format=form, headonly=headonly)
        except Exception as error:  # ObsPy raises bare exceptions of many kinds
            problems.append((str(error).splitlines() or [type(error).__name__])[0][:120])
    return stream, problems


def _fits(waveform: bytes) -> bool:
    """Whether the lines that the decoder gets fit into its buffer; it does not get the header."""
    lines = waveform.split(b"\n")
    n_header = 2 if lines[0].startswith(b"WID1") or (lines[1:2] and lines[1].startswith(b"STA2")) else 1
    return all(len(line) < LONGEST_LINE for line in lines[n_header:])
