"""``caloforge compare``."""

from pathlib import Path
from typing import Annotated

import typer

from caloforge.cli.common import Output, say

__all__ = ["command"]


def command(
    reports: Annotated[
        list[Path],
        typer.Argument(help="Report folders written by caloforge evaluate, or their metrics.json."),
    ],
    output: Output = Path("caloforge-leaderboard.html"),
    speed: Annotated[
        Path | None, typer.Option(help="JSON file from caloforge benchmark generate, for the speed axis.")
    ] = None,
    metric: Annotated[
        str, typer.Option(help="Metric to rank generators by, as named in metrics.json.")
    ] = "separation",
) -> None:
    """Compare reports of several generators: fidelity against speed, and all metrics.

    [bold]Example[/bold]: caloforge compare calogan/ library/ parametrised/ -o leaderboard.html
    """
    from caloforge.stages.evaluate import load
    from caloforge.stages.evaluate.report import leaderboard

    every = [load(path) for path in reports]
    rows = [] if speed is None else leaderboard.read_speeds(speed)
    every = leaderboard.with_speeds(every, rows)
    leaderboard.write(output, every, metric, leaderboard.simulation_speed(every, rows))
    for line in leaderboard.ranking(every, metric):
        say(line)
    say(str(output))
