"""
ONNX networks of recurrent pickers: one operator for each recurrence against loops written out; a JSON line for each.

Nodes, bytes, seconds of the export, and milliseconds of a window in ONNX Runtime on one thread, alone and in batches of
16: medians of CPU time of calls in turns, so that a busy machine does not prefer one of the two.

Examples
--------
python benchmarks/exports.py EQTransformer/original_converted EQTransformer/volpick LEQNet GRU
python benchmarks/exports.py EQTransformer/original_converted --width 0.25
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from contextlib import nullcontext
from typing import Any
from unittest.mock import patch

BATCHES = (1, 16)
N_WINDOWS = 4  # chosen: of noise, to compare with torch on


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pickers", nargs="+", help="folders, MODEL/WEIGHTS of the cache, or names: random weights")
    parser.add_argument("--width", type=float, help="share of the channels that stay, such as a compression leaves")
    parser.add_argument("--rounds", type=int, default=40, help="calls of each network and batch size")
    return parser.parse_args()


def network(picker: str, width: float | None) -> Any:
    """
    A picker in evaluation mode; with a width the first channels of each set, whose weights mean nothing.

    Raises
    ------
    ValueError
        If there is no such picker, or it cannot be made narrower; the message names it.
    """
    import numpy as np

    from pickflow.compress.channels import wiring_of
    from pickflow.compress.correction import narrowed
    from pickflow.models.loading import load_model, untrained
    from pickflow.weights import model_folder

    if "/" in picker:
        with model_folder(picker, None) as folder:
            model = load_model(folder)
    else:
        model = untrained(picker, 0).eval()
    if width is None:
        return model
    wiring = wiring_of(model)
    widths = {channels.name: max(1, round(width * channels.n_channels)) for channels in wiring.sets}
    return narrowed(model, wiring, {name: np.arange(n_channels) for name, n_channels in widths.items()})


def export(model: Any, loops: bool) -> tuple[bytes, dict[str, Any]]:
    """A network of ONNX and what it is made of."""
    import onnx
    import torch

    from pickflow.annotate import backends
    from pickflow.compress.exporting import largest_difference

    started = time.process_time()
    with patch.object(backends, "with_operators", lambda model: model) if loops else nullcontext():
        content = backends.export_onnx(model)
    seconds = time.process_time() - started
    shape = (N_WINDOWS, len(model.component_order), model.in_samples)
    windows = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    return content, {
        "nodes": len(onnx.load_from_string(content).graph.node),
        "mb": round(len(content) / 1e6, 2),
        "export_s": round(seconds, 1),
        "largest_difference": float(f"{largest_difference(model, content, windows):.2g}"),
    }


def milliseconds(sessions: dict[str, Any], windows: Any, n_rounds: int) -> dict[str, float]:
    """Median CPU milliseconds of a window with each session, called in turns."""
    times: dict[str, list[float]] = {name: [] for name in sessions}
    for _ in range(n_rounds):
        for name, session in sessions.items():
            started = time.process_time()
            session.run(None, {"windows": windows})
            times[name].append(1e3 * (time.process_time() - started) / len(windows))
    return {name: float(f"{statistics.median(times_ms[1:]):.3g}") for name, times_ms in times.items()}


def main() -> None:
    options = arguments()
    import numpy as np
    import torch

    from pickflow.annotate.backends import onnx_session
    from pickflow.compress.costs import multiply_adds

    torch.set_num_threads(1)
    for picker in options.pickers:
        try:
            model = network(picker, options.width)
        except ValueError as error:
            raise SystemExit(f"ERROR {error}") from error
        contents, about = {}, {}
        for name, loops in (("operators", False), ("loops", True)):
            contents[name], about[name] = export(model, loops)
        sessions = {name: onnx_session(content) for name, content in contents.items()}
        for n_windows in BATCHES:
            shape = (n_windows, len(model.component_order), model.in_samples)
            windows = np.random.default_rng(0).normal(size=shape).astype(np.float32)
            for name, time_ms in milliseconds(sessions, windows, options.rounds).items():
                about[name][f"ms_batch_{n_windows}"] = time_ms
        print(
            json.dumps({"picker": picker, "width": options.width, "multiply_adds": multiply_adds(model), **about}),
            flush=True,
        )


if __name__ == "__main__":
    main()
