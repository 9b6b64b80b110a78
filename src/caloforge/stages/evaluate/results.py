"""The outcome of an evaluation: all numbers, no pictures. As JSON its schema is ``metrics.schema.json``."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, computed_field

from caloforge import config
from caloforge.config import strict_dataclass
from caloforge.errors import ConfigError, InputError
from caloforge.files import written_aside
from caloforge.metrics import levels
from caloforge.metrics.floor import Score
from caloforge.metrics.levels import Level

__all__ = [
    "FORMAT",
    "NAME",
    "SCHEMA",
    "Count",
    "EnergyResponse",
    "IncidentRanges",
    "MetricResult",
    "Omission",
    "Quantity",
    "Range",
    "Results",
    "Settings",
    "ShowerSample",
    "Speed",
    "Worth",
    "by_metric",
    "from_score",
    "load",
    "mean",
    "save",
    "schema",
]

FORMAT: Literal["caloforge-evaluation"] = "caloforge-evaluation"
NAME = "metrics.json"
SCHEMA = Path(__file__).with_name("metrics.schema.json")

Count = Annotated[int, Field(ge=0)]
Range = tuple[float, float]

_ABSURD = 1e100


@strict_dataclass
class IncidentRanges:
    """Lowest and highest values of where incident particles come from, and where they meet the front face.

    Attributes
    ----------
    theta_deg, phi_deg
        Angle to the z axis, and azimuth of particles that are tilted; None where none is.
    eta_mm, phi_mm
        Position on the front face.
    """

    theta_deg: Range
    phi_deg: Range | None
    eta_mm: Range
    phi_mm: Range


@strict_dataclass
class ShowerSample:
    """A file of showers.

    Attributes
    ----------
    file
        Its name without folders.
    source
        What made the showers: a model, or a simulator and its physics.
    energy_range_GeV
        Lowest and highest incident energy.
    provenance
        As in the file.
    incident
        Directions and positions; None where an older caloforge did not write them down.
    """

    file: str
    source: str
    showers: Count
    particles: tuple[str, ...]
    energy_range_GeV: Range  # noqa: N815 (the unit belongs to the name)
    geometry: str
    provenance: dict[str, Any]
    incident: IncidentRanges | None = None


@strict_dataclass
class Settings:
    """How the evaluation was made: what repeats it exactly."""

    repeats: Count
    seed: Count
    match_energies: bool
    kept: Count


@strict_dataclass
class Quantity:
    """An observable with its mean in both samples; None where no shower, or only one, has it."""

    name: str
    label: str
    symbol: str
    unit: str
    citation: str
    group: str
    reference: float | None
    reference_error: float | None
    generated: float | None
    generated_error: float | None


@strict_dataclass
class MetricResult:
    """A metric with its uncertainty and its floor, two samples of the reference; None where there is none.

    Attributes
    ----------
    metric, label, citation
        Identifier, words and source of the metric.
    kind
        ``observable`` (of one), ``joint`` (of all), ``classifier`` or ``memorisation``.
    observable
        Name of the observable; empty for all other kinds.
    value, error
        Reference against generated.
    floor, floor_error
        Two disjoint samples of the reference against each other.
    sigma
        Distance above the floor in standard deviations.
    showers
        In each of the compared samples.
    higher
        Whether the higher number is the better one.
    reason
        Why the number is missing, or a remark about it.
    """

    metric: str
    label: str
    citation: str
    kind: Literal["observable", "joint", "classifier", "memorisation"]
    observable: str
    value: float | None
    error: float | None
    floor: float | None
    floor_error: float | None
    sigma: float | None
    showers: Count
    repeats: Count
    higher: bool = False
    reason: str = ""

    @property
    def excess(self) -> float | None:
        """Distance above the floor in standard deviations; infinite where numbers that never vary differ."""
        if self.sigma is not None or self.value is None or self.floor is None:
            return self.sigma
        if self.error or self.floor_error:
            return None  # it was left out on purpose, as that of a calibration error
        worse = self.value < self.floor if self.higher else self.value > self.floor
        return math.inf if worse else -math.inf

    @computed_field  # type: ignore[prop-decorator]
    @property
    def level(self) -> Level:
        """How far the generated showers are from the reference (see `caloforge.metrics.levels`)."""
        scatter = (self.floor_error or 0.0) * max(self.repeats, 1) ** 0.5
        distance = abs((self.value or 0.0) - (self.floor or 0.0))
        return levels.level(self.excess, scattered=0 < levels.FAR * scatter < distance)


@strict_dataclass
class EnergyResponse:
    """Response E_tot/E near one incident energy: mean, and standard deviation over mean (resolution)."""

    sample: Literal["reference", "generated"]
    energy_GeV: float  # noqa: N815
    showers: Count
    mean: float | None
    mean_error: float | None
    resolution: float | None
    resolution_error: float | None


@strict_dataclass
class Omission:
    """Something that is not in the report, and why."""

    what: str
    reason: str


@strict_dataclass
class Speed:
    """How long a shower takes.

    Attributes
    ----------
    ms
        Milliseconds a shower.
    error
        Its uncertainty, if known.
    conditions
        Batch, threads and processor in words.
    """

    ms: float
    error: float | None
    conditions: str


@strict_dataclass
class Worth:
    """How many showers of the reference a generated sample is worth (amplification).

    Attributes
    ----------
    space
        Name of the observable or of the joint space.
    effective, low, high
        Showers it is worth, and the bounds of one standard deviation; None where there is no bound.
    training
        Showers that the generator learned from.
    """

    space: str
    label: str
    effective: float | None
    low: float | None
    high: float | None
    training: Count
    reason: str = ""


@strict_dataclass
class Results:
    """All numbers of an evaluation.

    Attributes
    ----------
    warnings
        What a reader must know before believing the numbers, a sentence each.
    copies
        Those of the warnings that say that generated showers were copied, from the reference or from what
        the generator learned from.
    """

    format: Literal["caloforge-evaluation"]
    version: Literal[1]
    caloforge: str
    reference: ShowerSample
    generated: ShowerSample
    settings: Settings
    warnings: tuple[str, ...]
    observables: tuple[Quantity, ...]
    verdicts: tuple[MetricResult, ...]
    responses: tuple[EnergyResponse, ...]
    linearity: tuple[EnergyResponse, ...]
    omissions: tuple[Omission, ...] = ()
    speed: Speed | None = None
    worth: tuple[Worth, ...] = ()
    copies: tuple[str, ...] = ()

    @property
    def overall(self) -> tuple[MetricResult, ...]:
        """What is said of the samples as a whole: means over observables first, then what is joint."""
        one = [one for one in self.verdicts if one.kind == "observable"]
        means = (mean(group) for group in by_metric(one).values())
        return (*means, *(one for one in self.verdicts if one.kind != "observable"))

    def to_dict(self) -> dict[str, Any]:
        """Return everything in JSON's types."""
        return config.to_dict(self)


