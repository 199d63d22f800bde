"""The page of the lab."""

import re
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from pickflow.lab.content import LabContent, training_curves
from pickflow.lab.page import write_page
from pickflow.lab.table import TableParams, compare_pickers
from pickflow.lab.words import sentences, verdict_sentence
from tests.lab_fixture import output, picks_table, random_picks, random_records

PARAMS = TableParams(n_draws=100)
# Trained on a set of that name, of which nothing else is known.
CARD = {"training_sets": [{"name": "set", "families": ["set"], "split": None}]}


@cache
def table(n_events=150, seeds=(0,), blocks="event"):
    generator = np.random.default_rng(3)
    records = random_records(generator, n_events=n_events, n_noise=60)
    picks = random_picks(generator, records, recall=0.9)
    weak = picks[generator.random(len(picks)) < 0.5]
    outputs = [
        output(name, records, picks_of_variant, seed=seed, card=card)
        for seed in seeds
        for name, picks_of_variant, card in (("EQT", picks, CARD), ("Weak<b>", weak, {}), ("Silent", picks_table(), {}))
    ]  # fmt: skip
    return compare_pickers(outputs, replace(PARAMS, blocks=blocks))


def content(**changes):
    return LabContent(**{"title": "lab-test", "settings": {"Data": "made"}, "table": table(),
                         "provenance": {"password": "sesame"}} | changes)  # fmt: skip


def text_of(page):
    return re.sub(
        r"\s+", " ", re.sub(r"<[^>]*>", " ", re.sub(r"<style.*?</style>|<svg.*?</svg>", "", page, flags=re.S))
    )


COSTS = pd.DataFrame({"variant": ["EQT", "Weak<b>", "Silent"], "n_parameters": [300_000, 30_000, 10],
                      "multiply_adds": [1e8, 1e7, 10.0], "remark": ["", "", "odd"]})  # fmt: skip


def test_the_same_content_gives_the_same_bytes():
    assert write_page(content()) == write_page(content())


def test_the_page_is_whole_and_needs_nothing_else():
    class Tags(HTMLParser):
        def __init__(self):
            super().__init__()
            self.open = []

        def handle_starttag(self, tag, attrs):
            if tag not in ("meta", "br", "path", "use"):
                self.open.append(tag)

        def handle_endtag(self, tag):
            if tag not in ("meta", "br", "path", "use"):
                assert self.open.pop() == tag

    page = write_page(content(costs=COSTS))
    tags = Tags()
    tags.feed(re.sub(r"<svg.*?</svg>", "", page, flags=re.S))
    assert tags.open == []
    assert not re.search(r'<script|(src|href)="(?!#)', page)
    assert page.count("<svg") == 4


def test_names_are_escaped_and_secrets_are_hidden():
    page = write_page(content())
    assert "Weak<b>" not in page
    assert "Weak&lt;b&gt;" in page
    assert "sesame" not in page


def test_every_number_of_both_tables_is_there():
    text = text_of(write_page(content(costs=COSTS)))
    row = table().earthml.iloc[0]
    assert f"{row.p_mae:.2f}" in text
    assert f"{row.det_recall:.5f}" in text
    value = content().interval("EQT", "S", "equal_recall_0.3s").value
    assert f"{value:.3f}" in text
    assert f"{content().interval('EQT', 'P', 'rmse_all_s').value:.3f}" in text
    assert "100,000,000" in text
    assert "odd" in text


def test_worse_is_marked_and_said():
    page = write_page(content())
    assert page.count("▼") > 5
    assert "worse: −" in page
    assert "S, F1 within 0.3 s: worse than EQT: Silent (−" in text_of(page)
    assert verdict_sentence(content()).startswith("Of 2 variants, 2 can be told from EQT")


def test_pickers_that_know_the_same_records_are_told_together():
    records = random_records(np.random.default_rng(3))
    picks = random_picks(np.random.default_rng(4), records)
    pickers = [output(name, records, picks, card=CARD) for name in ("EQT", "BC")]
    words = sentences(content(table=compare_pickers([*pickers, output("BO", records, picks)], PARAMS)))
    [line] = [line for line in words if "may know" in line]
    assert re.match(r"EQT, BC know, or may know, (\d+) of \1 test records from their training \(set: ", line)


def test_one_network_under_two_names_is_told():
    records = random_records(np.random.default_rng(3))
    picks = random_picks(np.random.default_rng(4), records)
    pickers = [output("BC", records, picks), output("Salvation", records, picks), output("EQT", records, picks[::2])]
    words = sentences(content(table=compare_pickers(pickers, replace(PARAMS, reference="EQT"))))
    assert [line for line in words if "same scores" in line] == [
        "BC, Salvation: the same scores to the last digit, as of one network under several names."
    ]
    assert not any("same scores" in line for line in sentences(content()))


def test_sentences_say_what_the_intervals_do_not():
    words = " ".join(sentences(content()))
    assert "Each variant was trained once" in words
    assert re.search(r"about \d+ intervals would miss 0 by chance; \d+ do", words)
    assert re.search(
        r"P: differences in F1 of less than about 0\.\d+ cannot be seen with \d+ records in \d+ blocks", words
    )
    assert re.search(r"EQT knows, or may know, (\d+) of \1 test records from its training \(set: all of it", words)
    assert "Means over 2 to 2 trainings" in " ".join(sentences(content(table=table(seeds=(0, 1)))))


