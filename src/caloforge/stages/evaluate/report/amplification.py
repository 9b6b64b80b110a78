"""The part of a report about amplification: the number of simulated showers that a sample is worth."""

from caloforge import plots
from caloforge.metrics.amplification import (
    CITATION,
    JOINT,
    AmplificationResult,
    EffectiveSize,
    SpaceAmplification,
)
from caloforge.plots import amplification as pictures
from caloforge.reports.page import Section
from caloforge.reports.tables import Table

__all__ = ["figures", "section", "sentence", "sentences", "table"]

_EXPLANATION = (
    "The truth ({truth:,} showers not used for training) is divided into quantiles; a sample's distance "
    "is the mean squared deviation of its shares of showers in them. What a sample is worth is the number of "
    "independent simulated showers that have its distance, with the bounds of one standard deviation. The "
    "incident energies of generated showers are given to the generator, so observables that follow from "
    "these alone gain by their number. In fine quantiles small samples scatter more, so that a small bias "
    "weighs less: what a sample is worth belongs to the number of quantiles."
)


def section(found: AmplificationResult) -> Section:
    """Return the part of a report."""
    text = "\n\n".join([*sentences(found), _EXPLANATION.format(truth=found.truth), CITATION + "."])
    return Section("Amplification: how many showers is it worth?", text, table(found), figures(found))


def sentences(found: AmplificationResult) -> tuple[str, ...]:
    """Describe it in words: for all observables together, and how many of them are amplified."""
    single = [space for space in found.spaces if space.name != JOINT]
    number = found.spaces[0].training.showers
    fewer = sum(space.two_sigma.high is not None and space.two_sigma.high < number for space in single)
    more = sum(space.amplifies for space in single)
    return (
        sentence(found.spaces[0]),
        f"Of {len(single)} observables taken alone, the sample is worth more than its training showers "
        f"in {more}, fewer in {fewer}, and can't be told from them in {len(single) - more - fewer}.",
    )


def sentence(space: SpaceAmplification) -> str:
    """Describe in words what the sample is worth in one observable, or in all together."""
    worth = space.generated.effective
    value = "countless" if worth.value is None else _count(worth.value)
    high = "no upper bound" if worth.high is None else _count(worth.high)
    return (
        f"{space.label}: {space.generated.showers:,} generated showers are worth {value} showers of the "
        f"simulation ({_count(worth.low)} to {high}), {_per_training_shower(space)}"
    )


def _per_training_shower(space: SpaceAmplification) -> str:
    number = space.training.showers
    training = f"the {number:,} that the generator learned from"
    if space.amplifies:
        return f"more than {training}: it amplifies them."
    if space.two_sigma.high is not None and space.two_sigma.high < number:
        return f"fewer than {training}."
    return f"which can't be told from {training}."


def table(found: AmplificationResult) -> Table:
    """Return what the generated sample and the training showers are worth, by observable."""
    rows = [
        [
            space.label,
            *map(_with_bounds, (space.generated.effective, space.training.effective)),
            f"{space.cells}",
        ]
        for space in found.spaces
    ]
    return Table(["worth in showers", "generated", "training", "quantiles"], rows)


def figures(found: AmplificationResult) -> list[plots.Figure]:
    """Draw how the distance changes as samples grow, and what the sample is worth in each observable.

    The first picture shows all observables together, the three in which the sample is worth least, and the
    two in which it is worth most.
    """
    joint, *single = [space.curves for space in found.spaces]
    ordered = sorted(single, key=lambda one: one.effective.low)
    extremes = [*ordered[:3], *ordered[3:][-2:]]
    return [pictures.amplification([joint, *extremes]), pictures.worth([joint, *single])]


def _with_bounds(size: EffectiveSize) -> str:
    value = "" if size.value is None else f"{_count(size.value)} "
    high = "no bound" if size.high is None else _count(size.high)
    return f"{value}({_count(size.low)} to {high})"


def _count(showers: float) -> str:
    """Write a number of showers to three digits."""
    return f"{float(f'{showers:.3g}'):,.0f}"
