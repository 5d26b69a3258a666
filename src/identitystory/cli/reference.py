"""Writes what docs/ says about commands and story files: ``python -m identitystory.cli.reference``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..config import Preset
from ..presets import DEFAULT_PRESET, Suits, fitted
from ..settings import PARTS, setting_types, settings
from ..story.schema import json_schema
from .commands import Command, Group, options, told
from .main import COMMANDS

_SET = (
    "For `--set NAME=VALUE`. In brackets what `recommended` has with SDXL; other [presets](reference/settings.md) differ, and "
    "the miniature's card asks for other steps, guidance, sampler, negative prompt and `injection.identity_words`."
)


def cli_page() -> str:
    """docs/cli.md: what every command takes, and every setting with its default."""
    text = [
        "# Command line",
        "Made by `python -m identitystory.cli.reference`; do not edit.",
        "A mistake of the user prints one line and exits 2; a failure of the machine exits 1; "
        "Ctrl-C exits 130 and keeps what is finished. `identitystory --version` prints the version; "
        "every command has `--help`.",
        _list(
            (f"[{name}](#identitystory-{name.replace(' ', '-')})", told(c)[0])
            for name, c in _flat()
        ),
    ]
    for name, command in _flat():
        text += [f"## identitystory {name}", told(command)[1]]
        if not isinstance(command, Group):
            known = list(options(command))
            needed = [each.usage for each in known if each.needed]
            may = [f"[{each.usage}]" for each in known if not each.needed and each.word[0] != "-"]
            line = " ".join(["identitystory", name, *needed, *may, "[OPTIONS]"])
            text += [f"```\n{line}\n```", _list((f"`{o.usage}`", o.told["help"]) for o in known)]
    text += ["## Settings", _SET, _settings()]
    return "\n\n".join(text) + "\n"


def _flat() -> Iterator[tuple[str, Command | Group]]:
    for name, command in COMMANDS.items():
        yield name, command
        if isinstance(command, Group):
            yield from ((f"{name} {inner}", each) for inner, each in command.commands.items())


def _settings() -> str:
    """Every setting that ``--set`` takes, as its dataclass tells of it."""
    helps = {
        f"{part}.{name}" if part else name: words
        for part, config in {"": Preset, **PARTS}.items()
        for name, words in told(config)[2].items()
    }
    values = settings(fitted(DEFAULT_PRESET, Suits()))
    return _list(
        (f"`{name}` ({_shown(values[name])})", helps[name].rstrip(".")) for name in setting_types()
    )


def _shown(value: Any) -> str:
    """A value as ``--set`` takes it; what stands for nothing as a word."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return f'"{value}"' if value == "" else str(value)


def _list(items: Iterator[tuple[str, str]]) -> str:
    return "\n".join(f"- {name}: {words}".replace("<", "\\<") for name, words in items)


def schema_text() -> str:
    """docs/story.schema.json."""
    return _text(json_schema())


def character_schema_text() -> str:
    """docs/character.schema.json."""
    from ..runs.characters import form

    return _text(form.json_schema())


def _text(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def main(folder: Path) -> None:
    """Writes the files into ``folder``."""
    (folder / "cli.md").write_text(cli_page(), encoding="utf-8")
    (folder / "story.schema.json").write_text(schema_text(), encoding="utf-8")
    (folder / "character.schema.json").write_text(character_schema_text(), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs"))