def from_score(score: Score, **about: Any) -> MetricResult:
    """Return a score with what it is about (see `MetricResult`)."""
    return MetricResult(
        value=score.value,
        error=score.error,
        floor=score.floor,
        floor_error=score.floor_error,
        sigma=score.sigma,
        showers=score.n,
        repeats=score.repeats,
        reason=score.reason,
        **about,
    )


def by_metric(found: Sequence[MetricResult]) -> dict[str, list[MetricResult]]:
    """Return results by metric, in the order in which the metrics first come."""
    groups: dict[str, list[MetricResult]] = {}
    for one in found:
        groups.setdefault(one.metric, []).append(one)
    return groups


def mean(of: Sequence[MetricResult]) -> MetricResult:
    """Return the mean of one metric over observables.

    The observables of one shower depend on each other, so the error is the mean of the errors, which is its
    upper bound; the distance above the floor is therefore rather too small than too large.
    """
    given = [one for one in of if one.value is not None]
    first = of[0]
    if not given:
        return first
    value, floor, error, floor_error = (
        sum(numbers) / len(given)
        for numbers in zip(
            *((one.value or 0, one.floor or 0, one.error or 0, one.floor_error or 0) for one in given),
            strict=True,
        )
    )
    spread = (error**2 + floor_error**2) ** 0.5
    distance = (floor - value if first.higher else value - floor) / spread if spread > 0 else None
    return MetricResult(
        first.metric,
        f"{first.label}, mean of {len(given)} observables",
        first.citation,
        "observable",
        "",
        value,
        error,
        floor,
        floor_error,
        distance,
        min(one.showers for one in given),
        first.repeats,
        first.higher,
    )


def save(results: Results, path: Path) -> None:
    """Write results as JSON."""
    with written_aside(path) as aside:
        aside.write_text(json.dumps(results.to_dict(), indent=1, allow_nan=False) + "\n", encoding="utf-8")


def load(path: str | Path) -> Results:
    """Read results: a metrics.json, or the folder of a report.

    Raises
    ------
    InputError
        There is no such file, or it holds something else.
    """
    file = Path(path) / NAME if Path(path).is_dir() else Path(path)
    try:
        content = json.loads(file.read_text(encoding="utf-8"), parse_constant=_number, parse_float=_number)
    except OSError as error:
        raise InputError(
            f"{file} can't be read ({error.strerror}); give a folder that caloforge evaluate wrote, or its "
            f"{NAME}."
        ) from None
    except (ValueError, RecursionError):
        raise InputError(
            f"{file} is not JSON, or holds a number that no evaluation finds; give the {NAME} of a report."
        ) from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(f"{file} is not a result of caloforge evaluate; give the {NAME} of a report.")
    try:
        return config.load(Results, _without_levels(content))
    except ConfigError as error:
        raise InputError(f"{file}: {error}") from None


def _number(text: str) -> float:
    """Read a number; NaN is none, and what is absurdly large can't be drawn."""
    number = float(text)
    if not abs(number) < _ABSURD:
        raise ValueError(text)
    return number


def _without_levels(content: dict[str, Any]) -> dict[str, Any]:
    """Return what was read without the levels of the metrics, which follow from their numbers."""
    verdicts = content.get("verdicts")
    if not isinstance(verdicts, list):
        return content
    kept = [
        {key: value for key, value in one.items() if key != "level"} if isinstance(one, dict) else one
        for one in verdicts
    ]
    return {**content, "verdicts": kept}


def schema() -> dict[str, Any]:
    """Return the JSON schema of ``metrics.json``, as it follows from `Results`."""
    made = TypeAdapter(Results).json_schema(mode="serialization")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **made,
        "title": "caloforge evaluation",
    }
