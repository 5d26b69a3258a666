"""Q-Align through pyiqa, in a Python environment of its own.

pyiqa pins old packages, its weights take 16 GB, and both are under non-commercial terms, so neither
is ever imported here: the environment's own interpreter runs templates/qalign.txt, to ``find`` pyiqa
when the judge is opened, and to ``rate`` the pictures' files. It prints one line of JSON behind
``MARK``; whatever the libraries print before and after it is passed over.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import ConfigError

RECIPE = (
    "make one with `python -m venv qalign && qalign/bin/pip install pyiqa` (PolyForm and S-Lab "
    "terms: non-commercial; it downloads 16 GB) and give --qalign qalign/bin/python"
)

MARK = "identitystory's answer: "
FIND_SECONDS = 60  # a Python starts in far less, also from a cold disk
MAX_WORDS = 200  # letters of a failure's last words


class QAlign:
    """Q-Align's two ratings, 1 (bad) to 5 (excellent), as the paper uses them.

    Ratings are remembered by the pictures' content, so a picture is rated once a judge.
    """

    def __init__(self, interpreter: str | Path) -> None:
        """Opens the judge; nothing is loaded before there are pictures to rate.

        Args:
            interpreter: the Python of the environment that holds pyiqa.

        Raises:
            ConfigError: it is not there, is no Python, or finds no pyiqa.
        """
        self.interpreter = str(interpreter)
        version = self._answer("find", seconds=FIND_SECONDS)
        if version is None:
            raise ConfigError(f"{self.interpreter}: pyiqa is not installed there; {RECIPE}")
        self.name = f"Q-Align (pyiqa {version})"
        self._rates: dict[str, list[float]] = {}  # sha256 of a picture -> aesthetic, quality

    def rate(self, pictures: Sequence[Path]) -> tuple[Tensor, Tensor]:
        """(n,) aesthetic and (n,) general quality, float64.

        Raises:
            ConfigError: the interpreter fails or gives no answer; its last words are told.
        """
        keys = [hashlib.sha256(p.read_bytes()).hexdigest() for p in pictures]
        new = {k: p for k, p in zip(keys, pictures, strict=True) if k not in self._rates}
        if new:
            rates = self._answer("rate", json.dumps([str(p.resolve()) for p in new.values()]))
            self._rates |= dict(zip(new, rates, strict=True))
        rated = torch.tensor([self._rates[k] for k in keys], dtype=torch.float64)  # (n, 2)
        aesthetic, quality = rated.reshape(-1, 2).unbind(1)
        return aesthetic, quality

    def _answer(self, what: str, asked: str = "", *, seconds: float | None = None) -> Any:
        """What the other interpreter prints behind ``MARK`` within ``seconds``."""
        template = resources.files("identitystory") / "templates" / "qalign.txt"
        code = f"what = {what!r}\n{template.read_text(encoding='utf-8')}"
        try:
            done = subprocess.run(
                [self.interpreter, "-c", code],
                input=asked,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=seconds,
            )
        except OSError as error:
            raise ConfigError(f"{self.interpreter}: {error.strerror}; {RECIPE}") from None
        except subprocess.TimeoutExpired:
            raise ConfigError(
                f"{self.interpreter} did not answer within {seconds:g} s; it must be the Python "
                f"of an environment with pyiqa: {RECIPE}"
            ) from None
        answers = [line for line in done.stdout.splitlines() if line.startswith(MARK)]
        if answers:  # also of a process that breaks when it ends: the answer is whole
            return json.loads(answers[-1].removeprefix(MARK))
        if done.returncode:
            words = _last_words(done.stderr, done.stdout)
            raise ConfigError(f"Q-Align in {self.interpreter} failed: {words}; {RECIPE}")
        words = _last_words(done.stdout, done.stderr)
        raise ConfigError(
            f"{self.interpreter} gave no answer; its last words: {words}; it must be the Python "
            f"of an environment with pyiqa: {RECIPE}"
        )


def _last_words(*outputs: str) -> str:
    """The last line of the first of ``outputs`` that has one, cut to its end."""
    said = [text.strip().splitlines()[-1] for text in outputs if text.strip()]
    return said[0].strip()[-MAX_WORDS:] if said else "none"
