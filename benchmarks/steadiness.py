"""
How far picks depend on the place of the windows: recall of records that begin at eight times, by overlap and stacking.

A picker sees a record in windows that are counted from 1970. A record that begins 3 s later is cut elsewhere, and gets
other picks. For each picker, overlap and stacking: the recall of P and S within 0.1 s when as many picks count as there
are arrivals (the most probable ones), its mean, least and largest over the shifts, the share of arrivals that are found
at some shifts and not at others, and the work as a multiple of that with the default overlap.

Examples
--------
python benchmarks/steadiness.py PickflowNet/bundled PhaseNet/original_converted
python benchmarks/steadiness.py --all --markdown
The labelled records are found through PICKFLOW_SHARED (default: ../shared beside the repository).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("PICKFLOW_SHARED", ROOT.parent / "shared"))
BUNDLED = "PickflowNet/bundled"
SETS = ("ncedc154", "stead50")
SHIFTS_S = tuple(range(0, 24, 3))
OVERLAPS = (0.5, 0.75, 0.875)  # shares of a window
STACKINGS = ("avg", "max")
TOLERANCE_S = 0.1
LEAST_PROBABILITY = 0.05  # of a pick that may count


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pickers", nargs="*", help="folders with a card, or MODEL/WEIGHTS of the cache")
    parser.add_argument("--all", action="store_true", help="the bundled picker and all of the cache")
    parser.add_argument("--markdown", action="store_true", help="a table for the documentation instead of JSON lines")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    if not (SHARED / "data").is_dir():
        print(f"no real data in {SHARED}; set PICKFLOW_SHARED", file=sys.stderr)
        return 1
    from pickflow.models.loading import load_model
    from pickflow.weights import model_folder

    names = [BUNDLED, *cached_pickers()] if options.all else options.pickers
    if not names:
        print("name a picker, such as PickflowNet/bundled, or take --all", file=sys.stderr)
        return 2
    records, rows = complete_records(), []
    for name in names:
        try:
            with model_folder(name, str(SHARED / "seisbench_cache")) as folder:
                model = load_model(folder)
        except ValueError as error:
            print(error, file=sys.stderr)
            return 2
        for row in steadiness(model, records):
            rows.append({"picker": name, **row})
            print(
                f"{name} {row['setting']}" if options.markdown else json.dumps(rows[-1]),
                file=sys.stderr if options.markdown else sys.stdout,
            )
    if options.markdown:
        print(markdown(pd.DataFrame(rows)))
    return 0


def cached_pickers() -> list[str]:
    """All weights of the cache that pick P and S, as MODEL/WEIGHTS."""
    from pickflow.models.registry import PICKERS
    from pickflow.run.grid import cached_weights

    titles = {name.lower(): name for name in PICKERS}
    pairs = cached_weights(SHARED / "seisbench_cache").items()
    return [f"{titles[model]}/{weights}" for model, names in pairs for weights in dict.fromkeys(names)]


def complete_records() -> list[Any]:
    """Records with P, S and three components."""
    from pickflow.datasets.reading import open_dataset
    from pickflow.lab.views import is_complete

    records = [record for name in SETS for record in open_dataset(SHARED / "data" / "labelled" / name).read()]
    return [record for record in records if is_complete(record) and len(record.picks) == len("PS")]


def steadiness(model: Any, records: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """A row for the defaults of a picker, and for each overlap and stacking."""
    from pickflow.annotate import resolve_settings

    in_samples = int(model.in_samples)
    default = resolve_settings(model).step / in_samples
    settings: list[tuple[str, int | None, str | None]] = [("default", None, None)]
    settings += [(f"{overlap:g} {way}", round(overlap * in_samples), way) for overlap in OVERLAPS for way in STACKINGS]
    for setting, overlap_samples, stacking in settings:
        hits = np.array([hits_of(model, records, shift_s, overlap_samples, stacking) for shift_s in SHIFTS_S])
        row: dict[str, Any] = {"setting": setting}
        row["work"] = 1.0 if overlap_samples is None else round(default / (1 - overlap_samples / in_samples), 2)
        for index, phase in enumerate("PS"):
            recall, changes = hits[:, index].mean(axis=1), hits[:, index].any(axis=0) & ~hits[:, index].all(axis=0)
            row[phase] = {
                "mean": round(float(recall.mean()), 3),
                "least": round(float(recall.min()), 3),
                "largest": round(float(recall.max()), 3),
                "unsteady": round(float(changes.mean()), 3),
            }
        yield row


def hits_of(
    model: Any, records: Sequence[Any], shift_s: float, overlap_samples: int | None, stacking: str | None
) -> np.ndarray:
    """Whether each P, and each S, is found when the records begin a time after 1970, shape (2, n_records)."""
    from pickflow.annotate import Picker, PickerOptions
    from pickflow.datasets.records import SAMPLING_RATE_HZ
    from pickflow.datasets.streams import record_stream

    options = PickerOptions(
        p_threshold=LEAST_PROBABILITY, s_threshold=LEAST_PROBABILITY, overlap_samples=overlap_samples, stacking=stacking
    )

    def streams() -> Iterator[Any]:
        for record in records:
            stream = record_stream(record)
            for trace in stream:
                trace.stats.starttime += shift_s
            yield stream

    rows = [
        (at, pick.phase, pick.time_ns / 1e9, pick.probability)
        for at, pick in Picker(model, options).pick_many(streams())
    ]
    picks = pd.DataFrame(rows, columns=["record", "phase", "time_s", "probability"])
    hits = np.zeros((2, len(records)), dtype=bool)
    for row, phase in enumerate("PS"):
        best = picks[picks.phase == phase].nlargest(len(records), "probability", keep="first")
        manual_s = np.array([record.picks[phase] / SAMPLING_RATE_HZ + shift_s for record in records])
        close = np.abs(best.time_s.to_numpy() - manual_s[best.record]) <= TOLERANCE_S
        hits[row, best.record[close]] = True
    return hits


def markdown(table: pd.DataFrame) -> str:
    """A row for each picker and setting."""
    of_phase = "mean recall | least – largest | unsteady"
    lines = [f"| picker | overlap, stacking | work | P: {of_phase} | S: {of_phase} |", "|---" * 9 + "|"]
    for row in table.to_dict("records"):
        cells = [row["picker"], row["setting"], f"{row['work']:g}"]
        for phase in "PS":
            scores = row[phase]
            cells += [
                f"{scores['mean']:.3f}",
                f"{scores['least']:.2f} – {scores['largest']:.2f}",
                f"{scores['unsteady']:.2f}",
            ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
