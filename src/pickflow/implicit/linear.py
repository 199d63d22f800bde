"""Linear layers as sparse matrices from the samples of all input channels to those of all output channels."""

from __future__ import annotations

import numpy as np
from scipy import sparse


def conv_matrix(
    weight: np.ndarray, n_samples: int, n_made: int, *, start: int, stride: int, dilation: int, groups: int
) -> sparse.csr_array:
    """
    Matrix of a convolution on zeros.

    Parameters
    ----------
    weight : ndarray, shape (n_out, n_in // groups, n_taps)
    n_samples, n_made : int
        Of the input and of the output.
    start : int
        Input sample under the first tap of the first output; negative in the padding.
    stride, dilation, groups : int
        As torch's.

    Returns
    -------
    csr_array, shape (n_out * n_made, n_in * n_samples)
    """
    n_out, n_group = weight.shape[:2]
    out, channel, tap, position = np.meshgrid(*map(np.arange, (*weight.shape, n_made)), indexing="ij", sparse=True)
    sample = start + position * stride + tap * dilation
    channel = channel + out // (n_out // groups) * n_group
    shape = (n_out * n_made, n_group * groups * n_samples)
    return _gathered(
        weight, out * n_made + position, channel * n_samples + sample, (sample >= 0) & (sample < n_samples), shape
    )


def transposed_matrix(
    weight: np.ndarray, n_samples: int, n_made: int, *, start: int, stride: int, dilation: int
) -> sparse.csr_array:
    """
    Matrix of a transposed convolution.

    Parameters
    ----------
    weight : ndarray, shape (n_in, n_out, n_taps)
    n_samples, n_made : int
        Of the input and of the output.
    start : int
        Samples cut off at the start: torch's padding.
    stride, dilation : int
        As torch's.

    Returns
    -------
    csr_array, shape (n_out * n_made, n_in * n_samples)
    """
    n_in, n_out, _ = weight.shape
    channel, out, tap, sample = np.meshgrid(*map(np.arange, (*weight.shape, n_samples)), indexing="ij", sparse=True)
    position = sample * stride + tap * dilation - start
    shape = (n_out * n_made, n_in * n_samples)
    return _gathered(
        weight, out * n_made + position, channel * n_samples + sample, (position >= 0) & (position < n_made), shape
    )


def _gathered(
    weight: np.ndarray, rows: np.ndarray, columns: np.ndarray, inside: np.ndarray, shape: tuple[int, int]
) -> sparse.csr_array:
    values, rows, columns, inside = np.broadcast_arrays(weight[..., None], rows, columns, inside)
    return sparse.csr_array((values[inside], (rows[inside], columns[inside])), shape=shape)
