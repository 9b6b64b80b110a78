"""A benchmark's numbers as tables and pictures."""

from caloforge.stages.benchmark.report import generate, settings, simulate
from caloforge.stages.benchmark.report.files import Report, markdown, prepare, write
from caloforge.stages.benchmark.workloads import Record

__all__ = ["Report", "make_report", "markdown", "prepare", "write"]

_MAKERS = {"generate": generate.report, "settings": settings.report, "simulate": simulate.report}


def make_report(record: Record) -> Report:
    """Return the report on what a benchmark found, fresh or read from its JSON."""
    return _MAKERS[record["benchmark"]](record)
