"""The section of the report about teacher and students."""

import re
from dataclasses import replace
from functools import cache

import lxml.html
import numpy as np

from pickflow.report.compression import CompressionContent
from pickflow.report.content import ReportContent
from pickflow.report.page import write_report
from pickflow.report.trade_off import draw_trade_off
from tests.report_fixture import text_of, two_catalogs


def _network(method: str, level: str | None, share: float, f1: float, *, int8: bool = False) -> dict:
    name = "-".join(["original", *([method, level] if level else []), *(["int8"] if int8 else [])])
    scores = {tolerance: round(f1 - loss, 4) for tolerance, loss in (("0.1s", 0.06), ("0.3s", 0.0), ("0.5s", -0.01))}
    return {
        "name": name, "method": method, "level": level, "int8": int8, "n_parameters": round(268_443 * share),
        "n_nonzero": round(250_000 * share), "macs": round(62_300_000 * share),
        "bytes": round((270_000 if int8 else 1_080_000) * share), "p_f1": scores,
        "s_f1": {tolerance: round(score - 0.08, 4) for tolerance, score in scores.items()},
        "n_screened": {"safe": 40, "gap": 310} if method == "safe" else {"safe": 0, "gap": 0},
        "n_groups": 352 if method == "safe" else 0,
        "n_false_eliminations": 0 if level == "s93" else None,
        "not_expressed": ["decoder.3.attention"] if level == "s93" and method == "safe" else [],
    }  # fmt: skip


def compression_content() -> CompressionContent:
    """A teacher, three students and one of them in integers, with the paths that they were chosen from."""
    models = [
        _network("teacher", None, 1.0, 0.92),
        _network("safe", "s50", 0.5, 0.918),
        _network("safe", "s50", 0.5, 0.905, int8=True),
        _network("safe", "s93", 0.07, 0.88),
        _network("magnitude", "s93", 0.07, 0.61),
    ]
    shares = np.geomspace(1.0, 0.01, 20)
    curve = [
        {
            "method": method, "macs": round(62_300_000 * share), "n_parameters": round(268_443 * share**0.9),
            "p_f1_0.3s": round(0.92 - loss * (1 - share) ** 8, 4),
            "s_f1_0.3s": round(0.84 - 0.9 * loss * (1 - share) ** 8, 4),
            "stage": stage,
        }
        for method, stage, loss in (("safe", "corrected", 0.6), ("safe", "tuned", 0.2), ("magnitude", "pruned", 0.9))
        for share in shares
    ]  # fmt: skip
    latency = {
        model["name"]: {
            "torch_ms": None if model["int8"] else {"1": 9.4 * share**0.5, "16": 96.0 * share},
            "onnxruntime_ms": {"1": 4.1 * share**0.6, "16": 61.0 * share},
            "kernels_ms": None if model["int8"] else {"1": 2.2 * share**0.8, "16": 35.0 * share},
            "peak_mb": 210.0 + 90 * share,
        }
        for model, share in zip(models, (1.0, 0.5, 0.3, 0.07, 0.07), strict=True)
    }
    compression = {
        "teacher": {"model": "PhaseNet", "weights": "original"}, "reference": "the teacher's own picks",
        "n_calibration_windows": 256, "n_test_windows": 256, "models": models, "curve": curve,
    }  # fmt: skip
    return CompressionContent(compression=compression, latency=latency)


def with_students(run: ReportContent) -> ReportContent:
    """The run with a compression of its picker; the students' catalogs are in the summary only."""
    compression = compression_content()
    students = [
        {
            **row, "weights": model["name"],
            "n_picks": row["n_picks"] - 11 * index, "n_events": row["n_events"] - index,
            "reference": {**row["reference"], "matched": row["reference"]["matched"] - index},
            "teacher": {"matched": row["n_events"] - 2 * index, "lost": 2 * index, "new": index},
        }
        for row in run.summary["catalogs"]
        for index, model in enumerate(compression.compression["models"])
        if index
    ]  # fmt: skip
    catalogs = [*run.summary["catalogs"], *students]
    summary = {**run.summary, "catalogs": catalogs, "compression": [compression.compression]}
    return replace(run, summary=summary, compressions=(compression,))


@cache
def taught():
    """A run with students; its catalogs are in the summary only, so that the page is drawn in no time."""
    return replace(with_students(two_catalogs()), catalogs=())