def test_too_few_blocks_are_said_and_no_interval_is_drawn():
    few = table(n_events=30)
    records = few.records[few.records.station.isin(["XX.S00", "XX.S01"])]
    outputs = [output(name, records, picks_table()) for name in ("EQT", "BO")]
    small = compare_pickers(outputs, TableParams(n_draws=10, blocks="station"))
    page = text_of(write_page(content(table=small)))
    assert "There are too few stations to say whether anything differs from EQT." in page
    assert "too few for intervals" in page
    assert "There are no intervals of F1" in page


def test_the_page_calls_as_few_blocks_too_few_as_the_intervals_do(monkeypatch):
    assert "too few for intervals" not in text_of(write_page(content()))
    monkeypatch.setattr("pickflow.lab.page.MIN_BLOCKS", table().n_blocks + 1)
    assert "too few for intervals" in text_of(write_page(content()))


def with_verdicts(**verdicts):
    """Content whose table says the same of all scores of a variant."""
    intervals = table().intervals
    verdict = intervals.variant.map(verdicts).fillna(intervals.verdict)
    return content(table=replace(table(), intervals=intervals.assign(verdict=verdict)))


def test_what_is_not_known_is_not_called_equal():
    silent_alone = with_verdicts(**{"Weak<b>": "unknown"})
    assert verdict_sentence(silent_alone).endswith("of P or of S. Of 1 no interval is known.")
    equal = with_verdicts(**{"Weak<b>": "no difference", "Silent": "unknown"})
    assert verdict_sentence(equal).endswith("all intervals that are known hold 0. Of 1 no interval is known.")
    assert verdict_sentence(with_verdicts(**{"Weak<b>": "no difference", "Silent": "no difference"})).endswith(
        "none of 2 variants can be told from EQT: all intervals hold 0."
    )
    mixed = with_verdicts(**{"Weak<b>": "no difference"})
    assert verdict_sentence(mixed).endswith("of P or of S. The intervals of 1 hold 0.")
    assert "nothing can be told" in verdict_sentence(with_verdicts(**{"Weak<b>": "unknown", "Silent": "unknown"}))


def test_a_single_picker_has_a_page():
    records = table().records
    alone = compare_pickers([output("EQT", records, picks_table())], PARAMS)
    assert "Only EQT was tested" in text_of(write_page(content(table=alone)))


def test_a_phase_without_labels_is_said():
    records = table().records.assign(s_s=np.nan)
    only_p = compare_pickers([output("EQT", records, picks_table()), output("BO", records, picks_table())], PARAMS)
    page = text_of(write_page(content(table=only_p)))
    assert "No record of the test part has a label of S." in page
    assert "No record of the test part has a label of Detection." in page


def test_labels_of_a_phase_are_those_that_are_scored():
    records = table().records
    turned = (records.kind == "event") & (records.event < "e2")  # S is before P: nobody knows where it ends
    records = records.assign(s_s=records.s_s.where(~turned, records.p_s - 1))
    compared = compare_pickers([output("EQT", records, random_picks(np.random.default_rng(0), records))], PARAMS)
    n_labels = compared.scores.set_index("phase").n_labels
    assert n_labels["Detection"] < n_labels["S"]
    page = text_of(write_page(content(table=compared)))
    assert all(f"{phase}, {n:.0f} labels" in page for phase, n in n_labels.items())


def test_a_phase_without_a_label_in_the_validation_part_is_said():
    records = table().records
    records = records.assign(s_s=records.s_s.where(records.part == "test"))
    picks = random_picks(np.random.default_rng(0), records)
    compared = compare_pickers([output("EQT", records, picks), output("BO", records, picks)], PARAMS)
    page = text_of(write_page(content(table=compared)))
    assert "No record of the validation part has a label of S: there is no threshold" in page
    row = content(table=compared).interval("EQT", "S", "equal_recall_0.3s")
    assert 0 < row.low < row.value < row.high < 1


def test_the_account_of_the_data_names_what_was_left_out_and_what_was_trained_on():
    account = pd.DataFrame({"name": ["x1", "x2"], "reason": ["no_label", "no_label"], "detail": ["unknown", "unknown"]})
    page = text_of(write_page(content(account=account)))
    assert "2: no_label" in page
    assert re.search(r"EQT (\d+) \1 set: all of it was used", page)
    assert re.search(r"Silent \d+ 0 ", page)
    assert "Nothing was left out." in text_of(write_page(content()))


def test_training_curves_are_drawn_if_there_are_any():
    history = [{"epoch": epoch, "training_loss": 1 / epoch, "f1_p": 0.5, "score": 0.5} for epoch in (1, 2, 3)]
    curves = training_curves({("EQT", 0): history})
    assert curves.measure.unique().tolist() == ["Loss in training", "F1 of P at a fixed number of picks"]
    assert "A line for each training" in write_page(content(trainings=curves))
    assert "A line for each training" not in write_page(content())


@pytest.mark.parametrize("n_variants", [1, 14, 30])
def test_any_number_of_variants_fits(n_variants):
    records = table().records
    generator = np.random.default_rng(0)
    outputs = [output(name, records, random_picks(generator, records))
               for name in ["EQT", *(f"variant {index}" for index in range(1, n_variants))]]  # fmt: skip
    page = write_page(content(table=compare_pickers(outputs, replace(PARAMS, n_draws=20))))
    assert f"{n_variants} pickers on" in page
