"""The one exception that means "the user's input is at fault": commands print its text as a sentence and exit with 1."""

from __future__ import annotations


class UserError(Exception):
    """What is wrong, where, and what to do about it, in a sentence."""
