"""Showers in memory, and what is said of them."""

from caloforge.showers.showers import Showers

__all__ = ["Showers"]
