"""What all pages share: their look, how numbers are written, and provenance at the foot."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import jinja2
import yaml
from markupsafe import Markup

from pickflow import __version__
from pickflow.report.drawing import make_legible
from pickflow.secrets import redact

_SECRET_WORDS = ("password", "token", "secret", "credential")


def render(
    package: str,
    template: str,
    provenance: Mapping[str, Any],
    filters: Mapping[str, Callable[..., str]],
    **values: Any,
) -> str:
    """
    Fill in a template that extends ``frame.html.j2``.

    Parameters
    ----------
    package : str
        Where the template is; those of the report are found from everywhere.
    template : str
        Its name.
    provenance : mapping
        Versions, parameters and digests, shown at the foot; values of keys that sound secret are hidden.
    filters : mapping of str to callable
        Ways to write numbers, beside ``share``, ``count``, ``measure`` and ``svg``.
    **values
        What the template names.

    Returns
    -------
    str
        HTML that needs nothing else: no script, no network. The same values give the same bytes.
    """
    places = [jinja2.PackageLoader(name, ".") for name in dict.fromkeys([package, "pickflow.report"])]
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader(places), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    environment.filters |= {"share": share, "count": count, "measure": measure, "svg": Markup, **filters}
    text = yaml.safe_dump(_without_secrets(provenance), sort_keys=True, allow_unicode=True, width=100)
    return make_legible(environment.get_template(template).render(version=__version__, provenance=text, **values))


def share(value: float | None) -> str:
    """A share in per cent; a dash if it is not known."""
    return "–" if value is None or not math.isfinite(value) else f"{100 * value:.0f} %"


def count(value: int) -> str:
    """A whole number with its thousands apart."""
    return f"{int(value):,}"


def measure(value: float | None, unit: str = "", digits: int = 2) -> str:
    """A number with its unit; a dash if it is not known."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.{digits}f} {unit}".strip()


def _without_secrets(value: Any, key: str = "") -> Any:
    if any(word in key.lower() for word in _SECRET_WORDS) and value:
        return "(hidden)"
    if isinstance(value, Mapping):
        return {str(name): _without_secrets(item, str(name)) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_secrets(item) for item in value]
    return value if isinstance(value, int | float | bool | None) else redact(str(value))
