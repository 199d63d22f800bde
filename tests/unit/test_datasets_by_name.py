"""Data sets by name, from a repository on loopback."""

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from pickflow.datasets.sources import dataset_by_name, known_names
from pickflow.datasets.synthetic import write_stand_in
from pickflow.models.seisbench_internals import data_set_folder
from tests.dataset_fixture import noise_row, row, wave, write_set
from tests.loopback import running


class Repository(SimpleHTTPRequestHandler):
    """Serves a folder, and notes what was asked for."""

    requests: ClassVar[list] = []

    def do_GET(self):
        self.requests.append(self.path.rsplit("/", 1)[-1])
        super().do_GET()

    def log_message(self, *args):
        pass


@pytest.fixture
def cache(tmp_path, monkeypatch):
    import seisbench

    monkeypatch.setattr(seisbench, "cache_data_root", tmp_path / "cache")
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache"


@pytest.fixture
def repository(tmp_path, monkeypatch, cache):
    import seisbench

    folder = tmp_path / "repository"
    for chunk in ("_1", "_2", "_3"):
        write_set(folder / "ethz", [row(f"r{chunk}")], [wave(0)], chunk=chunk)
    (folder / "ethz" / "chunks").write_text("_1\n_2\n_3\n")
    monkeypatch.setattr(Repository, "requests", [])
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Repository, directory=folder))
    monkeypatch.setattr(seisbench, "remote_data_root", f"http://127.0.0.1:{server.server_port}/")
    with running(server):
        yield folder


def test_only_the_chunks_that_are_needed_are_downloaded_and_only_once(repository, cache):
    dataset = dataset_by_name("ethz", chunks=["_2"])
    assert (dataset.name, dataset.table.name.tolist()) == ("ETHZ", ["r_2"])
    assert sorted(Repository.requests) == ["chunks", "metadata_2.csv", "waveforms_2.hdf5"]
    assert not list((cache / "ethz").glob("*_1*"))
    Repository.requests.clear()
    assert len(dataset_by_name("ETHZ", chunks=["_2"])) == 1
    assert Repository.requests == []
    assert len(dataset_by_name("ETHZ")) == 3


def test_a_chunk_that_a_set_lacks_is_named(repository):
    with pytest.raises(ValueError, match="it has no chunk '_7'; its chunks are '_1', '_2', '_3'"):
        dataset_by_name("ETHZ", chunks=["_7"])


def test_without_internet_the_message_says_where_the_set_should_lie(cache, monkeypatch):
    import seisbench

    monkeypatch.setattr(seisbench, "remote_data_root", "http://127.0.0.1:9/")
    with pytest.raises(
        ValueError, match=r"data set STEAD: it is not in .*stead, and .* Without internet, copy the folder"
    ):
        dataset_by_name("STEAD")


@pytest.mark.parametrize(("name", "hint"), [("STAED", "STEAD"), ("ethzz", "ETHZ"), ("STEADmicor", "STEADmicro")])
def test_a_mistyped_name_gets_the_nearest_one(name, hint):
    with pytest.raises(ValueError, match=f"did you mean '{hint}'\\?"):
        dataset_by_name(name)


def test_a_name_like_no_other_gets_them_all_and_a_path_is_called_a_folder():
    with pytest.raises(ValueError, match="known: .*STEAD.*a folder is written with its path"):
        dataset_by_name("qqqqqqqq")
    with pytest.raises(ValueError, match="/data/nothing: there is no such folder"):
        dataset_by_name("/data/nothing")
    assert {"STEAD", "ETHZ", "INSTANCE", "InstanceNoise", "STEADmini", "merged"} <= set(known_names())
    assert not {"WaveformBenchmarkDataset", "DummyDataset"} & set(known_names())


def test_a_folder_is_opened_by_its_path(tmp_path):
    folder = write_set(tmp_path / "mine", [row("a"), noise_row("b")], [wave(0), wave(1)])
    assert dataset_by_name(str(folder)).name == "mine"


def test_earthquakes_and_noise_that_seisbench_keeps_apart_are_one_set(cache):
    write_set(cache / "instancecounts", [row("a")], [wave(0)])
    write_set(cache / "instancenoise", [noise_row("b")], [wave(1)])
    dataset = dataset_by_name("instance")
    assert dataset.table.kind.tolist() == ["event", "noise"]
    assert [record.name for record in dataset.read()] == ["a", "b"]


def test_a_subset_is_drawn_from_stead_when_it_is_asked_for_first(cache):
    write_stand_in(cache / "stead", 40, 10)
    micro = dataset_by_name("STEADmini")
    assert micro.table.kind.value_counts().to_dict() == {"event": 4, "noise": 1}
    (cache / "stead" / "metadata.csv").unlink()
    assert dataset_by_name("steadmini").table.equals(micro.table)


def test_seisbench_keeps_its_sets_where_we_look(cache):
    import seisbench.data

    assert data_set_folder(seisbench.data.STEAD) == cache / "stead"
