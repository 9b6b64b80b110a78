"""Trains phases that do not depend on each other at the same time, on the workers of a Dask cluster.

A task is one phase (`caloforge.stages.train.dask_worker`), which reads the showers where it runs, so workers
need the files under the same names. Only the process that asked writes to the training's folder.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from caloforge.clusters import Site, Tasks, connected
from caloforge.errors import ClusterError
from caloforge.stages.train.fit import Piece, State

if TYPE_CHECKING:
    from caloforge.stages.train.dask_worker import Learned

__all__ = ["Cluster"]


class Cluster:
    """Trains phases on a cluster; a `caloforge.stages.train.fit.Elsewhere`.

    Parameters
    ----------
    name
        ``local``, a batch system, or the address of a scheduler (`caloforge.clusters`).
    workers
        Number of Dask workers to start; a scheduler that runs already has its own.
    training
        What a worker needs to know of the training (`caloforge.stages.train.dask_worker.learn`).
    """

    def __init__(self, name: str, workers: int, training: Mapping[str, Any]) -> None:
        self._name, self._workers, self._training = name, workers, training

    def __call__(
        self,
        pieces: Sequence[Piece],
        state: State,
        take: Callable[[Piece, State, dict[str, float]], None],
        progress: Callable[[int, str], None],
    ) -> None:
        """Train phases.

        Raises
        ------
        InputError
            The batch system takes no jobs.
        ClusterError
            The scheduler does not answer, there are no workers, or a worker can't train.
        """
        with connected(self._name, min(self._workers, len(pieces))) as site:
            _Phases(site, pieces, {**self._training, "state": state}, take, progress).run()


class _Phases(Tasks[Piece, "Learned"]):
    """The phases of one call."""

    kept = "Finished phases are kept: rerun the command to resume."

    def __init__(
        self,
        site: Site,
        pieces: Sequence[Piece],
        training: Mapping[str, Any],
        take: Callable[[Piece, State, dict[str, float]], None],
        progress: Callable[[int, str], None],
    ) -> None:
        super().__init__(site, pieces)
        self._training, self._take_phase, self._progress = training, take, progress
        self._steps = dict.fromkeys((piece.number for piece in pieces), 0)

    def call(self, part: Piece) -> tuple[Any, ...]:
        """Return what trains a phase."""
        from caloforge.stages.train import dask_worker

        return dask_worker.learn, self._training, tuple(part), self.topic

    def tell(self, news: Sequence[Any]) -> None:
        """Show how far a phase is."""
        number, steps = news
        self._steps[number] = steps
        self._progress(sum(self._steps.values()), "")

    def keep(self, part: Piece, made: "Learned") -> None:
        """Hand on what a phase has learned."""
        self._take_phase(part, made.state, made.figures)
        self.tell((part.number, part.steps))

    def waits(self, note: str) -> None:
        """Show what is waited for."""
        self._progress(sum(self._steps.values()), note)

    def lost(self, part: Piece) -> ClusterError:
        """Name the phase that is not trained."""
        return ClusterError(
            f"Phase {part.number} of the training is not done, because every worker that had it was lost. "
            f"{self.kept}"
        )

    def failed(self, error: Exception) -> ClusterError:
        """Say what a worker needs."""
        return ClusterError(
            f"A Dask worker can't train ({type(error).__name__}: {error}): it needs the same caloforge, "
            "torch and Dask as are here."
        )
