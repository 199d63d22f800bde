import base64
import functools
import http.server
import json
import threading
from pathlib import Path

import pytest
import seisbench.models
import torch

from pickflow import weights
from pickflow.models.cards import read_card
from pickflow.models.loading import load_model
from pickflow.train.reading import read_teacher
from pickflow.weights import fetch_weights
from tests.raw_server import endless, raw, response


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A SeisBench cache with two versions of one set of weights."""
    folder = tmp_path_factory.mktemp("cache")
    place = folder / "models" / "v3" / "phasenet"
    place.mkdir(parents=True)
    for version in ("2", "10"):
        torch.manual_seed(int(version))
        model = seisbench.models.PhaseNet(norm="peak", phases="PSN")
        model.save(place / "mine", f"version {version}", version_str=version)
        metadata = place / f"mine.json.v{version}"
        content = json.loads(metadata.read_text()) | {"version": version, "default_args": {"P_threshold": 0.37}}
        metadata.write_text(json.dumps(content))
    return folder


def test_the_newest_version_in_the_cache_becomes_a_model_with_a_card(cache, tmp_path):
    card = fetch_weights("PhaseNet", "mine", tmp_path, str(cache), None, {})
    assert card["weights_version"] == "10"
    assert card["labels"] == ["P", "S", "N"]
    assert card["sampling_rate_hz"] == 100
    model = load_model(tmp_path)
    torch.manual_seed(10)
    expected = seisbench.models.PhaseNet(norm="peak", phases="PSN")
    window = torch.randn(1, 3, 3001)
    with torch.no_grad():
        torch.testing.assert_close(model(window), expected.eval()(window))
    assert model.default_args["P_threshold"] == 0.37
    assert model.norm == "peak"


def test_the_same_weights_give_the_same_bytes(cache, tmp_path):
    for name in ("one", "two"):
        fetch_weights("PhaseNet", "mine", tmp_path / name, str(cache), None, {})
    for file in ("model.safetensors", "card.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_damaged_tensors_are_refused(cache, tmp_path):
    fetch_weights("PhaseNet", "mine", tmp_path, str(cache), None, {})
    tensors = tmp_path / "model.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:-1] + b"\x00\x01")
    with pytest.raises(ValueError, match="sha256"):
        load_model(tmp_path)


def test_a_pickle_that_runs_code_is_refused(tmp_path):
    class Danger:
        def __reduce__(self):
            return Path.touch, (tmp_path / "executed",)

    torch.save({"weight": Danger()}, tmp_path / "bad.pt")
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(ValueError, match="not the weights of a PhaseNet"):
        fetch_weights("PhaseNet", "bad", tmp_path / "out", None, None, {"PhaseNet/bad": str(tmp_path / "bad")})
    assert not (tmp_path / "executed").exists()


def test_weights_of_another_model_are_named(cache, tmp_path):
    pair = str(cache / "models" / "v3" / "phasenet" / "mine")
    for ending in ("pt", "json"):
        Path(f"{pair}.{ending}").write_bytes(Path(f"{pair}.{ending}.v2").read_bytes())
    with pytest.raises(ValueError, match="not the weights of a EQTransformer"):
        fetch_weights("EQTransformer", "x", tmp_path, None, None, {"EQTransformer/x": pair})
    for ending in ("pt", "json"):
        Path(f"{pair}.{ending}").unlink()


def test_a_folder_of_ours_can_be_given_as_a_file(cache, tmp_path):
    fetch_weights("PhaseNet", "mine", tmp_path / "one", str(cache), None, {})
    card = fetch_weights("PhaseNet", "copy", tmp_path / "two", None, None, {"PhaseNet/copy": str(tmp_path / "one")})
    assert card["weights"] == "copy"
    with pytest.raises(ValueError, match="holds a PhaseNet, not a GPD"):
        fetch_weights("GPD", "copy", tmp_path / "three", None, None, {"GPD/copy": str(tmp_path / "one")})


def test_weights_that_nobody_has_name_the_places_searched(cache, tmp_path, monkeypatch):
    monkeypatch.setattr(seisbench, "remote_model_root", "http://127.0.0.1:9/models/v3/")
    with pytest.raises(ValueError, match=r"weights PhaseNet/gone: not in the cache .* weights_all"):
        fetch_weights("PhaseNet", "gone", tmp_path, str(cache), None, {})


class Repository(http.server.SimpleHTTPRequestHandler):
    """The part of a SeisBench repository that is asked: files and a WebDAV listing."""

    def do_PROPFIND(self):
        folder = Path(self.translate_path(self.path))
        paths = [f"{self.path}/", *(f"{self.path}/{path.name}" for path in folder.iterdir())]
        hrefs = "".join(f"<d:response><d:href>{path}</d:href></d:response>" for path in paths)
        body = f'<?xml version="1.0"?><d:multistatus xmlns:d="DAV:">{hrefs}</d:multistatus>'.encode()
        self.send_response(207)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """Serve a cache as a SeisBench repository, with an empty cache before it; gives its address."""
    monkeypatch.setattr(seisbench, "cache_root", tmp_path / "cache")
    monkeypatch.setattr(seisbench, "cache_model_root", tmp_path / "cache" / "models" / "v3")
    for name in ("remote_root", "remote_model_root", "remote_data_root"):
        monkeypatch.setattr(seisbench, name, getattr(seisbench, name))
    servers = []

    def serve(folder):
        handler = functools.partial(Repository, directory=str(folder))
        servers.append(http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield serve
    for server in servers:
        server.shutdown()


def test_weights_come_from_a_repository_by_name(cache, tmp_path, repository):
    card = fetch_weights("PhaseNet", "mine", tmp_path / "out", None, repository(cache), {})
    assert card["weights_version"] == "10"
    assert read_card(tmp_path / "out")["sha256"] == card["sha256"]


@pytest.fixture
def saved_on_gpu(tmp_path, monkeypatch):
    """A cache whose tensors say, as those that a GPU saved do, that they lie on ``cuda:0``."""
    place = tmp_path / "gpu" / "models" / "v3" / "phasenet"
    place.mkdir(parents=True)
    torch.manual_seed(10)
    with monkeypatch.context() as saving:
        saving.setattr(torch.serialization, "location_tag", lambda storage: "cuda:0")
        seisbench.models.PhaseNet(norm="peak", phases="PSN").save(place / "mine", "saved on a GPU", version_str="1")
    if not torch.cuda.is_available():
        with pytest.raises(RuntimeError, match="CUDA"):
            torch.load(place / "mine.pt.v1", weights_only=True)
    return tmp_path / "gpu"


def test_weights_saved_on_a_gpu_load_on_a_cpu(saved_on_gpu, tmp_path, repository):
    from_cache = fetch_weights("PhaseNet", "mine", tmp_path / "one", str(saved_on_gpu), None, {})
    from_server = fetch_weights("PhaseNet", "mine", tmp_path / "two", None, repository(saved_on_gpu), {})
    assert from_cache["sha256"] == from_server["sha256"]
    torch.manual_seed(10)
    expected = seisbench.models.PhaseNet(norm="peak", phases="PSN").state_dict()
    torch.testing.assert_close(load_model(tmp_path / "two").state_dict(), expected, rtol=0, atol=0)
    teacher = read_teacher(saved_on_gpu, "PhaseNet", "mine")
    torch.testing.assert_close(teacher.state_dict(), expected, rtol=0, atol=0)


def test_a_repository_with_a_password_gets_it_at_its_own_address_only(cache, tmp_path, repository, monkeypatch):
    monkeypatch.setenv("MY_WORD", "secret-word")
    requests = []
    monkeypatch.setattr(Repository, "end_headers", lambda handler: _remember(handler, requests))
    account = {"user": "me", "password_env": "MY_WORD"}
    fetch_weights("PhaseNet", "mine", tmp_path / "out", None, repository(cache), {}, **account)
    assert requests == ["Basic " + base64.b64encode(b"me:secret-word").decode()] * 3
    with pytest.raises(ValueError, match="https only"):
        fetch_weights("PhaseNet", "other", tmp_path, None, "http://example.invalid", {}, **account)
    monkeypatch.delenv("MY_WORD")
    with pytest.raises(ValueError, match="is not set"):
        fetch_weights("PhaseNet", "other", tmp_path, None, "https://example.invalid", {}, **account)


def _remember(handler, authorizations):
    authorizations.append(handler.headers["Authorization"])
    http.server.SimpleHTTPRequestHandler.end_headers(handler)


LISTING = response(207, b'<d:m xmlns:d="DAV:"><d:href>/x/bad.json.v1</d:href><d:href>/x/bad.pt.v1</d:href></d:m>')


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (endless(b"HTTP/1.1 207 x\r\n\r\n"), "more than"),
        (response(207, b"<html>"), "no XML"),
        (response(207, b'<!DOCTYPE x [<!ENTITY y "z">]><x>&y;</x>'), "document type"),
        (response(207, b"<x/>"), "no files bad.pt and bad.json"),
        (
            lambda request: iter([LISTING if request.command == "PROPFIND" else response(200, b"<html>")]),
            "not the weig",
        ),
        (response(302, Location="file:///etc/passwd"), "no web address"),
        (response(401, WWW_Authenticate="Basic"), "HTTP 401"),
    ],
    ids=["endless", "HTML", "document type", "no versions", "no weights", "redirect", "refused"],
)
def test_a_repository_that_sends_anything_else_leaves_nothing_behind(answer, reason, tmp_path, repository, monkeypatch):
    monkeypatch.setattr(weights, "_LIMITS", weights._LIMITS._replace(max_bytes=1_000_000))
    with raw(answer) as server, pytest.raises(ValueError, match=reason):
        fetch_weights("PhaseNet", "bad", tmp_path / "out", None, server.url, {})
    assert not (tmp_path / "cache" / "models").exists()


@pytest.mark.parametrize("picker", ["PhaseNet/../x", "PhaseNet/..", "nowhere", "../PhaseNet/stead", "PhaseNet/"])
def test_names_of_a_picker_never_become_another_path(picker, monkeypatch):
    monkeypatch.setattr(weights, "_fetch", lambda *_: pytest.fail("it was looked for"))
    with pytest.raises(ValueError, match="write MODEL/WEIGHTS"), weights.model_folder(picker, None):
        pass
