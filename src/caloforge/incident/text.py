"""Directions and positions of incident particles in words."""

from collections.abc import Sequence

from caloforge.incident.incident import Incident

__all__ = ["Bounds", "direction_text", "incident_text", "position_text"]

Bounds = Sequence[float]
"""Lowest and highest value."""


def direction_text(theta: Bounds, phi: Bounds) -> str:
    """Return in words where particles come from; angles in degrees.

    Examples
    --------
    >>> direction_text((0, 45), (0, 360))
    'theta 0 to 45 degrees and phi 0 to 360 degrees'
    >>> direction_text((0, 0), (0, 0))
    'perpendicular to the front face'
    """
    if not any(theta):
        return "perpendicular to the front face"
    return f"theta {_range(theta)} degrees and phi {_range(phi)} degrees"


def position_text(eta: Bounds, phi: Bounds) -> str:
    """Return in words where particles meet the front face, in mm.

    Examples
    --------
    >>> position_text((-40, 40), (0, 0))
    'eta -40 to 40 mm and phi 0 mm'
    >>> position_text((0, 0), (0, 0))
    'the centre of the front face'
    """
    if not any((*eta, *phi)):
        return "the centre of the front face"
    return f"eta {_range(eta)} mm and phi {_range(phi)} mm"


def incident_text(incident: Incident) -> str:
    """Return both for some particles: ``perpendicular to the front face, at the centre of the front face``.

    Examples
    --------
    >>> incident_text(Incident(22, 1e4))
    'perpendicular to the front face, at the centre of the front face'
    """
    theta, phi = incident.bounds("direction", degrees=True)
    return f"{direction_text(theta, phi)}, at {position_text(*incident.bounds('position'))}"


def _range(bounds: Bounds) -> str:
    # Adding 0.0 turns -0.0 into 0.0, so that the sign is not printed.
    low, high = (f"{value + 0.0:.4g}" for value in bounds)
    return low if low == high else f"{low} to {high}"
