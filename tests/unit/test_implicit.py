"""The implicit model is the network, and its rows with shared weights are the network's layers."""

import copy
import json
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import seisbench.models as sbm
import torch
from scipy import sparse
from seisbench.models.base import ActivationLSTMCell, CustomLSTM
from seisbench.models.eqtransformer import FeedForward, LayerNormalization, SeqSelfAttention
from torch import nn

from pickflow.implicit import (
    ImplicitModel,
    NotConvergedError,
    UnsupportedLayerError,
    blocks_of,
    fit_states,
    from_network,
    states_of,
)
from pickflow.implicit.activations import AttentionMixture, Elementwise, LayerNorm
from pickflow.implicit.builder import Builder
from pickflow.implicit.recurrent import lstm
from pickflow.models.leqnet import LEQNet
from pickflow.models.network import PickflowNet
from pickflow.safe import GramAccumulator, intercept, lasso_penalty_max, solve_lasso
from tests.layer_regressions import layer_samples, lstm_gates, weights_of

SHARED = Path(os.environ.get("PICKFLOW_SHARED", Path(__file__).parents[3] / "shared"))
TOLERANCE = 1e-10


def original_eqtransformer(kind, n_samples=240):
    """The form of EQTransformer that is only built for 6000 samples; 240 need the same padding and cropping."""
    model = sbm.EQTransformer(original_compatible=kind)
    model.in_samples = n_samples
    return model


def narrower_phasenet():
    """A student: three channels of a skip connection are gone."""
    model = sbm.PhaseNet()
    same, norm, down = nn.Conv1d(8, 5, 7, padding="same"), nn.BatchNorm1d(5), nn.Conv1d(5, 8, 7, 4, padding=3)
    model.down_branch[0] = nn.ModuleList([same, norm, down, model.down_branch[0][3]])
    model.up_branch[3][2] = nn.Conv1d(13, 8, 7, padding="same")
    return model


NETWORKS = {
    "PhaseNet": (lambda: sbm.PhaseNet(), 101),
    "PhaseNet, 4 components, 5 classes": (lambda: sbm.PhaseNet(in_channels=4, classes=5, phases="NPSDX"), 128),
    "PhaseNet, narrower": (narrower_phasenet, 101),
    "VariableLengthPhaseNet": (lambda: sbm.VariableLengthPhaseNet(in_samples=61), 61),
    "VariableLengthPhaseNet, sigmoid": (
        lambda: sbm.VariableLengthPhaseNet(in_samples=40, output_activation="sigmoid"),
        40,
    ),
    "PhaseNetLight": (lambda: sbm.PhaseNetLight(), 185),
    "EQTransformer": (lambda: sbm.EQTransformer(in_samples=128), 128),
    "EQTransformer, odd lengths": (
        lambda: sbm.EQTransformer(in_samples=201, lstm_blocks=1, classes=1, phases="P"),
        201,
    ),
    "EQTransformer, conservative": (lambda: original_eqtransformer("conservative"), 240),
    "EQTransformer, non-conservative": (lambda: original_eqtransformer("non-conservative"), 240),
    "LEQNet": (lambda: LEQNet(in_samples=201), 201),
    "PickflowNet": (lambda: PickflowNet(), 128),
}
WEIGHTS = [
    (sbm.PhaseNet, "original_converted", 128),
    (sbm.PhaseNet, "stead", 101),
    (sbm.PhaseNet, "volpick", 101),
    (sbm.PhaseNetLight, "ethz", 185),
    (sbm.EQTransformer, "original_converted", 240),
    (sbm.EQTransformer, "volpick", 256),
]
LAYERS = {
    "stride, padding, dilation": lambda: [nn.Conv1d(2, 4, 3, stride=2, padding=2, dilation=3), nn.ReLU()],
    "same, even kernel": lambda: [nn.Conv1d(2, 3, 4, padding="same"), nn.Tanh()],
    "valid": lambda: [nn.Conv1d(2, 3, 4, padding="valid", bias=False), nn.Sigmoid()],
    "groups": lambda: [nn.Conv1d(2, 6, 3, padding=1), nn.ReLU(), nn.Conv1d(6, 4, 3, groups=2), nn.Softmax(dim=1)],
    "transposed": lambda: [nn.ConvTranspose1d(2, 3, 7, stride=4, padding=2, output_padding=3, dilation=2), nn.ReLU()],
    "a linear end": lambda: [nn.Conv1d(2, 3, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Conv1d(3, 2, 5, stride=2)],
    "two linear layers": lambda: [nn.Conv1d(2, 3, 3), nn.Conv1d(3, 2, 5), nn.ReLU()],
    "normalisation first": lambda: [nn.BatchNorm1d(2, affine=False), nn.ReLU(), nn.Conv1d(2, 2, 1), nn.Dropout(0.5)],
    "pooling": lambda: [nn.Conv1d(2, 3, 2), nn.MaxPool1d(3), nn.Identity(), nn.MaxPool1d(2, ceil_mode=True)],
    "upsampling": lambda: [nn.Conv1d(2, 2, 3), nn.ReLU(), nn.Upsample(scale_factor=2), nn.Conv1d(2, 2, 5, padding=2)],
    "dense": lambda: [nn.Conv1d(2, 2, 5), nn.ReLU(), nn.Flatten(), nn.Linear(26, 4), nn.Tanh(), nn.Linear(4, 2)],
    "attention": lambda: [nn.Conv1d(2, 3, 3), nn.Sequential(SeqSelfAttention(3, 4)), LayerNormalization(3)],
    "local attention": lambda: [nn.Conv1d(2, 3, 3), SeqSelfAttention(3, 4, 4, eps=0.1), FeedForward(3, 0.1, 5)],
}


def vivid(model):
    """A model whose every parameter is random and matters: torch's own start values let signals fade."""
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, (nn.Conv1d, nn.ConvTranspose1d, nn.Linear)):
            module.weight.data *= 2.0
        elif isinstance(module, (nn.LSTM, ActivationLSTMCell)):
            for parameter in module.parameters():
                parameter.data *= 3.0
        elif isinstance(module, (SeqSelfAttention, LayerNormalization)):
            for parameter in module.parameters():
                nn.init.normal_(parameter, std=0.5)
        elif isinstance(module, nn.BatchNorm1d):
            nn.init.uniform_(module.running_var, 0.3, 1.5)
            nn.init.normal_(module.running_mean, std=0.2)
            if module.affine:
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias, std=0.2)
    return model.eval()


