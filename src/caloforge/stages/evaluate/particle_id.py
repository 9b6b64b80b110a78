"""Separation of particles by generated and by simulated showers (Table II of the CaloGAN paper).

Classifiers of two particles learn from one domain, the reference or generated showers, and are tested on
both. A classifier that learned from generated showers and is as good on the reference has learned physics.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import InputError, MissingExtra
from caloforge.formats.open import open_any
from caloforge.incident.particles import particle_name
from caloforge.metrics.classifiers.base import Floats, LabelledRows, joined, split_sizes
from caloforge.metrics.classifiers.cells import visible
from caloforge.progress import Progress, no_progress
from caloforge.showers import Showers
from caloforge.stages.evaluate.checks import check_cells
from caloforge.stages.evaluate.measure import KEPT, measure

__all__ = [
    "CITATION",
    "DOMAINS",
    "DROPOUT",
    "HIDDEN",
    "WIDTH",
    "ParticleSeparation",
    "read",
    "separate_particles",
]

CITATION = "Paganini, de Oliveira, Nachman, Phys. Rev. D 97 (2018) 014021, Table II"
DOMAINS = ("reference", "generated")

HIDDEN = 5
WIDTH = 256
DROPOUT = 0.3

_LEAST = 100
"""Fewest showers of each particle and domain."""


@dataclass(frozen=True)
class ParticleSeparation:
    """Accuracies of classifiers of two particles.

    Attributes
    ----------
    particles
        Names of the two.
    accuracy
        (2, 2, trials): domain of the training, domain of the test, as in `DOMAINS`.
    split
        Showers of each particle and domain for training, validation and test.
    """

    particles: tuple[str, str]
    accuracy: NDArray[np.float64]
    split: tuple[int, int, int]

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean over the trials, (2, 2)."""
        return np.asarray(self.accuracy.mean(axis=2))

    @property
    def spread(self) -> NDArray[np.float64]:
        """Standard deviation over the trials, (2, 2)."""
        return np.asarray(self.accuracy.std(axis=2, ddof=1))

    def to_dict(self) -> dict[str, Any]:
        """Return everything in JSON's types."""
        return {
            "particles": list(self.particles),
            "split": dict(zip(("training", "validation", "test"), self.split, strict=True)),
            "accuracy": [
                {"trained_on": DOMAINS[i], "tested_on": DOMAINS[j], "trials": self.accuracy[i, j].tolist()}
                for i, j in product(range(2), repeat=2)
            ],
        }


def separate_particles(
    reference: Sequence[Showers],
    generated: Sequence[Showers],
    *,
    trials: int = 10,
    seed: int = 1,
    progress: Progress = no_progress,
) -> ParticleSeparation:
    """Train classifiers of two particles on either domain and test them on both.

    Each trial divides all samples at random, 60 % for training, 20 % for choosing the best epoch, 20 % for
    the test, and trains one network on the reference and one on the generated showers. All samples are
    cut to the size of the smallest, so that guessing gives 50 %. The paper does not give the widths, the
    dropout and the preparation of the cells. Here: five hidden layers of 256 nodes and the output, a dropout
    of 0.3, the features of the low-level classifier without the incident energy.

    Parameters
    ----------
    reference, generated
        Showers of the first and of the second particle. Incident energies should be distributed alike in
        all four samples.
    trials
        Number of repetitions, at least two.
    seed
        Seed of the divisions and trainings.
    progress
        Called with (trainings done, trainings).

    Raises
    ------
    InputError
        Particles or calorimeters do not fit each other, or showers or trials are too few.
    MissingExtra
        torch is not installed.
    """
    if find_spec("torch") is None:
        raise MissingExtra("train", "torch")
    if trials < 2:
        raise InputError(f"{trials} trials have no spread, so no uncertainty: ask for 2 or more.")
    names = _particles(reference, generated)
    n = min(map(len, [*reference, *generated]))
    if n < _LEAST:
        raise InputError(f"{n} showers are too few to train on: give {_LEAST} of each particle or more.")
    domains = [[visible(sample) for sample in domain] for domain in (reference, generated)]
    cells = reference[0].geometry.n_cells
    accuracy = np.empty((2, 2, trials))
    for trial, trained_on in product(range(trials), range(2)):
        # A different division in each trial, so that the spread includes that of the samples.
        parts = [_split(domain, n, [seed, trial, number]) for number, domain in enumerate(domains)]
        # The epoch is chosen in the domain of the training: the other one must stay unseen.
        rows, validation, _ = parts[trained_on]
        tests = [test for _, _, test in parts]
        accuracy[trained_on, :, trial] = _accuracies(rows, validation, tests, cells, seed + trial)
        progress(2 * trial + trained_on + 1, 2 * trials)
    return ParticleSeparation(names, accuracy, split_sizes(n))


def read(paths: Sequence[Path], most: int = KEPT, seed: int = 1) -> list[Showers]:
    """Read files of showers, with a maximum number of showers each, drawn at random."""
    samples = []
    for path in paths:
        with open_any(path) as source:
            samples.append(measure(source, (), file=path, kept=most, seed=seed).kept)
    return samples


def _particles(reference: Sequence[Showers], generated: Sequence[Showers]) -> tuple[str, str]:
    """Return the names of the two particles; refuse samples that do not fit each other."""
    first = reference[0].geometry
    for sample in (*reference, *generated):
        check_cells(first, sample.geometry)
    found = [[_particle(sample) for sample in domain] for domain in (reference, generated)]
    if found[0] != found[1] or len(found[0]) != 2 or found[0][0] == found[0][1]:
        lists = " and ".join(", ".join(names) for names in found)
        raise InputError(
            f"The samples are of {lists}; give two particles, in the same order for the reference and the "
            "generated showers."
        )
    return found[0][0], found[0][1]


def _particle(sample: Showers) -> str:
    pdg = np.unique(sample.pdg)
    if len(pdg) != 1:
        raise InputError(f"A sample holds {len(pdg)} kinds of particles; give a file for each particle.")
    return particle_name(int(pdg[0]))


def _split(domain: Sequence[Floats], n: int, seed: list[int]) -> list[LabelledRows]:
    """Showers of both particles for training, validation and test, drawn at random."""
    random = np.random.default_rng(seed)
    mixed = [sample[random.permutation(len(sample))[:n]] for sample in domain]
    ends = np.cumsum(split_sizes(n))
    return [joined(*(sample[a:b] for sample in mixed)) for a, b in zip([0, *ends], ends, strict=False)]


def _accuracies(
    rows: LabelledRows, validation: LabelledRows, tests: Sequence[LabelledRows], cells: int, seed: int
) -> list[float]:
    """Train once; the share of right decisions on each test sample."""
    # Imported late: torch is an extra, and slow to import.
    from caloforge.metrics.classifiers import networks

    with networks.seeded(seed):
        network = networks.perceptron(rows.features.shape[1], WIDTH, HIDDEN, DROPOUT)
        scaled = networks.Standardised(network, rows.features, shares=cells)
        trained = networks.fit(scaled, rows, validation, no_progress, quality=_accuracy)
    return [_accuracy(trained.scores(test.features), test.labels) for test in tests]


def _accuracy(scores: Floats, labels: NDArray[np.int64]) -> float:
    """Share of right decisions."""
    return float(np.mean((scores > 0.5) == labels))
