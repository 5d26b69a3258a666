"""Measure the trained parts on held-out people: ``python -m miniature.checks.report``.

Writes ``build/measured.json``, which ``pack`` puts into the card. With ``--consistency FILE`` the
numbers of ``benchmarks/consistency.py`` go in too.
"""

from __future__ import annotations

import argparse
import json
import platform
from pathlib import Path

import torch

from ..paths import BUILD
from ..pictures.dataset import PictureSet, add_set_options
from ..stages import identity, segmenter, vae


def machine() -> str:
    """The processor, in words."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} cores of {names[0]}" if names else platform.processor()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_set_options(parser)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--consistency", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    data, path = PictureSet(options.data), BUILD / "measured.json"
    measured = json.loads(path.read_text()) if path.exists() else {}
    measured["machine"] = machine()
    for name, values in (
        ("autoencoder", vae.report(data, BUILD / "vae.png")),
        ("identity", identity.report(data)),
        ("segmenter", segmenter.report([options.data, options.pairs])),
    ):
        measured |= {f"{name}_{key}": value for key, value in values.items()}
    if options.consistency:
        for which, values in json.loads(options.consistency.read_text()).items():
            label = "frames" if which.startswith("with ") else "templates"
            measured |= {f"{label}_{key}": value for key, value in values.items()}
    path.write_text(json.dumps(measured, indent=1) + "\n")
    print(json.dumps(measured, indent=1))


if __name__ == "__main__":
    main()
