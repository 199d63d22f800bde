"""From a model of torch to a network of compiled kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from pickflow.kernels import library
from pickflow.kernels.calibration import activation_ranges
from pickflow.kernels.eqtransformer import eqtransformer
from pickflow.kernels.fast import with_integers
from pickflow.kernels.leqnet import leqnet
from pickflow.kernels.network import Network
from pickflow.kernels.normalisation import normalisation_of
from pickflow.kernels.phasenet import phasenet, phasenet_light, variable_length_phasenet
from pickflow.kernels.pickflownet import pickflownet
from pickflow.kernels.program import Program, UnsupportedNetwork, View

MODES = ("exact", "fast")
_BUILDERS: dict[str, Callable[[Program, View, Any], View]] = {
    "PhaseNet": phasenet,
    "VariableLengthPhaseNet": variable_length_phasenet,
    "PhaseNetLight": phasenet_light,
    "EQTransformer": eqtransformer,
    "OBSTransformer": eqtransformer,
    "PickflowNet": pickflownet,
    "LEQNet": leqnet,
}


def compile_network(model: Any, mode: str = "exact", lanes: int | None = None) -> Network:
    """
    Build the kernels' form of a model.

    Parameters
    ----------
    model : WaveformModel
        In evaluation mode; known by the name of its class.
    mode : {"exact", "fast"}
        Arithmetic: ``exact`` is float32 throughout, ``fast`` rounds weights and activations of the larger convolutions
        to 16-bit integers.
    lanes : int or None
        One of `lane_choices`; the widest unless given.

    Raises
    ------
    UnsupportedNetwork
        If the kernels are not built or do not know the model.
    """
    name = type(model).__name__
    if not library.is_available():
        raise UnsupportedNetwork("the kernels are not built; reinstall with a C compiler at hand")
    if mode not in MODES or (mode == "fast" and not library.has_integers()):
        raise UnsupportedNetwork(f"no kernels for mode {mode} on this processor")
    if name not in _BUILDERS:
        raise UnsupportedNetwork(f"no kernels for a model of class {name}; there are for {', '.join(_BUILDERS)}")
    if model.training:
        raise UnsupportedNetwork(f"{name} is in training mode; call eval() on it first")
    program = Program()
    try:
        windows, outputs = _build(program, model, mode)
    except (AttributeError, TypeError) as error:
        raise UnsupportedNetwork(f"{name} is not built as its class usually is: {error!r}") from error
    lanes = lanes or library.lane_choices()[-1]
    facts = (lanes, windows.buffer.shape, outputs.buffer.shape, normalisation_of(model))
    if mode == "fast":
        program = with_integers(program, activation_ranges(Network(program, *facts), program))
    program.share_buffers()
    return Network(program, *facts)


def _build(program: Program, model: Any, mode: str) -> tuple[View, View]:
    windows = program.buffer(getattr(model, "in_channels", 3), model.in_samples)
    program.add("pack", None, windows)
    outputs = _BUILDERS[type(model).__name__](program, windows, model)
    independent = hasattr(model, "decoder_d") or isinstance(getattr(model, "output_activation", None), torch.nn.Sigmoid)
    program.add("sigmoid" if independent else "softmax", None, outputs)
    if mode == "fast":
        # Integers know no NaN: windows that hold one get it back here.
        program.add("spread_nan", windows, outputs)
    program.add("unpack", outputs, None)
    return windows, outputs
