"""The attribute reader: ``python -m miniature.stages.reader``.

A small network learns to read off a rendered picture what its caption could say. On generated
pictures it tells exactly which words were followed, where CLIP only knows nearer from farther.
The table of phrases beside it is the grammar of the captions, turned round.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from identitystory.metrics.attributes import TABLE, WEIGHTS, AttributeNet

from ..paths import BUILD
from ..pictures.dataset import PLACES_V0, PictureSet
from ..training.loop import Run, load_trained, mixed, moved
from ..world import captions
from .text import FACTS
from .vae import rendered

SIZE, BATCH = 128, 64
SCENE = ("place", "hour")
READ = (
    *SCENE, "framing", "sex", "age", "skin", "hair", "hair_colour", "beard", "glasses",
    "expression", "outfit", "colour",
)  # fmt: skip
VALUES = {k: FACTS[k] for k in READ} | {"place": PLACES_V0, "framing": ("portrait", "half-body")}
_FRONT = r"(?:in front of|with|looking|in|on|by|at|among|near|under) "  # of a phrase; says nothing


def new_reader() -> AttributeNet:
    """The untrained network."""
    return AttributeNet([len(v) for v in VALUES.values()])


def phrases() -> dict[str, dict[str, list[str]]]:
    """Attribute -> phrase -> the values that captions say with it, from the captions' grammar."""
    made: dict[str, dict[str, set[str]]] = {k: {} for k in READ}

    def add(attribute: str, phrase: str, value: str) -> None:
        if phrase and value in VALUES[attribute]:
            made[attribute].setdefault(phrase, set()).add(value)

    for (sex, age), nouns in captions.NOUNS.items():
        for noun in nouns:
            add("sex", noun, sex)
            add("age", noun, age)
    tables = {
        "skin": captions.SKIN, "beard": captions.BEARD, "glasses": captions.GLASSES,
        "expression": captions.EXPRESSION, "outfit": captions.OUTFIT, "place": captions.PLACE,
        "hour": captions.HOUR, "framing": captions.FRAMING,
    }  # fmt: skip
    for attribute, table in tables.items():
        for value, options in table.items():
            for option in options:
                add(attribute, bare(option), value)
    endings = set()
    for value, options in captions.HAIR.items():
        for option in options:
            before, gap, after = option.partition("{}")
            endings |= {after.strip()} if gap else set()
            if before.strip() not in ("", "a") or after.strip() not in ("", "hair"):
                add("hair", bare(option.replace("{} ", "* ")).removeprefix("* "), value)
    for value, options in captions.HAIR_COLOUR.items():
        for option in options:
            for ending in endings:
                add("hair_colour", f"{option} {ending}", value)
    for colour in VALUES["colour"]:
        for options in captions.OUTFIT.values():
            for option in options:
                add("colour", f"{colour} {option}", colour)
    made["age"] = {k: v for k, v in made["age"].items() if len(v) == 1}  # "a man" says no age
    del made["framing"]["photo of"]
    return {k: {p: sorted(v) for p, v in sorted(table.items())} for k, table in made.items()}


def bare(phrase: str) -> str:
    """``"in front of a plain wall"`` -> ``"plain wall"``: what of a phrase tells something."""
    return re.sub(r"^(?:an?|the) ", "", re.sub(f"^{_FRONT}", "", phrase))


def targets(rows: list[dict]) -> Tensor:
    """(N, attributes) numbers of the true values; -1 where there is none (the colour of no hair)."""
    table = []
    for row in rows:
        numbers = [VALUES[k].index(row[k]) for k in READ]
        if row["hair"] == "bald":
            numbers[READ.index("hair_colour")] = -1
        table.append(numbers)
    return torch.tensor(table)


def places(rows: list[dict]) -> Tensor:
    """(N, 3) where the face is: x, y and reach as ``AttributeNet`` counts them."""
    reach = {"portrait": 24 / 64, "half-body": 18 / 64}
    return torch.tensor(
        [[*(2 * v / SIZE - 1 for v in row["eyes_at"][0]), reach[row["framing"]]] for row in rows]
    )


