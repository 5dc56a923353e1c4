"""`python -m edgefusion` is the command `edgefusion`."""

from __future__ import annotations

import sys

from edgefusion.cli import main

sys.exit(main())
