"""Chooses a trained model for a request, and explains when there is none."""

import contextlib
from collections.abc import Mapping, Sequence

from particle import Particle

from caloforge import catalog
from caloforge.errors import CatalogError, CheckpointError, GeometryError
from caloforge.geometry import Calorimeter
from caloforge.geometry.rebinning import shared_matrix
from caloforge.incident.particles import particle_name
from caloforge.inference import zoo
from caloforge.inference.commands import Record, recipe
from caloforge.inference.model import TrainedModel
from caloforge.inference.record import read_record

__all__ = ["QUALITIES", "find", "known", "nearest", "refusal"]

QUALITIES = ("fast", "precise")
"""What a shipped model is best at; the first is the default."""


def known() -> dict[str, Record]:
    """Return the records of all models by name, those that ship first.

    Models in other folders that this caloforge can't use are left out.

    Examples
    --------
    >>> known()["fast_eplus"]["quality"]
    'fast'
    """
    found: dict[str, Record] = {}
    for name, path in zoo.records().items():
        try:
            found[name] = read_record(path)
        except CheckpointError:
            # A damaged model of the package means a damaged installation. One in another folder must not stop
            # the use of all others.
            if path.parent == zoo.shipped():
                raise
    return found


def _best(fitting: Mapping[str, Record]) -> str:
    """Return the default model: the preferred one, or else the quality decides."""
    order = (*QUALITIES, None)

    def rank(name: str) -> tuple[bool, int]:
        quality, preferred = fitting[name].get("quality"), fitting[name].get("preferred", False)
        return not preferred, order.index(quality) if quality in order else len(order)

    return min(fitting, key=rank)


def refusal(pdg: int, geometry: str, shipped: Mapping[str, Record], preference: Sequence[str]) -> str:
    """Say that there is no model for a particle in a calorimeter, which one is nearest, and how to train one.

    Parameters
    ----------
    pdg
        The particle.
    geometry
        Name of the calorimeter.
    shipped
        The records of all models, by name.
    preference
        Qualities in the order of preference.
    """
    name = nearest(pdg, geometry, shipped, preference)
    low, high = shipped[name]["energy_range_GeV"]
    trained = ", ".join(map(particle_name, shipped[name]["pdg"]))
    return (
        f"No shipped model was trained for {particle_name(pdg)} in {geometry}. The nearest is {name}: "
        f"{trained} in {shipped[name]['geometry']['name']}, {low:g} to {high:g} GeV. To make one:\n"
        f"{recipe(shipped[name], pdg, geometry, (low, high))}"
    )


def nearest(pdg: int, geometry: str, shipped: Mapping[str, Record], preference: Sequence[str]) -> str:
    """Return the name of a model of the particle in another calorimeter, else of another particle in it.

    Among several the particle with the nearest mass is taken, and then the quality decides.

    Examples
    --------
    >>> models = {name: record for name, record in known().items() if name.startswith("fast")}
    >>> nearest(13, "calogan", models, QUALITIES)  # no muons: the pion has the nearest mass
    'fast_piplus'
    """

    def distance(name: str) -> tuple[bool, bool, float, int]:
        record = shipped[name]
        elsewhere, quality = record["geometry"]["name"] != geometry, record.get("quality")
        of_masses = min(abs(_mass(other) - _mass(pdg)) for other in record["pdg"])
        order = preference.index(quality) if quality in preference else len(preference)
        return pdg not in record["pdg"], elsewhere, of_masses, order

    return min(shipped, key=distance)


def _mass(pdg: int) -> float:
    return float(Particle.from_pdgid(pdg).mass or 0.0)


def _fitting(pdg: int, geometry: str, records: Mapping[str, Record]) -> dict[str, Record]:
    """Return the records of a particle in a calorimeter."""
    return {
        name: record
        for name, record in records.items()
        if record["geometry"]["name"] == geometry and pdg in record["pdg"]
    }


def _default(
    pdg: int, geometry: str, everything: Mapping[str, Record], threads: int | None
) -> TrainedModel | None:
    """Return the model that is taken where none is named; None if there is none."""
    paths, ships = zoo.records(), zoo.shipped()
    first = {name: record for name, record in everything.items() if paths[name].parent == ships}
    own = _fitting(pdg, geometry, everything)
    for some in (first, everything):
        if exact := _fitting(pdg, geometry, some):
            return TrainedModel.load(_best(exact), threads)  # records are small, graphs are not
        # Only the record of a model that was added may know a calorimeter that the catalogue does not.
        with contextlib.suppress(*[CatalogError] if own else ()):
            if (summed := _summed(pdg, geometry, some, threads)) is not None:
                return summed
    return None


def _summed(
    pdg: int, geometry: str, everything: Mapping[str, Record], threads: int | None
) -> TrainedModel | None:
    """Return the default one of the models with smaller cells, which are summed; None if there is none."""
    of_particle = {name: record for name, record in everything.items() if pdg in record["pdg"]}
    if not of_particle:
        return None
    asked, fitting = Calorimeter.load(geometry), {}
    for name, record in of_particle.items():
        with contextlib.suppress(GeometryError):
            shared_matrix(Calorimeter.from_dict(record["geometry"]), asked)
            fitting[name] = record
    return TrainedModel.load(_best(fitting), threads).on(asked) if fitting else None


def find(pdg: int, geometry: str, quality: str | None = None, threads: int | None = None) -> TrainedModel:
    """Load the model for a particle in a calorimeter: one that ships, or else one that was added.

    Parameters
    ----------
    pdg
        The particle.
    geometry
        Name of the calorimeter, or its TOML file.
    quality
        "fast" or "precise"; None takes the model whose record is preferred, else a fast one, else a precise
        one, else any. Models that ship come before others, and among each models of this read-out before
        those of smaller cells, which are summed.
    threads
        CPU threads; None leaves the choice to onnxruntime.

    Raises
    ------
    CatalogError
        No model was trained for these, and the message names the nearest model and the commands that train
        one; or none has this quality.

    Examples
    --------
    >>> find(-11, "calogan", "precise").name
    'precise_eplus'
    """
    if quality not in (*QUALITIES, None):
        raise CatalogError(catalog.unknown(str(quality), list(QUALITIES), what="qualities"))
    everything = known()
    fitting = _fitting(pdg, geometry, everything)
    if quality is None and (model := _default(pdg, geometry, everything, threads)) is not None:
        return model
    if not fitting:
        raise CatalogError(refusal(pdg, geometry, everything, QUALITIES))
    for name, record in fitting.items():
        if record.get("quality") == quality:
            return TrainedModel.load(name, threads)
    raise CatalogError(
        f"No shipped model for {particle_name(pdg)} in {geometry} is '{quality}'. There are: "
        f"{', '.join(fitting)}. Ask for one of these as the model, or for no quality."
    )
