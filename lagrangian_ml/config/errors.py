"""The one exception for mistakes of the user in a configuration, and how it names the nearest valid name."""

import difflib
from collections.abc import Iterable


class ConfigError(ValueError):
    """A mistake in a configuration or on the command line; its message is all the user is shown."""


def nearest(name: str, options: Iterable[str]) -> str:
    """The sentence 'Did you mean …?' with the closest of the options, or nothing if none is close."""
    close = difflib.get_close_matches(name, list(options), n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else ""


def listing(options: Iterable[str]) -> str:
    """The options in order, for a message."""
    return ", ".join(sorted(options)) or "none"
