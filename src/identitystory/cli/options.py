"""Options that several commands share: how a command is added, which model, how many steps."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError
from ..models.files.catalogue import DEFAULT_MODEL

if TYPE_CHECKING:
    from ..config import Preset


def command(
    commands: Any, run: Callable[..., int] | None, name: str, summary: str, text: str
) -> argparse.ArgumentParser:
    """A new command of ``commands``; without ``run`` its own commands have theirs."""
    made: argparse.ArgumentParser = commands.add_parser(name, help=summary, description=text)
    if run is not None:
        made.set_defaults(command=run)
    return made


def whole(given: str) -> int:
    """A whole number of at least 0, as an option's type."""
    if not given.isascii() or not given.isdigit() or len(given) > 19:
        raise argparse.ArgumentTypeError(f"{given!r} is not a whole number of at least 0")
    return int(given)


def scale(given: str) -> float:
    """A number, as an option's type."""
    try:
        return float(given)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{given!r} is not a number") from None


def workers_option(made: argparse.ArgumentParser) -> None:
    """How many processes paint side by side."""
    made.add_argument(
        "--workers",
        metavar="N",
        type=whole,
        default=1,
        help="processes that paint side by side and share this machine's processors (default: 1); "
        "on a processor as many as it has cores are fastest",
    )


def model_options(made: argparse.ArgumentParser) -> None:
    """Which model, where, and the numbers that override a preset's; None is the door's default."""
    made.add_argument(
        "--preset",
        metavar="P",
        help="paper, release, recommended, fast or low-vram (default: recommended)",
    )
    made.add_argument(
        "--model",
        metavar="M",
        help="miniature, sdxl, sdxl-light (CLIPSeg finds the characters), a complete checkpoint "
        "folder, or the hub id of one (default: miniature)",
    )
    made.add_argument(
        "--base",
        metavar="B",
        help="another base in SDXL's layout for --model sdxl or sdxl-light: a folder or a hub id "
        "that was fetched, such as SG161222/RealVisXL_V4.0",
    )
    offline_option(made)
    made.add_argument("--device", metavar="D", help="auto, cpu, cuda, cuda:N or mps")
    made.add_argument("--dtype", metavar="T", help="auto, float32, bfloat16 or float16")
    made.add_argument("--steps", metavar="N", type=whole, help="sampling steps")
    made.add_argument("--portraits", metavar="N", type=whole, help="portraits a character")
    made.add_argument(
        "--guidance",
        metavar="G",
        type=scale,
        help="how closely pictures keep to their words, 1 or more (default: the preset's; 3 with "
        "the miniature, 5 with other models)",
    )


def instrument_options(made: argparse.ArgumentParser) -> None:
    """What pictures are measured with; the same as ``evaluate`` takes."""
    made.add_argument("--clip", metavar="C", default="auto", help="as for evaluate")
    made.add_argument("--faces", metavar="F", default="auto", help="as for evaluate")
    made.add_argument("--face-models", metavar="FOLDER", type=Path, help="as for evaluate")


def default_stories(model: str | None) -> str:
    """The built-in set that suits ``model``, for commands that are given no ``--stories``."""
    from ..models.files.suited import suits_of

    return suits_of(model or DEFAULT_MODEL).stories


def chosen_preset(
    arguments: argparse.Namespace, model: str | None
) -> tuple[Preset, tuple[str, ...]]:
    """The preset that ``model_options`` ask for, and a sentence for each number that had to follow.

    Raises:
        ConfigError: there is no such preset, or a number is out of range.
    """
    from ..models.files.suited import preset
    from ..runs.options import DEFAULT_PRESET, overridden

    return overridden(
        preset(arguments.preset or DEFAULT_PRESET, model or DEFAULT_MODEL),
        steps=arguments.steps,
        portraits=arguments.portraits,
        guidance=arguments.guidance,
    )


def offline_option(made: argparse.ArgumentParser) -> None:
    """``--offline``."""
    made.add_argument("--offline", action="store_true", help="never use the network")


def heed_offline(arguments: argparse.Namespace) -> None:
    """Tells the hub's library, before it is imported, to stay off the network."""
    if arguments.offline:
        os.environ["HF_HUB_OFFLINE"] = "1"


def where(arguments: argparse.Namespace) -> dict[str, Any]:
    """``model``, ``device`` and ``dtype``, those that were given.

    ``--model`` and ``--base`` are one name, ``sdxl:owner/name``.

    Raises:
        ConfigError: ``--base`` with a model that has none to choose.
    """
    given = {key: getattr(arguments, key) for key in ("model", "device", "dtype")}
    heed_offline(arguments)
    if arguments.base is not None:
        from ..models.files.catalogue import split_name

        bundle, base = split_name(given["model"] or "sdxl")
        if bundle is None or base:
            raise ConfigError(
                f"--base goes with --model sdxl or sdxl-light, not with {given['model']}"
            )
        given["model"] = f"{bundle}:{arguments.base}"
    return {key: value for key, value in given.items() if value is not None}


def say(text: str) -> None:
    """A command's result, on standard output."""
    sys.stdout.write(text.rstrip("\n") + "\n")


def tell(text: str) -> None:
    """What happens meanwhile, on standard error."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
