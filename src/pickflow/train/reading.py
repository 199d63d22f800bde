"""Real training data beside the labelled sets: a teacher's weights."""

from __future__ import annotations

import glob
import json
from pathlib import Path

import seisbench.models
import torch

LABELLED_SETS = ("ncedc154", "stead50")
TEACHER = ("PhaseNet", "original_converted")


def read_teacher(
    cache: str | Path, name: str = TEACHER[0], weights: str = TEACHER[1]
) -> seisbench.models.WaveformModel:
    """
    A picker from a SeisBench cache, without writing to it.

    Parameters
    ----------
    cache : str or Path
        A ``SEISBENCH_CACHE_ROOT``.
    name, weights : str
        The first version of the weights is taken: what is trained shall not depend on updates.

    Raises
    ------
    ValueError
        If they are not there.
    """
    folder = Path(cache, "models", "v3", name.lower())
    versions = sorted(
        path.name.removeprefix(f"{weights}.json") for path in folder.glob(f"{glob.escape(weights)}.json.v*")
    )
    if not versions:
        raise ValueError(f"train: no {name}/{weights} in {folder}; fetch the weights with SeisBench, or take others")
    card = json.loads((folder / f"{weights}.json{versions[0]}").read_text())
    model = getattr(seisbench.models, name)(**card.get("model_args", {}))
    model.load_state_dict(torch.load(folder / f"{weights}.pt{versions[0]}", map_location="cpu", weights_only=True))
    model.default_args.update(card.get("default_args", {}))
    return model.eval()
