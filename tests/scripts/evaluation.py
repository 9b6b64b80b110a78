"""How far are generated showers from Geant4's?"""

from importlib.resources import files

import caloforge as cf
from caloforge.stages.evaluate.report import verdict_text

geant4 = cf.read(str(files("caloforge") / "samples" / "calogan_gamma.h5"))
generated = cf.generate("gamma", like=geant4, seed=5)

evaluation = cf.evaluate(geant4, generated, classifiers=False, repeats=4)
results = evaluation.results
for warning in results.warnings:
    print("Warning:", warning)
print(verdict_text(results))
assert results.reference.showers == results.generated.showers == len(geant4)
assert results.reference.energy_range_GeV == results.generated.energy_range_GeV
assert any(verdict.value is not None for verdict in results.verdicts)
