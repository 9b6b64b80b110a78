"""``caloforge info``: what is in a file of showers, or what a calorimeter is made of."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from caloforge.cli.common import console, file_to_write, progress_bar, say

if TYPE_CHECKING:
    from caloforge.geometry import Calorimeter
    from caloforge.showers.summary import Sample

__all__ = ["command"]


def command(
    what: Annotated[
        str,
        typer.Argument(
            metavar="FILE|GEOMETRY",
            help="A file of showers in any supported layout, or a calorimeter: a name of the "
            "catalogue, a TOML file or a binning.xml.",
        ),
    ],
    toml: Annotated[
        Path | None,
        typer.Option(
            callback=file_to_write, help="Also write the calorimeter as TOML, as a template for your own."
        ),
    ] = None,
) -> None:
    """Describe a file of showers (particles, energies, response, origin) or a calorimeter.

    [bold]Example[/bold]: caloforge info showers.h5

    [bold]Example[/bold]: caloforge info calogan --toml mine.toml
    """
    from caloforge import catalog
    from caloforge.files import written_aside
    from caloforge.geometry import Calorimeter

    if what in catalog.names("geometries") or what.endswith((".toml", ".xml")):
        geometry = Calorimeter.load(what)
        _describe(geometry, {})
    else:
        geometry = _look_into(Path(what))
    if toml is not None:
        with written_aside(toml) as partial:
            partial.write_text(geometry.to_toml(), encoding="utf-8")
        say(f"\n{toml}: the description of {geometry.name}")


def _look_into(file: Path) -> "Calorimeter":
    """Describe a file of showers; return its calorimeter."""
    from caloforge.formats.base import recognise
    from caloforge.formats.open import open_any
    from caloforge.incident.incident import Incident
    from caloforge.incident.text import incident_text
    from caloforge.showers import summary

    samples: dict[int, summary.Sample] = {}
    incident: list[Incident] = []
    with open_any(file) as showers, progress_bar("Reading", unit="showers") as progress:
        done, total = 0, len(showers)
        for batch in showers.batches():
            summary.add(samples, batch)
            incident.append(batch.incident)
            progress(done := done + len(batch), total)
    layout = f"layout '{recognise(file) or 'caloforge'}'"
    size = file.stat().st_size
    title = f"[bold]{escape(str(file))}[/]: {total:,} showers, {size / 1e6:.3g} MB, {layout}"
    console.print(title, highlight=False)
    if samples:
        console.print(_sample_table(samples))
        say(f"incident particles: {incident_text(Incident.concatenate(incident))}")
    _describe(showers.geometry, samples)
    if showers.provenance:
        console.print("\nProvenance")
        console.print(_provenance_table(showers.provenance))
    return showers.geometry


def _describe(geometry: "Calorimeter", samples: "dict[int, Sample]") -> None:
    console.print(f"\n{escape(f'{geometry.name}: {geometry.description}')}", highlight=False)
    for stack in geometry.stack:
        slabs = " + ".join(f"{slab.thickness:g} mm {slab.material} ({slab.role})" for slab in stack.slabs)
        say(f"{stack.repeat} x ({slabs})" if len(stack.slabs) > 1 else f"{stack.repeat} x {slabs}")
    if geometry.stack:
        say(f"cells hold the energy deposited in: {', '.join(geometry.visible)}")
    else:
        say("the materials are not described, so it can't be simulated as it is")
    console.print(_layer_table(geometry, samples))


def _sample_table(samples: "dict[int, Sample]") -> Table:
    from caloforge.units import GeV

    table = Table()
    for title in ("particle", "number", "energy / GeV", "mean E_tot/E", "mean cells hit"):
        table.add_column(title, justify="right")
    for pdg, sample in sorted(samples.items()):
        table.add_row(
            _name(pdg),
            f"{sample.number:,}",
            f"{sample.low / GeV:.4g} to {sample.high / GeV:.4g}",
            f"{sample.response:.4f}",
            f"{sample.cells_hit:.1f}",
        )
    return table


def _layer_table(geometry: "Calorimeter", samples: "dict[int, Sample]") -> Table:
    table = Table()
    for title in (
        "layer",
        "z / mm",
        " or ".join(sorted({" x ".join(layer.axes) for layer in geometry.layers}, reverse=True)),
        "cells",
        *(f"mean E_i/E_tot, {_name(p)}" for p in sorted(samples)),
    ):
        table.add_column(title, justify="right")
    for i, layer in enumerate(geometry.layers):
        fractions = [f"{samples[pdg].layer_fractions[i]:.4f}" for pdg in sorted(samples)]
        z = f"{layer.z[0]:g} to {layer.z[1]:g}"
        table.add_row(str(i), z, f"{layer.shape[0]} x {layer.shape[1]}", f"{layer.n_cells:,}", *fractions)
    table.add_section()
    table.add_row("all", f"0 to {geometry.depth:g}", "", f"{geometry.n_cells:,}")
    return table


def _name(pdg: int) -> str:
    from caloforge.incident.particles import particle_name

    return particle_name(pdg) if pdg else "not stated"


def _provenance_table(provenance: Mapping[str, Any]) -> Table:
    table = Table("key", "value")
    for key, value in _flat(provenance):
        table.add_row(escape(key), escape(value))
    return table


def _flat(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Walk through nested values: dictionaries and lists of dictionaries become dotted keys."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        value = {str(number): part for number, part in enumerate(value)}
    if not isinstance(value, dict):
        yield key, str(value)
        return
    for name, part in value.items():
        yield from _flat(part, f"{key}.{name}" if key else name)