def build(make):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return vivid(make())


def windows_of(implicit, n_windows=4, seed=1):
    return np.random.default_rng(seed).standard_normal((n_windows, *implicit.input_shape))


def outputs_of(model, windows):
    """What the network makes of windows, in float64."""
    model = copy.deepcopy(model).double()
    if isinstance(model, PickflowNet):
        model.prepare = lambda prepared: prepared
    for module in model.modules():
        if isinstance(module, nn.Sequential):
            # SeisBench's attention returns its weights as well.
            for layer in module:
                layer.register_forward_hook(lambda _, __, out: out[0] if isinstance(out, tuple) else out)
    with torch.inference_mode():
        found = model(torch.from_numpy(windows))
    return (torch.stack(found, dim=1) if isinstance(found, tuple) else found).numpy()


def assert_equal_to(model, implicit):
    windows = windows_of(implicit)
    expected = outputs_of(model, windows)
    assert np.ptp(expected, axis=0).max() > 1e-3, "these windows make no difference"
    iterated, swept = implicit.infer(windows), implicit.sweep(windows)
    for found in (iterated, swept):
        assert np.abs(found.outputs.reshape(expected.shape) - expected).max() < TOLERANCE
    assert implicit.is_well_posed().condition == "triangular"
    assert iterated.n_passes <= implicit.depth + 1


@pytest.mark.parametrize("name", NETWORKS)
def test_the_implicit_model_is_the_network(name):
    make, n_samples = NETWORKS[name]
    model = build(make)
    assert_equal_to(model, from_network(model, n_samples))


@pytest.mark.parametrize(("model_class", "weights", "n_samples"), WEIGHTS)
def test_the_implicit_model_is_the_network_with_published_weights(model_class, weights, n_samples):
    folder = SHARED / "seisbench_cache" / "models" / "v3" / model_class.__name__.lower()
    if not folder.is_dir():
        pytest.skip(f"no pretrained weights in {folder}; set PICKFLOW_SHARED")
    arguments = json.loads(next(folder.glob(f"{weights}.json.*")).read_text())["model_args"]
    if weights == "volpick" and model_class is sbm.EQTransformer:
        arguments["in_samples"] = n_samples
    model = model_class(**arguments)
    model.load_state_dict(torch.load(next(folder.glob(f"{weights}.pt.*")), map_location="cpu", weights_only=True))
    if weights == "original_converted":
        model.in_samples = n_samples
    assert_equal_to(model.eval(), from_network(model, n_samples))


