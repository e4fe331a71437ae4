"""Why a run is worth nothing."""

__all__ = ["LoadError"]


class LoadError(Exception):
    """The server does not do what it should, or this machine cannot ask it to."""
