"""Names that somebody may have meant."""

import pytest

from pickflow.models.loading import model_class
from pickflow.suggestions import most_similar, suggestion
from pickflow.weights import model_folder


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("phasenet", "did you mean 'PhaseNet'?"),
        ("EQTranformer", "did you mean 'EQTransformer'?"),
        ("x", "known: EQTransformer, PhaseNet"),
        ("", "known: EQTransformer, PhaseNet"),
    ],
)
def test_the_most_similar_name_is_named_or_all_are(name, sentence):
    assert suggestion(name, ["PhaseNet", "EQTransformer"]) == sentence


def test_nothing_to_suggest():
    assert suggestion("PhaseNet", []) == "known: none"
    assert most_similar("PhaseNet", []) is None


@pytest.mark.parametrize(
    ("name", "way_out"),
    [
        ("PhasNet", "did you mean 'PhaseNet'"),
        ("EQTranformer", "did you mean 'EQTransformer'"),
        ("os", "known: .*LEQNet.*PhaseNet"),
        ("WaveformModel", ""),
    ],
)
def test_a_model_that_does_not_exist_is_refused_with_a_way_out(name, way_out):
    with pytest.raises(ValueError, match=f"no model is called '{name}'; {way_out}"):
        model_class(name)
    with pytest.raises(ValueError, match=f"no model is called '{name}'; {way_out}"), model_folder(f"{name}/x", None):
        pass
