"""The calorimeter: what it is made of and how it is read out."""

from caloforge.geometry.axis import Axis
from caloforge.geometry.calorimeter import AnyLayer, Calorimeter, Slab, Stack
from caloforge.geometry.layers import Layer, RingLayer

__all__ = ["AnyLayer", "Axis", "Calorimeter", "Layer", "RingLayer", "Slab", "Stack"]
