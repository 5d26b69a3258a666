"""Where the workshop keeps what it makes, and the options that every command of it shares."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
TARGET = ROOT / "src" / "identitystory" / "weights" / "miniature"
ASSETS = ROOT.parent / "shared" / "assets" / "makehuman_cc0.zip"


def add_world_options(parser: argparse.ArgumentParser) -> None:
    """--cache, --assets, --size."""
    parser.add_argument("--cache", type=Path, default=BUILD / "world", help="the body's cache")
    parser.add_argument("--assets", type=Path, default=ASSETS, help="the asset pack's zip")
    parser.add_argument("--no-assets", action="store_true", help="do without the asset pack")
    parser.add_argument("--size", type=int, default=128, help="picture size in pixels")


def open_world(options: argparse.Namespace):
    """The World of the given options, software-rendered on one thread."""
    os.environ.setdefault("LP_NUM_THREADS", "1")
    from .world.render import World

    assets = None if options.no_assets or not options.assets.exists() else options.assets
    return World(options.size, cache=options.cache, assets=assets)
