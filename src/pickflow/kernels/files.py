"""
A compiled network as a file, which numpy and the compiled library alone can run: no torch, no pickle.

The file is an archive of numpy with two arrays: ``header``, JSON in UTF-8, and ``numbers``, the weights as the kernels
read them. It holds for any number of lanes, so one file serves every processor. A program is code: run those that come
from where you would take code from.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from pickflow.io.atomic import write_bytes
from pickflow.kernels import library
from pickflow.kernels.network import Network
from pickflow.kernels.normalisation import Normalisation
from pickflow.kernels.program import Buffer, Program, View

FORMAT = "pickflow program 1"
_NOT_KEPT = ("integers", "shift")  # only of use while a program is made


def write_network(path: str | Path, network: Network, about: Mapping[str, Any]) -> None:
    """
    Write a network; the same one gives the same bytes.

    Parameters
    ----------
    path : str or Path
    network : Network
    about : mapping
        What its user must know, such as labels, components and sampling rate; anything that JSON can hold.
    """
    program = network.program
    places = {buffer: number for number, buffer in enumerate(program.buffers)}

    def place_of(view: View | None) -> list[int] | None:
        return [places[view.buffer], view.first, view.n_channels] if view else None

    def entry_of(row: dict[str, Any]) -> dict[str, Any]:
        views = {name: place_of(view) for name, view in row["views"].items()}
        return {name: value for name, value in row.items() if name not in _NOT_KEPT} | {"views": views}

    header = {
        "format": FORMAT,
        "library": library.facts(),
        "about": dict(about),
        "shapes": [network.window_shape, network.output_shape],
        "normalisation": asdict(network.normalisation),
        "multiply_adds": [program.multiply_adds, program.saved_multiply_adds],
        "buffers": [[buffer.n_channels, buffer.n_samples, buffer.left, buffer.right] for buffer in program.buffers],
        "operations": [entry_of(row) for row in program.operations],
    }
    content = io.BytesIO()
    text = json.dumps(header, default=lambda number: number.item())
    np.savez(content, header=np.frombuffer(text.encode(), np.uint8), numbers=program.numbers)
    write_bytes(path, content.getvalue())


def read_network(path: str | Path, lanes: int | None = None) -> tuple[Network, dict[str, Any]]:
    """
    Read a network that `write_network` wrote.

    Parameters
    ----------
    path : str or Path
    lanes : int or None
        One of `lane_choices`; the widest of this processor unless given.

    Returns
    -------
    network : Network
    about : dict

    Raises
    ------
    ValueError
        If the file is absent or damaged, was compiled for other kernels, or the kernels are not built or cannot run it.
    """
    if not library.is_available():
        raise ValueError("the kernels are not built; install pickflow where there is a C compiler, or from a wheel")
    try:
        with np.load(path, allow_pickle=False) as archive:
            header, numbers = json.loads(bytes(archive["header"])), archive["numbers"]
        if header["format"] != FORMAT or header["library"] != library.facts():
            raise ValueError("compiled for the kernels of another version; compile the picker again")
        program = _program(header, numbers)
        lanes = lanes or library.lane_choices()[-1]
        (n_components, n_samples), (n_labels, n_outputs) = header["shapes"]
        normalisation = Normalisation(**header["normalisation"])
        network = Network(program, lanes, (n_components, n_samples), (n_labels, n_outputs), normalisation)
    except Exception as error:  # archives that are damaged raise anything
        raise ValueError(f"{path}: no compiled network that runs here ({error})") from error
    if not library.has_integers() and any(library.KINDS[row["kind"]] == "conv_16" for row in program.operations):
        raise ValueError(f"{path}: compiled in the mode fast, for which this processor has no kernels")
    return network, header["about"]


def _program(header: Mapping[str, Any], numbers: np.ndarray) -> Program:
    if numbers.dtype != np.float32 or numbers.ndim != 1:
        raise ValueError(f"numbers of type {numbers.dtype}")
    buffers = [Buffer(*sizes) for sizes in header["buffers"]]
    multiply_adds, n_saved = header["multiply_adds"]
    program = Program(multiply_adds, n_saved, buffers=buffers)
    program.keep(numbers)
    for entry in header["operations"]:
        views = {name: view and View(buffers[view[0]], *view[1:]) for name, view in entry["views"].items()}
        program.operations.append({**entry, "views": views})
    return program
