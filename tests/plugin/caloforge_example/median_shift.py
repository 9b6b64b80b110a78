"""How far the medians of two samples lie apart."""

import numpy as np

from caloforge.metrics.base import Floats, Metric


def median_shift(reference: Floats, sample: Floats) -> float:
    return float(abs(np.nanmedian(sample) - np.nanmedian(reference)) / np.nanstd(reference))


ENTRY = Metric("median_shift", "shift of the median", "none", least=10, measure=median_shift)
