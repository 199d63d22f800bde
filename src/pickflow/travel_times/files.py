"""Velocity models in files: TauP's named discontinuities (.nd), its tables (.tvel) and CSV."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pickflow.travel_times.layers import FASTEST_KM_S, VelocityModel, homogeneous
from pickflow.travel_times.sphere import EARTH_RADIUS_KM

# Chosen: rays of local arrivals turn above this depth.
MAX_DEPTH_KM = 150.0
# Chosen: a gradient becomes layers whose velocities differ by at most this.
MAX_VELOCITY_STEP_KM_S = 0.05
# A Poisson's ratio of 0 gives 1.41, less is rare; wet clay has 10.
VP_VS = (1.2, 15.0)
_CSV_NAMES = {
    "depth": ("depth_km", "depth", "top_depth_km", "top_km", "top", "z"),
    "vp": ("vp_km_s", "vp", "alpha"),
    "vs": ("vs_km_s", "vs", "beta"),
}


def read_velocity_model(path: str | Path, lines: str = "auto") -> VelocityModel:
    """
    Read a velocity model from a TauP ``.nd`` or ``.tvel`` file or a CSV table.

    Parameters
    ----------
    path : str or Path
        ``.nd``: depth, vp, vs (and columns that are not needed) per line, names of discontinuities on separate
        lines. ``.tvel``: the same after two lines of title. Anything else: CSV with a header that names depth, vp and
        vs (``depth_km``, ``vp_km_s``, … also work). Comments begin with ``#``; numbers may have a decimal comma where
        commas do not separate the columns.
    lines : {"auto", "gradient", "layers"}
        Meaning of two lines at different depths. ``gradient``: velocity is linear between them and jumps only where a
        depth occurs twice. ``layers``: each line is the top of a constant layer, as in the tables of HYPO71.
        ``auto``: gradient for ``.nd`` (as TauP reads it), layers for CSV. A ``.nd`` file made from such a table needs
        ``layers``; that of the bulletin of NE Italy is one.

    Returns
    -------
    VelocityModel
        To a depth of 150 km; gradients become layers whose velocities differ by at most 0.05 km/s.

    Raises
    ------
    ValueError
        If the file cannot be read as a model, or ``lines`` is unknown. The line is named where a number is missing,
        none, or not that of a rock, and where the depth goes back. Only below `MAX_DEPTH_KM` vs may be 0: the outer
        core of a model of the Earth, from where on nothing is read.
    """
    if lines not in ("auto", "gradient", "layers"):
        raise ValueError(f"lines {lines!r} is unknown; known: auto, gradient, layers")
    named = Path(path).suffix.lower() in (".nd", ".tvel")
    text = _text(path)
    rows = _rows_of_names(path, text) if named else _rows_of_columns(path, text)
    table = np.array([row.values for row in _checked(path, rows)])
    as_gradient = named if lines == "auto" else lines == "gradient"
    layers = _sublayers(table) if as_gradient else [tuple(row) for row in table]
    return _model(path, [layer for layer in layers if layer[0] <= MAX_DEPTH_KM])


def velocity_model(p_km_s: float, s_km_s: float, file: str | None) -> VelocityModel:
    """
    The velocity model of a configuration.

    Parameters
    ----------
    p_km_s, s_km_s : float
        Half space, which counts if there is no file.
    file : str or None
        Layers; see `read_velocity_model`.

    Raises
    ------
    ValueError
        If the file cannot be read, or a velocity is not positive.
    """
    return read_velocity_model(file) if file else homogeneous(p_km_s, s_km_s)


def nd_text(model: VelocityModel) -> str:
    """Constant layers as the content of a TauP ``.nd`` file, with densities by Gardner's relation."""
    bottoms = np.append(model.top_depth_km[1:], EARTH_RADIUS_KM)
    lines = []
    for top, bottom, vp, vs in zip(model.top_depth_km, bottoms, model.vp_km_s, model.vs_km_s, strict=True):
        density = 1.74 * vp**0.25
        lines += [f"{depth:10.3f} {vp:8.4f} {vs:8.4f} {density:8.4f}\n" for depth in (max(top, 0.0), bottom)]
    return "".join(lines)


class _Row(NamedTuple):
    """A line of a file with its number, and depth, vp, vs; NaN where there is no number."""

    number: int
    text: str
    values: tuple[float, float, float]