@cache
def taught_page() -> str:
    return write_report(taught())


def _rows(html: str) -> dict[str, list[str]]:
    """Cells of the table of teacher and students by the label of the row; of several catalogs the last."""
    table = lxml.html.fromstring(html).xpath("//table[@class='sides']")[0]
    cells = [["".join(cell.itertext()).strip() for cell in row] for row in table.xpath(".//tr")]
    return {row[0]: row[1:] for row in cells}


def test_teacher_and_students_stand_side_by_side():
    rows = _rows(taught_page())
    assert rows[""] == ["original(teacher)", "safe-s50", "safe-s50-int8", "safe-s93", "magnitude-s93"]
    assert rows["Parameters"][:2] == ["268,443", "134,222 (−50 %)"]
    assert rows["MACs per window"][3] == "4.36 M (−93 %)"
    assert rows["File"][2] == "135 kB (−88 %)"
    assert rows["Time per window in PyTorch"][:3] == ["9.4 ms", "6.65 ms (1.4 ×)", "–"]
    assert rows["F1 of S within 0.1 / 0.3 / 0.5 s"][3] == "0.740 / 0.800 / 0.810"


def test_the_catalogs_of_students_are_counted_against_reference_and_teacher():
    rows = _rows(taught_page())
    gamma = taught().summary["catalogs"][1]
    assert gamma["associator"] == "gamma"
    reference = gamma["reference"]
    missed = reference["n"] - reference["matched"]
    assert rows["Reference: found / missed / not in it"][:2] == [
        f"{reference['matched']} / {missed} / {reference['n_false']}",
        f"{reference['matched'] - 1} / {missed + 1} / {reference['n_false']}",
    ]
    assert rows["Teacher's events: found / lost / new"][:2] == ["–", f"{gamma['n_events'] - 2} / 2 / 1"]


def test_a_certificate_is_a_sentence():
    text = text_of(taught_page())
    proven = "of 352 groups of weights, 310 were proven to be zero by the GAP-safe rule and 40 by SAFE of 2010"
    assert f"original-safe-s50: {proven}" in text
    assert "not checked by solving again without screening (compress.check_certificate)" in text
    assert "solved again without screening, none was eliminated in error" in text
    assert "original-safe-s93: left as in the teacher" in text
    assert "decoder.3.attention" in text


def test_a_run_without_students_has_no_section_about_them():
    assert "Teacher and students" in text_of(taught_page())
    assert "Teacher and students" not in text_of(write_report(replace(two_catalogs(), catalogs=())))


def test_each_teacher_has_its_own_table_and_identifiers():
    html = write_report(replace(taught(), compressions=taught().compressions * 2))
    assert html.count('<table class="sides">') == 2
    identifiers = re.findall(r' id="([^"]+)"', html)
    assert len(identifiers) == len(set(identifiers))


def test_a_curve_that_is_cut_off_is_said():
    content = compression_content()
    assert "are cut off" in draw_trade_off("t", content.compression, content.latency).caption
    near = [{**point, "p_f1_0.3s": 0.9, "s_f1_0.3s": 0.8} for point in content.compression["curve"]]
    assert "cut off" not in draw_trade_off("t", {**content.compression, "curve": near}, content.latency).caption


def test_only_the_latency_changes_the_page_of_teacher_and_students():
    compression_without_latency = replace(taught().compressions[0], latency={})
    page, without = taught_page(), write_report(replace(taught(), compressions=(compression_without_latency,)))
    assert page != without
    assert _rows(page).keys() - _rows(without).keys() == {
        "Time per window in PyTorch",
        "Time per window in ONNX Runtime",
        "Time per window in our kernels",
        "Memory of ONNX Runtime alone",
    }


def test_a_teacher_whose_students_pick_nothing_is_still_a_page():
    content = compression_content()
    nothing = {"0.1s": None, "0.3s": None, "0.5s": None}
    models = [{**model, "p_f1": nothing, "s_f1": nothing} for model in content.compression["models"]]
    lost = replace(content, compression={**content.compression, "models": models, "curve": []})
    text = text_of(write_report(replace(taught(), compressions=(lost,))))
    assert "– / – / –" in text
    assert not re.search(r"\b(nan|NaN|None)\b", text)
