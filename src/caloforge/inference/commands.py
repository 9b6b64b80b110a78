"""The command lines that messages, cards and pages quote."""

import json
import math
import shlex
from collections.abc import Mapping
from typing import Any

from caloforge.incident.particles import particle_name

Record = Mapping[str, Any]


def recipe(like: Record, pdg: int, geometry: str, energies: tuple[float, float]) -> str:
    """Return the commands that make a model like one that there is, a line each.

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
    """
    particle, showers = particle_name(pdg), sum(item["showers"] for item in like["data"])
    low, high = (f"{energy:g}" for energy in energies)
    learned = ["--set", f"energy_range=[{float(low)}, {float(high)}]"]
    passes = ["--epochs", str(like["plan"]["epochs"])] if "plan" in like else []
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
    """Return the command that exported a model from the folder of its training."""
    folder = "FOLDER/best" if record.get("chosen", "best") == "best" else "FOLDER"
    quality = f" --quality {record['quality']}" if record.get("quality") else ""
    preferred = " --preferred" if record.get("preferred") else ""
    return f"caloforge export {folder} -o {record['graph']}{quality}{preferred}"


def training_command(record: Mapping[str, Any]) -> str:
    """Return the command that trains a model again, up to the validation at which it was taken."""
    plan = {key.replace("_", "-"): value for key, value in record["plan"].items()}
    learned = sum(item["showers"] for item in record["data"]) - plan["held-out"]
    plan["epochs"] = math.ceil(record["step"] / (learned // plan["batch"]))
    words = ["caloforge", "train", record["model"]]
    words += [word for item in record["data"] for word in ("--data", item["file"])]
    words += ["--geometry", record["geometry"]["name"], "--output", "FOLDER"]
    flips = plan.pop("flips")
    words += [word for key, value in plan.items() for word in (f"--{key}", str(value))]
    words += ["--flips" if flips else "--no-flips", "--threads", str(record["surroundings"]["threads"])]
    words += [
        word
        for key, value in record["config"].items()
        if key != "particles"
        for word in ("--set", f"{key}={json.dumps(value)}")
    ]
    return shlex.join(words)
