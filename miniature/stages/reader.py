"""The attribute reader: ``python -m miniature.stages.reader``.

A small network learns to read off a picture what its caption could say, and how the head is turned.
On painted pictures it tells exactly which words were followed, where CLIP only knows nearer from
farther. The table of phrases beside it (``phrases``) is the grammar of the captions, turned round.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from .. import paths
from ..package import TABLE, WEIGHTS, AttributeNet
from ..pictures.keypoints import face_place
from ..pictures.labels import NOBODY, labels
from ..pictures.sets import PictureSet, open_held_out, open_there
from ..pictures.views import soften, to_tensor
from ..training.loop import Run, load_trained, mixed, moved
from ..training.options import stage_options
from ..world.records import CATEGORIES
from .phrases import phrases

NAME, SIZE, BATCH = "reader", 128, 64
SCENE = ("place", "hour", "framing")
TURNS = {  # degrees at which one value gives way to the next; right is the picture's right
    "yaw": (("far left", "left", "ahead", "right", "far right"), (-12.0, -4.0, 4.0, 12.0)),
    "pitch": (("down", "level", "up"), (-3.0, 3.0)),
}
VALUES = {**CATEGORIES, **{k: names for k, (names, _) in TURNS.items()}}
PAIRS = 0.15  # share of pictures of two, of which only the scene is asked


def new_reader() -> AttributeNet:
    """The untrained network."""
    return AttributeNet([len(v) for v in VALUES.values()])


def truth_of(data: PictureSet, number: int) -> list[int]:
    """Places in ``VALUES`` of what picture ``number`` shows; NOBODY where it cannot be asked."""
    record = data.shots[number].record
    if len(record.people) == 1:
        turns = [
            int(np.searchsorted(ends, getattr(record.moments[0], k)))
            for k, (_, ends) in TURNS.items()
        ]
        return labels(record, 0) + turns
    known = labels(record, len(record.people))  # nobody's: place, hour and framing
    return known + [NOBODY] * len(TURNS)


def mirrored(truth: Tensor, which: Tensor) -> Tensor:
    """``truth`` (B, attributes) where those of ``which`` (B,) are turned round."""
    k = list(VALUES).index("yaw")
    turned = truth.clone()
    there = which & (truth[:, k] != NOBODY)
    turned[there, k] = len(VALUES["yaw"]) - 1 - truth[there, k]
    return turned


def squares(data: PictureSet, numbers: np.ndarray) -> Tensor:
    """(B, 3, SIZE, SIZE) of whole pictures, squeezed if they are wide."""
    return F.interpolate(to_tensor(data.rgb[numbers]), (SIZE, SIZE), mode="area")


def batch_of(
    sets: list[PictureSet], count: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Pixels, truth (B, attributes), and where the face is (B, 3), NaN where there is none or two."""
    many = round(PAIRS * count) if len(sets) > 1 else 0
    views, truth, places = [], [], []
    for data, share in zip(sets, (count - many, many), strict=False):
        numbers = np.sort(rng.choice(data.numbers, share))
        views.append(squares(data, numbers))
        truth += [truth_of(data, int(n)) for n in numbers]
        places += [face_place(data, int(n)) for n in numbers]
    return torch.cat(views), torch.tensor(truth), torch.tensor(places, dtype=torch.float32)


def loss_of(answers: list[Tensor], truth: Tensor) -> Tensor:
    """Cross entropy, summed over the attributes, each divided by that of guessing evenly."""
    total = answers[0].new_zeros(())
    for k, a in enumerate(answers):
        there = truth[:, k] != NOBODY
        if there.any():
            total = total + F.cross_entropy(a.float()[there], truth[there, k]) / np.log(a.shape[1])
    return total


