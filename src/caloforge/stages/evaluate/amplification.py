"""How many showers of the simulation a generated sample is worth, for measured samples."""

from collections.abc import Sequence

from caloforge.metrics import amplification as metric
from caloforge.metrics.amplification import AmplificationResult, SpaceAmplification
from caloforge.observables.base import Observable
from caloforge.progress import Progress, no_progress
from caloforge.stages.evaluate.checks import check_cells
from caloforge.stages.evaluate.measure import Measured
from caloforge.stages.evaluate.results import Worth

__all__ = ["amplification", "worth"]


def amplification(
    training: Measured,
    generated: Measured,
    truth: Measured,
    observables: Sequence[Observable],
    *,
    repeats: int = 20,
    seed: int = 1,
    progress: Progress = no_progress,
) -> AmplificationResult:
    """Compare two samples with the truth, as `caloforge.metrics.amplification` says.

    Raises
    ------
    InputError
        The samples have different cells, or the truth holds too few showers.
    """
    for sample in (training, generated):
        check_cells(truth.geometry, sample.geometry)
    return metric.amplification(
        training.values,
        generated.values,
        truth.values,
        observables,
        repeats=repeats,
        seed=seed,
        progress=progress,
    )


def worth(found: AmplificationResult) -> tuple[Worth, ...]:
    """Return the outcome as it goes into the results of an evaluation."""
    return tuple(map(_worth_in_space, found.spaces))


def _worth_in_space(space: SpaceAmplification) -> Worth:
    size = space.generated.effective
    reason = "The truth holds too few showers for an upper bound." if size.high is None else ""
    return Worth(space.name, space.label, size.value, size.low, size.high, space.training.showers, reason)
