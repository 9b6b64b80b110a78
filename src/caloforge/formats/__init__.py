"""Files of showers: caloforge's own, and foreign layouts in both directions, one per module.

A module that has an ``ENTRY`` is a format (`caloforge.formats.base.Format`).
"""
