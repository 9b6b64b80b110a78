"""Showers in memory, their checks, labels and summaries."""

from caloforge.showers.showers import Showers

__all__ = ["Showers"]
