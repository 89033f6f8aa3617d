"""The command `lagrangian-ml`; what needs no numerics (help, `list`) is answered by the standard library alone."""

from .commands import main

__all__ = ["main"]