def soften(x: Tensor, rng: np.random.Generator) -> Tensor:
    """``x`` (B, 3, S, S) with half its pictures made softer, as generated pictures are."""
    soft = torch.from_numpy(rng.random(len(x)) < 0.5)
    side = int(rng.integers(44, 100))
    small = F.interpolate(x[soft], (side, side), mode="bilinear", antialias=True)
    x = x.clone()
    x[soft] = F.interpolate(small, x.shape[-2:], mode="bicubic").clamp(-1, 1)
    return x


def pixels(data: PictureSet, numbers: np.ndarray) -> Tensor:
    """(B, 3, S, S) in [-1, 1]."""
    images = torch.from_numpy(np.stack([data.images[n] for n in numbers]))
    return images.permute(0, 3, 1, 2).float() / 127.5 - 1


def loss_of(answers: list[Tensor], truth: Tensor) -> Tensor:
    """Cross entropy, summed over the attributes, each divided by that of guessing evenly."""
    return sum(
        F.cross_entropy(a.float(), truth[:, k], ignore_index=-1) / np.log(a.shape[1])
        for k, a in enumerate(answers)
    )


def train(minutes: float, folder: Path) -> None:
    """One network, all attributes."""
    torch.manual_seed(5)
    model = new_reader().to(memory_format=torch.channels_last)  # a third faster
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3, weight_decay=0.02, fused=True)
    run = Run("reader", model, [optimizer], minutes=minutes, decay_from=0.2, clip=20.0)
    rng = np.random.default_rng(run.step + 11)
    data = PictureSet(folder)
    pool = (n := rendered(data))[n < data.held_out_from]
    truth = targets(data.facts)
    faces = places(data.facts)
    row_of = {int(n): k for k, n in enumerate(rendered(data))}
    for _ in run:
        numbers = np.sort(rng.choice(pool, BATCH))
        rows = [row_of[int(n)] for n in numbers]
        x, where = soften(pixels(data, numbers), rng), faces[rows]
        if rng.random() < 0.5:
            x, where = x.flip(3), where * torch.tensor([-1.0, 1.0, 1.0])
        shaken = where + torch.from_numpy(rng.normal(0, 0.03, where.shape)).float()
        x, shaken, where, wanted = moved(x, shaken, where, truth[rows])
        with mixed():
            answers, guess = model(x, shaken)
        apart = (guess.float() - where).abs().mean()
        run.update(loss_of(answers, wanted) + 20 * apart, apart=float(apart.detach()))


@torch.inference_mode()
def report(folder: Path) -> dict[str, float]:
    """Accuracy of each attribute on held-out people, half of the pictures softened."""
    model, data = load_trained("reader", new_reader()), PictureSet(folder)
    rows = [row for row in data.facts if row["n"] >= data.held_out_from]
    truth, right, rng = targets(rows), [], np.random.default_rng(0)
    for k in range(0, len(rows), BATCH):
        numbers = np.array([row["n"] for row in rows[k : k + BATCH]])
        answers, _ = model(soften(pixels(data, numbers), rng))
        guess = torch.stack([a.argmax(1) for a in answers], 1)
        right.append((guess == truth[k : k + BATCH]).float())
    hit, there = torch.cat(right), truth >= 0
    accuracy = (hit * there).sum(0) / there.sum(0)
    return {k: round(float(a), 4) for k, a in zip(READ, accuracy, strict=True)}


def save_reader(folder: Path, data: Path) -> dict[str, float]:
    """Write ``model.safetensors`` (float16) and ``attributes.json``; returns the accuracies."""
    folder.mkdir(parents=True, exist_ok=True)
    accuracy = report(data)
    state = load_trained("reader", new_reader()).state_dict()
    half = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
    save_file(half, folder / WEIGHTS)
    facts = dict(
        name="little people's attribute reader", size=SIZE, scene=SCENE, accuracy=accuracy,
        values=VALUES, phrases=phrases(),
    )  # fmt: skip
    (folder / TABLE).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return accuracy


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=BUILD / "people")
    parser.add_argument("--minutes", type=float, default=6)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--out", type=Path, help="write the reader here too, say CHECKPOINT/attributes"
    )
    parser.add_argument("--report", action="store_true", help="only measure")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if not options.report:
        train(options.minutes, options.data)
    accuracy = save_reader(options.out, options.data) if options.out else report(options.data)
    print(accuracy)


if __name__ == "__main__":
    main()
