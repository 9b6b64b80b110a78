"""Draws the mean separation power from Geant4 in every read-out, a marker for each model, from their reports.

python runs/read_out_figure.py read_outs.png report_arm_published_* report_arm_gamma_* report_cascade_gamma_*
"""

import sys
from collections.abc import Sequence

import numpy as np
from arm_table import average
from matplotlib.figure import Figure

from caloforge.stages.evaluate.results import load

MODELS = {
    "arm_published": ("autoregressive, as published", "#0072B2", "s"),
    "arm_blind": ("autoregressive, without cell sizes", "#999999", "v"),
    "arm_gamma": ("autoregressive, next steps", "#D55E00", "D"),
    "cascade_gamma": ("cascade_gamma", "#009E73", "o"),
}
GROUPS = (("between", "between"), ("beyond", "beyond"), ("", "seen by arm"))


def main(output: str, reports: Sequence[str]) -> None:
    """Write the figure."""
    every = [load(report) for report in reports]
    found = {
        (one.generated.source, one.generated.geometry): average(one, lambda each: each.metric == "separation")
        for one in every
    }
    read_outs = sorted({read_out for _, read_out in found}, key=_order)
    figure = Figure((8, 3.6), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(read_outs))
    for model, (label, colour, marker) in MODELS.items():
        measured = [found.get((model, read_out)) for read_out in read_outs]
        values = [np.nan if one is None else one.value for one in measured]
        axes.plot(places, values, marker, color=colour, label=label, markersize=6)
    floors = [max(one.floor for key, one in found.items() if one and key[1] == each) for each in read_outs]
    axes.step([*(places - 0.5), places[-1] + 0.5], [*floors, floors[-1]], "k--", where="post", lw=1)
    axes.plot([], [], "k--", lw=1, label="Geant4 against Geant4")
    axes.set_yscale("log")
    axes.set_ylabel("mean separation power")
    labels = [f"{_name(read_out)}\n{_group(read_out)}" for read_out in read_outs]
    axes.set_xticks(places, labels, rotation=40, ha="right", fontsize=7)
    figure.legend(fontsize=7, ncols=3, loc="outside upper center")
    figure.savefig(output, dpi=110)


def _group(read_out: str) -> str:
    return next(label for word, label in GROUPS if word in read_out)


def _name(read_out: str) -> str:
    return read_out.removeprefix("arm_").removeprefix("between_").removeprefix("beyond_").replace("_", " + ")


def _order(read_out: str) -> tuple[int, str]:
    return ("seen by arm", "between", "beyond").index(_group(read_out)), read_out


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
