"""What a prompt says and what a picture shows, attribute by attribute, on a checkpoint that knows.

A checkpoint of a small world may carry ``attributes/``: ``model.safetensors``, a network that reads
place, hour, sex, age and so on off a picture, and ``attributes.json``, the values of each attribute,
the phrases that say them, and how often the network is right on pictures that it never saw.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ..errors import ModelError
from ..models.files.store import short_digest
from ..story.text import calls_black

FOLDER, WEIGHTS, TABLE = "attributes", "model.safetensors", "attributes.json"
WIDTHS = (32, 64, 96, 96)  # channels after each halving of the picture
FACE_WIDTH = 48  # channels of what is seen of the face, at 5 x 5 places
FACE = 40  # pixels a side of the face's second look

Phrases = Mapping[str, Mapping[str, Sequence[str]]]  # attribute -> phrase -> values it may mean

_SMALL = frozenset(("a", "an", "the", "and", "with", "in", "on", "at", "by", "his", "her", "their"))
_BETWEEN = r"(?:(?!(?:and|with|in|a|an|the|of|wearing)\b)[\w-]+ ){0,3}?"  # what * stands for


class AttributeNet(nn.Module):
    """A small convolutional network with one answer for each attribute, and a second look at the face.

    The whole picture is looked at first. Each attribute weighs the places that tell it with a
    softmax over the last map's positions. The same maps say where the eyes are and how large the
    face is; the face is cut out of the picture at its full resolution, since an expression is a
    few pixels, and looked at by itself. A linear layer for each attribute reads both.
    """

    def __init__(self, counts: Sequence[int]) -> None:
        """``counts``: how many values each attribute has."""
        super().__init__()
        a, b, c, d = WIDTHS
        self.near = nn.Sequential(
            _block(3, a, 2), _block(a, b, 2), _Residual(b, 1), _block(b, c, 2), _Residual(c, 2)
        )
        self.far = nn.Sequential(_block(c, d, 2), _Residual(d, 1))
        self.look = nn.Conv2d(d, len(counts), 1)
        self.eyes = nn.Conv2d(c, 1, 1)
        self.reach = nn.Linear(d, 1)
        self.face = nn.Sequential(
            _block(3, a, 1),
            _block(a, b, 2),
            _Residual(b, 1),
            _block(b, c, 2),
            _block(c, FACE_WIDTH, 2),
        )
        self.answer = nn.ModuleList(
            nn.Linear(d + FACE_WIDTH * (FACE // 8) ** 2, count) for count in counts
        )

    def forward(self, pixels: Tensor, where: Tensor | None = None) -> tuple[list[Tensor], Tensor]:
        """What is seen, and where the face is.

        Args:
            pixels: (B, 3, S, S) in [-1, 1].
            where: (B, 3) the face to look at, if it is known; the network's own guess if not.

        Returns:
            logits (B, values) of each attribute; the guess (B, 3): x and y of the point between
            the eyes, from -1 at the left and top edge to 1, and half the face's width as a share
            of half the picture's.
        """
        maps = self.near(pixels)  # (B, c, S/8, S/8)
        features = self.far(maps)  # (B, d, S/16, S/16)
        weights = self.look(features).flatten(2).softmax(dim=2)  # (B, attributes, positions)
        seen = weights @ features.flatten(2).mT  # (B, attributes, d)
        guess = torch.cat([self._eyes(maps), self.reach(features.mean((2, 3))).sigmoid()], dim=1)
        face = self.face(faces_at(pixels, guess.detach() if where is None else where)).flatten(1)
        answers = [
            answer(torch.cat([seen[:, k], face], dim=1)) for k, answer in enumerate(self.answer)
        ]
        return answers, guess

    def _eyes(self, maps: Tensor) -> Tensor:
        """(B, 2) the mean position under the softmax of the map of eyes."""
        chance = self.eyes(maps).float().flatten(1).softmax(dim=1)
        side = maps.shape[-1]
        line = (torch.arange(side, device=maps.device) * 2 + 1) / side - 1
        y, x = torch.meshgrid(line, line, indexing="ij")
        return torch.stack([(chance * x.flatten()).sum(1), (chance * y.flatten()).sum(1)], dim=1)


def faces_at(pixels: Tensor, where: Tensor) -> Tensor:
    """(B, 3, 40, 40), a square from above the brows to below the mouth; ``where`` as in the network."""
    x, y, reach = where.float().unbind(1)
    scale, zero = 1.1 * reach, torch.zeros_like(x)
    rows = torch.stack([scale, zero, x, zero, scale, y + 0.5 * reach], dim=1).view(-1, 2, 3)
    grid = F.affine_grid(rows, [len(pixels), 3, FACE, FACE], align_corners=False)
    return F.grid_sample(pixels.float(), grid, padding_mode="border", align_corners=False)


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
        degrees: of angles, attribute -> the degrees that each of its values stands for.
        error: of angles, attribute -> its mean absolute error on held-out pictures, in degrees.
    """

    network: AttributeNet
    values: Mapping[str, tuple[str, ...]]
    phrases: Phrases
    scene: frozenset[str]
    size: int
    accuracy: Mapping[str, float]
    name: str
    degrees: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    error: Mapping[str, float] = field(default_factory=dict)

    def read(self, image: Image.Image) -> dict[str, str]:
        """The likeliest value of each attribute in ``image``."""
        return {k: self.values[k][int(logits.argmax())] for k, logits in self._seen(image).items()}

    def turns(self, image: Image.Image) -> dict[str, float]:
        """Each angle in ``image``, in degrees: the mean of its values' degrees, as likely as each is."""
        return {k: mean_degrees(self._seen(image)[k], d) for k, d in self.degrees.items()}

    @torch.inference_mode()
    def _seen(self, image: Image.Image) -> dict[str, Tensor]:
        """The network's (values,) of each attribute."""
        answers, _ = self.network(self.pixels(image))
        return {k: logits[0] for k, logits in zip(self.values, answers, strict=True)}

    def pixels(self, image: Image.Image) -> Tensor:
        """What the network is shown, (1, 3, S, S) in [-1, 1]: the picture squeezed into a square."""
        rgb = image.convert("RGB")
        if rgb.size != (self.size, self.size):
            rgb = rgb.resize((self.size, self.size), Image.Resampling.BICUBIC)
        return torch.from_numpy(np.array(rgb)).permute(2, 0, 1)[None].float() / 127.5 - 1

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


