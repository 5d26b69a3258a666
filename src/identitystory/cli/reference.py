"""Writes what docs/ says about commands and story files: ``python -m identitystory.cli.reference``."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from ..story.schema import json_schema
from .main import parser


def cli_page() -> str:
    """docs/cli.md: the help of every command."""
    top = parser()
    commands: Any = next(a for a in top._actions if a.dest == "name").choices
    pages = [("identitystory", top)]
    for name, page in commands.items():
        pages.append((f"identitystory {name}", page))
        for inner in (a for a in page._actions if a.dest == "part"):
            pages += [(f"identitystory {name} {n}", p) for n, p in inner.choices.items()]
    text = [
        "# Command line",
        "Made by `python -m identitystory.cli.reference`; do not edit.",
        "A mistake of the user prints one line and exits 2; a failure of the machine exits 1; "
        "Ctrl-C exits 130 and keeps what is finished.",
    ]
    for title, page in pages:
        text += [f"## {title}", f"```\n{_help(page)}\n```"]
    return "\n\n".join(text) + "\n"


def _help(page: object) -> str:
    """The help at a fixed width, whatever the terminal."""
    formatter = page.formatter_class  # type: ignore[attr-defined]
    page.formatter_class = lambda prog: formatter(prog, width=90)  # type: ignore[attr-defined]
    try:
        return re.sub(r"\x1b\[[0-9;]*m", "", page.format_help()).rstrip()  # type: ignore[attr-defined]
    finally:
        page.formatter_class = formatter  # type: ignore[attr-defined]


def schema_text() -> str:
    """docs/story.schema.json."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def main(folder: Path) -> None:
    """Writes both files into ``folder``."""
    (folder / "cli.md").write_text(cli_page(), encoding="utf-8")
    (folder / "story.schema.json").write_text(schema_text(), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs"))
