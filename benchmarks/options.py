"""What a measurement in a folder was begun with: a command that goes on must ask for the same."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Collection
from pathlib import Path


def hold(out: Path, options: Namespace, free: Collection[str]) -> None:
    """Notes ``options`` in ``out`` / options.json, or holds them against those that are noted there.

    Args:
        out: a folder, made if it is not there.
        options: of the command line.
        free: names of those that may change, for what is kept does not depend on them.

    Raises:
        SystemExit: one differs: what is kept there would be taken for what is asked for.
    """
    file = out / "options.json"
    asked = {k: v for k, v in vars(options).items() if k not in free}
    if not file.is_file():
        out.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(asked, indent=1), encoding="utf-8")
    for name, before in json.loads(file.read_text(encoding="utf-8")).items():
        if asked.get(name) != before:
            raise SystemExit(
                f"{out} was begun with --{name} {before}, and this command asks for "
                f"{asked.get(name)}; give another --out, or the same"
            )
