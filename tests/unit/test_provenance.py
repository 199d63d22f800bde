from pathlib import Path

import pickflow
from pickflow.provenance import ENDINGS, code_digest

FOLDER = Path(pickflow.__file__).parent


def test_every_file_of_the_library_counts_but_what_is_compiled_of_it():
    files = [path for path in FOLDER.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert {path.suffix[1:] for path in files} - {"so"} == set(ENDINGS)


def test_other_weights_are_another_code(monkeypatch, tmp_path):
    (tmp_path / "models").mkdir()
    weights = tmp_path / "models" / "model.safetensors"
    monkeypatch.setattr("pickflow.provenance.__file__", str(tmp_path / "provenance.py"))
    digests = []
    for content in (b"one", b"other"):
        weights.write_bytes(content)
        code_digest.cache_clear()
        digests.append(code_digest())
    code_digest.cache_clear()
    assert digests[0] != digests[1]
