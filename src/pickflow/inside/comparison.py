"""What a compression and the variants of EQTransformer left out, beside what a picker is sensitive to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from seisbench.models import EQTransformer
from torch import nn

from pickflow.compress.writing import CERTIFICATE_FILE
from pickflow.io.documents import read_json
from pickflow.models.cards import read_card
from pickflow.models.loading import build
from pickflow.models.registry import VARIANTS

_SCHEMA = {
    "required": ["layers"],
    "properties": {"layers": {"type": "array", "items": {"type": "object", "required": ["channels", "kept"]}}},
}
# Ranks of fewer parts say nothing.
_LEAST_PARTS = 4


class Compression(NamedTuple):
    """
    What a compression decided about the channels of a teacher.

    Attributes
    ----------
    name : str
        Of the student's weights.
    dropped : dict of str to ndarray of bool
        Channels that the student lacks, by the set of channels.
    stays_up_to : dict of str to ndarray
        The largest penalty at which each of them stays, as a share of the one that drops all; NaN if it is not known.
    """

    name: str
    dropped: dict[str, np.ndarray]
    stays_up_to: dict[str, np.ndarray]


def read_compression(folder: str | Path, card: Mapping[str, Any]) -> Compression:
    """
    Read the certificate of a student.

    Parameters
    ----------
    folder : str or Path
        Holds the student's card and certificate; see docs/compression.md.
    card : mapping
        Of the picker that is looked into, its teacher.

    Raises
    ------
    ValueError
        If there is no certificate, it is empty, or the student has another teacher.
    """
    folder = Path(folder)
    student = read_card(folder)
    if student.get("parent") != card["sha256"]:
        raise ValueError(
            f"{folder}: a student of another picker than {card['model']}/{card['weights']} (sha256 of its teacher:"
            f" {student.get('parent')}); give one that was made of it"
        )
    if not (folder / CERTIFICATE_FILE).is_file():
        raise ValueError(f"{folder}: no {CERTIFICATE_FILE}; give the folder of a student that the stage compress made")
    layers = read_json(folder / CERTIFICATE_FILE, _SCHEMA)["layers"]
    if not layers:
        raise ValueError(f"{folder}: its certificate is empty; only students of the method safe have one")
    dropped, stays = {}, {}
    for layer in layers:
        for name, n_channels in layer["channels"].items():
            dropped[name] = np.isin(np.arange(n_channels), layer["kept"][name], invert=True)
            stays[name] = np.array(layer.get("stays_up_to", {}).get(name, [np.nan] * n_channels))
    return Compression(str(student["weights"]), dropped, stays)


def with_compression(table: pd.DataFrame, compression: Compression) -> pd.DataFrame:
    """
    Sensitivities with ``safe_dropped`` and ``safe_stays_up_to``.

    Parameters
    ----------
    table : DataFrame
        From `pickflow.inside.sensitivity.sensitivity`.
    compression : Compression
        Of the same picker.

    Returns
    -------
    DataFrame
        The share of a part's channels that the student lacks, and the mean of the largest penalties at which they stay;
        NaN where the compression did not decide.
    """
    rows = []
    for kind, layer, channels in zip(table.kind, table.layer, table.channels, strict=True):
        dropped, stays = compression.dropped.get(layer), compression.stays_up_to.get(layer)
        if dropped is None or stays is None or kind not in ("channels", "layer"):
            rows.append((np.nan, np.nan))
            continue
        numbers = [int(number) for number in channels.split(",")] if channels else list(range(dropped.size))
        rows.append((float(dropped[numbers].mean()), float(stays[numbers].mean())))
    return table.assign(**dict(zip(("safe_dropped", "safe_stays_up_to"), np.array(rows).T, strict=True)))


def with_variants(table: pd.DataFrame, model: nn.Module) -> pd.DataFrame:
    """
    Sensitivities of an EQTransformer with ``variants_without``, the names of the variants that lack a part.

    Parameters
    ----------
    table : DataFrame
        From `pickflow.inside.sensitivity.sensitivity`.
    model : Module
        The picker; anything else than an EQTransformer has no variants, and the table stays as it is.

    Returns
    -------
    DataFrame
        Names of `pickflow.models.registry.VARIANTS`, with commas between them: those without the layer, without its
        direction, or with so few channels that these are not among them. ``all`` if none has it, ``all but`` and the
        others if few have it.
    """
    if not isinstance(model, EQTransformer):
        return table
    variants = {name: dict(build(name).named_modules()) for name in VARIANTS}
    parts = zip(table.kind, table.layer, table.part, table.channels, strict=True)
    absences = [[name for name, modules in variants.items() if _lacks(modules, *part)] for part in parts]
    return table.assign(variants_without=[_in_short(names, list(variants)) for names in absences])


def _in_short(names: Sequence[str], all_names: Sequence[str]) -> str:
    owners = [name for name in all_names if name not in names]
    if len(owners) > len(names):
        return ", ".join(names)
    return f"all but {', '.join(owners)}" if owners else "all"


def _lacks(modules: Mapping[str, nn.Module], kind: str, layer: str, part: str, channels: str) -> bool:
    if not layer:
        return False
    module = modules.get(layer)
    if module is None or not any(True for _ in module.parameters()):
        return True
    if kind == "direction":
        return part.endswith("backward") and not getattr(module, "bidirectional", False)
    return kind == "channels" and isinstance(module, nn.Conv1d) and int(channels.split(",")[0]) >= module.out_channels


def rank_correlations(table: pd.DataFrame) -> pd.DataFrame:
    """
    How far the order in which SAFE gives channels up is that of their sensitivities.

    Parameters
    ----------
    table : DataFrame
        From `with_compression`.

    Returns
    -------
    DataFrame
        A row for each set of channels: ``layer``, ``n_parts``, and Spearman's rank correlation of the largest penalty
        at which a part stays (where it is not known, of whether it stays) with the change of P and of S without it
        (``p_rank_correlation``, ``s_rank_correlation``); NaN where all are alike.
    """
    rows = []
    rows_of_channels = table[(table.kind == "channels") & table.safe_dropped.notna()]
    for layer, part in rows_of_channels.groupby("layer", sort=False):
        if len(part) < _LEAST_PARTS:
            continue
        stays = part.safe_stays_up_to.fillna(1 - part.safe_dropped)
        row: dict[str, Any] = {"layer": layer, "n_parts": len(part)}
        for phase in ("p", "s"):
            if f"{phase}_change" in part:
                row[f"{phase}_rank_correlation"] = _spearman(stays, part[f"{phase}_change"])
        rows.append(row)
    return pd.DataFrame(rows)


def _spearman(x: pd.Series, y: pd.Series) -> float:
    if x.nunique() < 2 or y.nunique() < 2:
        return float("nan")
    return float(x.rank().corr(y.rank()))
