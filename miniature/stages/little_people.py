"""The recogniser ``little-people``: ``python -m miniature.stages.little_people``.

An instrument, not a part of the painter: other networks and other people than the identity tower's
(`LittlePeople`). The finder learns where faces are in pictures of one, of two side by side and of
nobody. Directions of one person are drawn together and those of all others in a batch, half of whom
are of one sex, skin and age, pushed apart (Khosla et al. 2020); the numbers that make a person are
told from them. All is softened and lit at random, and a part of the pictures has gone through the
autoencoder with noise on the latents, since it is to judge painted ones.
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from .. import paths
from ..package import CELL, LOOK, WIDTH, LittlePeople, found, head_at, smaller
from ..pictures.faces import kinds_of, look_alikes, numbers_of
from ..pictures.keypoints import head_box
from ..pictures.latents import mark_of
from ..pictures.sets import PictureSet, open_held_out, open_set, open_there
from ..pictures.views import soften, to_images, to_tensor
from ..training.loop import Run, mixed, moved
from ..training.losses import contrast
from ..training.muon import muon_and_adam
from ..training.options import stage_options
from ..world.records import IDENTITY

NAME, BATCH = "little_people", 64
TOLD = 5.0  # what the numbers that make a person weigh
SET = "strangers"  # people whom no other network learns from
THROUGH, NOISE = 1280, 0.35  # pictures that go through the autoencoder; the most noise on latents
Row = tuple[int, int, int]  # number of a picture, place in it, person
Face = tuple[float, float, float]  # row, column and larger side, in heights of the picture
SOMEWHERE: Face = (0.47, 0.5, 0.4)  # of a portrait's face


@cache
def face_of(data: PictureSet, number: int, place: int) -> Face | None:
    """Where a drawn face is; None where it does not show."""
    box = head_box(data, number, place)
    if box is None:
        return None
    (top, bottom, left, right), h = box, data.spec["height"]
    return (top + bottom) / 2 / h, (left + right) / 2 / h, max(bottom - top, right - left) / h


def heads_of(data: PictureSet) -> tuple[list[Row], list[int]]:
    """(number, place, person) of everybody in a set; and the people."""
    shots = sorted(data.shots.items())
    rows = [(n, k, who) for n, s in shots for k, who in enumerate(s.people)]
    return rows, sorted({row[2] for row in rows})


def look_at(
    data: PictureSet, rows: list[Row], rng: np.random.Generator | None,
    pictures: Tensor | None = None, *, turned: bool = True,
) -> Tensor:  # fmt: skip
    """(n, 3, 96, 96) heads of these rows of a set.

    Args:
        rng: varies them, where it is given; ``turned``: half of them mirrored then.
        pictures: (n, 3, H, W) that show the same at the same places, drawn or not.
    """
    x = to_tensor(data.rgb[[row[0] for row in rows]]) if pictures is None else pictures
    views, h = [], data.spec["height"]
    for whole, (number, place, _) in zip(x, rows, strict=True):
        face = np.array(face_of(data, number, place) or SOMEWHERE)
        if rng is not None:
            face = face * (1, 1, 1 + rng.normal(0, 0.05)) + rng.normal(0, 0.03, 3) * (1, 1, 0)
        view = head_at(whole, *(h * face))
        views.append(view.flip(2) if rng is not None and turned and rng.random() < 0.5 else view)
    return torch.stack(views) if rng is None else lit(torch.stack(views), rng)


def lit(x: Tensor, rng: np.random.Generator) -> Tensor:
    """Half of ``x`` softer, all in another light and with a little noise."""
    x = soften(x, rng, 0.5)
    gain = torch.from_numpy(rng.uniform(0.85, 1.15, (len(x), 3, 1, 1))).float()
    noise = torch.from_numpy(rng.uniform(0, 0.05, (len(x), 1, 1, 1))).float()
    return ((x + 1) * gain - 1 + noise * torch.randn_like(x)).clamp(-1, 1)


@torch.inference_mode()
def autoencoded(
    vae: nn.Module, images: np.ndarray, rng: np.random.Generator | None = None
) -> np.ndarray:
    """(n, H, W, 3) uint8 through the autoencoder; with ``rng`` noise on the latents on the way."""
    z = vae.encode(to_tensor(images)).latent_dist.mean
    if rng is not None:
        size = torch.from_numpy(rng.uniform(0, NOISE, (len(z), 1, 1, 1))).float()
        z = z + size * torch.randn_like(z)
    return to_images(vae.decode(z).sample)


@dataclass(frozen=True)
class Through:
    """Every third picture of a set, so far, as it comes out of the autoencoder."""

    data: PictureSet

    @cached_property
    def told(self) -> dict[str, Any]:
        """The mark of the ``encoder`` and the ``numbers`` of the pictures, in their order."""
        path = self.data.folder / "through.json"
        stored = json.loads(path.read_text()) if path.exists() else {}
        return stored if isinstance(stored, dict) else {"numbers": stored}  # once the numbers alone

    @cached_property
    def numbers(self) -> dict[int, int]:
        """Number of a picture -> its row among these."""
        return {n: k for k, n in enumerate(self.told.get("numbers", ()))}

    def array(self, mode: str = "r") -> np.ndarray:
        """(THROUGH, H, W, 3) uint8, memory-mapped."""
        s = self.data.spec
        shape = (THROUGH, s["height"], s["width"], 3)
        path = self.data.folder / "through.u8"
        if not path.exists():
            with path.open("wb") as file:
                file.truncate(int(np.prod(shape)))
        return np.memmap(path, np.uint8, mode, shape=shape)

    def make(self, count: int = THROUGH, told: float = 30) -> None:
        """Encode, disturb, decode what is missing of ``count`` pictures; all, by another encoder."""
        from .vae import load_vae

        vae, rng = load_vae(), np.random.default_rng(5)
        mark = mark_of(vae)
        known = self.numbers if self.told.get("encoder") == mark else {}
        done = list(known)
        missing = [int(n) for n in self.data.numbers[::3][:count] if int(n) not in known]
        if not missing:
            return
        kept, last = self.array("r+"), time.time()
        for some in np.array_split(np.array(missing, int), -(-len(missing) // 8)):
            kept[len(done) : len(done) + len(some)] = autoencoded(vae, self.data.rgb[some], rng)
            done += some.tolist()
            told_now = json.dumps(dict(encoder=mark, numbers=done))
            (self.data.folder / "through.json").write_text(told_now)
            if time.time() - last > told:
                print(f"through the autoencoder: {len(done)}", flush=True)
                last = time.time()


def canvases(
    x: Tensor, faces: list[Face | None], rng: np.random.Generator
) -> tuple[Tensor, list[list[Face]]]:
    """Pieces of pictures for the finder, one by one or two side by side, and the faces in each.

    Args:
        x: (n, 3, H, H), n even.
        faces: of each, as `face_of` tells; None where nobody is there.
    """
    h = x.shape[-1]
    each = [[f] if f else [] for f in faces]
    if rng.random() < 0.5:  # pairs: three quarters of the width of each
        cut = h // 8
        x = x[..., cut:-cut].unflatten(0, (-1, 2))
        x = torch.cat([x[:, 0], x[:, 1]], 3)
        shift = lambda some, by: [(y, c + by, s) for y, c, s in some]
        each = [
            shift(a, -cut / h) + shift(b, (h - 3 * cut) / h)
            for a, b in zip(each[::2], each[1::2], strict=True)
        ]
    side = int(h * rng.uniform(0.8, 1))
    top, left = int(rng.integers(0, h - side + 1)), int(rng.integers(0, h - side + 1))
    wide = x.shape[-1] - (h - side)
    piece = smaller(x[..., top : top + side, left : left + wide])
    placed = [
        [((h * y - top) / side, (h * c - left) / side, h * s / side) for y, c, s in some]
        for some in each
    ]
    if rng.random() < 0.5:
        piece, right = piece.flip(3), piece.shape[-1] / LOOK
        placed = [[(y, right - c, s) for y, c, s in some] for some in placed]
    return lit(piece, rng), placed


def finding(told: Tensor, faces: list[list[Face]]) -> Tensor:
    """What the finder's answers (n, 4, h, w) miss: CornerNet's focal loss, and distances near faces."""
    n, _, h, w = told.shape
    row, column = torch.meshgrid(torch.arange(h) + 0.5, torch.arange(w) + 0.5, indexing="ij")
    near = torch.zeros(n, h, w)
    right, middle = torch.zeros(n, 3, h, w), torch.zeros(n, h, w, dtype=torch.bool)
    for k, some in enumerate(faces):
        for y, x, side in some:
            y, x = y * LOOK / CELL, x * LOOK / CELL
            if not (0 <= y < h and 0 <= x < w):
                continue
            bump = torch.exp(-((row - y) ** 2 + (column - x) ** 2) / 2)
            closest = bump > near[k]
            near[k] = torch.maximum(near[k], bump)
            truth = torch.stack([y - row, x - column, torch.full_like(row, math.log(side))])
            right[k] = torch.where(closest, truth, right[k])
            middle[k, int(y), int(x)] = True
    logit = told[:, 0]
    chance = logit.sigmoid()
    missed = -((1 - chance) ** 2) * F.logsigmoid(logit) * middle
    false = -(chance**2) * F.logsigmoid(-logit) * (1 - near) ** 4 * ~middle
    count = middle.sum().clamp(min=1)
    off = ((told[:, 1:] - right).abs() * (near > 0.3)[:, None]).sum() / (near > 0.3).sum().clamp(
        min=1
    )
    return (missed + false).sum() / count + off


@dataclass
class Views:
    """Two pictures each of many people, half of whom look alike; some as the autoencoder has them."""

    data: PictureSet

    def __post_init__(self) -> None:
        self.rows, people = heads_of(self.data)
        self.of: dict[int, list[Row]] = {w: [] for w in people}
        for row in self.rows:
            self.of[row[2]].append(row)
        self.people, known = np.array(people), numbers_of(self.data)
        self.numbers = np.stack([known[w] for w in people])
        self.kinds = kinds_of(self.data, people)
        self.nobody = [n for n, s in self.data.shots.items() if not s.people]
        through = Through(self.data)
        self.through, self.softer = through.numbers, through.array() if through.numbers else None

    def draw(self, count: int, rng: np.random.Generator) -> tuple[Tensor, list[Row], np.ndarray]:
        """Pictures (2 n, 3, H, W), what they show, and the places of their people among all."""
        who = np.repeat(look_alikes(self.kinds, count, rng), 2)
        rows: list[Row] = []
        for w in who[::2]:
            mine = self.of[int(self.people[w])]
            rows += [mine[int(k)] for k in rng.permutation(len(mine))[:2]]
        images = self.data.rgb[[row[0] for row in rows]]
        for k, (n, _, _) in enumerate(rows):
            if self.softer is not None and n in self.through:
                images[k] = self.softer[self.through[n]]
        return to_tensor(images), rows, who

    def to_find(
        self, x: Tensor, rows: list[Row], rng: np.random.Generator
    ) -> tuple[Tensor, list[list[Face]]]:
        """A quarter of these pictures and two of nobody, for the finder."""
        chosen = rng.permutation(len(rows))[: len(rows) // 4]
        faces = [face_of(self.data, *rows[k][:2]) for k in chosen]
        x = x[chosen]
        if self.nobody:
            x[:2], faces[:2] = to_tensor(self.data.rgb[rng.choice(self.nobody, 2)]), [None, None]
        order = rng.permutation(len(faces))
        return canvases(x[order], [faces[k] for k in order], rng)


def new_taught() -> nn.ModuleDict:
    """The recogniser ``net``, and what it is taught by: ``numbers`` reads a person's off its embedding."""
    return nn.ModuleDict(dict(net=LittlePeople(), numbers=nn.Linear(WIDTH, len(IDENTITY))))


