"""Velocity models in files: TauP's named discontinuities (.nd) and CSV."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from pickflow.io.atomic import write_text
from pickflow.travel_times import VelocityModel, homogeneous

# Local arrivals turn above this depth; the layers below only cost time.
MAX_DEPTH_KM = 150.0
# A gradient becomes layers whose velocity differs by at most this.
MAX_VELOCITY_STEP_KM_S = 0.05
_CSV_NAMES = {
    "depth": ("depth_km", "depth", "top_depth_km", "top_km", "top", "z"),
    "vp": ("vp_km_s", "vp", "alpha"),
    "vs": ("vs_km_s", "vs", "beta"),
}


def read_velocity_model(path: str | Path, lines: str = "auto") -> VelocityModel:
    """
    Read a velocity model from a TauP ``.nd`` file or a CSV table.

    Parameters
    ----------
    path : str or Path
        ``.nd``: depth, vp, vs (and columns that are not needed) per line, names of discontinuities on lines of their
        own. Anything else: CSV with a header that names depth, vp and vs (``depth_km``, ``vp_km_s``, … also work).
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
        If the file cannot be read as a model, or ``lines`` is unknown.
    """
    if lines not in ("auto", "gradient", "layers"):
        raise ValueError(f"lines {lines!r} is unknown; known: auto, gradient, layers")
    named = Path(path).suffix.lower() in (".nd", ".tvel")
    table = _read_nd(path) if named else _read_csv(path)
    table = table[: _first_fluid(table)]
    if len(table) == 0:
        raise ValueError(f"{path}: no line with depth, vp and vs (all positive) found")
    if np.any(np.diff(table[:, 0]) < 0):
        raise ValueError(f"{path}: depths must not decrease from line to line")
    as_gradient = named if lines == "auto" else lines == "gradient"
    rows = _sublayers(table) if as_gradient else [tuple(row) for row in table]
    return _model(path, [row for row in rows if row[0] <= MAX_DEPTH_KM])


def velocity_model(p_km_s: float, s_km_s: float, file: str | None) -> VelocityModel:
    """
    The velocity model that a configuration asks for.

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


def write_velocity_model(model: VelocityModel, path: str | Path) -> None:
    """Write constant layers as a TauP ``.nd`` file (density by Gardner's relation), atomically."""
    bottoms = np.append(model.top_depth_km[1:], 6371.0)
    lines = []
    for top, bottom, vp, vs in zip(model.top_depth_km, bottoms, model.vp_km_s, model.vs_km_s, strict=True):
        density = 1.74 * vp**0.25
        lines += [f"{depth:10.3f} {vp:8.4f} {vs:8.4f} {density:8.4f}\n" for depth in (max(top, 0.0), bottom)]
    write_text(path, "".join(lines))


def _read_nd(path: str | Path) -> np.ndarray:
    rows = []
    for number, line in enumerate(Path(path).read_text().splitlines(), start=1):
        words = line.split("#")[0].split()
        if len(words) < 3:  # empty, a comment, or the name of a discontinuity
            continue
        try:
            rows.append([float(word) for word in words[:3]])
        except ValueError:
            raise ValueError(f"{path}, line {number}: {line.strip()!r} is not depth, vp, vs") from None
    return np.array(rows).reshape(-1, 3)


def _read_csv(path: str | Path) -> np.ndarray:
    try:
        table = pd.read_csv(path, comment="#", sep=None, engine="python", skipinitialspace=True)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not a readable CSV table ({error})") from error
    columns = {str(name).strip().lower(): name for name in table.columns}
    chosen = []
    for quantity, names in _CSV_NAMES.items():
        match = next((columns[name] for name in names if name in columns), None)
        if match is None:
            raise ValueError(f"{path}: no column for {quantity}; it may be called {', '.join(names)}")
        chosen.append(match)
    try:
        return table[chosen].to_numpy(dtype=float)
    except ValueError as error:
        raise ValueError(f"{path}: depth, vp and vs must be numbers ({error})") from error


def _first_fluid(table: np.ndarray) -> int:
    """Row at which vp or vs stops being positive: the outer core, which no local ray reaches."""
    fluid = np.flatnonzero(~(table[:, 1:] > 0).all(axis=1))
    return int(fluid[0]) if fluid.size else len(table)


def _sublayers(table: np.ndarray) -> list[tuple[float, float, float]]:
    """Constant layers for velocities that are linear between the lines of a table."""
    layers = []
    for above, below in pairwise(table):
        if below[0] == above[0]:
            continue
        n_layers = max(1, int(np.ceil(np.abs(below[1:] - above[1:]).max() / MAX_VELOCITY_STEP_KM_S - 1e-9)))
        for index in range(n_layers):
            middle = above + (below - above) * (index + 0.5) / n_layers
            layers.append((above[0] + (below[0] - above[0]) * index / n_layers, middle[1], middle[2]))
    return [*layers, tuple(table[-1])]


def _model(path: str | Path, rows: list) -> VelocityModel:
    """Model of the rows; of several with one depth the last holds, and equal neighbours become one layer."""
    by_depth = {row[0]: row for row in rows}
    merged: list = []
    for row in by_depth.values():
        if not merged or row[1:] != merged[-1][1:]:
            merged.append(row)
    try:
        depth, vp, vs = np.array(merged).T
        return VelocityModel(top_depth_km=depth, vp_km_s=vp, vs_km_s=vs)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