@pytest.mark.parametrize("name", LAYERS)
def test_each_layer_has_its_form(name):
    model = build(lambda: nn.Sequential(*LAYERS[name]()))
    assert_equal_to(model, from_network(model, 17))


def test_a_row_of_a_convolution_holds_its_weights_once():
    model = build(lambda: nn.Sequential(nn.Conv1d(3, 4, 5), nn.ReLU(), nn.Conv1d(4, 2, 3), nn.ReLU()))
    implicit = from_network(model, 20)
    rows = implicit.A[implicit.blocks[1].rows]
    for channel in range(2):
        for row in rows[channel * 14 : (channel + 1) * 14]:
            assert sorted(row.data) == sorted(model[2].weight[channel].double().flatten().tolist())


def test_without_feedback_the_iteration_is_exact_after_as_many_passes_as_layers():
    implicit = from_network(build(lambda: sbm.PhaseNet()), 101)
    windows = windows_of(implicit)
    iterated, swept = implicit.infer(windows, tolerance=0.0), implicit.sweep(windows)
    assert iterated.n_passes == implicit.depth + 1 == 20
    assert np.array_equal(iterated.states, swept.states)
    with pytest.raises(NotConvergedError, match="after 18 passes"):
        implicit.infer(windows, tolerance=0.0, max_passes=18)


