"""How fast is it, and what does a setting cost or gain? Tables with statistical errors, made by measurement.

A benchmark is handed what it times, so that it knows no other stage: trained models, and a `Simulate`.
"""

from caloforge.benchmark.generate import BATCHES, Effort, generate
from caloforge.benchmark.machine import pinned
from caloforge.benchmark.settings import SETTINGS, compare
from caloforge.benchmark.shots import Setting, Shot, Simulate
from caloforge.benchmark.speed import speed
from caloforge.benchmark.write import Report, markdown, prepare, write

__all__ = [
    "BATCHES",
    "SETTINGS",
    "Effort",
    "Report",
    "Setting",
    "Shot",
    "Simulate",
    "compare",
    "generate",
    "markdown",
    "pinned",
    "prepare",
    "speed",
    "write",
]
