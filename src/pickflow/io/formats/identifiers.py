"""Identifiers of events that a file gives twice, or not at all."""

from __future__ import annotations

from pickflow.io.formats.plausible import clean_name


def free_id(identifier: str, ids: dict[str, int]) -> str:
    """
    An identifier that is not used yet: the desired one, or with a number behind it.

    Parameters
    ----------
    identifier : str
        As in the file.
    ids : dict of str to int
        Number of uses of each so far; the new one is added.
    """
    identifier = clean_name(identifier)
    number = ids.get(identifier, 0) + 1
    name = identifier if number == 1 else f"{identifier}-{number}"
    while number > 1 and name in ids:
        number += 1
        name = f"{identifier}-{number}"
    ids[identifier] = number
    ids.setdefault(name, 1)
    return name
