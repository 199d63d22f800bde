"""The state-driven implicit model: x = φ(A x + B u), y = C x + D u."""

from __future__ import annotations

import dataclasses
import graphlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from pickflow.implicit.activations import Activation
from pickflow.implicit.projection import project_rows


class NotConvergedError(ValueError):
    """The fixed-point iteration ended without a fixed point."""


@dataclass(frozen=True)
class Block:
    """
    A part of φ and where it stands.

    Parameters
    ----------
    name : str
        Of the layer that it comes from.
    activation : Activation
    first_row, first_state : int
        Its first pre-activation and its first state.
    """

    name: str
    activation: Activation
    first_row: int
    first_state: int

    @property
    def rows(self) -> slice:
        """Its pre-activations: rows of A and B."""
        return slice(self.first_row, self.first_row + self.activation.n_rows)

    @property
    def states(self) -> slice:
        """Its states: columns of A and C."""
        return slice(self.first_state, self.first_state + self.activation.n_states)


def blocks_of(activations: Iterable[tuple[str, Activation]]) -> tuple[Block, ...]:
    """Blocks one after the other, from their names and activations."""
    blocks: list[Block] = []
    row = state = 0
    for name, activation in activations:
        blocks.append(Block(name, activation, row, state))
        row, state = row + activation.n_rows, state + activation.n_states
    return tuple(blocks)


@dataclass(frozen=True, eq=False)
class Inference:
    """
    A fixed point, window by window.

    Attributes
    ----------
    outputs : ndarray, shape (n_windows, *output_shape)
        y.
    states : ndarray, shape (n_windows, n_states)
        x.
    n_passes : int
        Evaluations of φ(A x + B u).
    """

    outputs: np.ndarray
    states: np.ndarray
    n_passes: int


@dataclass(frozen=True)
class WellPosedness:
    """
    Whether every input has exactly one fixed point, and why; true or false as a condition.

    Attributes
    ----------
    holds : bool
    condition : {"triangular", "contraction", "none"}
        ``triangular``: no block depends on itself, not even through others, so that |A| is nilpotent in the order of
        the blocks. ``contraction``: where blocks do, the norm is at most κ. ``none``: neither could be shown.
    norm : float
        Largest Lipschitz constant × Σ|a| over the entries of a row that close a loop; 0 if none does, infinite where a
        block in a loop has no Lipschitz constant.
    """

    holds: bool
    condition: str
    norm: float

    def __bool__(self) -> bool:
        return self.holds


