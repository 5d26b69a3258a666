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
    parser.add_argument("--assets", type=Path, help="the asset pack's zip")
    parser.add_argument("--no-assets", action="store_true", help="do without the asset pack")
    parser.add_argument("--size", type=int, default=128, help="picture size in pixels")


def open_world(options: argparse.Namespace):
    """The World of the given options, software-rendered on one thread.

    Without ``--assets`` the pack is looked for at ``ASSETS``; without it people have other hair,
    brows and lashes, and a line says so.
    """
    os.environ.setdefault("LP_NUM_THREADS", "1")
    assets = None if options.no_assets else options.assets or ASSETS
    if options.assets and not options.assets.exists():
        raise SystemExit(
            f"--assets {options.assets}: there is no such file; --no-assets does without"
        )
    if assets and not assets.exists():
        assets = None
    if assets is None:
        print("no asset pack: hair, brows and lashes are the simpler ones made here", flush=True)
    from .world.render import World

    return World(options.size, cache=options.cache, assets=assets)
