"""Batches for tests of models, and trainings of them that need no file."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from caloforge import catalog
from caloforge.geometry import Axis, Calorimeter, Layer, Slab, Stack
from caloforge.incident.incident import Incident
from caloforge.models.base import Batch, Figures, GenerativeModel
from caloforge.models.flows import MaskedLinear, MaskedNetwork
from caloforge.stages.export.onnx import example
from caloforge.stages.train.data import SparseShowers, TrainingData
from caloforge.stages.train.phases import frozen

PDG = (-11, 22, 211)  # of labels 0, 1 and 2


def read_out(model: str, geometry: Calorimeter) -> Calorimeter:
    """Return the read-out of a calorimeter that a model learns in tests."""
    if model != "conv_l2l_flows":
        return geometry
    (layer, *_) = geometry.layers
    assert isinstance(layer, Layer)
    axes = {
        name: Axis.uniform(cells, axis.edges[0], axis.edges[-1])
        for name, axis, cells in (("eta", layer.eta, 4), ("phi", layer.phi, 2))
    }
    layers = tuple(replace(one, **axes) for one in geometry.layers)
    return replace(geometry, name=f"even_{geometry.name}", layers=layers)


def stack_of(rows: int, columns: Sequence[int]) -> Calorimeter:
    """Return a calorimeter whose layers have so many rows, and columns of their own."""
    layers = [
        Layer((10.0 * i, 10.0 * i + 10), Axis.uniform(n, -20, 20), Axis.uniform(rows, -20, 20))
        for i, n in enumerate(columns)
    ]
    stack = (Stack(len(layers), (Slab("G4_Si", 10.0, "active"),)),)
    return Calorimeter("stack", "", "", stack, ("active",), tuple(layers))


def build(model: str, geometry: Calorimeter, smaller: Mapping[str, Mapping[str, object]]) -> GenerativeModel:
    """Return a model on the read-out that it learns in tests, with a parent if it needs one.

    Settings of models whose own size would take long are given by their names.
    """
    torch.manual_seed(1)
    kind = catalog.load("models", model)
    found: GenerativeModel = kind(kind.Config(**smaller.get(model, {})), read_out(model, geometry))
    if kind.parent_model is not None:
        found.inherit(build(kind.parent_model, geometry, smaller))
    return found


def disturb(module: nn.Module, by: float) -> None:
    """Change all weights at random, as a training does: those that a mask hides stay 0."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += by * torch.randn_like(parameter)
        for layer in module.modules():
            if isinstance(layer, MaskedLinear):
                layer.weight *= layer.mask


def upright(cells: Tensor, energy: Tensor, geometry: Calorimeter, label: Tensor | int = 0) -> Batch:
    """Return showers of particles that meet the middle of the front face perpendicularly."""
    direction, position, zeros = example(("direction", "position", "label"), len(energy))
    return Batch(cells, energy, direction, position, zeros + label, geometry)


def take(batch: Batch, rows: Tensor | slice) -> Batch:
    """Return some showers of a batch."""
    tensors = {name: getattr(batch, name)[rows] for name in batch._fields[:-1]}
    return batch._replace(**tensors)


def training_data(batch: Batch) -> TrainingData:
    """Return upright showers as a training has them."""
    cells = batch.cells.numpy()
    rows, index = np.nonzero(cells)
    bounds = np.concatenate([[0], np.bincount(rows, minlength=len(cells)).cumsum()])
    incident = Incident(np.array(PDG)[batch.label.numpy()], batch.energy.numpy())
    part = SparseShowers(batch.geometry, bounds, index.astype(np.uint32), cells[rows, index], incident)
    return TrainingData((part,), np.arange(len(cells)), PDG, [])


def run(model: GenerativeModel, showers: Batch, steps: int, size: int = 256, phase: int = 0) -> list[Figures]:
    """Go through one phase as a training does, with batches of showers that are drawn at random."""
    chosen = model.phases()[phase]
    schedules = chosen.schedules(max(steps, 1))
    if chosen.prepare is not None:
        chosen.prepare(training_data(showers))
    figures = []
    with frozen(model, chosen):
        for step in range(steps):
            rows = torch.randint(len(showers.energy), (size,))
            figures.append(chosen.step(take(showers, rows), step / steps))
            for schedule in schedules:
                schedule.step()
    if chosen.finish is not None:
        chosen.finish(training_data(showers))
    return figures


def parameters_of(model: nn.Module) -> int:
    """Count parameters as published: with those that masks make 0, which are left out of the last layers."""
    networks = [one for one in model.modules() if isinstance(one, MaskedNetwork)]
    stored = sum(one.numel() for network in networks for one in network.outlets.parameters())
    whole = sum(part.numel() for network in networks for part in network.outlet())
    return sum(one.numel() for one in model.parameters()) - stored + whole
