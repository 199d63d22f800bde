"""What students and variants lack, beside what a picker does without its parts."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from pickflow.compress.channels import wiring_of
from pickflow.inside.comparison import rank_correlations, read_compression, with_compression, with_variants
from pickflow.inside.network import open_network
from pickflow.inside.parts import parts_of
from pickflow.models.cards import read_card
from pickflow.models.loading import build, load_model
from tests.compress_fixture import BUNDLED


@pytest.fixture
def student(tmp_path):
    """A certificate that drops two of the first channels of the bundled picker."""
    network = open_network(load_model(BUNDLED))
    channel_set = wiring_of(network.model).sets[0]
    card = json.loads((BUNDLED / "card.json").read_text())
    card |= {"weights": "bundled-safe-s50", "parent": card["sha256"]}
    (tmp_path / "card.json").write_text(json.dumps(card))
    channels = [number for number in range(channel_set.n_channels) if number not in (1, 4)]
    layer = {"channels": {channel_set.name: channel_set.n_channels}, "kept": {channel_set.name: channels}}
    layer["stays_up_to"] = {channel_set.name: [number / 100 for number in range(channel_set.n_channels)]}
    (tmp_path / "certificate.json").write_text(json.dumps({"layers": [layer]}))
    return tmp_path, channel_set


def test_channels_that_a_student_lacks_are_marked_and_ranks_are_compared(student):
    folder, channel_set = student
    compression = read_compression(folder, read_card(BUNDLED))
    rows = [
        ("channels", channel_set.name, str(number), 0.9 - number / 100, number / 100)
        for number in range(channel_set.n_channels)
    ]
    table = pd.DataFrame(
        [("nothing", "", "", 0.0, 0.0), ("layer", channel_set.name, "", 1.0, 1.0), *rows],
        columns=["kind", "layer", "channels", "p_change", "s_change"],
    )
    marked = with_compression(table, compression)
    assert marked[marked.safe_dropped == 1].channels.tolist() == ["1", "4"]
    assert marked.safe_dropped[1] == pytest.approx(2 / channel_set.n_channels)
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
        [(part.name, part.kind, part.layer, "") for part in parts],
        columns=["part", "kind", "layer", "channels"],
    )
    lacking = with_variants(table, model).drop_duplicates("part").set_index("part").variants_without
    assert lacking["pick_lstms.0"] == "Genesis, Vanilla"
    assert lacking["res_cnn_stack"] == "PartialVanilla, Vanilla"
    assert lacking["bi_lstm_stack.members.0.lstm"] == "BC, PartialVanilla, Salvation, Vanilla"
    assert "BCLOS" in lacking["bi_lstm_stack.members.0.lstm backward"]
    assert lacking["encoder.convs.0"] == ""
