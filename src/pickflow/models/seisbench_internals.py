"""All that pickflow takes from SeisBench beyond what it documents: looked at when another version of it is allowed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seisbench.models import WaveformModel


def class_defaults(model: WaveformModel) -> dict[str, Any]:
    """Arguments of `annotate` with the defaults of the model's class."""
    return {name: default for name, (_, default) in model._annotate_args.items()}


def annotate_defaults(model: WaveformModel) -> dict[str, Any]:
    """The same as the weights have changed them."""
    return class_defaults(model) | model.default_args


def groups_by_instrument(model: WaveformModel) -> bool:
    """Whether a model takes the components of one instrument at a time."""
    return bool(model._grouping.grouping == "instrument")


def weights_metadata(model: WaveformModel) -> Mapping[str, Any]:
    """What the file beside published weights says; empty without one."""
    return getattr(model, "_weights_metadata", None) or {}


def set_weights_metadata(model: WaveformModel, metadata: Mapping[str, Any]) -> None:
    """Note what the file beside weights says, as `from_pretrained` does."""
    model._weights_metadata = metadata


def data_set_folder(kind: type) -> Path:
    """Where a data set of SeisBench lies, or will lie when it is downloaded, without making one of it."""
    return Path(kind._path_internal())  # type: ignore[attr-defined]
