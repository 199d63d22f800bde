"""Looking inside pickers: what is recorded is what happens, shares add up, and silence is silence."""

from __future__ import annotations

import copy
import io
import json
import re
from importlib import resources
from pathlib import Path

import h5py
import matplotlib.image
import numpy as np
import pandas as pd
import pytest
import seisbench.models
import torch
from hypothesis import given
from hypothesis import strategies as st

from pickflow.command_line import main
from pickflow.compress.channels import narrowed_state, wiring_of
from pickflow.datasets.reading import open_dataset
from pickflow.inside.attribution import N_SEGMENTS, attribute, measure, shapley_values
from pickflow.inside.comparison import rank_correlations, read_compression, with_compression, with_variants
from pickflow.inside.images import picture, shorten
from pickflow.inside.network import open_network
from pickflow.inside.parts import parts_of
from pickflow.inside.recording import record
from pickflow.inside.run import look_inside
from pickflow.inside.sensitivity import sensitivity
from pickflow.inside.silencing import Part, Place, Silencer
from pickflow.inside.sources import Source, choose_windows, run_windows
from pickflow.inside.windows import labelled_windows, named_windows, synthetic_windows
from pickflow.io.tables import read_table
from pickflow.models.cards import read_card
from pickflow.models.loading import build, load_model
from pickflow.models.narrowing import resize_to
from pickflow.schemas import EVENTS
from tests.compress_fixture import picker
from tests.viewer_fixture import CATALOG, write_run

BUNDLED = Path(str(resources.files("pickflow.models"))) / "bundled"
ATTENTIVE = ["EQTransformer", "EQTransformer-conservative"]
NAMES = ["PhaseNet", "PhaseNetLight", "PickflowNet", *ATTENTIVE]


def look(name, n_events=1, n_noise=1):
    """An untrained picker, its windows and what it reads of them."""
    network = open_network(picker(name))
    windows = synthetic_windows(n_events, n_noise, network.model.in_samples)
    return network, windows, network.inputs(windows)


def part_named(network, name):
    return next(part for part in parts_of(network) if part.name == name)


def changes(silencer, part):
    """Largest change of the probability in each window, of each phase."""
    return np.abs(silencer.without(part) - silencer.whole).max(axis=2)


# What is looked at


def test_synthetic_windows_are_the_same_every_time_and_hold_their_arrivals():
    first, again = (synthetic_windows(4, 2, 3001, seed=5) for _ in range(2))
    assert [window.name for window in first] == [window.name for window in again]
    for one, other in zip(first, again, strict=True):
        assert np.array_equal(one.samples, other.samples)
    for window in first[:4]:
        assert 0 < window.picks["P"] < window.picks["S"] < 3001
    assert not any(window.picks for window in first[4:])
    assert np.array_equal(synthetic_windows(1, 0, 3001, seed=5)[0].samples, first[0].samples)
    assert not np.array_equal(synthetic_windows(1, 0, 3001, seed=6)[0].samples, first[0].samples)


@pytest.fixture
def labelled(tmp_path):
    """A set of two events, the second with P alone, and one trace of noise."""
    folder = tmp_path / "small_set"
    folder.mkdir()
    rng = np.random.default_rng(0)
    with h5py.File(folder / "waveforms.hdf5", "w") as file:
        file["data_format/sampling_rate"], file["data_format/component_order"] = 100.0, "ENZ"
        for name in ("first", "second", "quiet"):
            file[f"data/{name}"] = rng.normal(size=(3, 9000))
    pd.DataFrame(
        {
            "trace_name": ["first", "second", "quiet"],
            "station_network_code": "XA",
            "station_code": ["A", "B", "C"],
            "trace_p_arrival_sample": [4000, 100, np.nan],
            "trace_s_arrival_sample": [4300, np.nan, np.nan],
        }
    ).to_csv(folder / "metadata.csv", index=False)
    return folder


def test_windows_of_a_set_are_cut_around_the_arrivals(labelled):
    first, second, quiet = labelled_windows(open_dataset(labelled), 2, 1, 3001)
    with h5py.File(labelled / "waveforms.hdf5") as file:
        vertical = file["data/first"][2]
    assert first.picks["S"] - first.picks["P"] == 300
    begin = 4000 - round(first.picks["P"])
    assert np.corrcoef(first.samples[0], vertical[begin : begin + 3001])[0, 1] > 0.999
    assert second.picks == {"P": 100}
    assert (quiet.kind, quiet.picks) == ("noise", {})


