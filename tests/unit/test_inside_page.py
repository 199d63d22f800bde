"""Pictures of what is inside a picker, their page and the command that writes it."""

from __future__ import annotations

import io
import json
import re

import matplotlib.image
import numpy as np
import pandas as pd
import pytest

from pickflow.command_line import main
from pickflow.datasets.reading import open_dataset
from pickflow.inside.images import picture, shorten
from pickflow.inside.network import open_network
from pickflow.inside.run import look_inside
from pickflow.inside.sources import Source
from pickflow.models.loading import load_model
from tests.compress_fixture import BUNDLED
from tests.dataset_fixture import write_labelled_set


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
    first, second = ({path.name: path.read_bytes() for path in sorted(folder.iterdir())} for folder in looks)
    assert first == second
    assert set(first) == {
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


@pytest.fixture
def labelled(tmp_path):
    return write_labelled_set(tmp_path / "small_set")


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
