"""Pictures of a training while it runs."""

from pathlib import Path

from caloforge import plots
from caloforge.showers import Showers

__all__ = ["Pictures"]


class Pictures:
    """Plots generated and held-out showers into a folder, one file per validation."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, step: int, generated: Showers, reference: Showers) -> None:
        """Draw the average shower of either sample."""
        self.folder.mkdir(parents=True, exist_ok=True)
        plots.save([plots.average(generated, reference=reference)], self.folder / f"step-{step:06d}.png")
