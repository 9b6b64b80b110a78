"""Measured speed of models and Geant4, and the effect of settings, with statistical errors.

A benchmark is handed what it times, so that it knows no other stage: trained models, and a `Simulate`. Its
numbers become tables and pictures in `caloforge.stages.benchmark.report`.
"""

from caloforge.stages.benchmark.generate import BATCHES, MeasuringEffort, time_generation
from caloforge.stages.benchmark.machine import pinned
from caloforge.stages.benchmark.settings import SETTINGS, compare_settings
from caloforge.stages.benchmark.simulate import time_simulation
from caloforge.stages.benchmark.workloads import BenchmarkPoint, Record, Setting, Simulate

__all__ = [
    "BATCHES",
    "SETTINGS",
    "BenchmarkPoint",
    "MeasuringEffort",
    "Record",
    "Setting",
    "Simulate",
    "compare_settings",
    "pinned",
    "time_generation",
    "time_simulation",
]
