"""
All pickers on all labelled records, by two protocols, with one and with three components; tables and one JSON line.

Pickers are the weights of the SeisBench cache below PICKFLOW_SHARED, the bundled one, and those below --models.
(a) F1 at the threshold that is best for the picker on the part validation; (b) recall when every picker gives as many
picks as there are arrivals, with 95 % intervals. Then recall of arrivals 1, 2 and 3 s before the end of a window, false
picks in noise, and costs.

Parts: where a picker of ours was trained on a set, those of its training, of which the test part is scored. A set that
no picker of ours has seen needs no training part: by a hash of their names, 30 % of its stations choose thresholds,
70 % are the test (of a set of one station: of its recordings), with 30 records of a station (400 of noise) at most.

Examples:
  python benchmarks/pickers.py
  python benchmarks/pickers.py --markdown > table.md
  python benchmarks/pickers.py --models results/my-run/models results/train/trained
The real data are found through PICKFLOW_SHARED (default: ../shared beside the repository).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("PICKFLOW_SHARED", ROOT.parent / "shared"))
BUNDLED = "PickflowNet/bundled"
# Views of the records, and the sets that each has.
THREE, ONE = "three components", "one component"
SETS = {THREE: ("ncedc154", "stead50"), ONE: ("ncedc154", "stead50", "stead1001-one-component")}
NOISE = "bavn1001-one-component"
UNSEEN_SHARES = (0.0, 0.3, 0.7)  # of a set that no picker of ours has seen
MOST_TRACES, MOST_NOISE = 30, 400  # of a station of such a set
AFTER_S = (1, 2, 3)
WHOLE = float("inf")  # the record does not end early
LONGEST = 6000  # samples of the windows that end early, if no picker needs more
PHASES = ("P", "S")
COUNTS = ["n_records", "n_stations", "n_left_out"]


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A picker, and its predictions: on each view, and on windows that end so many seconds after an arrival."""

    card: Mapping[str, Any]
    costs: Mapping[str, Any]
    edge_s: float
    views: Mapping[str, Any]
    ends: Mapping[float, Any]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", type=Path, default=[], help="folders with card.json, or above such ones")
    parser.add_argument("--reference", default=BUNDLED, help="the picker that the JSON line gives differences to")
    parser.add_argument("--draws", type=int, default=1000, help="of stations, for the intervals")
    parser.add_argument("--markdown", action="store_true", help="the tables of docs/models.md, without the JSON line")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    if not (SHARED / "data").is_dir():
        print(f"no real data in {SHARED}; set PICKFLOW_SHARED", file=sys.stderr)
        return 1
    from pickflow.models.cards import read_card

    with ExitStack() as stack:
        try:
            folders = picker_folders(options.models, stack)
            cards = {name: read_card(folder) for name, folder in folders.items()}
            records = {view: records_of(view, list(cards.values())) for view in SETS}
        except ValueError as error:  # a picker or a set that is absent or damaged; the message names it
            raise SystemExit(f"ERROR {error}") from error
        if options.reference not in folders:
            raise SystemExit(f"ERROR --reference {options.reference}: there are {', '.join(folders)}")
        ends = end_windows(records[THREE], cards.values())
        candidates = {name: candidate(folder, cards[name], records, ends) for name, folder in folders.items()}
    tables = compare(candidates, options.reference, options.draws)
    print(render(tables, candidates))
    if not options.markdown:
        print(json_line(tables, candidates))
    return 0


def picker_folders(models: Sequence[Path], stack: ExitStack) -> dict[str, Path]:
    """Folders with card and tensors, by MODEL/WEIGHTS; those of the cache are temporary ones of the stack."""
    from pickflow.models.cards import read_card
    from pickflow.run.grid import cached_weights
    from pickflow.weights import model_folder

    cache = SHARED / "seisbench_cache"
    folders = {BUNDLED: stack.enter_context(model_folder(BUNDLED, str(cache)))}
    for model, names in cached_weights(cache).items():
        for weights in dict.fromkeys(names):
            pair = f"{class_of(model)}/{weights}"
            folders[pair] = stack.enter_context(model_folder(pair, str(cache)))
    for folder in folders_with_cards(models):
        card = read_card(folder)
        name = picker_name(card)
        folders[name if name not in folders else f"{name} ({folder})"] = folder
    return {name: folder for name, folder in folders.items() if set(PHASES) <= set(read_card(folder)["labels"] or ())}


def picker_name(card: Mapping[str, Any]) -> str:
    return f"{card['model']}/{card.get('weights', 'weights')}"


def class_of(model: str) -> str:
    """Name of a picker from its name in small letters, as the cache has it."""
    from pickflow.models.registry import PICKERS

    return next((name for name in PICKERS if name.lower() == model), model)


