"""What a prompt says and what a picture shows, attribute by attribute, on a checkpoint that knows.

A checkpoint of a small world may carry ``attributes/``: ``model.safetensors``, a network that reads
place, hour, sex, age and so on off a picture, and ``attributes.json``, the values of each attribute,
the phrases that say them, and how often the network is right on pictures that it never saw.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ..errors import ModelError

FOLDER, WEIGHTS, TABLE = "attributes", "model.safetensors", "attributes.json"
WIDTHS = (32, 64, 96, 128)  # channels after each halving of the picture

Phrases = Mapping[str, Mapping[str, Sequence[str]]]  # attribute -> phrase -> values it may mean

_BETWEEN = r"(?:(?!(?:and|with|in|a|an|the|of|wearing)\b)[\w-]+ ){0,3}?"  # what * stands for


class AttributeNet(nn.Module):
    """A small convolutional network with one answer for each attribute.

    Each attribute looks at the places of the picture that tell it: a softmax over the last map's
    positions weighs them, and a linear layer reads the sum.
    """

    def __init__(self, counts: Sequence[int]) -> None:
        """``counts``: how many values each attribute has."""
        super().__init__()
        a, b, c, d = WIDTHS
        self.stem = nn.Sequential(_block(3, a, 2), _block(a, b, 2))
        self.stages = nn.Sequential(
            _Residual(b, 1), _block(b, c, 2), _Residual(c, 2), _block(c, d, 2), _Residual(d, 1)
        )
        self.look = nn.Conv2d(d, len(counts), 1)
        self.answer = nn.ModuleList(nn.Linear(d, n) for n in counts)

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """(B, 3, H, W) in [-1, 1] -> logits (B, values) of each attribute."""
        features = self.stages(self.stem(pixels))  # (B, d, H/16, W/16)
        weights = self.look(features).flatten(2).softmax(dim=2)  # (B, attributes, positions)
        seen = weights @ features.flatten(2).mT  # (B, attributes, d)
        return [answer(seen[:, k]) for k, answer in enumerate(self.answer)]


class _Residual(nn.Module):
    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.inside = nn.Sequential(*(_block(width, width, 1) for _ in range(depth)))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inside(x)


def _block(inner: int, outer: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inner, outer, 3, stride, 1, bias=False), nn.BatchNorm2d(outer), nn.ReLU()
    )


@dataclass(frozen=True)
class AttributeReader:
    """Reads attributes off pictures, and what a prompt says about them.

    Attributes:
        network: the trained ``AttributeNet``.
        values: attribute -> its values, in the order of the network's answers.
        phrases: attribute -> phrase -> the values that it may mean.
        scene: attributes of the scene rather than of a person; all that is read off a picture
            with several people.
        size: pixels a side that the network looks at.
        accuracy: attribute -> how often it was right on held-out pictures, in [0, 1].
        name: for the results.
    """

    network: AttributeNet
    values: Mapping[str, tuple[str, ...]]
    phrases: Phrases
    scene: frozenset[str]
    size: int
    accuracy: Mapping[str, float]
    name: str

    @torch.inference_mode()
    def read(self, image: Image.Image) -> dict[str, str]:
        """The likeliest value of each attribute in ``image``."""
        rgb = image.convert("RGB")
        if rgb.size != (self.size, self.size):
            rgb = rgb.resize((self.size, self.size), Image.Resampling.BICUBIC)
        pixels = torch.from_numpy(np.array(rgb)).permute(2, 0, 1)[None].float() / 127.5 - 1
        answers = self.network(pixels)
        return {
            attribute: values[int(logits.argmax())]
            for (attribute, values), logits in zip(self.values.items(), answers, strict=True)
        }

    def verdicts(self, image: Image.Image, prompt: str, people: int) -> dict[str, bool]:
        """Whether ``image`` shows what ``prompt`` says, for each attribute that it says.

        With one person everything counts; with none or several, only the scene's attributes.
        """
        wanted = said(prompt, self.phrases)
        if people != 1:
            wanted = {k: v for k, v in wanted.items() if k in self.scene}
        if not wanted:
            return {}
        shown = self.read(image)
        return {attribute: shown[attribute] in values for attribute, values in wanted.items()}


def said(prompt: str, phrases: Phrases) -> dict[str, frozenset[str]]:
    """What ``prompt`` says: attribute -> the values that would make it true.

    The longest phrase wins where several match at one place. An attribute that is said twice in
    ways that exclude each other counts as not said. ``*`` in a phrase stands for up to three words.
    """
    words = re.findall(r"[\w-]+|[,.;:]", prompt.lower())
    text = f" {' '.join(words)} "
    found = {}
    for attribute, table in phrases.items():
        meanings = [frozenset(table[phrase]) for phrase in _matches(text, table)]
        common = frozenset.intersection(*meanings) if meanings else frozenset()
        if common:
            found[attribute] = common
    return found


def _matches(text: str, phrases: Iterable[str]) -> list[str]:
    """The phrases that stand in ``text``, without those that lie inside or across a longer one."""
    spans = []
    for phrase in phrases:
        pattern = re.escape(phrase.lower()).replace(r"\*\ ", _BETWEEN)
        spans += [(m.start(), m.end(), phrase) for m in re.finditer(rf"(?<= ){pattern}(?= )", text)]
    kept: list[tuple[int, int, str]] = []
    for start, end, phrase in sorted(spans, key=lambda s: s[0] - s[1]):
        if all(end <= a or start >= b for a, b, _ in kept):
            kept.append((start, end, phrase))
    return [phrase for _, _, phrase in kept]


def load_reader(folder: Path) -> AttributeReader | None:
    """The reader in a checkpoint's ``attributes/``; None where there is none.

    Raises:
        ModelError: it is there but broken.
    """
    table, weights = folder / TABLE, folder / WEIGHTS
    if not table.is_file() and not weights.is_file():
        return None
    try:
        facts: dict[str, Any] = json.loads(table.read_text(encoding="utf-8"))
        values = {k: tuple(v) for k, v in facts["values"].items()}
        network = AttributeNet([len(v) for v in values.values()])
        network.load_state_dict(load_file(weights))
        return AttributeReader(
            network=network.float().eval().requires_grad_(False),
            values=values,
            phrases=facts["phrases"],
            scene=frozenset(facts["scene"]),
            size=int(facts["size"]),
            accuracy=facts["accuracy"],
            name=str(facts["name"]),
        )
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"{folder} is broken: {' '.join(str(error).split())}") from None
