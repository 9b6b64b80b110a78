"""What the page says of the samples."""

from dataclasses import replace

import pytest

from caloforge.stages.evaluate import Evaluation
from caloforge.stages.evaluate.report.sections import sections
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