REFUSED = {
    "2": ("GRU", lambda: [nn.Conv1d(2, 3, 3), nn.ReLU(), nn.GRU(15, 2)]),
    "0": ("Conv1d", lambda: [nn.Conv1d(2, 3, 3, padding_mode="reflect", padding=1)]),
    "1.0": ("MaxPool1d", lambda: [nn.ReLU(), nn.Sequential(nn.MaxPool1d(3, stride=1)), nn.Conv1d(2, 2, 1)]),
    "1": ("Linear", lambda: [nn.Conv1d(2, 3, 3), nn.Linear(15, 2)]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_layer_without_a_form_is_named(name):
    kind, layers = REFUSED[name]
    with pytest.raises(UnsupportedLayerError, match=rf"layer {name} \({kind}\)"):
        from_network(nn.Sequential(*layers()).eval(), 17)


def test_lstms_of_other_forms_are_named():
    model = sbm.EQTransformer(in_samples=128).eval()
    model.pick_lstms[1] = nn.LSTM(16, 16, num_layers=2)
    with pytest.raises(UnsupportedLayerError, match="pick_lstms.1"):
        from_network(model, 128)
    model = original_eqtransformer("conservative").eval()
    model.pick_lstms[0].cell_f.gate_activation = torch.tanh
    with pytest.raises(UnsupportedLayerError, match=r"pick_lstms.0.*tanh"):
        from_network(model, 240)


def test_a_length_that_does_not_fit_is_said():
    with pytest.raises(ValueError, match="PhaseNet does not fit 115 samples"):
        from_network(sbm.PhaseNet().eval(), 115)
    with pytest.raises(ValueError, match="does not fit 200"):
        from_network(sbm.EQTransformer(in_samples=128).eval(), 200)
    with pytest.raises(ValueError, match="too few"):
        from_network(nn.Sequential(nn.Conv1d(2, 2, 9)).eval(), 5)
    with pytest.raises(ValueError, match="training mode"):
        from_network(sbm.PhaseNet().train(), 101)


def test_bad_windows_are_named():
    implicit = from_network(nn.Sequential(nn.Conv1d(2, 2, 3), nn.ReLU()).eval(), 9)
    windows = windows_of(implicit)
    windows[2, 1, 4] = np.nan
    with pytest.raises(ValueError, match="window 2"):
        implicit.infer(windows)
    with pytest.raises(ValueError, match=r"needed is \(n_windows, \*\(2, 9\)\)"):
        implicit.sweep(windows[:, :, 1:])


def loop(A, functions=("tanh",), n_inputs=2, seed=0):
    """A model with feedback: dense A, as many blocks of equal size as functions."""
    generator = np.random.default_rng(seed)
    n_states = len(A)
    size = n_states // len(functions)
    return ImplicitModel(
        A=sparse.csr_array(A),
        B=sparse.csr_array(generator.standard_normal((n_states, n_inputs + 1))),
        C=sparse.csr_array(generator.standard_normal((3, n_states))),
        D=sparse.csr_array(generator.standard_normal((3, n_inputs + 1))),
        blocks=blocks_of((function, Elementwise(function, size)) for function in functions),
        input_shape=(n_inputs,),
        output_shape=(3,),
        fixed_rows=np.zeros(n_states, dtype=bool),
    )


def test_a_loop_is_well_posed_only_below_one():
    A = np.random.default_rng(0).standard_normal((8, 8))
    A /= np.abs(A).sum(axis=1).max()
    model = loop(0.9 * A)
    assert model.is_well_posed(0.95).condition == "contraction"
    assert model.is_well_posed(0.95).norm == pytest.approx(0.9)
    assert not model.is_well_posed(0.8)
    # The sigmoid is four times as flat.
    assert loop(3.6 * A, ("sigmoid",)).is_well_posed(0.95)
    assert not loop(3.6 * A).is_well_posed(0.95)
    with pytest.raises(ValueError, match="kappa = 1"):
        model.is_well_posed(1.0)


def test_only_entries_that_close_a_loop_are_limited():
    A = np.zeros((6, 6))
    A[:2, 2:4], A[2:4, :2], A[4:, :4] = 0.4, 0.4, 9.0
    model = loop(A, ("tanh", "tanh", "relu"))
    assert model.order is None
    assert model.is_well_posed(0.9).norm == pytest.approx(0.8)
    projected = model.project(0.5)
    assert np.array_equal(projected.A[4:].toarray(), A[4:])
    assert projected.is_well_posed(0.5).norm == pytest.approx(0.5)
    assert np.allclose(projected.A[:2, 2:4].toarray(), 0.25)


def test_blocks_in_any_order_are_still_triangular():
    A = np.zeros((6, 6))
    A[:2, 4:], A[4:, 2:4] = 30.0, 20.0
    model = loop(A, ("identity", "tanh", "relu"))
    assert model.order == (1, 2, 0)
    assert (model.depth, model.is_well_posed().condition) == (3, "triangular")
    windows = np.random.default_rng(0).standard_normal((5, 2))
    swept = model.sweep(windows)
    assert np.array_equal(swept.states, model.infer(windows).states)
    assert np.array_equal(model.project(0.1).A.toarray(), A)
    assert np.linalg.matrix_power(np.abs(A), 3).max() == 0 < np.linalg.matrix_power(np.abs(A), 2).max()


def test_what_does_not_converge_is_said_and_projection_helps():
    A = 3.0 * np.random.default_rng(1).standard_normal((8, 8))
    model = loop(A, ("relu",))
    windows = np.random.default_rng(2).standard_normal((5, 2))
    with pytest.raises(NotConvergedError, match=r"passes: the last one changed a state by"):
        model.infer(windows)
    with pytest.raises(ValueError, match="use infer"):
        model.sweep(windows)
    projected = model.project(0.7)
    found = projected.infer(windows)
    u = projected.with_constant(windows)
    residual = projected.activate(projected.A @ found.states.T + projected.B @ u) - found.states.T
    assert np.abs(residual).max() < 1e-11
    assert np.abs(found.states).max() > 0.1


def test_a_loop_through_a_block_without_a_bound_is_refused():
    model = loop(np.eye(4))
    block = LayerNorm(np.ones(4), np.zeros(4), 1, 1e-5)
    broken = ImplicitModel(**{**vars_of(model), "blocks": blocks_of([("norm1", block)])})
    assert broken.is_well_posed().norm == np.inf
    with pytest.raises(ValueError, match="norm1: LayerNorm has no Lipschitz constant"):
        broken.project(0.5)


def vars_of(model):
    names = ("A", "B", "C", "D", "blocks", "input_shape", "output_shape", "fixed_rows")
    return {name: getattr(model, name) for name in names}


def test_shapes_that_do_not_fit_are_said():
    with pytest.raises(ValueError, match=r"B has shape \(4, 2\)"):
        ImplicitModel(**{**vars_of(loop(np.eye(4))), "B": sparse.csr_array((4, 2))})


def small_net(seed=3):
    torch.manual_seed(seed)
    return build(lambda: nn.Sequential(nn.Conv1d(2, 3, 3), nn.ReLU(), nn.Conv1d(3, 2, 3, stride=2), nn.Tanh()))


def test_rows_fitted_to_states_are_the_teachers_rows():
    implicit = from_network(small_net(), 12)
    states = states_of(implicit, windows_of(implicit, 400))
    assert np.allclose(implicit.activate(states.pre_activations.T).T, states.states, atol=1e-14)
    fitted = fit_states(implicit, states, 1e-9)
    for name in ("A", "B"):
        assert np.abs(getattr(fitted, name) - getattr(implicit, name)).max() < 1e-6
    wide = fit_states(implicit, states, 1e-3, pattern="earlier")
    assert np.abs(wide.sweep(states.inputs).outputs - states.outputs).max() < 1e-3


def test_the_penalty_removes_weights_and_at_last_all_of_them():
    implicit = from_network(small_net(), 12)
    states = states_of(implicit, windows_of(implicit, 300))
    counts = []
    for penalty in (1.0, 30.0, 100.0, 1e4):
        fitted = fit_states(implicit, states, penalty)
        counts.append(fitted.A.nnz + (fitted.B[:, :-1] != 0).sum())
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[2] > counts[3] == 0
    # What is left is the intercept: the mean of the teacher's pre-activations.
    assert np.allclose(fitted.B[:, [-1]].toarray()[:, 0], states.pre_activations.mean(axis=0))


def test_sequential_rows_make_up_for_the_rows_before():
    implicit = from_network(small_net(), 12)
    states = states_of(implicit, windows_of(implicit, 400))
    penalty = np.where(implicit.block_of_row() == 0, 120.0, 1e-6)
    errors = []
    for sequential in (False, True):
        student = fit_states(implicit, states, penalty, sequential=sequential)
        last = student.pre_activations(states.inputs, student.sweep(states.inputs).states)[:, student.blocks[1].rows]
        errors.append(np.square(last - states.pre_activations[:, implicit.blocks[1].rows]).mean())
    assert errors[1] < 0.9 * errors[0]


def test_rows_can_be_solved_side_by_side():
    implicit = from_network(small_net(), 12)
    states = states_of(implicit, windows_of(implicit, 100))
    with ThreadPoolExecutor(2) as pool:
        parallel = fit_states(implicit, states, 5.0, row_map=pool.map)
    serial = fit_states(implicit, states, 5.0)
    assert np.array_equal(parallel.A.toarray(), serial.A.toarray())
    assert np.array_equal(parallel.B.toarray(), serial.B.toarray())


def test_fixed_rows_stay():
    model = build(lambda: nn.Sequential(nn.Conv1d(2, 3, 3), nn.ReLU(), nn.MaxPool1d(2), nn.Conv1d(3, 2, 3), nn.Tanh()))
    implicit = from_network(model, 14)
    fitted = fit_states(implicit, states_of(implicit, windows_of(implicit, 100)), 1e6)
    assert [bool(implicit.fixed_rows[block.rows].all()) for block in implicit.blocks] == [False, True, False]
    pooling = implicit.blocks[1].rows
    assert np.array_equal(fitted.A[pooling].toarray(), implicit.A[pooling].toarray())
    assert fitted.A[implicit.blocks[2].rows].nnz == 0


def test_the_energies_of_attention_have_weights_and_its_values_none():
    implicit = from_network(build(lambda: nn.Sequential(*LAYERS["attention"]())), 6)
    mixture = next(block for block in implicit.blocks if isinstance(block.activation, AttentionMixture))
    assert implicit.fixed_rows[mixture.rows].tolist() == 16 * [False] + 12 * [True]


def test_too_few_windows_for_a_row_are_counted():
    implicit = from_network(small_net(), 12)
    states = states_of(implicit, windows_of(implicit, 6))
    with pytest.raises(ValueError, match=r"0, row 0: 6 weights .* more than 6 calibration windows, there are 6"):
        fit_states(implicit, states, 1.0)


def test_rows_in_a_loop_keep_within_kappa():
    generator = np.random.default_rng(5)
    A = generator.standard_normal((6, 6))
    teacher = loop(0.95 * A / np.abs(A).sum(axis=1, keepdims=True))
    states = states_of(teacher, generator.standard_normal((300, 2)))
    fitted = fit_states(teacher, states, 1e-6, kappa=0.5)
    norms = np.abs(fitted.A).sum(axis=1)
    assert norms.max() <= 0.5 * (1 + 1e-9)
    assert norms.max() > 0.499
    assert fitted.infer(states.inputs).n_passes > 2
    free = fit_states(teacher, states, 1e-6, kappa=0.99)
    assert np.abs(free.infer(states.inputs).outputs - states.outputs).max() < 1e-5
    with pytest.raises(ValueError, match="kappa is None"):
        fit_states(teacher, states, 1.0)


# The layer form: one problem with all positions as samples is the literal one with rows that share their weights.


def literal_moments(make_implicit, parameters, rows_of, states, values):
    """
    Gram of the literal rows of one output when they share the weights in ``parameters``.

    Setting one weight to 1 and the others to 0 shows where in [A, B] it stands: its place in every row.
    """
    maps = []
    for parameter, flat in parameters:
        parameter.data.flatten()[flat] = 1.0
        maps.append(sparse.hstack([(moved := make_implicit()).A, moved.B[:, :-1]], format="csr"))
        parameter.data.flatten()[flat] = 0.0
    rows = rows_of(maps[0])
    full = GramAccumulator()
    for row in rows:
        places = sparse.vstack([one[[row]] for one in maps], format="csr")
        full.add((places @ values.T).T, states.pre_activations[:, [row]])
    return full.result()


def assert_same_problem(layer_gram, literal_gram):
    """Same objective for any weights, and the same solution for a small, a middle and a large penalty."""
    for name in ("gram", "cross", "square"):
        literal, own = getattr(literal_gram, name), getattr(layer_gram, name)
        assert np.abs(literal - own).max() <= 1e-10 * max(1.0, np.abs(literal).max())
    for ratio in (0.02, 0.3, 0.95):
        penalty = ratio * lasso_penalty_max(layer_gram)
        found = solve_lasso(layer_gram, penalty, tolerance=1e-14).coefficients
        expected = solve_lasso(literal_gram, penalty, tolerance=1e-14).coefficients
        assert np.abs(found - expected).max() < 1e-8
        assert np.abs(intercept(layer_gram, found) - intercept(literal_gram, expected)).max() < 1e-8
    assert 0 < np.count_nonzero(expected) < expected.size


def gram_of(problem, target):
    accumulator = GramAccumulator()
    accumulator.add(problem.features, problem.targets[:, [target]])
    return accumulator.result()


def values_of(implicit, states):
    return np.concatenate([states.states, states.inputs.reshape(len(states.inputs), -1)], axis=1)


CONVOLUTIONS = {
    "plain": lambda: nn.Conv1d(3, 2, 3),
    "stride, padding, dilation": lambda: nn.Conv1d(3, 2, 3, stride=2, padding=3, dilation=2),
    "same, even kernel": lambda: nn.Conv1d(3, 2, 4, padding="same"),
    "groups": lambda: nn.Conv1d(3, 6, 3, groups=3, padding=1),
    "transposed": lambda: nn.ConvTranspose1d(3, 2, 7, stride=4, padding=1, output_padding=2),
    "transposed, shorter than its stride": lambda: nn.ConvTranspose1d(3, 2, 2, stride=3),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_the_layer_form_is_the_literal_one_with_shared_weights(name):
    layer = CONVOLUTIONS[name]()
    model = build(lambda: nn.Sequential(nn.Conv1d(2, 3, 3), nn.ReLU(), layer, nn.Tanh()))
    implicit = from_network(model, 12)
    states = states_of(implicit, windows_of(implicit, 60))
    values, block = values_of(implicit, states), implicit.blocks[1]
    x = states.states[:, implicit.blocks[0].states].reshape(60, 3, -1)
    targets = states.pre_activations[:, block.rows].reshape(60, layer.out_channels, -1)
    n_made = targets.shape[2]
    problems = layer_samples(layer, x, targets)
    n_outputs = problems[0].targets.shape[1]
    layer.weight.data.zero_()
    layer.bias.data.zero_()
    for index, problem in enumerate(problems):
        channel, phase = (index * n_outputs, 0) if isinstance(layer, nn.Conv1d) else (0, index)
        step = 1 if isinstance(layer, nn.Conv1d) else layer.stride[0]
        rows = range(block.first_row + channel * n_made + phase, block.first_row + (channel + 1) * n_made, step)
        places = [(layer.weight, flat) for flat in problem.places["weight"][:, 0]]
        if not places:
            assert problem.features.shape[1] == 0
            continue
        literal = literal_moments(lambda: from_network(model, 12), places, lambda _, rows=rows: rows, states, values)
        own = gram_of(problem, 0)
        assert_same_problem(own, literal)


@pytest.mark.parametrize("kind", ["LSTM", "hard sigmoids"])
def test_the_gates_of_an_lstm_are_the_literal_rows_with_shared_weights(kind):
    torch.manual_seed(0)
    layer = nn.LSTM(3, 2, bidirectional=True) if kind == "LSTM" else CustomLSTM(ActivationLSTMCell, 3, 2)
    n_samples = 5

    def make_implicit():
        builder = Builder(3, n_samples, {})
        return builder.model(lstm(builder, builder.input, layer))

    implicit = make_implicit()
    windows = windows_of(implicit, 60)
    expected = copy.deepcopy(layer).double()(torch.from_numpy(windows).permute(2, 0, 1))[0].permute(1, 2, 0)
    assert np.abs(implicit.sweep(windows).outputs - expected.detach().numpy()).max() < TOLERANCE
    assert implicit.fixed_rows.tolist() == (8 * [False] + 2 * [True]) * 2 * n_samples
    states = states_of(implicit, windows)
    gates = lstm_gates(layer, windows)
    problems = layer_samples(layer, windows, gates)
    for direction, problem in enumerate(problems):
        blocks = implicit.blocks[direction * n_samples : (direction + 1) * n_samples]
        ordered = blocks if direction == 0 else blocks[::-1]
        for gate in (0, 5):
            rows = [block.first_row + gate for block in ordered]
            seen = gates[:, direction * 8 + gate]
            assert np.abs(states.pre_activations[:, rows] - seen).max() < TOLERANCE
            zeros = copy.deepcopy(layer)
            for parameter in zeros.parameters():
                parameter.data.zero_()
            own = gram_of(problem, gate)
            places = [
                (zeros.get_parameter(name), place[gate]) for name, places in problem.places.items() for place in places
            ]
            literal = literal_lstm(zeros, places, rows, states, values_of(implicit, states), n_samples)
            assert_same_problem(own, literal)


def literal_lstm(layer, places, rows, states, values, n_samples):
    def make_implicit():
        builder = Builder(3, n_samples, {})
        return builder.model(lstm(builder, builder.input, layer))

    return literal_moments(make_implicit, places, lambda _: rows, states, values)


@pytest.mark.parametrize("make", [*CONVOLUTIONS.values(), lambda: nn.Linear(3, 5), lambda: nn.LSTM(3, 2)])
def test_regression_without_a_penalty_gives_the_layer_back(make):
    torch.manual_seed(0)
    layer = make().double()
    inputs = np.random.default_rng(0).standard_normal((80, 7, 3) if isinstance(layer, nn.Linear) else (80, 3, 7))
    with torch.no_grad():
        made = None if isinstance(layer, nn.LSTM) else layer(torch.from_numpy(inputs)).numpy()
    targets = lstm_gates(layer, inputs) if made is None else made
    problems = layer_samples(layer, inputs, targets)
    solved = []
    for problem in problems:
        design = np.concatenate([problem.features, np.ones((len(problem.features), 1))], axis=1)
        solved.append(np.linalg.lstsq(design, problem.targets, rcond=None)[0][:-1])
    for name, weight in weights_of(layer, problems, solved).items():
        assert np.abs(weight - layer.get_parameter(name).detach().numpy()).max() < 1e-10


def test_targets_of_another_shape_are_said():
    with pytest.raises(ValueError, match=r"targets of shape \(2, 4, 7\); these inputs make \(2, 4, 5\)"):
        layer_samples(nn.Conv1d(3, 4, 3), np.zeros((2, 3, 7)), np.zeros((2, 4, 7)))
    with pytest.raises(UnsupportedLayerError, match="GRU"):
        layer_samples(nn.GRU(3, 4), np.zeros((2, 3, 7)), np.zeros((2, 12, 7)))
