"""Comparison of two samples in a table."""

import numpy as np

from caloforge.observables.base import Observable
from caloforge.observables.lateral_width import LateralWidth
from caloforge.observables.layer_fraction import LayerFraction
from caloforge.observables.response import Response
from caloforge.observables.shower_depth import ShowerDepth
from caloforge.reports.tables import Table
from caloforge.showers import Showers, labels
from caloforge.showers.checks import check_pair

__all__ = ["comparison"]


def comparison(showers: Showers, reference: Showers) -> Table:
    """Return a table of two samples: means with errors, and their difference.

    Showers for which a quantity is not defined (an empty layer has no width) do not count in its mean.

    Raises
    ------
    InputError
        A sample is empty, or the two have different cells.
    """
    check_pair(showers, reference)
    rows = [["showers", f"{len(showers):,}", f"{len(reference):,}", ""]]
    rows.append(["incident energy", labels.energies_text(showers), labels.energies_text(reference), ""])
    layers = range(len(showers.geometry.layers))
    quantities: list[Observable] = [Response(), ShowerDepth()]
    quantities += [LayerFraction(layer) for layer in layers]
    quantities += LateralWidth.every(showers.geometry)[: len(layers)]  # along eta
    rows += [_row(quantity, showers, reference) for quantity in quantities]
    return Table(["mean of", *labels.sample_names(showers, reference), "difference"], rows)


def _row(quantity: Observable, showers: Showers, reference: Showers) -> list[str]:
    unit = f" [{quantity.unit}]" if quantity.unit else ""
    (first, first_error), (second, second_error) = (
        _mean(quantity(sample)) for sample in (showers, reference)
    )
    cells = [_value(first, first_error), _value(second, second_error)]
    difference = ""
    if np.isfinite([first, second]).all() and second > 0:
        error = 100 * np.hypot(first_error, second_error) / second
        difference = labels.with_error(100 * (first / second - 1), float(error)) + " %"
    return [quantity.label + unit, *cells, difference]


def _value(mean: float, error: float) -> str:
    return labels.with_error(mean, error) if np.isfinite(mean) else "undefined"


def _mean(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> tuple[float, float]:
    """Return the mean of the defined values and its statistical error."""
    defined = values[np.isfinite(values)]
    if defined.size == 0:
        return float("nan"), float("nan")
    error = defined.std(ddof=1) / np.sqrt(defined.size) if defined.size > 1 else float("nan")
    return float(defined.mean()), float(error)
