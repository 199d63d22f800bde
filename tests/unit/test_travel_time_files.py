import os
from pathlib import Path

import numpy as np
import pytest

from pickflow.travel_times.files import nd_text, read_velocity_model, velocity_model
from pickflow.travel_times.layers import VelocityModel, travel_time_s

SHARED = Path(os.environ.get("PICKFLOW_SHARED", Path(__file__).parents[3] / "shared"))
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason=f"real data not found in {SHARED} (PICKFLOW_SHARED)")


@pytest.fixture
def layers():
    return VelocityModel(top_depth_km=[0.0, 2.0, 22.0], vp_km_s=[4.6, 5.8, 6.7], vs_km_s=[2.6, 3.3, 3.8])


def test_constant_layers_survive_a_round_trip_through_nd(layers, tmp_path):
    (tmp_path / "model.nd").write_text(nd_text(layers))
    back = read_velocity_model(tmp_path / "model.nd")
    for name in ("top_depth_km", "vp_km_s", "vs_km_s"):
        np.testing.assert_allclose(getattr(back, name), getattr(layers, name))


def test_a_gradient_becomes_layers_that_take_as_long(tmp_path):
    (tmp_path / "model.nd").write_text("0 5.0 3.0\n20 7.0 4.0\n")
    model = read_velocity_model(tmp_path / "model.nd")
    vertical_s = 20 / 2 * np.log(7 / 5)  # integral of dz / v(z)
    assert travel_time_s(model, "P", 0.0, 20.0) == pytest.approx(vertical_s, rel=1e-4)


def test_one_line_per_layer_is_a_choice_of_the_caller(tmp_path):
    (tmp_path / "model.nd").write_text("0 5.0 3.0\n20 7.0 4.0\n")
    model = read_velocity_model(tmp_path / "model.nd", lines="layers")
    np.testing.assert_allclose(model.vp_km_s, [5.0, 7.0])
    with pytest.raises(ValueError, match="lines 'steps'"):
        read_velocity_model(tmp_path / "model.nd", lines="steps")