def train(minutes: float, *, batch: int = BATCH, steps: int | None = None) -> None:
    """Which two of many heads are one person's, what numbers make them, and where faces are."""
    views = Views(open_set(SET))
    torch.manual_seed(3)
    model = new_taught()
    net = model["net"].to(memory_format=torch.channels_last)
    nn.init.constant_(net.find.tell[-1].bias[0], -4.0)  # faces are rare
    outer = {id(m.weight) for m in (model["numbers"], net.know.body[0], net.find.body[0])}
    matrices = [
        p for p in model.parameters() if p.ndim > 1 and id(p) not in outer and p.shape[1] > 1
    ]
    optimizers = muon_and_adam(matrices, model.parameters(), muon=0.01, adam=2e-3)
    run = Run(NAME, model, optimizers, minutes=minutes, steps=steps, ema=0.98, decay_from=0.4)
    rng = np.random.default_rng([run.step, run.rank, 12])
    for _ in run:
        x, rows, who = views.draw(batch // 2, rng)
        heads, (seen, placed) = look_at(views.data, rows, rng, x), views.to_find(x, rows, rng)
        truth = torch.from_numpy(views.numbers[who])
        heads, seen, truth, who = moved(heads, seen, truth, torch.from_numpy(who))
        heads, seen = (v.contiguous(memory_format=torch.channels_last) for v in (heads, seen))
        with mixed():
            e, places = net.know(heads), net.find(seen)
        apart = contrast(e, who)
        told = F.smooth_l1_loss(model["numbers"](WIDTH**0.5 * e), truth)
        where = finding(places.cpu(), placed).to(apart)
        run.update(apart + TOLD * told + where, apart=apart, told=told, where=where)


def load_recogniser() -> LittlePeople:
    """The trained networks, frozen."""
    stored = torch.load(paths.checkpoint(NAME), weights_only=True, map_location="cpu")
    state = stored.get("average", stored["model"])
    net = LittlePeople()
    net.load_state_dict({k.removeprefix("net."): v for k, v in state.items() if k[:4] == "net."})
    return net.eval().requires_grad_(False)


def heads_in(net: LittlePeople, pictures: np.ndarray, instead: list[Face]) -> Tensor:
    """(n, 3, 96, 96): the surest head of each picture (n, H, W, 3), or what is at a face ``instead``."""
    heads = []
    for x, other in zip(to_tensor(pictures), instead, strict=True):
        faces = found(net.find(smaller(x[None]))[0])
        heads.append(head_at(x, *(x.shape[-2] * np.array(faces[0][1:] if faces else other))))
    return torch.stack(heads)


def seen_at(net: LittlePeople, picture: np.ndarray, face: Face) -> Tensor | None:
    """The direction of what is found where ``face`` is drawn; None if nothing is."""
    h, (y, x, side) = picture.shape[0], face
    for one in net.faces(Image.fromarray(picture)):
        left, top, right, bottom = (v / h for v in one.box)
        if math.hypot((top + bottom) / 2 - y, (left + right) / 2 - x) < side / 2:
            return one.embedding
    return None


@torch.inference_mode()
def report(count: int = 240) -> dict[str, float]:
    """Faces found, and verification over those of held-out people: drawn, autoencoded, softened."""
    from .tower import verified
    from .vae import load_vae

    net, result = load_recogniser(), {}
    (data,) = open_held_out()
    rows = heads_of(data)[0][:count]
    drawn = data.rgb[[row[0] for row in rows]]
    faces, who = [face_of(data, *row[:2]) for row in rows], np.array([row[2] for row in rows])
    through = [autoencoded(load_vae(), some) for some in np.array_split(drawn, -(-len(drawn) // 8))]
    versions = {"drawn": drawn, "autoencoded": np.concatenate(through)}
    versions["softened"] = to_images(soften(to_tensor(drawn), np.random.default_rng(0), 1.0))
    for name, pictures in versions.items():
        known = [seen_at(net, *seen) for seen in zip(pictures, faces, strict=True)]
        there = np.array([e is not None for e in known])
        result[f"{name}_found"] = round(float(there.mean()), 4)
        if there.sum() > 1:
            e = torch.stack([e for e in known if e is not None])
            result |= {f"{name}_{k}": v for k, v in verified(e, who[there]).items()}
    alone = [n for n, s in data.shots.items() if not s.people][:count]
    empty = [len(net.faces(Image.fromarray(data.rgb[n]))) for n in alone]
    result["found_where_nobody_is"] = (
        round(float(np.mean(np.array(empty) > 0)), 4) if empty else 0.0
    )
    for pairs in open_there("held_out_pairs"):
        some = [len(net.faces(Image.fromarray(pairs.rgb[n]))) for n in pairs.numbers[:count]]
        result["two_found_of_two"] = round(float(np.mean(np.array(some) == 2)), 4)
    paths.sheet(NAME).with_suffix(".json").write_text(json.dumps(result, indent=1))
    return result


def main() -> None:
    """Command line."""
    options = stage_options(__doc__, minutes=25, batch=BATCH, flags=("--through",))
    if options.through:
        Through(open_set(SET)).make()
    elif not options.report:
        train(options.minutes, batch=options.batch, steps=options.steps)
    if not options.through and not options.rank:
        print(report(60 if options.tiny else 240))


if __name__ == "__main__":
    main()
