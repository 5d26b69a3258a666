"""Q-Align through pyiqa, in a Python environment of its own.

pyiqa pins old packages, its weights take 16 GB, and both are under non-commercial terms, so neither
is ever imported here: the environment's own interpreter runs ``RATE`` on the pictures' files.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ..errors import ConfigError

RECIPE = (
    "make one with `python -m venv qalign && qalign/bin/pip install pyiqa` (PolyForm and S-Lab "
    "terms: non-commercial; it downloads 16 GB) and give --qalign qalign/bin/python"
)

RATE = """
import json, sys
try:
    import pyiqa
    from importlib.metadata import PackageNotFoundError, version
    files = json.load(sys.stdin)
    judge = pyiqa.create_metric("qalign")
    rates = [[float(judge(f, task_=task)) for f in files] for task in ("aesthetic", "quality")]
    try:
        number = version("pyiqa")
    except PackageNotFoundError:
        number = "of unknown version"
except ImportError as error:
    sys.exit(f"{error.name or error} is not installed")
print("\\n" + json.dumps({"version": number, "rates": rates}))
"""


class QAlign:
    """Q-Align's two ratings, 1 (bad) to 5 (excellent), as the paper uses them."""

    def __init__(self, interpreter: str | Path) -> None:
        """``interpreter``: the Python of the environment that holds pyiqa."""
        self.interpreter = str(interpreter)
        self.name = "Q-Align (pyiqa)"

    def rate(self, pictures: Sequence[Path]) -> tuple[Tensor, Tensor]:
        """(n,) aesthetic and (n,) general quality, float64.

        Raises:
            ConfigError: the interpreter is not there, or fails; its last words are told.
        """
        files = json.dumps([str(p.resolve()) for p in pictures])
        try:
            done = subprocess.run(
                [self.interpreter, "-c", RATE], input=files, capture_output=True, text=True
            )
        except OSError as error:
            raise ConfigError(f"{self.interpreter}: {error.strerror}; {RECIPE}") from None
        if done.returncode:
            words = done.stderr.strip().splitlines() or ["it said nothing"]
            raise ConfigError(f"Q-Align in {self.interpreter} failed: {words[-1]}; {RECIPE}")
        result = json.loads(done.stdout.splitlines()[-1])
        self.name = f"Q-Align (pyiqa {result['version']})"
        aesthetic, quality = torch.tensor(result["rates"], dtype=torch.float64)
        return aesthetic, quality
