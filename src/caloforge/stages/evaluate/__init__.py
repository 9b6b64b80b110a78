"""One evaluation for all generators: how far are generated showers from a reference, and how sure is that?

>>> import caloforge
>>> from caloforge.stages.evaluate.report import write
>>> evaluation = caloforge.evaluate("geant4.h5", "generated.h5")
>>> evaluation.results.overall[0].sigma
>>> write(evaluation, "report")
"""

from caloforge.stages.evaluate.results import Results, load
from caloforge.stages.evaluate.run import Evaluation, evaluate

__all__ = ["Evaluation", "Results", "evaluate", "load"]
