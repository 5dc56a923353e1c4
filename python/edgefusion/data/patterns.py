"""The regular expressions of configurations."""

from __future__ import annotations

import re


def check(key: str, pattern: str) -> None:
    """A ValueError, for the configuration's key, if `pattern` is no regular expression."""
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{key}: is no regular expression ({error})") from None
