"""Loss and scores over the epochs, as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pickflow.io.atomic import atomic_path

_PANELS = {"loss": ("training_loss", "validation_loss"), "F1 at a fixed number of picks": ("f1_p", "f1_s")}
_COLOURS = ("#0072b2", "#d55e00")  # Okabe and Ito (2008)


def draw_curves(history: Sequence[Mapping[str, float]], path: Path) -> None:
    """
    Draw the curves of a training; the same history gives the same bytes.

    Parameters
    ----------
    history : sequence of mapping
        Of `pickflow.optimisation.optimise`.
    path : Path
        Of the picture, PNG.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3), layout="constrained")
    best = max(history, key=lambda entry: entry.get("score", entry["epoch"]))
    for axes, (title, names) in zip(figure.subplots(1, len(_PANELS)), _PANELS.items(), strict=True):
        for name, colour in zip(names, _COLOURS, strict=True):
            points = [(entry["epoch"], entry[name]) for entry in history if name in entry]
            if points:
                axes.plot(*zip(*points, strict=True), "o-", ms=3, color=colour, label=name.replace("_", " "))
        axes.axvline(best["epoch"], color="#7d8790", lw=0.8, label="epoch that is kept")
        axes.set(title=title, xlabel="epoch")
        axes.legend(frameon=False)
    with atomic_path(path) as temporary:
        FigureCanvasAgg(figure).print_png(temporary, metadata={"Software": None})
