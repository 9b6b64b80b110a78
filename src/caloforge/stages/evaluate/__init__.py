"""One evaluation for all generators: how far generated showers are from a reference, with uncertainties.

>>> import caloforge as cf
>>> samples = [cf.generate(particle, "1:100", n=1000) for particle in ("e+", "gamma")]
>>> evaluation = cf.evaluate(*samples, classifiers=False, repeats=2)
>>> evaluation.results.warnings[0]
'The incident particles differ: e+ in the reference, gamma in the generated sample.'

`caloforge.stages.evaluate.report.write` makes a page of it: ``write(evaluation, "report")``.
"""

from caloforge.stages.evaluate.results import Results, load
from caloforge.stages.evaluate.run import Evaluation, evaluate

__all__ = ["Evaluation", "Results", "evaluate", "load"]