@dataclass(frozen=True, kw_only=True, eq=False)
class ImplicitModel:
    """
    Network as one implicit equation (El Ghaoui et al. 2021; Tsai et al. 2022).

    Constants are the weights of an additional input, the last one, that is always 1. The papers have as many
    pre-activations as states; here a block of φ may make fewer states than it takes pre-activations (pooling, gates),
    so that A has n_rows rows and n_states columns. Columns of zeros would make it square and change nothing else.

    Parameters
    ----------
    A : csr_array, shape (n_rows, n_states)
    B : csr_array, shape (n_rows, n_inputs + 1)
    C : csr_array, shape (n_outputs, n_states)
    D : csr_array, shape (n_outputs, n_inputs + 1)
    blocks : tuple of Block
        φ; the blocks follow one another in rows and in states.
    input_shape, output_shape : tuple of int
        Of one window.
    fixed_rows : ndarray of bool, shape (n_rows,)
        Rows without weights of their own (they copy or add states, or normalise): training leaves them alone.
    """

    A: sparse.csr_array
    B: sparse.csr_array
    C: sparse.csr_array
    D: sparse.csr_array
    blocks: tuple[Block, ...]
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    fixed_rows: np.ndarray

    def __post_init__(self) -> None:
        n_rows = sum(block.activation.n_rows for block in self.blocks)
        n_states = sum(block.activation.n_states for block in self.blocks)
        n_inputs, n_outputs = int(np.prod(self.input_shape)), int(np.prod(self.output_shape))
        expected = {
            "A": (n_rows, n_states),
            "B": (n_rows, n_inputs + 1),
            "C": (n_outputs, n_states),
            "D": (n_outputs, n_inputs + 1),
            "fixed_rows": (n_rows,),
        }
        for name, shape in expected.items():
            if getattr(self, name).shape != shape:
                raise ValueError(
                    f"{name} has shape {getattr(self, name).shape}; these blocks, inputs (and the constant 1) and "
                    f"outputs need {shape}"
                )

    @property
    def n_states(self) -> int:
        """Length of x."""
        return self.A.shape[1]

    @property
    def n_rows(self) -> int:
        """Length of z = A x + B u."""
        return self.A.shape[0]

    def block_of_row(self) -> np.ndarray:
        """Index of the block of each row, shape (n_rows,)."""
        return np.repeat(np.arange(len(self.blocks)), [block.activation.n_rows for block in self.blocks])

    def block_of_state(self) -> np.ndarray:
        """Index of the block of each state, shape (n_states,)."""
        return np.repeat(np.arange(len(self.blocks)), [block.activation.n_states for block in self.blocks])

    @cached_property
    def channel_of_column(self) -> np.ndarray:
        """Number of the channel that each column of [A, B] belongs to, shape (n_states + n_inputs + 1,)."""
        sizes = [(block.activation.n_channels, block.activation.n_states) for block in self.blocks]
        n_inputs = int(np.prod(self.input_shape))
        sizes += [(self.input_shape[0], n_inputs), (1, 1)]
        first = np.cumsum([0, *(n_channels for n_channels, _ in sizes)])
        return np.concatenate(
            [first[k] + np.arange(size) * n_channels // size for k, (n_channels, size) in enumerate(sizes) if size]
        )

    @cached_property
    def dependencies(self) -> sparse.csr_array:
        """Which block (row) reads states of which (column): non-zero where it does, shape (n_blocks, n_blocks)."""
        entries = self.A.tocoo()
        nonzero = entries.data != 0
        pairs = (self.block_of_row()[entries.row[nonzero]], self.block_of_state()[entries.col[nonzero]])
        shape = (len(self.blocks), len(self.blocks))
        return sparse.csr_array((np.ones(nonzero.sum()), pairs), shape=shape)

    @cached_property
    def order(self) -> tuple[int, ...] | None:
        """Blocks in an order in which each reads only earlier ones; None if there is feedback."""
        graph = {block: self.dependencies[[block]].indices.tolist() for block in range(len(self.blocks))}
        try:
            return tuple(graphlib.TopologicalSorter(graph).static_order())
        except graphlib.CycleError:
            return None

    @property
    def depth(self) -> int:
        """
        Blocks on the longest way from the input: passes after which a model without feedback is exact.

        Raises
        ------
        ValueError
            If there is feedback.
        """
        depths: dict[int, int] = {}
        for block in self._order_or_error():
            depths[block] = 1 + max((depths[read] for read in self.dependencies[[block]].indices), default=0)
        return max(depths.values(), default=0)

    @cached_property
    def feedback(self) -> sparse.csr_array:
        """Entries of A that close a loop: those between blocks of one strongly connected component."""
        n_components, component = sparse.csgraph.connected_components(self.dependencies, connection="strong")
        alone = np.bincount(component, minlength=n_components) == 1
        looped = ~alone[component] | (self.dependencies.diagonal() > 0)
        entries = self.A.tocoo()
        row_block, state_block = self.block_of_row()[entries.row], self.block_of_state()[entries.col]
        closing = looped[row_block] & (component[row_block] == component[state_block])
        picked = (entries.data[closing], (entries.row[closing], entries.col[closing]))
        return sparse.csr_array(picked, shape=self.A.shape)

    def infer(self, inputs: np.ndarray, *, tolerance: float = 1e-12, max_passes: int = 1000) -> Inference:
        """
        Solve for the states by x ← φ(A x + B u), from zero.

        Without feedback, pass n makes the blocks at depth n exact; the iteration ends one pass after `depth`, or before
        that if what is left to change is below the tolerance.

        Parameters
        ----------
        inputs : ndarray, shape (n_windows, *input_shape)
        tolerance : float
            The iteration ends when no state changes by more than this times the largest state (or 1).
        max_passes : int

        Raises
        ------
        NotConvergedError
            If it does not end.
        """
        u = self.with_constant(inputs)
        driven = self.B @ u
        x = np.zeros((self.n_states, u.shape[1]))
        change = np.inf
        for n_passes in range(1, max_passes + 1):
            updated = self.activate(self.A @ x + driven)
            change = float(np.abs(updated - x).max(initial=0.0))
            x = updated
            if change <= tolerance * max(1.0, float(np.abs(x).max(initial=0.0))):
                return self._inference(u, x, n_passes)
            if not np.isfinite(change):
                break
        raise NotConvergedError(
            f"no fixed point after {n_passes} passes: the last one changed a state by {change:.3g}, "
            f"tolerance {tolerance:g}; see is_well_posed, and project(kappa) for a model that is"
        )

    def sweep(self, inputs: np.ndarray) -> Inference:
        """
        Solve for the states block by block, each once, in an order in which everything read is already known.

        Parameters
        ----------
        inputs : ndarray, shape (n_windows, *input_shape)

        Raises
        ------
        ValueError
            If there is feedback.
        """
        u = self.with_constant(inputs)
        x = np.zeros((self.n_states, u.shape[1]))
        for index in self._order_or_error():
            block = self.blocks[index]
            x[block.states] = block.activation(self.A[block.rows] @ x + self.B[block.rows] @ u)
        return self._inference(u, x, 1)

    def activate(self, z: np.ndarray) -> np.ndarray:
        """States φ(z), shape (n_states, n_windows), of pre-activations, shape (n_rows, n_windows)."""
        return np.concatenate([block.activation(z[block.rows]) for block in self.blocks])

    def pre_activations(self, inputs: np.ndarray, states: np.ndarray) -> np.ndarray:
        """Pre-activations z = A x + B u, shape (n_windows, n_rows), of inputs and their states."""
        return np.ascontiguousarray((self.A @ states.T + self.B @ self.with_constant(inputs)).T)

    def is_well_posed(self, kappa: float = 1.0 - 1e-9) -> WellPosedness:
        """
        Test for exactly one fixed point, whatever the input.

        A model without feedback always has one. Otherwise x ← φ(A x + B u) contracts in the maximum norm, component by
        component of the blocks' graph, if L Σ|a| ≤ κ < 1 for each row, with the sum over entries that close a loop and
        L the Lipschitz constant of the row's block. The condition is sufficient, not necessary.

        Parameters
        ----------
        kappa : float
            Below 1.
        """
        require_below_one(kappa)
        if self.order is not None:
            return WellPosedness(True, "triangular", 0.0)
        norm = float((self._lipschitz() * np.abs(self.feedback).sum(axis=1))[self._looped_rows()].max())
        return WellPosedness(True, "contraction", norm) if norm <= kappa else WellPosedness(False, "none", norm)

    def project(self, kappa: float) -> ImplicitModel:
        """
        Nearest model (in the sum of squared changes of A) that satisfies ‖A‖∞ ≤ κ where there is feedback.

        The entries of a row that close a loop are projected on the ℓ₁ ball of radius κ, divided by the Lipschitz
        constant of its block; the rest stays. A model without feedback needs no such limit, and stays as it is.

        Parameters
        ----------
        kappa : float
            Below 1.

        Raises
        ------
        ValueError
            If a block in a loop has no Lipschitz constant.
        """
        require_below_one(kappa)
        lipschitz, looped = self._lipschitz(), self._looped_rows()
        without = looped[~np.isfinite(lipschitz[looped])]
        if len(without):
            block = self.blocks[self.block_of_row()[without[0]]]
            raise ValueError(
                f"{block.name}: {type(block.activation).__name__} has no Lipschitz constant, so that no bound of A "
                "makes a loop through it well-posed; unroll the loop in time"
            )
        projected = project_rows(self.feedback, kappa / lipschitz)
        return dataclasses.replace(self, A=sparse.csr_array(self.A - self.feedback + projected))

    def with_constant(self, inputs: np.ndarray) -> np.ndarray:
        """
        Inputs as columns, and the constant below them.

        Returns
        -------
        ndarray, shape (n_inputs + 1, n_windows)

        Raises
        ------
        ValueError
            If the shape does not fit, or a value is not finite.
        """
        inputs = np.asarray(inputs, dtype=np.float64)
        if inputs.shape[1:] != self.input_shape:
            raise ValueError(f"inputs of shape {inputs.shape}; needed is (n_windows, *{self.input_shape})")
        flat = inputs.reshape(len(inputs), -1)
        broken = np.flatnonzero(~np.isfinite(flat).all(axis=1))
        if len(broken):
            raise ValueError(f"window {broken[0]} holds values that are not finite; leave it out ({len(broken)} such)")
        return np.concatenate([flat.T, np.ones((1, len(inputs)))])

    def _inference(self, u: np.ndarray, x: np.ndarray, n_passes: int) -> Inference:
        outputs = (self.C @ x + self.D @ u).T.reshape(-1, *self.output_shape)
        return Inference(outputs=outputs, states=np.ascontiguousarray(x.T), n_passes=n_passes)

    def _order_or_error(self) -> tuple[int, ...]:
        if self.order is None:
            raise ValueError("the model has feedback: no order of its blocks solves it in one sweep; use infer")
        return self.order

    def _looped_rows(self) -> np.ndarray:
        return np.unique(self.feedback.tocoo().row)

    def _lipschitz(self) -> np.ndarray:
        """Lipschitz constant of the block of each row, infinite where there is none."""
        constants = [block.activation.lipschitz for block in self.blocks]
        return np.array([np.inf if value is None else value for value in constants])[self.block_of_row()]


def require_below_one(kappa: float) -> None:
    """Raise a ValueError for a bound that is none of a contraction."""
    if not 0 < kappa < 1:
        raise ValueError(f"kappa = {kappa:g}; a contraction needs 0 < kappa < 1")
