"""How fast is it, and what does a setting cost or gain? Tables with statistical errors, made by measurement.

A benchmark is handed what it times, so that it knows no other stage: trained models, and a `Simulate`.
"""

from caloforge.stages.benchmark.generate import BATCHES, Effort, generate
from caloforge.stages.benchmark.machine import pinned
from caloforge.stages.benchmark.report import Report, markdown, prepare, write
from caloforge.stages.benchmark.settings import SETTINGS, compare
from caloforge.stages.benchmark.simulate import speed
from caloforge.stages.benchmark.workloads import Setting, Shot, Simulate

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
