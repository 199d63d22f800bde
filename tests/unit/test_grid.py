import pytest

from pickflow.run.configuration import ConfigError
from pickflow.run.grid import Candidate, bundled_digest, resolve_grid


def test_combinations_that_do_not_exist_are_skipped_with_a_warning():
    candidates, warnings = resolve_grid(["PhaseNet", "EQTransformer"], ["instance", "pnw"], [], None, {})
    assert candidates == [
        Candidate("PhaseNet", "instance"),
        Candidate("EQTransformer", "instance"),
        Candidate("EQTransformer", "pnw"),
    ]
    assert warnings == ["PhaseNet/pnw does not exist and is skipped"]


def test_weights_in_the_cache_exist(tmp_path):
    folder = tmp_path / "models" / "v3" / "phasenet"
    folder.mkdir(parents=True)
    (folder / "mine.json.v2").write_text("{}")
    assert resolve_grid(["PhaseNet"], ["mine"], [], tmp_path, {})[0] == [Candidate("PhaseNet", "mine")]


def test_pairs_are_tried_even_if_nobody_knows_them():
    assert resolve_grid([], [], ["PhaseNet/new"], None, {})[0] == [Candidate("PhaseNet", "new")]


def test_weights_given_as_files_belong_to_the_grid():
    assert resolve_grid(["PhaseNet"], ["own"], [], None, {"PhaseNet/own": "x"})[0] == [Candidate("PhaseNet", "own")]


def test_a_denoiser_given_as_a_file_is_no_picker():
    candidates, _ = resolve_grid(["PhaseNet"], ["stead"], [], None, {"DeepDenoiser/own": "x"})
    assert candidates == [Candidate("PhaseNet", "stead")]
    with pytest.raises(ConfigError, match="weights.files: no model is called 'Denoiser'"):
        resolve_grid(["PhaseNet"], ["stead"], [], None, {"Denoiser/own": "x"})


@pytest.mark.parametrize(
    ("models", "weights", "pairs", "message"),
    [
        (["Phasenet"], ["instance"], [], "pick.models: no model is called 'Phasenet'; did you mean 'PhaseNet'"),
        (["PhaseNet"], ["instanec"], [], "pick.weights: 'instanec' .* did you mean 'instance'"),
        (["PhaseNet"], [], ["PhaseNet"], "not MODEL/WEIGHTS"),
        ([], [], [], "no combination is left"),
    ],
)
def test_mistakes_are_named_with_the_way_out(models, weights, pairs, message):
    with pytest.raises(ConfigError, match=message):
        resolve_grid(models, weights, pairs, None, {})


def test_bundled_weights_have_a_digest_and_others_have_none():
    assert len(bundled_digest("PickflowNet", "bundled")) == 64
    assert bundled_digest("PhaseNet", "bundled") == bundled_digest("PickflowNet", "instance") == ""
