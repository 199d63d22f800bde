"""``pickflow export``: a picker as an ONNX network for other programs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pickflow.command_line.parser import Parser, command_parser, say

EXAMPLES = """
pickflow export results/my-run/models/PhaseNet/instance --out phasenet.onnx
pickflow export EQTransformer/volpick --out eqtransformer.onnx
"""
_N_WINDOWS = 4  # chosen


def make_parser() -> Parser:
    """The options of ``pickflow export``."""
    parser = command_parser("export", EXAMPLES, "Students have theirs beside them already (docs/compression.md).")
    parser.add_argument("picker", help="a folder with model.safetensors and card.json, or MODEL/WEIGHTS of the cache")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="file to write")
    parser.add_argument("--cache", metavar="FOLDER", help="SeisBench cache (default: PICKFLOW_SHARED's)")
    return parser


def run(arguments: Sequence[str]) -> int:
    """Run ``pickflow export``."""
    call = make_parser().parse_args(arguments)
    import torch

    from pickflow.annotate.backends import export_onnx
    from pickflow.compress.exporting import largest_difference
    from pickflow.io.atomic import write_bytes
    from pickflow.models.loading import load_model
    from pickflow.weights import model_folder

    with model_folder(call.picker, call.cache) as folder:
        model = load_model(folder)
    content = export_onnx(model)
    shape = (_N_WINDOWS, len(model.component_order), model.in_samples)
    windows = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    difference = largest_difference(model, content, windows)
    write_bytes(call.out, content)
    return say(
        f"{call.out}: {len(content) / 1e6:.2f} MB; input `windows` of {shape[1]} components {model.component_order}"
        f" x {shape[2]} samples at {model.sampling_rate:g} Hz, normalised; its probabilities differ from torch by"
        f" {difference:.1e} at most (noise, {_N_WINDOWS} windows)"
    )
