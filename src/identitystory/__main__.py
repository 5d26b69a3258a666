"""``python -m identitystory`` is the command ``identitystory``."""

import sys

from .cli import main

sys.exit(main())
