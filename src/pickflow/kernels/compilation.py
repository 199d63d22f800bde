"""From a model of torch to a network of compiled kernels."""

from __future__ import annotations

from typing import Any

from seisbench.models import EQTransformer, PhaseNet, VariableLengthPhaseNet, WaveformModel

from pickflow.kernels import library
from pickflow.kernels.calibration import activation_ranges
from pickflow.kernels.fast import with_integers
from pickflow.kernels.lowering import Lowering
from pickflow.kernels.network import Network
from pickflow.kernels.normalisation import Normalisation
from pickflow.kernels.program import Program, UnsupportedNetwork, require
from pickflow.models.graph import trace

MODES = ("exact", "fast")
_EQT_TAPER_SAMPLES = 6


def compile_network(model: Any, mode: str = "exact", lanes: int | None = None) -> Network:
    """
    Build the kernels' form of a model.

    Parameters
    ----------
    model : WaveformModel
        In evaluation mode, of steps that `Lowering` knows.
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
    if model.training:
        raise UnsupportedNetwork(f"{name} is in training mode; call eval() on it first")
    program = Program()
    try:
        normalisation = normalisation_of(model)
        lowered = Lowering(program, trace(model))
    except ValueError as error:  # of the recording, or of a step or layer that is not known
        raise UnsupportedNetwork(f"no kernels for a model of class {name}: {error}") from error
    windows, outputs = lowered.windows, lowered.outputs
    require(windows.n_channels <= library.MAX_COMPONENTS, f"1 to {library.MAX_COMPONENTS} components")
    if mode == "fast":
        # Integers know no NaN: windows that hold one get it back here.
        program.add("spread_nan", windows, outputs)
    program.add("unpack", outputs, None)
    lanes = lanes or library.lane_choices()[-1]
    facts = (lanes, windows.buffer.shape, outputs.buffer.shape, normalisation)
    if mode == "fast":
        program = with_integers(program, activation_ranges(Network(program, *facts), program))
    program.share_buffers()
    return Network(program, *facts)


def normalisation_of(model: Any) -> Normalisation:
    """
    What `annotate_batch_pre` of a model does.

    Parameters
    ----------
    model : WaveformModel

    Raises
    ------
    UnsupportedNetwork
        If its class has a method that neither SeisBench's base, PhaseNets nor EQTransformer have.
    """
    method = type(model).annotate_batch_pre
    if method is WaveformModel.annotate_batch_pre:  # the network takes windows as they are
        return Normalisation()
    classes = [kind for kind in (PhaseNet, VariableLengthPhaseNet, EQTransformer) if method is kind.annotate_batch_pre]
    require(bool(classes), "a preparation of windows that SeisBench's PhaseNets or EQTransformer have, or none")
    transformer = classes[0] is EQTransformer
    axes = tuple(getattr(model, "norm_axis", (-1,)))
    common = transformer or len(axes) > 1
    scale = {"std": "common_deviation" if common else "deviation", "peak": "peak"}.get(model.norm, "unscaled")
    if scale == "peak" and len(axes) > 1:
        scale = "common_peak"
    if model.norm_amp_per_comp:
        scale = "peak"
    taper_samples = _EQT_TAPER_SAMPLES if transformer else 0
    return Normalisation(scale=scale, detrend=bool(model.norm_detrend), taper_samples=taper_samples)
