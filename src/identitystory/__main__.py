"""``python -m identitystory`` is the command ``identitystory``."""

import sys

from .cli.main import main

sys.exit(main())
