"""Placeholder until the command lands."""


def command() -> None:
    """Not there yet."""
