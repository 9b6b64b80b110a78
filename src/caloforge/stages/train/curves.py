"""Writes the figures of a training for TensorBoard."""

import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

__all__ = ["Curves"]

_FLUSH_EVERY = 30.0  # seconds


class Curves:
    """Appends figures to a new event file in a folder.

    torch's ``SummaryWriter`` writes in a separate thread, which prints a traceback when the disk is full.
    Here the caller gets an `OSError`.

    Parameters
    ----------
    folder
        Where TensorBoard looks; made if it is missing.
    done
        Steps that are kept from an earlier part of the training; TensorBoard drops those after them.
    """

    def __init__(self, folder: Path, done: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        now = time.time()
        self.path = folder / f"events.out.tfevents.{now:.6f}.{socket.gethostname()}.{os.getpid()}"
        self._file = self.path.open("wb")
        self._writer, self._flushed = RecordWriter(self._file), now
        self._write(Event(wall_time=now, file_version="brain.Event:2"))
        if done:
            # TensorBoard drops the steps from here on that a killed process had already written.
            start = SessionLog(status=SessionLog.START)
            self._write(Event(wall_time=now, step=done + 1, session_log=start))

    def add(self, step: int, figures: Mapping[str, float]) -> None:
        """Append the figures of a step."""
        now = time.time()
        values = [Summary.Value(tag=name, simple_value=value) for name, value in figures.items()]
        self._write(Event(wall_time=now, step=step, summary=Summary(value=values)))
        if now - self._flushed > _FLUSH_EVERY:
            self._file.flush()
            self._flushed = now

    def close(self) -> None:
        """Write what is still in memory."""
        self._file.close()

    def _write(self, event: Event) -> None:
        self._writer.write(event.SerializeToString())
