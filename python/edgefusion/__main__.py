"""`python -m edgefusion` is the command `edgefusion`."""

from __future__ import annotations

import sys

from edgefusion.cli import main

# Processes that multiprocessing starts import this module too.
if __name__ == "__main__":
    sys.exit(main())