def mean_degrees(logits: Tensor, degrees: Sequence[float]) -> float:
    """The angle that logits (values,) amount to."""
    return float(logits.float().softmax(-1) @ torch.tensor(degrees))


def said(prompt: str, phrases: Phrases) -> dict[str, frozenset[str]]:
    """What ``prompt`` says: attribute -> the values that would make it true.

    Who is called Black has dark skin; the word is none of the hair's or the clothes' there.

    The longest phrase wins where several match at one place. An attribute that is said twice in
    ways that exclude each other counts as not said. ``*`` in a phrase stands for up to three words.
    """
    if calls_black(prompt):
        prompt = re.sub(r"\bBlack ", "", prompt) + ", dark skin"
    text = f" {' '.join(_words(prompt))} "
    found = {}
    for attribute, table in phrases.items():
        meanings = [frozenset(table[phrase]) for phrase in _matches(text, table)]
        common = frozenset.intersection(*meanings) if meanings else frozenset()
        if common:
            found[attribute] = common
    return found


def unread(words: str, phrases: Phrases) -> list[str]:
    """The words of ``words`` that no phrase of any attribute says, without articles and the like."""
    text = f" {' '.join(_words(words))} "
    said = [span for table in phrases.values() for span in _spans(text, tuple(table))]
    left = [m for m in re.finditer(r"(?<= )[\w-]+(?= )", text) if m[0] not in _SMALL]
    return [m[0] for m in left if not any(a <= m.start() and m.end() <= b for a, b, _ in said)]


def _words(prompt: str) -> list[str]:
    return re.findall(r"[\w-]+|[,.;:]", prompt.lower())


def _matches(text: str, phrases: Iterable[str]) -> list[str]:
    """The phrases that stand in ``text``, without those that lie inside or across a longer one."""
    return [phrase for _, _, phrase in _spans(text, tuple(phrases))]


@lru_cache(maxsize=64)
def _by_first_word(phrases: tuple[str, ...]) -> dict[str, list[tuple[int, str, re.Pattern[str]]]]:
    """Of each phrase its place in the list, itself, and its pattern."""
    found: dict[str, list[tuple[int, str, re.Pattern[str]]]] = {}
    for place, phrase in enumerate(phrases):
        words = re.escape(phrase.lower()).replace(r"\*\ ", _BETWEEN)
        first = "" if phrase.startswith("*") else phrase.lower().split()[0]
        made = re.compile(rf"(?<= ){words}(?= )")
        found.setdefault(first, []).append((place, phrase, made))
    return found


@lru_cache(maxsize=4096)
def _spans(text: str, phrases: tuple[str, ...]) -> tuple[tuple[int, int, str], ...]:
    """The same with where each stands."""
    table = _by_first_word(phrases)
    spans = [
        (m.start() - m.end(), place, m, phrase)
        for first in dict.fromkeys(["", *text.split()])
        for place, phrase, pattern in table.get(first, ())
        for m in pattern.finditer(text)
    ]
    kept: list[tuple[int, int, str]] = []
    for _, _, m, phrase in sorted(spans, key=lambda span: span[:2]):
        if all(m.end() <= a or m.start() >= b for a, b, _ in kept):
            kept.append((m.start(), m.end(), phrase))
    return tuple(kept)


@lru_cache(1)
def reader_in(checkpoint: Path, fingerprint: str) -> AttributeReader | None:
    """The reader of the checkpoint in a folder, opened once; None if it has none.

    Raises:
        ModelError: it is there but broken.
    """
    return load_reader(checkpoint / FOLDER)


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
            name=f"{facts['name']} (sha256 {short_digest(folder)})",
            degrees={k: tuple(map(float, v)) for k, v in facts.get("degrees", {}).items()},
            error=facts.get("error", {}),
        )
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"{folder} is broken: {' '.join(str(error).split())}") from None