def test_noise_that_a_set_lacks_comes_from_the_generator_and_the_sentence_says_so(labelled):
    choice = choose_windows(Source(data=open_dataset(labelled)), 3001, 9)
    assert sum(window.name.startswith("synthetic noise") for window in choice.trials) == 2
    assert "Noise that it lacks" in choice.sentence


def test_a_trace_that_is_not_in_the_set_is_named_with_the_nearest_one(labelled):
    dataset = open_dataset(labelled)
    assert [window.name for window in named_windows(dataset, ["quiet", "first"], 3001)] == ["quiet", "first"]
    with pytest.raises(ValueError, match=r"'fist' is not in .*small_set, which has 3; did you mean 'first'\?"):
        named_windows(dataset, ["fist"], 3001)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("inside") / "friuli")


def test_windows_of_a_run_are_those_of_the_event_first_and_noise(results):
    events = read_table(results / "catalog" / CATALOG / "catalog.parquet", EVENTS).sort_values("time")
    for event in events.event_id[:2]:
        windows = run_windows(Source(results=results, event=event), 3, 2, 3001)
        assert [window.kind for window in windows] == ["event"] * 3 + ["noise"] * 2
        assert windows[0].name.endswith(event)
        for window in windows[:3]:
            assert all(0 <= at < 3001 for at in window.picks.values())
        power = windows[0].samples.astype(float).std(axis=0)
        first = round(min(windows[0].picks.values()))
        assert power[first : first + 200].mean() > power[: first - 50].mean()
    choice = choose_windows(Source(results=results), 3001, 9)
    assert (len(choice.examples), len(choice.trials)) == (4, 9)
    assert "Windows of the run friuli; the picks of its catalog count as truth" in choice.sentence


