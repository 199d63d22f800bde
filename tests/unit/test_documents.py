"""JSON that the product reads back: what is none is named."""

from __future__ import annotations

import json

import pytest

from pickflow.command_line.estimate import measured_picking
from pickflow.io.atomic import StorageError
from pickflow.io.documents import read_json
from pickflow.run.outcome import outcome_text

NO_OBJECTS = [
    b"", b"[]", b"null", b"3", b'"x"', b"{", b"{]", b'{"a": NaN}', b'{"a": Infinity}', b"\xff\xfe{\x00}\x00",
    b"[" * 100_000, b'{"a":' * 100_000, b"\0", b"9" * 5000,
]  # fmt: skip


@pytest.mark.parametrize("content", NO_OBJECTS, ids=lambda content: repr(content[:12]))
def test_what_is_no_object_is_named(content, tmp_path):
    path = tmp_path / "summary.json"
    path.write_bytes(content)
    for read in (lambda: read_json(path), lambda: outcome_text(tmp_path)):
        with pytest.raises(StorageError, match=r"summary\.json: .*start the same command again") as refusal:
            read()
        assert len(str(refusal.value)) < 500


def test_a_folder_and_a_file_that_is_not_there_are_told_apart(tmp_path):
    with pytest.raises(StorageError, match="cannot|not JSON"):
        read_json(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "none.json")


@pytest.mark.parametrize(
    "change",
    [
        {"ledger": []},
        {"ledger": {"no_such_reason": 3}},
        {"catalogs": [1]},
        {"catalogs": [{}]},
        {"catalogs": None},
        {"catalogs": [{"model": "x", "weights": "y", "associator": "z", "signal": "none", "n_events": 1}]},
    ],
)
def test_a_summary_of_another_version_is_named(change, tmp_path):
    content = {"station_days": 1, "ledger": {"ok": 1}, "catalogs": []}
    (tmp_path / "summary.json").write_text(json.dumps(content))
    assert "Station-days 1: 1 ok" in outcome_text(tmp_path)
    (tmp_path / "summary.json").write_text(json.dumps(content | change))
    with pytest.raises(ValueError, match=r"summary\.json: not a summary of this version"):
        outcome_text(tmp_path)


@pytest.mark.parametrize("content", ['{"cpu_s": "x", "full_station_days": 1}', '{"cpu_s": 1}', "[]", '{"cpu_s": -1}'])
def test_a_timing_that_is_none_is_named(content, tmp_path):
    path = tmp_path / "logs" / "pick" / "day.timing.json"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(ValueError, match=r"day\.timing\.json: "):
        measured_picking(str(tmp_path))
