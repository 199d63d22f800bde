"""Models on disk: what is no card, and what are no tensors, is named."""

from __future__ import annotations

import hashlib
import json
import shutil
import struct
from importlib import resources
from pathlib import Path

import pytest
import safetensors.torch
import torch

from pickflow.models.cards import read_card, read_state, write_card
from pickflow.models.loading import load_model
from pickflow.weights import fetch_weights

BUNDLED = Path(str(resources.files("pickflow.models"))) / "bundled" / "PickflowNet"
CARD = json.loads((BUNDLED / "card.json").read_text())
DIGEST = "0" * 64


def model_folder(folder, card: bytes | None = None, tensors: bytes | None = None):
    """The bundled model with another card or other tensors, whose digest the card has."""
    shutil.copytree(BUNDLED, folder)
    if tensors is not None:
        (folder / "model.safetensors").write_bytes(tensors)
        card = json.dumps(CARD | {"sha256": hashlib.sha256(tensors).hexdigest()}).encode()
    if card is not None:
        (folder / "card.json").write_bytes(card)
    return folder


@pytest.mark.parametrize(
    "card",
    [
        b"", b"[]", b"null", b"5", b"1e999", b'"card"', b"{}", b"{", b"[" * 100_000, b'{"a":' * 5000,
        b"\xff\xfe{\x00}\x00",
        b"\xef\xbb\xbf{}", b'{"model": NaN}', b"9" * 10_000, json.dumps([CARD]).encode(),
    ],
    ids=repr,
)  # fmt: skip
def test_what_is_no_card_is_named(card, tmp_path):
    folder = model_folder(tmp_path / "model", card)
    for read in (read_card, read_state, load_model):
        with pytest.raises(ValueError, match=r"model/card\.json: ") as refusal:
            read(folder)
        assert len(str(refusal.value)) < 600


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"model": 5}, "model"),
        ({"model": None}, "model"),
        ({"model_args": []}, "model_args"),
        ({"model_args": {"in_samples": 10**12}}, "model_args.in_samples"),
        ({"model_args": {"channels": [10**9] * 4}}, r"model_args.channels"),
        ({"model_args": {"deep": [[[["x" * 20_000]]]]}}, "model_args.deep"),
        ({"default_args": "x"}, "default_args"),
        ({"default_args": {"P_threshold": "high"}}, "default_args.P_threshold"),
        ({"default_args": {"P_threshold": -3}}, "default_args.P_threshold"),
        ({"sha256": 1}, "sha256"),
        ({"sha256": DIGEST + "\n"}, "sha256"),
        ({"sampling_rate_hz": 0}, "sampling_rate_hz"),
        ({"compression": 3}, "compression"),
        ({"quantised": [1]}, "quantised"),
        ({"quantised": {"file": "/etc/passwd", "sha256": DIGEST}}, "quantised.file"),
        ({"quantised": {"file": "../model.onnx", "sha256": DIGEST}}, "quantised.file"),
        ({"quantised": {"file": "model.onnx\n", "sha256": DIGEST}}, "quantised.file"),
        ({"time_uncertainty": {"phases": {"P": {"uncertainty_s": []}}}}, "time_uncertainty.phases.P"),
    ],
)
def test_a_card_of_wrong_values_is_named_with_its_key(change, key, tmp_path):
    folder = model_folder(tmp_path / "model", json.dumps(CARD | change).encode())
    with pytest.raises(ValueError, match=rf"card\.json: key {key}"):
        load_model(folder)


@pytest.mark.parametrize("key", ["model", "model_args", "default_args", "sha256"])
def test_a_card_without_what_is_needed_is_named(key, tmp_path):
    card = {name: value for name, value in CARD.items() if name != key}
    folder = model_folder(tmp_path / "model", json.dumps(card).encode())
    with pytest.raises(ValueError, match=rf"card\.json: .*'{key}' is a required property"):
        load_model(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"model": "WaveformModel"},
        {"model_args": {"unknown": 1}},
        {"model_args": {"channels": 3}},
        {"model_args": {"in_samples": 5}},
        {"model_args": {"phases": None}},
        {"model": "../PickflowNet"},
        {"model": "__builtins__"},
    ],
)
def test_a_class_that_does_not_take_the_card_is_named(change, tmp_path):
    folder = model_folder(tmp_path / "model", json.dumps(CARD | change).encode())
    with pytest.raises(ValueError, match="model"):
        load_model(folder)


GOOD = (BUNDLED / "model.safetensors").read_bytes()
HEADER = b'{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}}'


@pytest.mark.parametrize(
    "tensors",
    [
        b"", b"x", GOOD[:-100], GOOD + b"x", GOOD[100:], struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 10) + b"x" * 10,
        struct.pack("<Q", len(HEADER)) + HEADER + b"1234", b"\x80\x04N.", b"PK\x03\x04" + b"\0" * 40,
        safetensors.torch.save({"other": torch.zeros(3)}),
        safetensors.torch.save({name: tensor.flatten()[:0] for name, tensor in safetensors.torch.load(GOOD).items()}),
    ],
    ids=lambda tensors: repr(tensors[:12]),
)  # fmt: skip
def test_what_are_no_tensors_of_the_model_is_named(tensors, tmp_path):
    with pytest.raises(ValueError, match=r"model.*tensors"):
        load_model(model_folder(tmp_path / "model", tensors=tensors))


def test_a_model_without_tensors_is_named(tmp_path):
    folder = model_folder(tmp_path / "model")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"model\.safetensors: cannot be read"):
        load_model(folder)


@pytest.mark.parametrize("weights", ["", ".", "..", "../x", "/etc/x", "a/b", "-x", ".x", "x\n", "*", "[a]", "x" * 300])
def test_weights_whose_name_could_lie_anywhere_are_refused(weights, tmp_path):
    with pytest.raises(ValueError, match="is not a name"):
        fetch_weights("PickflowNet", weights, tmp_path, None, None, {})


@pytest.mark.parametrize(
    "metadata",
    [
        b"",
        b"[]",
        b"null",
        b"[" * 100_000,
        b'{"model_args": []}',
        b'{"model_args": {"in_samples": 1e12}}',
        b'{"default_args": 1}',
    ],
)
def test_metadata_of_seisbench_that_are_none_are_named(metadata, tmp_path):
    torch.save({}, tmp_path / "mine.pt")
    (tmp_path / "mine.json").write_bytes(metadata)
    with pytest.raises(ValueError, match=r"mine\.pt: not the weights of a PhaseNet .*mine\.json: "):
        fetch_weights("PhaseNet", "mine", tmp_path / "out", None, None, {"PhaseNet/mine": str(tmp_path / "mine")})
    assert not (tmp_path / "out").exists()


def test_a_set_in_a_card_has_an_order(tmp_path):
    names = [f"station{number:02d}" for number in range(30)]
    write_card(tmp_path, {"stations": set(names)})
    assert json.loads((tmp_path / "card.json").read_text()) == {"stations": names}
