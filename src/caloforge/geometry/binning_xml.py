"""Read-outs as the Fast Calorimeter Simulation Challenge describes them: ``binning.xml``.

C. Krause et al., CaloChallenge 2022: A Community Challenge for Fast Calorimeter Simulation,
arXiv:2410.21611, Sec. 2. A file has one ``Bin`` per particle, and in it one ``Layer`` per layer with the
edges of its rings and the number of its sectors; a layer with fewer than two edges has no voxels.
"""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from caloforge.errors import GeometryError

__all__ = ["read_binning"]

_REFERENCE = "CaloChallenge, arXiv:2410.21611"


def read_binning(path: Path) -> dict[str, Any]:
    """Return the description of a calorimeter that has the voxels of a binning file.

    The file says nothing about materials and depths: the stack is empty and every layer 1 mm long.

    Parameters
    ----------
    path
        The XML file. Where it describes several particles, all must have the same voxels.

    Raises
    ------
    GeometryError
        The file can't be read, or is not such a description.
    """
    try:
        particles = ElementTree.parse(path).getroot().findall("Bin")
        read_outs = [_layers(particle) for particle in particles]
    except OSError as error:
        raise GeometryError(f"{path} can't be read: {error.strerror}.") from None
    except (ElementTree.ParseError, KeyError, ValueError) as error:
        raise GeometryError(f"{path} is not a CaloChallenge binning file: {error}.") from None
    if not read_outs or not read_outs[0]:
        raise GeometryError(f"{path} describes no voxels: it needs <Bin> with <Layer r_edges n_bin_alpha>.")
    if any(other != read_outs[0] for other in read_outs):
        names = ", ".join(particle.get("name", "without a name") for particle in particles)
        raise GeometryError(
            f"{path} describes different voxels for {names}; keep only one <Bin> in the file."
        )
    return {
        "name": path.stem,
        "description": "Voxels of a binning file; materials and depths are not known",
        "reference": _REFERENCE,
        "stack": [],
        "visible": ["active"],
        "layers": read_outs[0],
    }


def _layers(particle: ElementTree.Element) -> list[dict[str, Any]]:
    rings = []
    for layer in particle.findall("Layer"):
        edges = [float(edge) for edge in layer.attrib["r_edges"].split(",")]
        if len(edges) > 1:
            rings.append({"r": {"edges": edges}, "alpha": int(layer.attrib["n_bin_alpha"])})
    # The file has no depths; a calorimeter without a stack counts its layers in mm.
    return [{"z": [float(i), float(i + 1)], **ring} for i, ring in enumerate(rings)]