def _text(path: str | Path) -> str:
    content = Path(path).read_bytes()
    for encoding in ("utf-16",) if content.startswith((b"\xff\xfe", b"\xfe\xff")) else ("utf-8-sig", "latin-1"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise ValueError(f"{path}: not readable as text")


def _number(text: str) -> float:
    try:
        return float(text.strip().strip('"').replace(",", "."))
    except ValueError:
        return math.nan


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines that are not empty with their numbers, without comments."""
    for number, line in enumerate(text.splitlines(), start=1):
        content = line.split("#")[0].strip()
        if content:
            yield number, content


def _rows_of_names(path: str | Path, text: str) -> list[_Row]:
    rows = []
    titles = 2 if Path(path).suffix.lower() == ".tvel" else 0
    for number, line in _lines(text):
        cells = line.split()
        is_row = all(math.isfinite(_number(cell)) for cell in cells[:3]) and len(cells) >= 3
        if not is_row and number <= titles:
            continue
        if len(cells) < 3 and not math.isfinite(_number(cells[0])):  # the name of a discontinuity
            continue
        values = [_number(cell) for cell in cells[:3]] + [math.nan] * (3 - len(cells))
        rows.append(_Row(number, line, (values[0], values[1], values[2])))
    return rows


def _rows_of_columns(path: str | Path, text: str) -> list[_Row]:
    lines = list(_lines(text))
    if not lines:
        raise ValueError(f"{path}: not a readable CSV table (it is empty)")
    separator = next((mark for mark in (";", "\t", ",") if mark in lines[0][1]), None)
    header = [name.strip().strip('"').lower() for name in lines[0][1].split(separator)]
    places = []
    for quantity, names in _CSV_NAMES.items():
        index = next((header.index(name) for name in names if name in header), None)
        if index is None:
            raise ValueError(f"{path}: no column for {quantity}; it may be called {', '.join(names)}")
        places.append(index)
    rows = []
    for number, line in lines[1:]:
        cells = line.split(separator)
        if separator == "," and len(cells) > len(header):
            raise ValueError(
                f"{path}, line {number}: {line!r} has {len(cells)} columns, the header {len(header)};"
                " with decimal commas, part them by semicolons"
            )
        depth, vp, vs = (_number(cells[index]) if index < len(cells) else math.nan for index in places)
        rows.append(_Row(number, line, (depth, vp, vs)))
    return rows


def _checked(path: str | Path, rows: list[_Row]) -> list[_Row]:
    """The rows down to the outer core; an impossible row is an error."""
    valid: list[_Row] = []
    for row in rows:
        depth, vp, vs = row.values
        label = f"{path}, line {row.number}: {row.text!r}"
        if not all(map(math.isfinite, row.values)):
            raise ValueError(f"{label} is not depth, vp, vs: a number is missing or none")
        if valid and depth < valid[-1].values[0]:
            raise ValueError(f"{label}: the depth goes back; depths must not decrease from line to line")
        if vs == 0 and vp > 0 and depth > MAX_DEPTH_KM and valid:
            break
        if vp <= 0 or vs <= 0:
            raise ValueError(f"{label}: vp and vs must be positive; water and other fluids are not supported")
        if vp > FASTEST_KM_S:
            raise ValueError(f"{label}: vp is at most {FASTEST_KM_S:g} km/s (are these m/s?)")
        if not VP_VS[0] <= vp / vs <= VP_VS[1]:
            raise ValueError(f"{label}: vp/vs is {vp / vs:.2f}, in rocks and soils {VP_VS[0]:g} to {VP_VS[1]:g}")
        valid.append(row)
    if not valid:
        raise ValueError(f"{path}: no line with depth, vp and vs (all positive) found")
    return valid


def _sublayers(table: np.ndarray) -> list[tuple[float, float, float]]:
    """Constant layers for velocities that are linear between the lines of a table."""
    layers = []
    for top, bottom in pairwise(table):
        if bottom[0] == top[0]:
            continue
        n_layers = max(1, int(np.ceil(np.abs(bottom[1:] - top[1:]).max() / MAX_VELOCITY_STEP_KM_S - 1e-9)))
        for index in range(n_layers):
            middle = top + (bottom - top) * (index + 0.5) / n_layers
            layers.append((top[0] + (bottom[0] - top[0]) * index / n_layers, middle[1], middle[2]))
    return [*layers, tuple(table[-1])]


def _model(path: str | Path, rows: list) -> VelocityModel:
    """Model of the rows; of several with one depth the last holds, and equal neighbours become one layer."""
    by_depth = {row[0]: row for row in rows}
    layers: list = []
    for row in by_depth.values():
        if not layers or row[1:] != layers[-1][1:]:
            layers.append(row)
    try:
        depth, vp, vs = np.array(layers).T
        return VelocityModel(top_depth_km=depth, vp_km_s=vp, vs_km_s=vs)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