def folders_with_cards(places: Sequence[Path]) -> list[Path]:
    """All folders with a card at or below some places."""
    folders = []
    for place in places:
        cards = sorted(place.rglob("card.json"))
        if not cards:
            raise SystemExit(f"ERROR --models {place}: no card.json there or below; name a folder of a trained picker")
        folders += [path.parent for path in cards]
    return folders


def records_of(view: str, cards: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Validation and test records of all sets of a view, and of noise."""
    from pickflow.datasets.components import join_components
    from pickflow.datasets.reading import open_dataset
    from pickflow.datasets.splits import Split
    from pickflow.datasets.table import digest_ranks
    from pickflow.lab.views import is_complete, vertical_alone

    records: list[Any] = []
    for name in (*SETS[view], NOISE):
        place = SHARED / "data" / ("noise" if name == NOISE else "labelled") / name
        split = split_of_cards(cards, name)
        dataset = open_dataset(place, name, split or Split(shares=UNSEEN_SHARES))
        if view == THREE:
            dataset = join_components(dataset)
        if split is None:
            n_most = MOST_NOISE if name == NOISE else MOST_TRACES
            dataset = dataset.take(np.flatnonzero(digest_ranks(dataset.table, "station") <= n_most))
        members = [record for record in dataset.read() if record.part != "train"]
        if view == THREE or name in SETS[THREE]:
            members = [record for record in members if is_complete(record)]
        if view == ONE and name in SETS[THREE]:
            members = [vertical_alone(record) for record in members]
        records += members
    return records


def split_of_cards(cards: Sequence[Mapping[str, Any]], name: str) -> Any:
    """The split by which the first picker that was trained on a set has its parts; None if no card says one."""
    from pickflow.datasets.provenance import split_of_training

    splits = (split_of_training(card, name) for card in cards)
    return next((split for split in splits if split is not None), None)


def end_windows(records: Sequence[Any], cards: Iterable[Mapping[str, Any]]) -> dict[float, list[Any]]:
    """
    Windows that end so many seconds after an arrival of the test part, and the whole records, with this label alone.

    All are of the same arrivals: of records that every picker can be run on, and long enough for all windows. These
    have one length, that of the longest picker.
    """
    from pickflow.lab.views import window_until

    least_samples = max(card["in_samples"] for card in cards)
    windows: dict[float, list[Any]] = {after_s: [] for after_s in (*AFTER_S, WHOLE)}
    tests = [record for record in records if record.part == "test" and record.samples.shape[1] >= least_samples]
    for record, phase in product(tests, PHASES):
        early = [window_until(record, phase, after_s, max(LONGEST, least_samples)) for after_s in AFTER_S]
        if None not in early:
            whole = replace(record, name=f"{record.name}/{phase}", picks={phase: record.picks[phase]})
            for after_s, window in zip(windows, [*early, whole], strict=True):
                windows[after_s].append(window)
    return windows


def candidate(
    folder: Path, card: Mapping[str, Any], records: Mapping[str, Sequence[Any]], ends: Mapping[float, Sequence[Any]]
) -> Candidate:
    """Predictions of a picker, and what it costs."""
    from pickflow.lab.costs import picker_costs, picker_times_ms
    from pickflow.lab.predictions import predict
    from pickflow.models.loading import load_model
    from pickflow.models.seisbench_internals import annotate_defaults

    print(picker_name(card), file=sys.stderr)
    model = load_model(folder)
    costs = picker_costs(model) | picker_times_ms(model)
    views = {view: predict(model, members) for view, members in records.items()}
    at_ends = {WHOLE: predict(model, ends[WHOLE])}
    edge_s = annotate_defaults(model).get("blinding", (0, 0))[1] / model.sampling_rate
    model.default_args["blinding"] = (0, 0)  # in real time nothing comes later
    at_ends |= {after_s: predict(model, ends[after_s]) for after_s in AFTER_S}
    return Candidate(card=card, costs=costs, edge_s=edge_s, views=views, ends=at_ends)


def compare(candidates: Mapping[str, Candidate], reference: str, n_draws: int) -> dict[str, pd.DataFrame]:
    """
    All scores.

    Returns
    -------
    dict of str to DataFrame
        ``scores`` (a row for each picker, view, set and phase), ``noise`` (picker, view and phase) and ``ends``
        (picker, set, phase and seconds after the arrival; infinite: the whole record). All pickers have the same
        records in a set and view, those that all can be run on, and the same arrivals at all times after them.
    """
    scores, noise, ends = [], [], []
    for view, sets in SETS.items():
        outputs = [output_of(name, picker, picker.views[view]) for name, picker in candidates.items()]
        scores += [scores_of(outputs, dataset, reference, n_draws).assign(view=view) for dataset in sets]
        noise.append(scores_of(outputs, NOISE, reference, 1).assign(view=view))
    for after_s in (*AFTER_S, WHOLE):
        outputs = [output_of(name, picker, with_ends(picker, after_s)) for name, picker in candidates.items()]
        ends += [scores_of(outputs, dataset, reference, 1).assign(after_s=after_s) for dataset in SETS[THREE]]
    tables = {
        "scores": pd.concat(scores, ignore_index=True),
        "noise": pd.concat(noise)[["variant", "view", "phase", "threshold", "false_picks_per_station_hour", *COUNTS]],
        "ends": pd.concat(ends)[["variant", "dataset", "phase", "after_s", "n_labels", "recall_0.3s", "n_touched"]],
    }
    return {name: table[table.phase.isin(PHASES)].reset_index(drop=True) for name, table in tables.items()}


def output_of(name: str, picker: Candidate, predictions: Any) -> Any:
    from pickflow.lab.records import PickerOutput

    return PickerOutput(variant=name, seed=0, picks=predictions.picks, records=predictions.records, card=picker.card)


def with_test_of(output: Any, dataset: str) -> Any:
    """An output with the validation records of all sets, and the test records of one."""
    records = output.records
    records = records[(records.part == "validation") | (records.dataset == dataset)].reset_index(drop=True)
    return replace(output, records=records, picks=output.picks[output.picks.record.isin(records.record)])


def with_ends(picker: Candidate, after_s: float) -> Any:
    """Predictions on the validation records as they are, and on windows that end early as the test part."""
    whole, ends = picker.views[THREE], picker.ends[after_s]
    validation = whole.records[whole.records.part == "validation"]
    picks = whole.picks[whole.picks.record.isin(validation.record)]
    records = pd.concat([validation, ends.records], ignore_index=True)
    return replace(whole, records=records, picks=pd.concat([picks, ends.picks], ignore_index=True))


def scores_of(outputs: Sequence[Any], dataset: str, reference: str, n_draws: int) -> pd.DataFrame:
    """
    Scores on the test part of a set, with the interval of the recall at an equal number of picks, and what was seen.

    ``n_records`` and ``n_stations`` are of what is scored; ``n_left_out`` records cannot be picked by every picker.
    """
    from pickflow.lab.bootstrap import MIN_BLOCKS
    from pickflow.lab.records import common_records
    from pickflow.lab.table import TableParams, compare_pickers

    members = [with_test_of(output, dataset) for output in outputs]
    tests = common_records(members).records.query("part == 'test'")
    blocks = "station" if tests.station.nunique() >= MIN_BLOCKS else "event"
    table = compare_pickers(members, TableParams(reference=reference, blocks=blocks, n_draws=n_draws))
    intervals = table.intervals[table.intervals.score == "equal_recall_0.3s"]
    columns = ["low", "high", "difference", "difference_low", "difference_high", "verdict"]
    intervals = intervals[["variant", "phase", *columns]].rename(columns={name: f"equal_{name}" for name in columns})
    rows = table.scores.merge(intervals, on=["variant", "phase"])
    rows = rows.merge(table.touched[["variant", "n_records", "n_touched"]], on="variant")
    n_left_out = int((members[0].records.part == "test").sum()) - len(tests)
    return rows.assign(dataset=dataset, blocks=blocks, n_stations=tests.station.nunique(), n_left_out=n_left_out)


def render(tables: Mapping[str, pd.DataFrame], candidates: Mapping[str, Candidate]) -> str:
    """All tables in Markdown, with their headings."""
    scores, parts = tables["scores"], []
    for view, sets in SETS.items():
        for dataset in sets:
            rows = scores[(scores.view == view) & (scores.dataset == dataset)]
            heading = f"{dataset}, {view}: {count_text(rows.iloc[0])}; intervals by {rows.blocks.iloc[0]}"
            parts.append(f"**{heading}**\n\n{markdown(score_rows(rows))}")
    noise = tables["noise"]
    counts = "; ".join(f"{view}: {count_text(noise[noise.view == view].iloc[0])}" for view in SETS)
    heading = f"Costs of a window alone; thresholds, and false picks per hour of noise ({counts})"
    parts.append(f"**{heading}**\n\n{markdown(cost_rows(noise, candidates))}")
    heading = f"Recall within 0.3 s when the window ends 1, 2 and 3 s after the arrival, {THREE}"
    parts.append(f"**{heading}**\n\n{markdown(end_rows(tables['ends'], candidates))}")
    return "\n\n".join(parts)


def count_text(row: pd.Series) -> str:
    """Records and stations of the test part that were scored, and how many were not."""
    stations = f"{row.n_stations} station{'s' * (row.n_stations > 1)}"
    left_out = f" ({row.n_left_out} more are left out: not every picker could be run on them)" if row.n_left_out else ""
    return f"{row.n_records} records of {stations}{left_out}"


def score_rows(scores: pd.DataFrame) -> list[list[str]]:
    """Head and a row for each picker, of one set and view; † has the weights that know its records from training."""
    from pickflow.datasets.records import TOLERANCES_S

    tolerances = " / ".join(f"{tolerance:g}" for tolerance in TOLERANCES_S)
    head = ["picker"]
    for phase in PHASES:
        head += [f"{phase}: F1 at {tolerances} s", f"{phase}: recall at equal picks, {tolerances} s"]
    rows = [head]
    for name, of_picker in scores.groupby("variant", sort=False):
        by_phase = of_picker.set_index("phase")
        row = [marked(str(name), by_phase.n_touched.iloc[0])]
        for phase in PHASES:
            values = by_phase.loc[phase]
            row.append(joined([values[f"f1_{tolerance:g}s"] for tolerance in TOLERANCES_S]))
            recalls = joined([values[f"equal_recall_{tolerance:g}s"] for tolerance in TOLERANCES_S])
            row.append(f"{recalls} [{number(values.equal_low)}, {number(values.equal_high)}]")
        rows.append(row)
    return rows


def cost_rows(noise: pd.DataFrame, candidates: Mapping[str, Candidate]) -> list[list[str]]:
    """Head and a row for each picker: what a window costs, and what is picked in noise."""
    rows = [["picker", "window, s", "weights", "multiply-adds, 10⁶", "ms in our kernels", "ms in torch"]]
    rows[0] += [f"{view}: {what}" for view in SETS for what in ("thresholds P, S", "false P, S per hour")]
    for name, picker in candidates.items():
        costs, card = picker.costs, picker.card
        row = [name, f"{card['in_samples'] / card['sampling_rate_hz']:.0f}", f"{costs['n_parameters']:,}"]
        row += [
            number(costs["multiply_adds"] / 1e6, ".1f"),
            *(number(costs[key], ".1f") for key in ("kernels_ms", "torch_ms")),
        ]
        for view in SETS:
            values = noise[(noise.variant == name) & (noise.view == view)].set_index("phase").loc[list(PHASES)]
            row += [joined(values.threshold, ", "), joined(values.false_picks_per_station_hour, ", ", ".1f")]
        rows.append(row)
    return rows


def end_rows(ends: pd.DataFrame, candidates: Mapping[str, Candidate]) -> list[list[str]]:
    """Head and a row for each picker: recalls of the same arrivals in windows that end early, and in whole records."""
    delays = " / ".join(map(str, AFTER_S))
    by_case = ends.set_index(["dataset", "phase", "variant", "after_s"]).sort_index()
    cases = [(dataset, phase) for dataset in SETS[THREE] for phase in PHASES]
    rows = [["picker", "edge not used by default, s"]]
    rows[0] += [
        f"{dataset}: {by_case.loc[(dataset, phase)].n_labels.iloc[0]:.0f} {phase} after {delays} s; whole"
        for dataset, phase in cases
    ]
    for name, picker in candidates.items():
        row = [name, f"{picker.edge_s:g}"]
        for dataset, phase in cases:
            values = by_case.loc[(dataset, phase, name)]
            cell = f"{joined(values['recall_0.3s'][list(AFTER_S)])}; {number(values['recall_0.3s'][WHOLE])}"
            row.append(marked(cell, values.n_touched[WHOLE]))
        rows.append(row)
    return rows


def marked(text: str, n_touched: int) -> str:
    """With a † where the picker knows, or may know, records from its training."""
    return f"{text} †" if n_touched else text


def number(value: float | None, form: str = ".2f") -> str:
    return "–" if value is None or np.isnan(value) else f"{value:{form}}"


def joined(values: Iterable[float], separator: str = " / ", form: str = ".2f") -> str:
    return separator.join(number(value, form) for value in values)


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Rows as a table of Markdown, the first as the head."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def json_line(tables: Mapping[str, pd.DataFrame], candidates: Mapping[str, Candidate]) -> str:
    """Everything as one line of JSON, without NaN."""
    costs = {
        name: {key: None if value != value else value for key, value in picker.costs.items()}
        for name, picker in candidates.items()
    }
    rows = {name: json.loads(table.to_json(orient="records", double_precision=4)) for name, table in tables.items()}
    return json.dumps({"benchmark": "pickers", "costs": costs} | rows, sort_keys=True, allow_nan=False)


if __name__ == "__main__":
    sys.exit(main())
