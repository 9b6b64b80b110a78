"""What the page says of the samples."""

from dataclasses import replace

import pytest

from caloforge.stages.evaluate import Evaluation
from caloforge.stages.evaluate.report.sections import MAIN, sections, verdict_text
from caloforge.stages.evaluate.results import IncidentRanges


@pytest.mark.parametrize(
    ("theta", "said"),
    [((0.0, 0.0), "GeV, in small"), ((20.0, 20.0), "at an angle of 20°, in"), ((0.0, 30.0), "of 0° to 30°")],
)
def test_the_summary_says_from_where_particles_come(
    shifted: Evaluation, theta: tuple[float, float], said: str
) -> None:
    ranges = IncidentRanges(theta, None, (0.0, 0.0), (0.0, 0.0))
    results = shifted.results
    tilted = replace(results, generated=replace(results.generated, incident=ranges))
    assert said in sections(tilted)[0].text


def test_the_verdict_names_the_largest_excess_and_not_the_largest_value(shifted: Evaluation) -> None:
    """As it was: 'the largest difference: 0.047 ± 0.020, floor 0.0469' of what is at its floor."""
    found = shifted.results
    first, second, third = [one for one in found.verdicts if one.metric == MAIN][:3]
    scattered = replace(first, value=0.047, error=0.02, floor=0.0469, floor_error=0.001, sigma=0.005)
    certain = replace(second, value=0.02, error=0.001, floor=0.01, floor_error=0.001, sigma=7.07)
    larger = replace(third, value=0.9, error=0.1, floor=0.01, floor_error=0.001, repeats=4, sigma=1.4)
    text = verdict_text(replace(found, verdicts=(scattered, certain, larger)))
    label = next(one.label for one in found.observables if one.name == second.observable)
    assert f"is that of the {label}" in text
    assert "0.0200 ± 0.0010, floor 0.0100 ± 0.0010, 7.1 σ above it (clearly different)" in text
    assert "1 are like those of" in text
    assert "1 scatter too much to tell, 0 are distinguishable and 1 clearly different" in text


def test_numbers_that_never_vary_and_differ_are_clearly_different(shifted: Evaluation) -> None:
    found = shifted.results
    first = next(one for one in found.verdicts if one.metric == MAIN)
    sure = replace(first, value=1.0, error=0.0, floor=0.0, floor_error=0.0, sigma=None, reason="no doubt")
    assert "∞ σ above it (clearly different)" in verdict_text(replace(found, verdicts=(sure,)))
    assert replace(sure, higher=True).level == "same"
    assert replace(sure, error=0.1).level == "unknown"
