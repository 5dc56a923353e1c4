"""The one exception that means "the user's input is at fault": commands print its text as a sentence and exit with 1."""

from __future__ import annotations

import importlib
from types import ModuleType


class UserError(Exception):
    """What is wrong, where, and what to do about it, in a sentence."""


def extension(name: str) -> ModuleType:
    """The extension module edgefusion.`name`."""
    try:
        return importlib.import_module(f"edgefusion.{name}")
    except ImportError as error:
        raise UserError(
            f"the extension module edgefusion.{name} cannot be loaded ({error}); run scripts/setup or `pip install .`"
        ) from error
