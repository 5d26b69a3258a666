"""The recogniser ``little-people``: finds and knows the drawn people of the miniature's world.

It comes with the package and knows nothing of photographs. A first network looks for faces in the
picture at 128 pixels; a second looks at each head at 96 pixels and gives a direction. Directions of
one person are near each other, those of two are not (Khosla et al. 2020). Neither has seen a
person, or shares a weight, of the networks that paint. The workshop trains both
(``miniature/stages/little_people.py``).
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ..errors import ModelError
from ..models.files.configs import read_json
from ..models.files.store import short_digest
from ..models.pixels import normalised
from ..types import Face
from .scores import cosine

FOLDER = "little_people"
LOOK, CELL = 128, 8  # pixels a picture is high for the finder, and of each place that it tells of
HEAD, CHIP = 96, 48  # pixels a side of a head, and of the face in its middle
MARGIN, LIFT = 1.35, 0.06  # a head is so much larger than the face in it, and so much higher
WIDTH = 76  # of a direction
SURE = 0.5  # the finder's probability of a face
HALF = (0.5, 0.5, 0.5)  # colours in [0, 1] to [-1, 1]


class Stage(nn.Module):
    """Depthwise 5 x 5, then two pointwise layers, around which the input is added (ConvNeXt)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.spread = nn.Conv2d(width, width, 5, padding=2, groups=width)
        self.norm = nn.GroupNorm(1, width)
        self.up, self.down = nn.Conv2d(width, 2 * width, 1), nn.Conv2d(2 * width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, h, w) -> the same."""
        return x + self.down(F.gelu(self.up(self.norm(self.spread(x)))))


def _halved(a: int, b: int) -> nn.Sequential:
    return nn.Sequential(nn.AvgPool2d(2), nn.GroupNorm(1, a), nn.Conv2d(a, b, 1))


class Finder(nn.Module):
    """Pictures (B, 3, 128, W) in [-1, 1] to (B, 4, 16, W / 8), at each place of eight pixels.

    The logit of a face's middle; how far below and right of the place's own middle it is, in places;
    and the logarithm of the face's larger side, in pictures' heights.
    """

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 24, 4, 4), Stage(24), _halved(24, 40), Stage(40), Stage(40)
        )
        self.tell = nn.Sequential(nn.GroupNorm(1, 40), nn.Conv2d(40, 4, 1))

    def forward(self, x: Tensor) -> Tensor:
        """What is at each place."""
        return self.tell(self.body(x)).float()


class Knower(nn.Module):
    """Heads (B, 3, 96, 96) in [-1, 1] to unit directions (B, 76)."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 24, 5, 2, 2), nn.GELU(), nn.Conv2d(24, 40, 2, 2), Stage(40), Stage(40),
            _halved(40, 64), Stage(64), Stage(64),
            _halved(64, WIDTH), Stage(WIDTH), nn.GroupNorm(1, WIDTH),
        )  # fmt: skip
        self.gather = nn.Conv2d(WIDTH, WIDTH, HEAD // 16, groups=WIDTH)
        self.tell = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        """Unit directions, float32."""
        return F.normalize(self.tell(self.gather(self.body(x)).flatten(1)).float(), dim=1)


class LittlePeople(nn.Module):
    """Both networks, as a `FaceRecogniser`."""

    licence = "Apache-2.0"
    name, scale = "little-people", "cosine"

    def __init__(self) -> None:
        super().__init__()
        self.find, self.know = Finder(), Knower()

    @torch.inference_mode()
    def faces(self, image: Image.Image) -> list[Face]:
        """Every face that the finder is sure of; chips are not turned, heads lean little here."""
        pixels = normalised([image], HALF, HALF)
        places = found(self.find(smaller(pixels))[0])
        height = image.height
        heads = [head_at(pixels[0], height * y, height * x, height * s) for _, y, x, s in places]
        directions = self.know(torch.stack(heads)) if heads else []
        faces = []
        for (score, y, x, s), direction, head in zip(places, directions, heads, strict=True):
            box = (
                (x - s / 2) * height,
                (y - s / 2) * height,
                (x + s / 2) * height,
                (y + s / 2) * height,
            )
            faces.append(Face(box, score, direction, _chip(head)))
        return faces

    def similarity(self, a: Tensor, b: Tensor) -> Tensor:
        """(n, m) cosines."""
        return cosine(a, b)


def smaller(pixels: Tensor) -> Tensor:
    """(B, 3, 128, W) of pictures (B, 3, H, W) of any size, W a multiple of eight."""
    height, width = pixels.shape[-2:]
    size = (LOOK, CELL * max(1, round(LOOK / CELL * width / height)))
    return F.interpolate(pixels, size, mode="bilinear", antialias=True, align_corners=False)


def found(told: Tensor, sure: float = SURE) -> list[tuple[float, float, float, float]]:
    """Faces in the finder's answer (4, h, w): probability, row, column and larger side, surest first.

    Rows, columns and sides are in heights of the picture. Of two faces nearer to each other than half
    of the larger one's side the surer stays.
    """
    chance = told[0].sigmoid()
    spots = (chance >= sure).nonzero().tolist()
    faces: list[tuple[float, float, float, float]] = []
    for row, column in sorted(spots, key=lambda spot: -float(chance[spot[0], spot[1]])):
        down, right, side = (float(v) for v in told[1:, row, column])
        share = CELL / LOOK
        y, x, s = share * (row + 0.5 + down), share * (column + 0.5 + right), float(np.exp(side))
        if all((y - b) ** 2 + (x - c) ** 2 > (0.5 * max(s, t)) ** 2 for _, b, c, t in faces):
            faces.append((float(chance[row, column]), y, x, s))
    return faces


def head_at(pixels: Tensor, y: float, x: float, side: float) -> Tensor:
    """(3, 96, 96): the square around a face of (3, H, W) whose middle and larger side are given."""
    height, width = pixels.shape[-2:]
    side = MARGIN * side
    y = y - LIFT * side
    theta = torch.tensor(
        [[side / width, 0, 2 * x / width - 1], [0, side / height, 2 * y / height - 1]]
    )
    grid = F.affine_grid(theta[None].float(), [1, 3, 2 * HEAD, 2 * HEAD], align_corners=False)
    large = F.grid_sample(pixels[None], grid, padding_mode="border", align_corners=False)
    return F.avg_pool2d(large, 2)[0]


def _chip(head: Tensor) -> Tensor:
    """(48, 48) grey values in [0, 1] of the middle of a head (3, 96, 96)."""
    edge = round(HEAD * (1 - 1 / MARGIN) / 2)
    face = (head[:, edge:-edge, edge:-edge] + 1) / 2
    grey = torch.einsum("chw,c->hw", face, torch.tensor([0.299, 0.587, 0.114]))
    size = (CHIP, CHIP)
    return F.interpolate(grey[None, None], size, mode="bilinear", align_corners=False)[0, 0]


def load_little_people(folder: Path | None = None) -> LittlePeople:
    """The recogniser in ``folder``, or the one that comes with the package.

    Raises:
        ModelError: it is not there, or broken.
    """
    folder = folder or Path(str(resources.files("identitystory") / "weights" / FOLDER))
    facts, both = read_json(folder / "config.json"), LittlePeople()
    try:
        both.load_state_dict(load_file(folder / "model.safetensors"))
        both.scale = f"cosine; drawn people are told apart best at {float(facts['threshold']):.2f}"
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"{folder} is broken: {' '.join(str(error).split())[:200]}") from None
    both.name = f"little-people (sha256 {short_digest(folder)})"
    return both.float().eval().requires_grad_(False)
