"""
Variants of EQTransformer, and SeisBench's: their parts, weights and multiply-adds of a window, as a table of Markdown.

Weights are counted as torch has them, and as Keras does: one bias for each gate of a recurrence, statistics of
normalisations included. With --times the milliseconds of a window on one thread, in batches of 16.

Examples
--------
python benchmarks/variants.py
python benchmarks/variants.py --times
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

BATCH = 16  # windows: a full block of the widest kernels
PARTS = ("filters", "kernels", "decoders' filters", "residual kernels", "recurrent blocks", "P and S branch", "code")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", action="store_true", help="milliseconds in torch and in the compiled kernels")
    return parser.parse_args()


def networks() -> Iterator[tuple[str, Any]]:
    """Names and networks with random weights, in evaluation mode; EQT is the first."""
    from pickflow.models.loading import untrained
    from pickflow.models.registry import VARIANTS

    for name in (*VARIANTS, "EQTransformer"):
        yield name, untrained(name, 0).eval()


def parts_of(model: Any) -> list[str]:
    """One cell for each of `PARTS`; the code is what the attention works on, in channels."""
    convolutions = [(layer.out_channels, layer.kernel_size[0]) for layer in model.encoder.convs]
    cells = [
        [filters for filters, _ in convolutions],
        [kernel for _, kernel in convolutions],
        [layer.out_channels for layer in model.decoder_d.convs],
        [block.conv1.kernel_size[0] for block in model.res_cnn_stack.members],
        [kind_of(block.lstm) for block in model.bi_lstm_stack.members],
        [kind_of(layer) for layer in model.pick_lstms[0 :: model.classes]],
        [model.transformer_d.attention.Wx.shape[0]],
    ]
    return [" ".join(map(str, cell)) or "none" for cell in cells]


def kind_of(layer: Any) -> str:
    """Such as ``BiLSTM/16``: of 16 states in each direction."""
    return f"{'Bi' * layer.bidirectional}{type(layer).__name__}/{layer.hidden_size}"


def sizes() -> list[list[str]]:
    """Head and rows of the table of sizes; an empty cell is as in EQT."""
    from pickflow.compress.costs import multiply_adds, n_parameters, n_weights_of_keras

    rows, eqt = [["variant", *PARTS, "weights", "as Keras counts", "multiply-adds (10⁶)"]], None
    for name, model in networks():
        parts = parts_of(model)
        eqt = eqt or [""] * len(parts)
        numbers = [f"{n_parameters(model)[0]:,}", f"{n_weights_of_keras(model):,}", f"{multiply_adds(model) / 1e6:.1f}"]
        rows.append(
            [
                name,
                *("" if part == part_of_eqt else part for part, part_of_eqt in zip(parts, eqt, strict=True)),
                *numbers,
            ]
        )
        eqt = parts if name == "EQT" else eqt
    return rows


def times() -> list[list[str]]:
    """Head and rows of the table of times."""
    import numpy as np
    import torch

    from pickflow.compress.costs import milliseconds
    from pickflow.kernels.compilation import compile_network

    torch.set_num_threads(1)
    rows = [["variant", "torch (ms)", "kernels (ms)"]]
    for name, model in networks():
        windows = np.random.default_rng(0).normal(size=(BATCH, 3, model.in_samples)).astype(np.float32)

        def in_torch(windows: np.ndarray, model: Any = model) -> Any:
            with torch.inference_mode():
                return model(torch.from_numpy(windows))

        rows.append(
            [name, *(f"{milliseconds(predict, windows):.2f}" for predict in (in_torch, compile_network(model).predict))]
        )
    return rows


def table(rows: list[list[str]]) -> str:
    """Rows in Markdown, the first as the head."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def main() -> None:
    print(table(times() if arguments().times else sizes()))


if __name__ == "__main__":
    main()
