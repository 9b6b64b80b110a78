"""Pages and plots of an evaluation."""

from caloforge.stages.evaluate.report.page import write
from caloforge.stages.evaluate.report.sections import verdict_text

__all__ = ["verdict_text", "write"]