def test_an_event_that_a_run_does_not_have_is_named(results):
    with pytest.raises(ValueError, match="the most similar name is"):
        run_windows(Source(results=results, event="x0123"), 1, 0, 3001)
    with pytest.raises(ValueError, match="catalog 'none/x' is not in"):
        run_windows(Source(results=results, catalog="none/x"), 1, 0, 3001)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (lambda: seisbench.models.GPD(), "GPD cannot be looked into: it gives one point for a window"),
        (lambda: seisbench.models.CRED(), "CRED cannot be looked into: its labels are Detection, with neither P nor S"),
        (lambda: seisbench.models.DKPN(), "DKPN cannot be looked into: its components are ZNEIM"),
        (lambda: seisbench.models.PhaseNet(sampling_rate=50), "PhaseNet cannot be looked into: it takes 50 Hz"),
    ],
)
def test_a_picker_that_cannot_be_looked_into_is_named(model, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        open_network(model())


# The map


def test_the_map_of_phasenet_has_its_skips_and_the_normalisation_behind_each_convolution():
    network = open_network(picker("PhaseNet"))
    layers = {layer.key: layer for layer in network.layers}
    assert layers["inc"].sources == ()
    assert layers["inc"].norm == "in_bn"
    assert layers["inc"].rectified
    assert set(layers["up_branch.3.2"].sources) == {"up_branch.3.0", "down_branch.0.0"}
    assert all(layer.labels == ("N", "P", "S") or layer.labels == tuple("NPS") for layer in network.layers)


def test_each_branch_of_eqtransformer_is_of_its_own_label():
    network = open_network(picker("EQTransformer"))
    labels = {layer.key: layer.labels for layer in network.layers}
    assert labels["encoder.convs.0"] == ("Detection", "P", "S")
    assert labels["decoder_d.convs.3"] == ("Detection",)
    assert labels["pick_attentions.0"] == ("P",)
    assert labels["pick_decoders.1.convs.0"] == ("S",)


def test_a_layer_that_is_used_again_is_on_the_map_again():
    keys = [layer.key for layer in open_network(build("LEQNet")).layers]
    assert len(keys) == len(set(keys))
    assert any(key.endswith(" (2)") for key in keys)


# What layers make of a window


@pytest.mark.parametrize("name", NAMES)
def test_feature_maps_are_what_the_next_layer_reads(name):
    network, _, inputs = look(name)
    features = record(network, inputs).features
    assert list(features) == [layer.key for layer in network.layers]
    for layer in network.layers:
        assert features[layer.key].shape[0] == len(inputs)
        assert not layer.rectified or features[layer.key].min() >= 0
    first = network.layers[0]
    if name == "PhaseNet":
        model = network.model
        with torch.no_grad():
            expected = torch.relu(model.in_bn(model.inc(inputs))).numpy()
        np.testing.assert_allclose(features[first.key], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ATTENTIVE)
def test_attention_weights_make_the_output_and_their_rows_add_up_to_one(name):
    network, _, inputs = look(name)
    recording = record(network, inputs)
    keys = ["transformer_d0.attention", "transformer_d.attention", "pick_attentions.0", "pick_attentions.1"]
    assert list(recording.attention) == keys
    before = {layer.key: layer.sources for layer in network.layers}
    for key in keys:
        weights = recording.attention[key]
        np.testing.assert_allclose(weights.sum(axis=2), 1.0, atol=1e-4)  # epsilon of the layer: 1e-5
        assert weights.min() >= 0
    # The branches read a recurrence, as it is: weights times its states are the output.
    for key in keys[2:]:
        (source,) = before[key]
        states = recording.features[source].transpose(0, 2, 1)
        output = recording.attention[key] @ states
        np.testing.assert_allclose(recording.features[key], output.transpose(0, 2, 1), rtol=1e-4, atol=1e-5)
        reach = np.abs(np.subtract.outer(*[np.arange(states.shape[1])] * 2))
        assert not recording.attention[key][:, reach > 1].any()


# Silence


@pytest.mark.parametrize("name", NAMES)
def test_without_its_first_layer_a_picker_says_something_else_everywhere(name):
    network, _, inputs = look(name)
    silencer = Silencer(network, inputs)
    assert changes(silencer, part_named(network, network.layers[0].name)).min() > 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_silent_channels_are_those_of_a_network_that_does_not_have_them(name):
    """Of each set of channels, the narrower network of the compression says the same."""
    network, _, inputs = look(name)
    silencer, wiring = Silencer(network, inputs), wiring_of(network.model)
    parts = {part.layer: part for part in parts_of(network) if part.kind == "channels"}
    sets = [one for one in wiring.sets if one.name in parts]  # the others are of detections alone
    effects = []
    for one in sets[:: max(len(sets) // 6, 1)]:
        part = parts[one.name]
        kept = {one.name: np.setdiff1d(np.arange(one.n_channels), part.channels)}
        narrow = copy.deepcopy(network.model)
        resize_to(narrow, narrowed_state(network.model, wiring, kept))
        output = narrow(inputs)
        output = torch.stack(output, dim=1) if isinstance(output, tuple) else output
        expected = output[:, list(network.rows)].detach().numpy()
        np.testing.assert_allclose(silencer.without(part), expected, atol=2e-5)
        effects.append(np.abs(expected - silencer.whole).max())
    assert np.median(effects) > 1e-4


@pytest.mark.parametrize("name", ATTENTIVE)
def test_a_silent_state_is_read_by_nobody(name):
    network, _, inputs = look(name)
    silencer = Silencer(network, inputs)
    part = next(part for part in parts_of(network) if part.kind == "states" and part.layer == "pick_lstms.0")
    deaf = copy.deepcopy(network.model)
    matrix = next(value for key, value in deaf.pick_lstms[0].named_parameters() if "weight_hh" in key)
    matrix.data[:, list(part.channels)] = 0
    attention = deaf.pick_attentions[0]
    attention.register_forward_pre_hook(
        lambda module, given: (given[0].index_fill(1, torch.tensor(part.channels), 0.0),)
    )
    with torch.no_grad():
        expected = torch.stack(deaf(inputs), dim=1)[:, list(network.rows)].numpy()
    np.testing.assert_allclose(silencer.without(part), expected, atol=1e-6)
    before = network.model.state_dict()
    assert all(torch.equal(value, before[key]) for key, value in picker(name).state_dict().items())


def test_a_silent_residual_block_is_passed_by():
    network, _, inputs = look("EQTransformer")
    part = part_named(network, "res_cnn_stack.members.3")
    assert part.kind == "block"
    passed = copy.deepcopy(network.model)
    passed.res_cnn_stack.members[3] = torch.nn.Identity()
    with torch.no_grad():
        expected = torch.stack(passed(inputs), dim=1)[:, list(network.rows)].numpy()
    np.testing.assert_allclose(Silencer(network, inputs).without(part), expected, atol=1e-6)


def test_what_is_behind_one_phase_does_not_change_the_other():
    network, _, inputs = look("EQTransformer")
    change = changes(Silencer(network, inputs), part_named(network, "pick_attentions.0"))
    assert change[:, 0].min() > 1e-4
    assert not change[:, 1].any()


@pytest.mark.parametrize(
    "name", ["GRU", "2LSTM", "Vanilla", "LEQNet", "OBSTransformer", "BasicPhaseAE", "VariableLengthPhaseNet"]
)
def test_a_part_of_each_kind_of_any_picker_can_be_silenced(name):
    torch.manual_seed(0)
    network = open_network(build(name))
    inputs = network.inputs(synthetic_windows(1, 0, network.model.in_samples))
    silencer = Silencer(network, inputs)
    first_of_kind = {part.kind: part for part in reversed(parts_of(network))}
    recurrent = any(layer.kind in ("LSTM", "GRU") for layer in network.layers)
    attentive = any(layer.kind == "SeqSelfAttention" for layer in network.layers)
    assert {"component", "layer", "channels"} <= set(first_of_kind)
    assert ("states" in first_of_kind, "attention" in first_of_kind) == (recurrent, attentive)
    for kind, part in first_of_kind.items():
        curves = silencer.without(part)
        assert np.isfinite(curves).all()
        assert kind not in ("component", "layer") or np.abs(curves - silencer.whole).max() > 0
    assert set(record(network, inputs).features) == {layer.key for layer in network.layers}


def test_silencing_leaves_no_trace():
    network, _, inputs = look("EQTransformer")
    before = network.probabilities(inputs)
    silencer = Silencer(network, inputs)
    for part in parts_of(network)[::17]:
        silencer.without(part)
    assert np.array_equal(network.probabilities(inputs), before)
    assert np.array_equal(silencer.without(Part(name="", kind="nothing", layer="")), before)


def test_a_network_that_overwrites_what_its_layers_gave_is_silenced_all_the_same():
    class Overwriting(seisbench.models.PhaseNetLight):
        def forward(self, x, logits=False):
            first = self.inc(x)
            first += 1.0
            return super().forward(x + first[:, :3, : x.shape[2]], logits=logits)

    torch.manual_seed(0)
    network = open_network(Overwriting())
    inputs = network.inputs(synthetic_windows(1, 1, network.model.in_samples))
    silencer = Silencer(network, inputs)
    assert np.array_equal(silencer.whole, network.probabilities(inputs))
    part = Part(name="component Z", kind="component", layer="", zeros=(Place(module="", channels=(0,)),))
    silent = inputs.clone()
    silent[:, 0] = 0
    assert np.array_equal(silencer.without(part), network.probabilities(silent))


def test_a_dead_channel_is_not_missed_and_a_living_one_is():
    model = picker("PhaseNetLight")
    norm = open_network(model).layers[0].norm
    for parameter in (model.get_submodule(norm).weight, model.get_submodule(norm).bias):
        parameter.data[3] = 0
    network = open_network(model)
    table = sensitivity(network, synthetic_windows(1, 1, model.in_samples)).set_index("part")
    name = network.layers[0].name
    assert table.loc[f"{name} channels 3", ["p_change", "s_change"]].eq(0).all()
    assert table.loc[f"{name} channels 2", ["p_change", "s_change"]].gt(0).all()
    assert table.iloc[0].kind == "nothing"


def test_the_bundled_picker_needs_its_vertical_component_for_p():
    network = open_network(load_model(BUNDLED))
    table = sensitivity(network, synthetic_windows(6, 2, network.model.in_samples)).set_index("part")
    whole = table.iloc[0]
    assert whole.p_f1 > 0.7
    assert table.loc["component Z", "p_at_arrival"] < whole.p_at_arrival - 0.05
    assert table.loc[network.layers[0].name, ["p_f1", "s_f1"]].eq(0).all()


# Shares


@given(st.lists(st.floats(-10, 10), min_size=8, max_size=8))
def test_shapley_values_add_up_to_the_whole_without_nothing(values):
    shares = shapley_values(np.array(values))
    assert shares.sum() == pytest.approx(values[-1] - values[0], abs=1e-9)


def test_shapley_values_of_games_that_are_known():
    assert shapley_values(np.array([0, 0, 0, 0, 0, 0, 0, 1.0])) == pytest.approx([1 / 3] * 3)  # all are needed
    assert shapley_values(np.array([0, 1, 0, 1, 0, 1, 0, 1.0])) == pytest.approx([1, 0, 0])  # the first alone counts
    # The glove game of Shapley: one left glove, two right ones.
    assert shapley_values(np.array([0, 0, 0, 1, 0, 1, 0, 1.0])) == pytest.approx([2 / 3, 1 / 6, 1 / 6])


@pytest.mark.parametrize("name", ["PhaseNet", "PickflowNet"])
def test_shares_of_components_and_of_samples_add_up_for_networks_that_scale_windows_or_not(name):
    network, windows, inputs = look(name)
    for window, one in zip(windows, inputs, strict=True):
        curves = network.probabilities(torch.stack([one, torch.zeros_like(one)]))
        for row, share in enumerate(attribute(network, window, one)):
            whole, nothing = (measure(network, window, share.phase, curve[row]) for curve in curves)
            assert share.probability.sum() == pytest.approx(whole[0] - nothing[0], abs=1e-5)
            assert share.segments.shape == (N_SEGMENTS,)
            assert share.segments.sum() == pytest.approx(whole[0] - nothing[0], abs=1e-5)
            if window.picks:
                assert share.time_error_s.sum() == pytest.approx(whole[1] - nothing[1], abs=1e-5)


def test_a_component_that_is_absent_has_no_share():
    network, windows, _ = look("PhaseNet")
    windows[0].samples[1] = 0
    inputs = network.inputs(windows[:1])
    for share in attribute(network, windows[0], inputs[0]):
        assert share.probability[1] == 0
        assert np.abs(share.probability[[0, 2]]).max() > 0


# What others left out


@pytest.fixture
def student(tmp_path):
    """A certificate that drops two of the first channels of the bundled picker."""
    network = open_network(load_model(BUNDLED))
    one = wiring_of(network.model).sets[0]
    card = json.loads((BUNDLED / "card.json").read_text())
    card |= {"weights": "bundled-safe-s50", "parent": card["sha256"]}
    (tmp_path / "card.json").write_text(json.dumps(card))
    kept = [number for number in range(one.n_channels) if number not in (1, 4)]
    layer = {"channels": {one.name: one.n_channels}, "kept": {one.name: kept}}
    layer["stays_up_to"] = {one.name: [number / 100 for number in range(one.n_channels)]}
    (tmp_path / "certificate.json").write_text(json.dumps({"layers": [layer]}))
    return tmp_path, one


def test_channels_that_a_student_lacks_are_marked_and_ranks_are_compared(student):
    folder, one = student
    compression = read_compression(folder, read_card(BUNDLED))
    rows = [("channels", one.name, str(number), 0.9 - number / 100, number / 100) for number in range(one.n_channels)]
    table = pd.DataFrame(
        [("nothing", "", "", 0.0, 0.0), ("layer", one.name, "", 1.0, 1.0), *rows],
        columns=["kind", "layer", "channels", "p_change", "s_change"],
    )
    marked = with_compression(table, compression)
    assert marked[marked.safe_dropped == 1].channels.tolist() == ["1", "4"]
    assert marked.safe_dropped[1] == pytest.approx(2 / one.n_channels)
    assert np.isnan(marked.safe_dropped[0])
    (row,) = rank_correlations(marked).to_dict("records")
    assert (row["p_rank_correlation"], row["s_rank_correlation"]) == (pytest.approx(-1), pytest.approx(1))


def test_a_student_of_another_picker_is_refused(student):
    folder, _ = student
    with pytest.raises(ValueError, match="a student of another picker than PhaseNet/original"):
        read_compression(folder, {"sha256": "0" * 64, "model": "PhaseNet", "weights": "original"})


def test_the_variants_that_lack_a_part_of_eqtransformer_are_named():
    model = build("EQT")
    parts = [part for part in parts_of(open_network(model)) if part.kind in ("block", "layer", "direction")]
    table = pd.DataFrame(
        [(one.name, one.kind, one.layer, "") for one in parts], columns=["part", "kind", "layer", "channels"]
    )
    lacking = with_variants(table, model).drop_duplicates("part").set_index("part").variants_without
    assert lacking["pick_lstms.0"] == "Genesis, Vanilla"
    assert lacking["res_cnn_stack"] == "PartialVanilla, Vanilla"
    assert lacking["bi_lstm_stack.members.0.lstm"] == "BC, PartialVanilla, Salvation, Vanilla"
    assert "BCLOS" in lacking["bi_lstm_stack.members.0.lstm backward"]
    assert lacking["encoder.convs.0"] == ""


# Pictures, the page and the command


def test_a_picture_has_a_pixel_for_each_number_and_grey_for_none():
    values = np.array([[0.0, 1.0, np.nan], [0.5, 2.0, -1.0]])
    image = picture(values, 1.0, signed=False)
    assert image.startswith("data:image/png;base64,")
    pixels = matplotlib.image.imread(io.BytesIO(__import__("base64").b64decode(image.partition(",")[2])))
    colours = matplotlib.colormaps["viridis"]
    assert pixels.shape[:2] == (2, 3)
    assert pixels[0, 0, :3] == pytest.approx(colours(0.0)[:3], abs=0.01)
    assert pixels[0, 1, :3] == pytest.approx(colours(1.0)[:3], abs=0.01)
    assert np.array_equal(pixels[0, 1], pixels[1, 1])
    assert pixels[0, 2, :3] * 255 == pytest.approx([125, 135, 144], abs=0.5)


def test_shortened_maps_keep_what_stands_out():
    values = np.zeros((2, 1000))
    values[0, 501], values[1, 777] = 3.0, -4.0
    short = shorten(values, 40)
    assert short.shape == (2, 40)
    assert (short.max(), short.min()) == (3.0, -4.0)
    assert np.array_equal(shorten(values[:, :30], 40), values[:, :30])


@pytest.fixture(scope="module")
def looks(tmp_path_factory):
    """The same look, twice."""
    folders = [tmp_path_factory.mktemp("look") for _ in range(2)]
    for folder in folders:
        look_inside(BUNDLED, folder, n_windows=3)
    return folders


def test_the_same_input_gives_the_same_bytes(looks):
    one, other = ({path.name: path.read_bytes() for path in sorted(folder.iterdir())} for folder in looks)
    assert one == other
    assert set(one) == {
        "inside.html", "attributions.csv", "attributions.parquet", "sensitivities.csv", "sensitivities.parquet",
    }  # fmt: skip


def test_the_page_asks_nothing_of_any_network_and_holds_every_layer(looks):
    page = (looks[0] / "inside.html").read_text()
    assert not re.search(r"src=\"(?!data:|\$\{)|href=|<link|@import|url\(|fetch\(|XMLHttpRequest", page)
    assert len(page) < 10e6
    content = json.loads(re.search(r"const LOOK = (.*);\n", page)[1])
    network = open_network(load_model(BUNDLED))
    assert [layer["key"] for layer in content["layers"]] == [layer.key for layer in network.layers]
    assert [window["kind"] for window in content["windows"]] == ["event"] * 2 + ["noise"] * 2
    assert all(len(layer["features"]["pictures"]) == 4 for layer in content["layers"])
    assert all(layer["filters"] for layer in content["layers"])
    assert len(content["sensitivity"]) == len(pd.read_csv(looks[0] / "sensitivities.csv"))


def test_names_of_traces_are_not_read_as_html(labelled, tmp_path):
    metadata = pd.read_csv(labelled / "metadata.csv")
    hostile = "</script><img src=x onerror=alert(1)>"
    metadata.assign(trace_name_original=[hostile, "b", "c"]).to_csv(labelled / "metadata.csv", index=False)
    look_inside(BUNDLED, tmp_path / "out", Source(data=open_dataset(labelled)), n_windows=0)
    page = (tmp_path / "out" / "inside.html").read_text()
    assert "<img src=x" not in page
    assert hostile in json.loads(re.search(r"const LOOK = (.*);\n", page)[1])["windows"][0]["name"]


def test_the_command_says_what_it_wrote(tmp_path, capsys):
    out = str(tmp_path / "look")
    assert main(["inside", "PickflowNet/bundled", "--no-sensitivity", "--out", out]) == 0
    assert capsys.readouterr().out.strip() == f"{out}/inside.html"
    assert not (tmp_path / "look" / "sensitivities.csv").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--trace", "a"], "--trace names traces of a set: give it with --data"),
        (["--event", "a"], "--event and --catalog are of a run"),
        (["--run", "nowhere"], "run nowhere: there is no folder"),
    ],
)
def test_options_that_do_not_go_together_are_named(options, words, capsys):
    assert main(["inside", "PickflowNet/bundled", *options]) == 2
    assert words in capsys.readouterr().err
