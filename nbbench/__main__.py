"""``python -m nbbench`` is ``nbbench``."""

import sys

from .cli import main

sys.exit(main())
