import json

import pytest

from pickflow.run.outcome import outcome_text


@pytest.fixture
def run(tmp_path):
    catalog = {
        "signal": "none",
        "model": "PhaseNet",
        "weights": "stead",
        "associator": "pyocto",
        "n_picks": 90,
        "n_events": 8,
    }
    reference = {"n": 9, "matched": 7, "recall": 7 / 9, "precision": 0.875}
    summary = {
        "run": "x",
        "station_days": 4,
        "ledger": {"ok": 3, "no_data": 1},
        "catalogs": [{**catalog, "reference": reference}],
    }
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    for day, cpu_s in (("2020-01-01", 10.0), ("2020-01-02", 20.0)):
        path = tmp_path / "logs" / "pick" / f"none.PhaseNet.stead.{day}.timing.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"cpu_s": cpu_s, "full_station_days": 1.5}))
    return tmp_path


def test_the_last_words_name_the_report_and_the_numbers_that_matter(run):
    words = outcome_text(run)
    assert "Station-days 4: 3 ok, 1 no_data" in words
    assert "PhaseNet/stead + pyocto: 8 events from 90 picks" in words
    assert "7 of 9 reference events found: recall 0.778, precision 0.875" in words
    assert "10.0 CPU-seconds per full station-day" in words
    assert words.endswith(f"Report       {run / 'report.html'}")


def test_a_run_without_reference_says_nothing_of_it(run):
    summary = json.loads((run / "summary.json").read_text())
    summary["catalogs"][0]["reference"] = None
    (run / "summary.json").write_text(json.dumps(summary))
    assert "recall" not in outcome_text(run)


def test_a_run_that_has_not_ended_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"no summary\.json"):
        outcome_text(tmp_path)


def test_a_run_that_could_use_nothing_says_so(run):
    summary = json.loads((run / "summary.json").read_text())
    (run / "summary.json").write_text(json.dumps({**summary, "ledger": {"denoise_failed": 4}}))
    assert "WARNING      no station-day could be used" in outcome_text(run)
    (run / "summary.json").write_text(json.dumps(summary))
    assert "WARNING" not in outcome_text(run)