def train(minutes: float, *, batch: int = BATCH, steps: int | None = None) -> None:
    """One network, all attributes."""
    torch.manual_seed(5)
    model = new_reader().to(memory_format=torch.channels_last)  # a third faster
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3, weight_decay=0.02, fused=True)
    run = Run(
        NAME, model, [optimizer], minutes=minutes, steps=steps, decay_from=0.2, clip=20.0
    )  # fmt: skip
    rng = np.random.default_rng([run.step, 11])
    sets = open_there("singles", "pairs")
    for _ in run:
        x, truth, where = batch_of(sets, batch, rng)
        x, flip = soften(x, rng), torch.rand(len(x)) < 0.5
        x = torch.where(flip[:, None, None, None], x.flip(3), x)
        truth = mirrored(truth, flip)
        where = torch.where(flip[:, None], where * torch.tensor([-1.0, 1.0, 1.0]), where)
        alone = ~where.isnan().any(1)
        where = where.nan_to_num(0.3)
        shaken = where + 0.03 * torch.randn(where.shape)
        x, shaken, where, truth, alone = moved(x, shaken, where, truth, alone)
        with mixed():
            answers, guess = model(x, shaken)
        apart = ((guess.float() - where).abs().mean(1) * alone).sum() / alone.sum().clamp(min=1)
        run.update(loss_of(answers, truth) + 20 * apart, apart=apart)


def load_reader() -> AttributeNet:
    """The trained network, frozen."""
    return load_trained(NAME, new_reader())


@torch.inference_mode()
def read(model: AttributeNet, x: Tensor) -> Tensor:
    """(B, attributes) what the network sees in pictures (B, 3, H, W)."""
    answers, _ = model(F.interpolate(x, (SIZE, SIZE), mode="area"))
    return torch.stack([a.argmax(1) for a in answers], 1)


@torch.inference_mode()
def report(count: int = 512) -> dict[str, float]:
    """Accuracy of each attribute on held-out people, half of the pictures softened."""
    model = load_reader()
    sets = open_held_out("held_out_pairs")
    right, there, rng = [], [], np.random.default_rng(0)
    for data in sets:
        for numbers in np.array_split(data.numbers[:count], max(1, count // BATCH)):
            truth = torch.tensor([truth_of(data, int(n)) for n in numbers])
            guess = read(model, soften(squares(data, numbers), rng))
            right.append((guess == truth).float())
            there.append((truth != NOBODY).float())
    hit, of = torch.cat(right).sum(0), torch.cat(there).sum(0).clamp(min=1)
    return {k: round(float(a), 4) for k, a in zip(VALUES, hit / of, strict=True)}


@torch.inference_mode()
def turns(count: int = 512) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Degrees that each value of an angle stands for, the mean of held-out pictures with it; and by how
    many degrees the reader is off on the mean, told by the mean of these as likely as it holds each."""
    model, data = load_reader(), open_held_out()[0]
    numbers = [int(n) for n in data.numbers[:count] if len(data.shots[int(n)].record.people) == 1]
    truth = torch.tensor([truth_of(data, n) for n in numbers])
    parts = np.array_split(np.array(numbers), max(1, len(numbers) // BATCH))
    answers = [model(squares(data, some))[0] for some in parts]
    degrees, error = {}, {}
    for angle, (names, ends) in TURNS.items():
        k = list(VALUES).index(angle)
        real = torch.tensor([getattr(data.shots[n].record.moments[0], angle) for n in numbers])
        means = [real[truth[:, k] == v] for v in range(len(names))]
        shown = [float(m.mean()) if len(m) else float(np.mean(ends)) for m in means]
        degrees[angle] = [round(v, 2) for v in shown]
        told = torch.cat([a[k] for a in answers]).float().softmax(1) @ torch.tensor(degrees[angle])
        error[angle] = round(float((told - real).abs().mean()), 3)
    return degrees, error


def save_reader(folder: Path) -> dict[str, float]:
    """Write ``model.safetensors`` (float16) and ``attributes.json``; returns the accuracies."""
    folder.mkdir(parents=True, exist_ok=True)
    accuracy, (degrees, error) = report(), turns()
    half = {
        k: v.half() if v.is_floating_point() else v for k, v in load_reader().state_dict().items()
    }
    save_file(half, folder / WEIGHTS)
    facts = dict(
        name="storybook people's attribute reader", size=SIZE, scene=SCENE, accuracy=accuracy,
        values=VALUES, phrases=phrases(VALUES), degrees=degrees, error=error,
    )  # fmt: skip
    (folder / TABLE).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return accuracy


def main() -> None:
    """Command line."""
    options = stage_options(__doc__, minutes=15, batch=BATCH)
    if not options.report:
        train(options.minutes, batch=options.batch, steps=options.steps)
    accuracy = report(64 if options.tiny else 512)
    (paths.state() / "reader.json").write_text(json.dumps(accuracy))
    print(accuracy)


if __name__ == "__main__":
    main()
