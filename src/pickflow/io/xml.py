"""XML of unknown origin, read without document types."""

from __future__ import annotations

from xml.parsers import expat


class _RootReachedError(Exception):
    """The prolog is over."""


def refuse_document_type(content: bytes) -> None:
    """
    Refuse XML with a document type: its entities may read files, or grow to any size; no format of ours has one.

    Parameters
    ----------
    content : bytes
        XML in any encoding; what is no XML is left to the reader.

    Raises
    ------
    ValueError
        If there is one.
    """
    parser = expat.ParserCreate()

    def refuse(*declaration: object) -> None:
        raise ValueError(
            "the XML has a document type (<!DOCTYPE ...>), which is not read: it can bring other files along"
        )

    def end(*element: object) -> None:
        raise _RootReachedError

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = end
    try:
        parser.Parse(content, True)
    except (_RootReachedError, expat.ExpatError):
        return
