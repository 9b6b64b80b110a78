"""Shower shapes: one per-shower quantity a file, each an entry of the catalogue ``observables``.

>>> from caloforge.observables.lateral_width import LateralWidth
>>> width = LateralWidth(layer=1, axis="eta")
>>> width(showers)  # (N,) in cells
"""
