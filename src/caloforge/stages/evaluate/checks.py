"""Finds what makes a comparison impossible or misleading, and describes it in sentences."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from caloforge.errors import InputError
from caloforge.geometry import Calorimeter
from caloforge.incident.incident import Incident
from caloforge.incident.particles import particle_name
from caloforge.incident.text import direction_text, position_text
from caloforge.metrics.memorisation import copies
from caloforge.stages.evaluate.measure import Floats, Measured
from caloforge.units import GeV, MeV

__all__ = ["check_cells", "copied", "directions", "particle_names", "warnings"]

_LEAST_RESPONSE, _MOST_RESPONSE = 1e-3, 1e2
"""Median responses beyond those of any calorimeter: a unit is wrong."""

_ALIKE = 1e-3
"""Probability below which two samples are assumed to have different distributions."""

_DECIMALS = 3
"""Decimals of degrees and mm that are compared: files round them differently."""

_CERTAIN = 3.0
"""Standard deviations from which one sample certainly has more of something."""


def check_cells(reference: Calorimeter, generated: Calorimeter, what: str = "generated showers") -> None:
    """Refuse to compare showers in different cells.

    Raises
    ------
    InputError
        The layers or their edges are not the same; the message names the first difference.
    """
    if reference.layers == generated.layers:
        return
    if reference.n_cells != generated.n_cells:
        difference = f"{reference.n_cells} cells against {generated.n_cells}"
    elif len(reference.layers) != len(generated.layers):
        difference = f"{len(reference.layers)} layers against {len(generated.layers)}"
    else:
        pairs = zip(reference.layers, generated.layers, strict=True)
        first = next(number for number, (one, other) in enumerate(pairs) if one != other)
        difference = f"the edges of layer {first}"
    raise InputError(
        f"The reference is in the cells of '{reference.name}', the {what} in those of "
        f"'{generated.name}', which differ ({difference}). Bring the finer ones onto the other read-out "
        "with: caloforge rebin."
    )


def warnings(reference: Measured, generated: Measured) -> list[str]:
    """Return what a reader must know before believing a comparison: a sentence each, at best none.

    What is said of copies comes from `copied`.
    """
    incident = (_particles, _spectra, _directions, _positions)
    checks = (_units, *incident, _repetitions, _overflow, _empty)
    return [sentence for check in checks for sentence in check(reference, generated)]


def _units(reference: Measured, generated: Measured) -> Iterator[str]:
    """Suspect GeV that should be MeV."""
    responses = [_median_response(sample) for sample in (reference, generated)]
    factor = GeV / MeV
    for which, response in zip(("reference", "generated"), responses, strict=True):
        if 0 < response < _LEAST_RESPONSE:
            yield (
                f"The cells of the {which} showers hold {response:.2g} of the incident energy (median): "
                "their energies are probably in GeV and not in MeV. Multiply them by 1000."
            )
        elif response > _MOST_RESPONSE:
            yield (
                f"The cells of the {which} showers hold {response:.2g} times the incident energy (median): "
                "the incident energies are probably in GeV and not in MeV. Multiply them by 1000."
            )
    # Within a factor of 3 of 1/1000: generators may be wrong by tens of percent, but not by so much.
    if min(responses) > 0 and abs(np.log10(responses[1] / responses[0] * factor)) < np.log10(3):
        yield (
            f"The generated showers hold about 1/{responses[0] / responses[1]:.0f} of the reference's "
            "energy: they are probably in GeV and not in MeV."
        )


def _median_response(sample: Measured) -> float:
    return float(np.median(sample.values["response"])) if "response" in sample.values else 0.0


def particle_names(incident: Incident) -> list[str]:
    """Return the names of the particles that occur."""
    return [particle_name(pdg) if pdg else "unknown" for pdg in np.unique(incident.pdg).tolist()]


def _particles(reference: Measured, generated: Measured) -> Iterator[str]:
    names = [", ".join(particle_names(sample.incident)) for sample in (reference, generated)]
    if names[0] != names[1]:
        yield (
            f"The incident particles differ: {names[0]} in the reference, {names[1]} in the generated sample."
        )


def _spectra(reference: Measured, generated: Measured) -> Iterator[str]:
    distance = _distance(reference.energy, generated.energy)
    if distance is not None:
        ranges = [
            f"{s.energy.min() / GeV:.4g} to {s.energy.max() / GeV:.4g} GeV" for s in (reference, generated)
        ]
        yield (
            f"The incident energies are distributed differently (Kolmogorov-Smirnov distance "
            f"{distance:.2g}; {ranges[0]} in the reference, {ranges[1]} generated), which distorts all "
            "shapes. Use --match-energies to compare showers of the same spectrum."
        )


def _directions(reference: Measured, generated: Measured) -> Iterator[str]:
    """Find different angles, even if one sample is tilted and the other perpendicular to the front face."""
    angles = [directions(sample.incident) for sample in (reference, generated)]
    (theta, phi), (other_theta, other_phi) = angles
    if _differ(theta, other_theta) or _differ(phi, other_phi):
        said = [direction_text(_ends(theta), _ends(phi)) for theta, phi in angles]
        yield (
            f"The incident directions are distributed differently ({said[0]} in the reference, {said[1]} "
            "generated), which distorts all shapes. Generate them with --like, from the particles of "
            "the reference."
        )


def _positions(reference: Measured, generated: Measured) -> Iterator[str]:
    places = [sample.incident.position.T.round(_DECIMALS) for sample in (reference, generated)]
    if any(_differ(*pair) for pair in zip(*places, strict=True)):
        said = [position_text(_ends(eta), _ends(phi)) for eta, phi in places]
        yield (
            f"The incident positions on the front face are distributed differently ({said[0]} in the "
            f"reference, {said[1]} generated), which distorts all shapes. Generate them with --like, "
            "from the particles of the reference."
        )


def directions(incident: Incident) -> tuple[Floats, Floats]:
    """Return theta (n,) and, for tilted particles only, phi (0 to 360), both in degrees."""
    x, y, z = incident.unit_direction.T
    # arctan2 is accurate at small angles, where arccos(z) loses half of the digits.
    theta = np.degrees(np.arctan2(np.hypot(x, y), z)).round(_DECIMALS)
    phi = np.degrees(np.arctan2(y, x))[theta > 0].round(_DECIMALS)
    # -180 and 180 degrees are the same direction.
    return theta, phi % 360


def _differ(first: Floats, second: Floats) -> bool:
    """Whether values are distributed differently; if all of one sample are equal, any other value counts."""
    if not len(first) or not len(second):
        return False
    # The Kolmogorov-Smirnov test has no power against a few different values.
    if min(np.ptp(first), np.ptp(second)) == 0:
        return not np.array_equal(np.unique(first), np.unique(second))
    return _distance(first, second) is not None


def _distance(first: Floats, second: Floats) -> float | None:
    """Return the Kolmogorov-Smirnov distance of samples of different distributions; None of one.

    The asymptotic probability is too small for few showers. The exact one is right, but where the samples
    are almost equal it rounds to more than 1 and scipy warns; so it is only asked where they are not.
    """
    if ks_2samp(first, second, method="asymp").pvalue >= _ALIKE:
        return None
    exact = ks_2samp(first, second)
    return float(exact.statistic) if exact.pvalue < _ALIKE else None


def _ends(values: Floats) -> tuple[float, float]:
    return float(values.min(initial=np.inf)), float(values.max(initial=-np.inf))


def copied(reference: Measured, generated: Measured) -> Iterator[str]:
    """Find generated showers that are showers of the reference: to the last digit, or else in disguise."""
    ours, theirs = _fingerprints(reference), _fingerprints(generated)
    copied = int(np.isin(theirs, ours).sum())
    if copied:
        yield (
            f"{copied:,} of {len(generated):,} generated showers are exact copies of showers in the "
            "reference: this is not an independent sample."
        )
    # Flipped or rescaled copies differ in their observables, so the search needs the cells.
    elif len(reference.kept) and len(generated.kept):
        disguised = copies(reference.kept, generated.kept)
        if len(disguised.generated):
            yield f"{disguised.sentence('showers of the reference')} This is not an independent sample."


def _repetitions(reference: Measured, generated: Measured) -> Iterator[str]:
    for which, sample in (("generated", generated), ("reference", reference)):
        prints = _fingerprints(sample)
        repeated = len(prints) - len(np.unique(prints))
        if repeated:
            yield f"{repeated:,} of {len(sample):,} {which} showers repeat another one of their file exactly."


def _fingerprints(sample: Measured) -> NDArray[np.void]:
    """Return what tells showers with energy apart: all their observables, bit for bit."""
    rows = np.column_stack([sample.energy, *sample.values.values()])
    some = sample.values["response"] > 0 if "response" in sample.values else np.ones(len(rows), bool)
    # Empty showers are all equal, so they do not count as copies. The bits of two nan can differ, so a number
    # replaces them.
    rows = np.ascontiguousarray(np.nan_to_num(rows[some], nan=-1.0))
    # As bytes a row is one value, which numpy can sort and compare; so equal means equal in every bit.
    return rows.view(np.dtype((np.void, rows.itemsize * rows.shape[1]))).ravel()


def _overflow(reference: Measured, generated: Measured) -> Iterator[str]:
    """Find showers with more energy than came in, if the reference has significantly fewer of them."""
    sizes = len(reference), len(generated)
    counts = [
        int(np.sum(sample.values.get("response", np.zeros(1)) > 1)) for sample in (reference, generated)
    ]
    shares = [count / n for count, n in zip(counts, sizes, strict=True)]
    # The error of the difference if both samples have the same share.
    common = sum(counts) / sum(sizes)
    error = np.sqrt(common * (1 - common) * sum(1 / n for n in sizes))
    if shares[1] - shares[0] > _CERTAIN * error and _median_response(generated) < _MOST_RESPONSE:
        yield (
            f"{100 * shares[1]:.3g} % of the generated showers hold more energy than came in "
            f"({100 * shares[0]:.3g} % of the reference)."
        )


def _empty(reference: Measured, generated: Measured) -> Iterator[str]:
    shares = [np.mean(sample.values.get("response", np.ones(1)) == 0) for sample in (reference, generated)]
    # Also for equal shares, since shapes do not include these showers.
    if max(shares) > 0:
        yield (
            f"{100 * shares[1]:.3g} % of the generated showers and {100 * shares[0]:.3g} % of the reference "
            "hold no energy at all; shapes are taken of the others."
        )
