"""The command ``identitystory``, and ``python -m identitystory``."""

import sys

from .cli import terminal


def main() -> None:
    """Makes the terminal ready, then imports and runs what was asked for; the process ends with it."""
    terminal.ready()
    from .cli.main import main as run

    sys.exit(run())


if __name__ == "__main__":
    main()
