"""The command lines that messages, cards and pages quote."""

import json
import shlex
from collections.abc import Mapping
from typing import Any

from caloforge.incident.particles import particle_name
from caloforge.incident.text import direction_text, position_text
from caloforge.inference.record import STRAIGHT

__all__ = ["Record", "export_command", "incidence", "recipe", "training_command", "training_commands"]

Record = Mapping[str, Any]

_FROM_DATA = ("particles", "direction_range", "position_range")  # keys that training fills in


def recipe(like: Record, pdg: int, geometry: str, energies: tuple[float, float]) -> str:
    """Return the commands that make a model like an existing one, one per line.

    Parameters
    ----------
    like
        The record of that model.
    pdg
        The particle to learn.
    geometry
        The calorimeter to learn it in.
    energies
        Bounds of the incident energies to learn, in GeV.

    Examples
    --------
    >>> from caloforge.inference import zoo
    >>> from caloforge.inference.record import read_record
    >>> print(recipe(read_record(zoo.locate("fast_eplus")), -11, "calogan", (1.0, 10.0)).splitlines()[2])
      caloforge export mine -o mine.onnx
    """
    particle, showers = particle_name(pdg), sum(item["showers"] for item in like["data"])
    low, high = (f"{energy:g}" for energy in energies)
    learned = ["--set", f"energy_range=[{float(low)}, {float(high)}]"]
    epochs = like.get("plan", {}).get("epochs")
    passes = ["--epochs", str(epochs)] if epochs else []
    trained = "mine" if like.get("chosen") == "last" else "mine/best"
    asked = ["--particle", particle, "--energy", f"{low}:{high}"]
    commands = [
        ["simulate", geometry, *asked, "-n", str(showers), "-o", "geant4.h5"],
        ["train", like["model"], "-d", "geant4.h5", "--geometry", geometry, *passes, *learned, "-o", "mine"],
        ["export", trained, "-o", "mine.onnx"],
        ["generate", "--model", "mine.json", *asked, "-o", "showers.h5"],
    ]
    return "\n".join(f"  caloforge {shlex.join(words)}" for words in commands)


def export_command(record: Mapping[str, Any]) -> str:
    """Return the command that exported a model from the folder of its training.

    Examples
    --------
    >>> export_command({"graph": "mine.onnx", "chosen": "best", "quality": "fast"})
    'caloforge export FOLDER/best -o mine.onnx --quality fast'
    """
    folder = "FOLDER/best" if record.get("chosen", "best") == "best" else "FOLDER"
    quality = f" --quality {record['quality']}" if record.get("quality") else ""
    preferred = " --preferred" if record.get("preferred") else ""
    asked = record.get("precision", "int8")
    precision = "" if asked == "int8" else f" --precision {asked}"
    return f"caloforge export {folder} -o {record['graph']}{precision}{quality}{preferred}"


def training_command(record: Mapping[str, Any], folder: str = "FOLDER") -> str:
    """Return the command that trains a model again, into a folder.

    Examples
    --------
    >>> from caloforge.inference import zoo
    >>> from caloforge.inference.record import read_record
    >>> training_command(read_record(zoo.locate("fast_eplus")))[:46]
    'caloforge train copula --data prod_eplus.h5 --'
    """
    plan = {key.replace("_", "-"): value for key, value in record["plan"].items() if value is not None}
    # A flag has two names instead of a value.
    flips = plan.pop("flips")
    words = ["caloforge", "train", record["model"]]
    words += [word for item in record["data"] for word in ("--data", item["file"])]
    learned = record.get("learned") or [record["geometry"]["name"]]
    words += [word for name in learned for word in ("--geometry", name)]
    words += ["--output", folder]
    words += ["--from", record["parent"]["folder"]] if record.get("parent") else []
    words += [word for key, value in plan.items() for word in (f"--{key}", str(value))]
    words += ["--flips" if flips else "--no-flips", "--threads", str(record["surroundings"]["threads"])]
    words += [
        word
        for key, value in record["config"].items()
        if key not in _FROM_DATA
        for word in ("--set", f"{key}={json.dumps(value)}")
    ]
    return shlex.join(words)


def training_commands(record: Mapping[str, Any]) -> list[str]:
    """Return the commands that train a model again, those of the trainings that it started from first.

    Examples
    --------
    >>> from caloforge.inference import zoo
    >>> from caloforge.inference.record import read_record
    >>> len(training_commands(read_record(zoo.locate("fast_eplus"))))
    1
    """
    commands, folder, now = [], "FOLDER", record
    while now and "plan" in now:
        commands.append(training_command(now, folder))
        now = now.get("parent") or {}
        folder = now.get("folder", "").removesuffix("/best")
    return commands[::-1]


def incidence(record: Mapping[str, Any]) -> str:
    """Describe from which directions and to which positions the particles of a model come.

    Examples
    --------
    >>> incidence({})
    'perpendicular to the front face, at the centre of the front face'
    """
    direction = direction_text(*record.get("direction_range_deg", STRAIGHT))
    place = position_text(*record.get("position_range_mm", STRAIGHT))
    return f"{direction}, at {place}"
