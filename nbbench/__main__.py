"""``python -m nbbench`` is ``nbbench``."""

import sys

from .cli import script

sys.exit(script())
