"""The page of a picker's inside: one self-contained HTML file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pickflow.inside.content import Look, content_of, tiles
from pickflow.report.frame import render


def write_page(look: Look, provenance: Mapping[str, Any]) -> str:
    """
    Write the page.

    Parameters
    ----------
    look : Look
        What was found out.
    provenance : mapping
        Versions, parameters and digests.

    Returns
    -------
    str
        HTML that asks nothing of any network. The same content gives the same bytes.
    """
    content = json.dumps(content_of(look), allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    return render(
        "pickflow.inside",
        "page.html.j2",
        provenance,
        {},
        name=look.name,
        source=look.source,
        tiles=tiles(look),
        has_sensitivity=not look.sensitivity.empty,
        has_correlations=not look.correlations.empty,
        student=look.student,
        n_windows=look.n_windows,
        content=content,
    )
