"""The recogniser ``little-people``: ``python -m miniature.stages.little_people``.

An instrument, not a part of the painter: another architecture and other people than the identity
tower's. A depthwise convolutional network reads the head of somebody at 96 pixels and gives a
direction; angles between directions of one person are pushed below those of different people with a
margin (ArcFace, Deng et al. 2019). It sees heads in portraits, half-bodies and pairs.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..pictures.keypoints import head_box
from ..pictures.sets import PictureSet, open_there
from ..pictures.views import soften, to_tensor
from ..training.loop import Run, mixed, moved
from ..training.muon import muon_and_adam
from ..training.options import stage_options

NAME, SIZE, WIDTH, BATCH = "little_people", 96, 128, 64
WIDTHS = (32, 64, 96, 144)
MARGIN, SCALE = 0.35, 24.0
SET = "strangers"  # people whom no other network learns from


class Stage(nn.Module):
    """Depthwise 5 x 5, then two pointwise layers, around which the input is added (ConvNeXt)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.spread = nn.Conv2d(width, width, 5, padding=2, groups=width)
        self.norm = nn.GroupNorm(1, width)
        self.up, self.down = nn.Conv2d(width, 3 * width, 1), nn.Conv2d(3 * width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, h, w) -> the same."""
        return x + self.down(F.gelu(self.up(self.norm(self.spread(x)))))


class Recogniser(nn.Module):
    """Heads (B, 3, 96, 96) in [-1, 1] to unit directions (B, 128)."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, WIDTHS[0], 4, 4)]
        for a, b in zip(WIDTHS, (*WIDTHS[1:], None), strict=True):
            layers += [Stage(a), Stage(a)]
            if b:
                layers += [nn.GroupNorm(1, a), nn.Conv2d(a, b, 2, 2)]
        self.body = nn.Sequential(*layers)
        self.head = nn.Sequential(
            nn.GroupNorm(1, WIDTHS[-1]), nn.Flatten(), nn.Linear(WIDTHS[-1] * 9, WIDTH)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Unit directions, float32."""
        return F.normalize(self.head(self.body(x)).float(), dim=1)


def crop(x: Tensor, box: tuple[int, int, int, int], shake: np.ndarray | None = None) -> Tensor:
    """(3, SIZE, SIZE): the square around a face's box with a third more on every side."""
    top, bottom, left, right = box
    side = 1.35 * max(bottom - top, right - left)
    cy, cx = (top + bottom) / 2 - 0.06 * side, (left + right) / 2
    if shake is not None:
        cy, cx, side = cy + shake[0] * side, cx + shake[1] * side, side * (1 + shake[2])
    h, w = x.shape[-2:]
    theta = torch.tensor([[side / w, 0, 2 * cx / w - 1], [0, side / h, 2 * cy / h - 1]])
    grid = F.affine_grid(theta[None].float(), [1, 3, 2 * SIZE, 2 * SIZE], align_corners=False)
    big = F.grid_sample(x[None], grid, padding_mode="border", align_corners=False)
    return F.avg_pool2d(big, 2)[0]


def heads_of(data: PictureSet) -> tuple[list[tuple[int, int, int]], list[int]]:
    """(number, place, person) of everybody in a set; and the people."""
    shots = sorted(data.shots.items())
    found = [(n, k, who) for n, s in shots for k, who in enumerate(s.people)]
    return found, sorted({row[2] for row in found})


def look_at(
    sets: list[PictureSet], chosen: list[tuple[int, tuple]], rng: np.random.Generator | None,
    pictures: Tensor | None = None, *, turned: bool = True,
) -> Tensor:  # fmt: skip
    """(n, 3, SIZE, SIZE) heads of (set, (number, place, person)).

    Args:
        rng: varies them, where it is given; ``turned``: half of them mirrored then.
        pictures: (n, 3, H, W) painted instead of those drawn, with the heads at the same place.
    """
    views = []
    for n, (k, (number, place, _)) in enumerate(chosen):
        data = sets[k]
        box = head_box(data, number, place) or (40, 200, 40, 200)
        whole = to_tensor(data.rgb[number][None])[0] if pictures is None else pictures[n]
        view = crop(whole, box, rng.normal(0, 0.04, 3) if rng is not None else None)
        views.append(view.flip(2) if rng is not None and turned and rng.random() < 0.5 else view)
    x = torch.stack(views)
    if rng is None:
        return x
    x = soften(x, rng, 0.5)
    gain = torch.from_numpy(rng.uniform(0.85, 1.15, (len(x), 3, 1, 1))).float()
    return ((x + 1) * gain - 1).clamp(-1, 1)


def train(minutes: float, *, batch: int = BATCH, steps: int | None = None) -> None:
    """Who is it, of thousands; the wrong answers get a margin for nothing."""
    (data, *_) = open_there(SET, "singles")
    rows, people = heads_of(data)
    number_of = {w: k for k, w in enumerate(people)}
    by_person: dict[int, list] = {}
    for row in rows:
        by_person.setdefault(row[2], []).append(row)
    torch.manual_seed(3)
    model = nn.ModuleDict(dict(net=Recogniser(), people=nn.Embedding(len(people), WIDTH)))
    outer = {id(model.net.body[0].weight), id(model.people.weight)}
    matrices = [
        p for p in model.parameters() if p.ndim > 1 and id(p) not in outer and p.shape[1] > 1
    ]
    optimizers = muon_and_adam(matrices, model.parameters(), muon=0.01, adam=2e-3)
    run = Run(NAME, model, optimizers, minutes=minutes, steps=steps, ema=0.99, decay_from=0.4)
    rng = np.random.default_rng([run.step, 12])
    for fraction in run:
        chosen = []
        for w in rng.choice(people, batch // 2, replace=len(people) < batch // 2).tolist():
            mine = by_person[w]
            chosen += [(0, mine[int(i)]) for i in rng.permutation(len(mine))[:2]]
        who = torch.tensor([number_of[row[2]] for _, row in chosen])
        x, who = moved(look_at([data], chosen, rng), who)
        with mixed():
            e = model.net(x)
        cosine = e @ F.normalize(model.people.weight, dim=1).T
        margin = MARGIN * min(1.0, fraction / 0.4)
        own = cosine.gather(1, who[:, None]).clamp(-1 + 1e-4, 1 - 1e-4)
        pushed = (own.acos() + margin).clamp(max=math.pi).cos()
        loss = F.cross_entropy(SCALE * cosine.scatter(1, who[:, None], pushed), who)
        right = (cosine.argmax(1) == who).float().mean()
        run.update(loss, right=right)


def load_recogniser() -> Recogniser:
    """The trained network, frozen."""
    state = load_state()
    net = Recogniser()
    net.load_state_dict({k.removeprefix("net."): v for k, v in state.items() if k[:4] == "net."})
    return net.eval().requires_grad_(False)


def load_state() -> dict[str, Tensor]:
    """The averaged weights; the people's own directions are left out where they are used."""
    from .. import paths

    stored = torch.load(paths.checkpoint(NAME), weights_only=True, map_location="cpu")
    return stored.get("average", stored["model"])


@torch.inference_mode()
def report(count: int = 400) -> dict[str, float]:
    """Verification over heads of held-out people, clean and softened."""
    from .tower import verified

    sets = open_there("held_out") or open_there("singles")
    rows, _ = heads_of(sets[0])
    chosen = [(0, row) for row in rows[:count]]
    net, who = load_recogniser(), np.array([row[2] for _, row in chosen])
    x = look_at(sets, chosen, None)
    clean = verified(torch.cat([net(k) for k in x.split(64)]), who)
    soft = soften(x, np.random.default_rng(0), 1.0)
    softened = verified(torch.cat([net(k) for k in soft.split(64)]), who)
    return clean | {f"softened {k}": v for k, v in softened.items()}


def main() -> None:
    """Command line."""
    options = stage_options(__doc__, minutes=25, batch=BATCH)
    if not options.report:
        train(options.minutes, batch=options.batch, steps=options.steps)
    print(report(60 if options.tiny else 400))


if __name__ == "__main__":
    main()
