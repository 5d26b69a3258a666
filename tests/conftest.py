"""Fakes small enough to compute by hand, and the setting that keeps tests fast."""

import copy
import hashlib
from dataclasses import dataclass

import pytest
import torch
from PIL import Image

from identitystory.protocols import Backend
from identitystory.types import Character, Prompt, Scene, Segmentation, Story

torch.set_num_threads(1)

T, SIZE, CELL, C = 10, 64, 8, 2
LATENT = SIZE // CELL


def number(text):
    """A number in [-1, 1] that depends on the text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") / 2**31 - 1


def asked(texts, *, faces=None, nouns=None, seeds=None, **options):
    """A prompt for each text; faces (B, d), nouns and seeds are one each, all else is shared."""
    own = [{} for _ in texts]
    for key, values in (("face", faces), ("noun", nouns), ("seed", seeds)):
        for fields, value in zip(own, values, strict=True) if values is not None else ():
            fields[key] = value
    return [Prompt(text, **fields, **options) for text, fields in zip(texts, own, strict=True)]


@dataclass(frozen=True)
class Asked:
    """The fake's conditioning: a colour a picture, its text's times the guidance plus its face's."""

    prompts: tuple[Prompt, ...]
    numbers: list[float]

    def at(self, i, t):
        pairs = zip(self.numbers, self.prompts, strict=True)
        colour = torch.tensor([n * p.guidance_at(i, t) for n, p in pairs])
        faces = [0.0 if p.face is None else float(p.face.double().mean()) for p in self.prompts]
        return (colour + torch.tensor(faces).to(colour))[:, None, None, None]


class FakeGenerator:
    """Linear and pure: z_{i-1} = a_i z_i + b_i (its right neighbour) + the conditioning's colour.

    One cell looks at its neighbour, so that what happens inside a mask can leak out if it is let.
    """

    def __init__(self, name="general", *, num_steps=T, size=SIZE):
        self.name, self.num_steps, self.multiple = name, num_steps, CELL
        self.size = (size, size)
        self.asked = []  # (batch, i) of every step
        self.conditions = []  # the prompts of every condition

    def condition(self, prompts):
        self.conditions.append(list(prompts))
        return Asked(tuple(prompts), [number(self.name + p.text) for p in prompts])

    def calls(self, i, cond):
        return sum(1 if p.guidance_at(i, self.num_steps) == 1 else 2 for p in cond.prompts)

    def noise(self, seed):
        width, height = self.size
        rng = torch.Generator().manual_seed(seed)
        return torch.randn(C, height // CELL, width // CELL, generator=rng)

    def with_size(self, size):
        if size == self.size:
            return self
        other = copy.copy(self)  # what is asked of it is counted together
        other.size = size
        return other

    def step(self, z, i, cond):
        self.asked.append((z.shape[0], i))
        a = 0.8 + 0.01 * i
        colour = cond.at(i, self.num_steps) if isinstance(cond, Asked) else torch.as_tensor(cond)
        return a * z + (0.9 - a) * z.roll(1, dims=-1) + 0.05 * colour.to(z)

    def decode(self, z):
        grey = (z.mean(dim=1).float().sigmoid() * 255).byte()
        return [Image.fromarray(g.numpy()).convert("RGB").resize(self.size, 0) for g in grey]


class FakeIdentityGenerator(FakeGenerator):
    def __init__(self, name="identity", **sizes):
        super().__init__(name, **sizes)

    def embed(self, images):
        return torch.stack(
            [torch.tensor(list(im.resize((4, 4)).convert("L").tobytes())).float() for im in images]
        )


class FakeSegmenter:
    """Finds what it is told: phrase -> (top, left, bottom, right), from the given attempt on."""

    def __init__(self, boxes, *, blind=0):
        self.boxes, self.blind, self.calls = boxes, blind, 0

    def segment(self, image, phrases):
        self.calls += 1
        masks = torch.zeros(len(phrases), image.height, image.width, dtype=torch.bool)
        for mask, phrase in zip(masks, phrases, strict=True):
            if self.calls > self.blind and phrase in self.boxes:
                top, left, bottom, right = self.boxes[phrase]
                mask[top:bottom, left:right] = True
        found = tuple(bool(m.any()) for m in masks)
        return Segmentation(masks, tuple(map(float, found)), found)


MARA = Character("Mara", "a woman with dark curly hair", "woman")
TOM = Character("Tom", "an old man with a beard", "man")


@pytest.fixture
def story():
    both = f"{MARA.description} and {TOM.description} on a pier"
    return Story(
        "test",
        (MARA, TOM),
        (
            Scene(f"{MARA.description} reads", ("Mara",)),
            Scene(both, ("Mara", "Tom")),
            Scene("an empty pier", ()),
        ),
        "watercolour",
    )


@pytest.fixture
def boxes():
    return {MARA.description: (16, 8, 56, 24), TOM.description: (8, 40, 60, 60)}


@pytest.fixture
def backend(boxes):
    return Backend("fake", FakeGenerator(), FakeIdentityGenerator(), FakeSegmenter(boxes))
