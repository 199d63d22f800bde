"""The name that somebody may have meant, for messages about a name that does not exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def suggestion(name: str, options: Iterable[str], cutoff: float = 0.6) -> str:
    """
    A question with the most similar name, or all names if none is similar.

    Parameters
    ----------
    name : str
        A name that does not exist.
    options : iterable of str
        The names that exist. Small and capital letters count as equal.
    cutoff : float
        Least similarity in [0, 1], as in `difflib.get_close_matches`.

    Examples
    --------
    >>> suggestion("phasnet", ["EQTransformer", "PhaseNet"])
    "did you mean 'PhaseNet'?"
    >>> suggestion("x", ["EQTransformer", "PhaseNet"])
    'known: EQTransformer, PhaseNet'
    """
    names = sorted(options)
    similar = most_similar(name, names, cutoff)
    return f"did you mean {similar!r}?" if similar else f"known: {', '.join(names) or 'none'}"


def most_similar(name: str, options: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The option that is most similar to a name, None if none is; the parameters are those of `suggestion`."""
    names = {option.lower(): option for option in options}
    similar = difflib.get_close_matches(name.lower(), list(names), n=1, cutoff=cutoff)
    return names[similar[0]] if similar else None