@pytest.mark.parametrize("header", ["depth,vp,vs", "depth_km,vp_km_s,vs_km_s", "Depth, VP, VS"])
def test_csv_headers_may_be_written_in_several_ways(tmp_path, header):
    (tmp_path / "model.csv").write_text(f"{header}\n0,5.8,3.3\n20,6.5,3.7\n")
    np.testing.assert_allclose(read_velocity_model(tmp_path / "model.csv").vs_km_s, [3.3, 3.7])


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "depth,vp\n0,5\n", "no column for vs"),
        ("b.csv", "depth,vp,vs\n0,fast,3\n", "line 2: .* a number is missing or none"),
        ("c.nd", "0 fast 3\n", "line 1"),
        ("d.nd", "mantle\n", "no line with"),
        ("e.nd", "10 5 3\n0 6 4\n", "line 2: .* must not decrease"),
        ("f.csv", "depth,vp,vs\n0,5.5,3.1\n5,5.8,\n10,6,3.5\n", "line 3: '5,5.8,' .* missing"),
        ("g.csv", "depth,vp,vs\n0,5.5,3.1\n5,5.8,NaN\n10,6,3.5\n", "line 3: .* missing"),
        ("h.csv", "depth,vp,vs\n0,5.5,3.1\n5,1.5,0\n10,6,3.5\n", "line 3: .* must be positive; water"),
        ("i.nd", "0 5.5 3.1\n5 -5.8 3.3\n10 6 3.5\n", "line 2: .* must be positive"),
        ("j.nd", "0 5500 3100\n", "are these m/s"),
        ("k.nd", "0 3.1 5.5\n", "vp/vs is 0.56"),
        ("l.nd", "0 5.5 0.31\n", "vp/vs is 17.74"),
        ("m.nd", "0 5.5 3.1\n5 5.8\n", "line 2: '5 5.8' .* missing"),
        ("n.csv", "depth,vp,vs\n0,0,5,5,3,1\n", "semicolons"),
        ("o.csv", "\n", "is empty"),
    ],
)
def test_files_that_are_no_model_are_refused_by_name(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        read_velocity_model(tmp_path / name)
    assert name in str(error.value)


@needs_shared
def test_real_models_can_be_read():
    italy = read_velocity_model(SHARED / "data/ogs-2024/velocity_1d.nd")
    assert italy.vp_km_s[0] == pytest.approx(5.85, abs=0.05)
    assert italy.top_depth_km[-1] <= 150
    chile = read_velocity_model(SHARED / "data/pyocto-synthetic/graeber.csv")
    np.testing.assert_allclose(chile.vp_km_s[:3], [6.1, 6.4, 6.5])


@needs_shared
def test_one_line_per_layer_gives_the_times_of_the_italian_bulletin():
    # RSFVG-2024.hpc, event of 2024-01-01 03:50:59, depth 9.27 km: calculated P at DAVO, CARE and MAGA.
    model = read_velocity_model(SHARED / "data/ogs-2024/velocity_1d.nd", lines="layers")
    times = travel_time_s(model, "P", [16.4, 65.5, 124.9], 9.27)
    np.testing.assert_allclose(times, [3.22, 11.32, 21.40], atol=0.02)


def test_the_velocity_model_is_a_file_or_a_half_space(tmp_path):
    (tmp_path / "model.csv").write_text("depth_km,vp_km_s,vs_km_s\n0,5,3\n10,6,3.5\n")
    layers = velocity_model(6.0, 3.4, str(tmp_path / "model.csv"))
    assert list(layers.vp_km_s) == [5.0, 6.0]
    assert list(velocity_model(6.1, 3.4, None).vp_km_s) == [6.1]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.tvel", "local - P\nlocal - S\n0 5.5 3.1 2.7\n10 5.5 3.1 2.7\n10 6 3.5 2.8\n35 6 3.5 2.8\n"),
        ("b.nd", "0 5.5 3.1\n10 5.5 3.1\nmantle\n10 6 3.5\nouter-core\n2891 8 0\ninner-core\n5149 11 3.5\n"),
        ("c.csv", "# a comment\r\ndepth;vp;vs\r\n0,0;5,5;3,1\r\n10,0;6,0;3,5\r\n"),
        ("d.csv", "\ufeffdepth vp vs\n0 5.5 3.1 # top\n10 6 3.5\n"),
        ("q.csv", '"depth","vp","vs"\n"0","5.5","3.1"\n"10","6","3.5"\n'),
        ("e.csv", "depth\tvp\tvs\tname\n0\t5.5\t3.1\tupper\n10\t6\t3.5\t\n"),
    ],
    ids=["titles of tvel", "outer core", "decimal commas", "spaces", "quotes", "tabs"],
)
def test_models_as_people_have_them_are_read(tmp_path, name, text):
    (tmp_path / name).write_bytes(text.encode())
    model = read_velocity_model(tmp_path / name)
    np.testing.assert_allclose(model.top_depth_km, [0.0, 10.0])
    np.testing.assert_allclose(model.vp_km_s, [5.5, 6.0])
    np.testing.assert_allclose(model.vs_km_s, [3.1, 3.5])


def test_a_table_without_its_titles_loses_no_layer(tmp_path):
    (tmp_path / "model.tvel").write_text("0 5.5 3.1\n10 5.5 3.1\n10 6 3.5\n35 6 3.5\n")
    assert read_velocity_model(tmp_path / "model.tvel").vp_km_s.tolist() == [5.5, 6.0]


def test_a_path_is_a_name_and_no_address_or_pattern(tmp_path):
    (tmp_path / "model1.nd").write_text("0 9 5\n")
    (tmp_path / "model[1].nd").write_text("0 5.5 3.1\n")
    assert read_velocity_model(tmp_path / "model[1].nd").vp_km_s.tolist() == [5.5]
    with pytest.raises(OSError, match="No such file"):
        read_velocity_model("http://127.0.0.1:9/model.csv")
