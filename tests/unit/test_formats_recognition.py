"""A file is taken for what it is, whatever its name, and for nothing else."""

from __future__ import annotations

import contextlib

import pytest

from pickflow.io.formats import FORMATS, READERS, parse_bulletin, write_catalog
from pickflow.io.formats.reading import find_format
from tests.format_samples import SAMPLES, n_accounted
from tests.unit.test_formats import GAMMA_CATALOG, GAMMA_PICKS, HYP, HYPODD, OBS, PHASENET, PYOCTO, REAL, REAL_CATALOG
from tests.unit.test_formats import small_catalog as written_catalog
from tests.unit.test_formats_ogs import END, HPC, TXT, card

OTHERS = {
    "hypodd": [HYPODD],
    "real": [REAL, REAL_CATALOG],
    "nonlinloc": [OBS],
    "nonlinloc-hyp": [HYP],
    "table": [PHASENET, GAMMA_PICKS, GAMMA_CATALOG, PYOCTO],
    "ogs-dat": [f"{card()}\n{END}\n"],
    "ogs-hpc": [HPC],
    "ogs-txt": [TXT],
}
TEXTS = [(format, text) for format, text in SAMPLES.items()] + [
    (format, text) for format, texts in OTHERS.items() for text in texts
]
WRITTEN = {"csv": "table", "parquet": "parquet", "hypodd": "hypodd", "nonlinloc": "nonlinloc", "pyrocko": None}


@pytest.mark.parametrize(("format", "text"), TEXTS)
@pytest.mark.parametrize("name", ["noname", "wrong.hyp", "wrong.csv", "wrong.arc"])
def test_the_content_says_what_a_file_is(format, text, name):
    assert find_format(text.encode(), name) == format


@pytest.mark.parametrize(("format", "text"), TEXTS)
def test_no_other_format_claims_it(format, text):
    lines = [line for line in text.split("\n") if line.strip()]
    claims = [key for key, reader in READERS.items() if reader.looks_so(lines)]
    if format in SAMPLES:  # a table may be of any program, and comes last
        assert [key for key in claims if key != "table"] == [format]
    else:
        assert not set(claims) & SAMPLES.keys()


@pytest.mark.parametrize("format", SAMPLES)
def test_line_ends_of_other_systems_and_empty_lines_before_change_nothing(format):
    text = SAMPLES[format]
    expected = parse_bulletin(text.encode(), "x")
    for variant in (text.replace("\n", "\r\n"), text.replace("\n", "\r"), "\n\n" + text, "\ufeff" + text):
        bulletin = parse_bulletin(variant.encode(), "x")
        assert bulletin.format == expected.format == format
        assert (len(bulletin.events), len(bulletin.picks)) == (len(expected.events), len(expected.picks))
        assert bulletin.rejected.empty


@pytest.mark.parametrize("format", SAMPLES)
def test_every_sample_gives_an_event_or_a_pick_and_rejects_nothing(format):
    bulletin = parse_bulletin(SAMPLES[format].encode(), "x")
    assert len(bulletin.events) + len(bulletin.picks) > 0
    assert bulletin.rejected.empty


@pytest.mark.parametrize("format", sorted(set(FORMATS) - {"pyrocko"}))
def test_what_we_write_is_known_for_what_it_is(tmp_path, format):
    write_catalog(*written_catalog(), tmp_path / "noname", format)
    assert find_format((tmp_path / "noname").read_bytes(), "noname") == WRITTEN.get(format, format)


@pytest.mark.parametrize("format", SAMPLES)
def test_a_cut_file_loses_its_end_and_nothing_else(format):
    content = SAMPLES[format].encode()
    whole = parse_bulletin(content, "x", format)
    for length in range(1, len(content), max(len(content) // 15, 1)):
        with contextlib.suppress(ValueError):  # of which nothing can be read
            bulletin = parse_bulletin(content[:length], "x", format)
            assert len(bulletin.picks) <= len(whole.picks)
            assert bulletin.n_lines == n_accounted(bulletin)
