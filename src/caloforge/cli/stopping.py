"""Ctrl-C and SIGTERM as an exception, after which every file is whole or not there."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from types import FrameType

from caloforge.uninterrupted import is_uninterrupted

__all__ = ["Stopped", "stoppable"]

_AGAIN = 0.5  # seconds
_ENDED = 0  # no signal has this number


class Stopped(BaseException):
    """The command is asked to end, by Ctrl-C or by a batch system."""


@contextmanager
def stoppable() -> Iterator[list[int]]:
    """Raise `Stopped` when a request to end comes. Yields the numbers of the signals that came.

    Libraries in other languages, callbacks and finalizers can swallow an exception, so a request is repeated
    until the command ends.
    """
    received: list[int] = []
    requests: SimpleQueue[int] = SimpleQueue()  # its put, unlike the start of a thread, may interrupt itself

    def stop(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if _stops(sys.exc_info()[1]):  # what is half-written is being removed
            return
        requests.put(number)
        if not is_uninterrupted(frame):
            raise Stopped

    asking = threading.Thread(target=_ask_again, args=(requests,), daemon=True)
    asking.start()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    handled = [number for number in before if before[number] is not signal.SIG_IGN]  # as in the background
    report = sys.unraisablehook
    try:
        sys.unraisablehook = _without_stops(report)
        for number in handled:
            signal.signal(number, stop)
        yield received
    finally:
        for number in handled:
            signal.signal(number, signal.SIG_IGN)  # there is nothing left to stop
        requests.put(_ENDED)
        asking.join()
        sys.unraisablehook = report
        for number in handled:
            signal.signal(number, before[number])


def _ask_again(requests: SimpleQueue[int]) -> None:
    number = requests.get()
    while number != _ENDED:
        try:
            number = requests.get(timeout=_AGAIN)
        except Empty:
            os.kill(os.getpid(), number)


def _without_stops(report: Callable[["sys.UnraisableHookArgs"], object]) -> Callable[..., None]:
    """Return a hook that is silent about requests to stop that a finalizer swallowed: they are made again."""

    def hook(found: "sys.UnraisableHookArgs") -> None:
        if not isinstance(found.exc_value, Stopped):
            report(found)

    return hook


def _stops(error: BaseException | None) -> bool:
    """Return whether an exception comes of a request to end."""
    return error is not None and (isinstance(error, Stopped) or _stops(error.__context__))
