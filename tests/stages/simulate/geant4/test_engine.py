"""What Geant4 shoots, all in one process: only the first particle costs time."""

import json
import os
import subprocess
import sys

import pytest

from caloforge.stages.simulate.geant4 import data

AIM = """
import json, os, sys
from caloforge.incident.beam import Beam
from caloforge.errors import InputError
from caloforge.geometry import Calorimeter
from caloforge.stages.simulate.geant4.engine import Engine, Gun
from caloforge.stages.simulate.campaign.job import Job
from caloforge.incident.spectrum import Spectrum
beam = Beam(22, Spectrum.parse("1"))
engine = Engine(Job(Calorimeter.load("calogan"), beam, "em", 1, 0.7, (), False, {}, ""))
gun, answers = Gun(1), {}
for pdg in json.loads(sys.argv[1]):
    try:
        gun.aim(pdg)
        answers[pdg] = gun.particle.GetPDGEncoding()
    except InputError as error:
        answers[pdg] = str(error)
print("\\nanswers:", json.dumps(answers), flush=True)
os._exit(0)
"""
POSSIBLE = (11, -13, 22, 111, 130, 211, 2112, -2112, 3122, 1000010020, -1000020040, 1000060120, 1000822080)
REFUSED = {
    2: "quarks",
    5: "quarks",
    6: "quarks",
    21: "gluons",
    1103: "quarks",
    113: "resonances",
    12: "neutrinos",
    -14: "neutrinos",
    16: "neutrinos",
    23: "no such particle",
    -1000060120: "no such particle",
}


@pytest.mark.usefixtures("geant4")
def test_only_what_showers_is_shot() -> None:
    wanted = json.dumps([*POSSIBLE, *REFUSED])
    done = subprocess.run(
        [sys.executable, "-c", AIM, wanted],
        env={**os.environ, **data.find("em")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    answers = json.loads(done.stdout.rpartition("answers:")[2])
    for pdg in POSSIBLE:
        assert answers[str(pdg)] == pdg
    for pdg, word in REFUSED.items():
        assert f"(PDG id {pdg}): " in answers[str(pdg)]
        assert word in answers[str(pdg)]
