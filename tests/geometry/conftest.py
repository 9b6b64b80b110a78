"""Calorimeters that are written down in a line."""


def describe(layers, **changes):
    """The content of a TOML file with these (z, eta edges, phi edges)."""
    depth = layers[-1][0][1]
    return {
        "name": "box",
        "description": "",
        "reference": "",
        "visible": ["active"],
        "stack": [{"repeat": 1, "slabs": [{"material": "G4_Si", "thickness": depth, "role": "active"}]}],
        "layers": [{"z": z, "eta": {"edges": eta}, "phi": {"edges": phi}} for z, eta, phi in layers],
    } | changes
