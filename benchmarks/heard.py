"""Is a face heard where words do not tell it? ``python -m benchmarks.heard --model miniature-face``.

Held-out people are drawn in four portraits each, and painted with the mean of their embeddings from words
that say nothing but woman or man, and from the same words and noises without a face. The recogniser of drawn people tells how
alike pictures of one and of two are, and how near each is to the drawn person; only people of
one word are held against each other. ``--scales``: of what is seen beside the words, 0 is PhotoMaker alone.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import normalize

from identitystory import preset
from identitystory.metrics.intervals import bootstrap
from identitystory.metrics.little_people import WIDTH, LittlePeople, load_little_people
from identitystory.metrics.scores import auc
from identitystory.models.backend import load_backend
from identitystory.sampling import sample
from identitystory.types import Prompt
from miniature.pictures.recipe import HELD_OUT
from miniature.stages.identity_lora import class_word
from miniature.world.picture import paint as draw
from miniature.world.records import Person
from miniature.world.sampling import draw_person, draw_record

ADULT, PORTRAITS, TOGETHER = 20, 4, 8  # years; drawn of each; painted at once
SCENES = ("a portrait of a {}", "a half-body photo of a {} in a library")


def adults(count: int) -> list[Person]:
    """So many held-out people."""
    every = (draw_person(HELD_OUT + n) for n in itertools.count())
    return list(itertools.islice((p for p in every if p.age >= ADULT), count))


def portraits(person: Person, rng: np.random.Generator) -> list[Image.Image]:
    """Drawn ones."""
    records = (draw_record(rng, [person], "portrait") for _ in range(PORTRAITS))
    return [Image.fromarray(draw(record).rgb) for record in records]


def direction(knows: LittlePeople, images: Sequence[Image.Image]) -> Tensor:
    """(d,) unit mean over the faces in ``images``; nan where there is none."""
    seen = [found[0].embedding for image in images if (found := knows.faces(image))]
    return normalize(torch.stack(seen).mean(0), dim=0) if seen else torch.full((WIDTH,), torch.nan)


@torch.inference_mode()
def painted(G: object, prompts: Sequence[Prompt]) -> list[Image.Image]:
    """A picture of each prompt."""
    images: list[Image.Image] = []
    for k in range(0, len(prompts), TOGETHER):
        some = prompts[k : k + TOGETHER]
        z = torch.stack([G.noise(p.seed) for p in some])
        images += G.decode(sample(G, z, G.condition(some)))
    return images


def told(S: Tensor, same: Tensor, asked: Tensor, weight: Tensor) -> tuple[float, float, float]:
    """Means of ``S`` where two are one and where they are not, and the AUC, of the pairs ``asked``."""
    there = asked & ~S.isnan()
    one, two = there & same, there & ~same
    area = auc(S[one], S[two], weight[one], weight[two])
    return float(S[one].mean()), float(S[two].mean()), area


def weights(w: Tensor, who: Tensor) -> Tensor:
    """Of pictures of ``who`` (p,) and people (n,), how often each pair counts: (p, n).

    ``w`` is how often each person was drawn. Somebody and a picture of theirs count as often, two people as
    often as both together, as in `pooling.pooled`.
    """
    mine = who[:, None] == torch.arange(len(w))
    return torch.where(mine, w[who][:, None], w[who][:, None] * w)


def row(name: str, found: Tensor, truth: Tensor, nouns: Sequence[str]) -> str:
    """A line of the table: pictures (n * scenes, d), drawn people (n, d)."""
    n = len(truth)
    who = torch.arange(n).repeat_interleave(len(SCENES))
    word = torch.tensor([sorted(set(nouns)).index(noun) for noun in nouns])
    pairs = torch.triu(word[who][:, None] == word[who], 1)
    everyone = torch.ones(len(who), len(who), dtype=torch.float64)
    one, two, area = told(found @ found.mT, who[:, None] == who, pairs, everyone)
    own, mine = found @ truth.mT, who[:, None] == torch.arange(n)
    near = word[who][:, None] == word
    drawn = lambda w: told(own, mine, near, weights(w, who))
    whole = drawn(torch.ones(n, dtype=torch.float64))
    low, high = bootstrap(lambda w: drawn(w)[2], n) or (float("nan"), float("nan"))
    seen = 1 - float(found.isnan().any(dim=1).float().mean())
    return (
        f"| {name} | {seen:.2f} | {one:.3f} | {two:.3f} | {area:.3f} "
        f"| {whole[0]:.3f} | {whole[1]:.3f} | {whole[2]:.3f} [{low:.3f}, {high:.3f}] |"
    )


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="miniature-face")
    parser.add_argument("--people", type=int, default=24)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--scales", type=float, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--sheet", type=Path, help="a page of pictures, the drawn people at the end"
    )
    options = parser.parse_args()
    how, knows = preset("recommended", options.model), load_little_people()
    model = load_backend(options.model, sampler=how.sampler, num_steps=options.steps)
    people, rng = adults(options.people), np.random.default_rng(0)
    drawn = [portraits(p, rng) for p in people]
    E = torch.stack([model.identity.embed(some).mean(0) for some in drawn])
    truth, nouns = (
        torch.stack([direction(knows, d) for d in drawn]),
        [class_word(p) for p in people],
    )
    asked = [
        Prompt(s.format(noun), "", guidance=how.injection.guidance_identity, noun=noun, seed=k)
        for noun in nouns
        for k, s in enumerate(SCENES)
    ]
    faced = [replace(p, face=E[k // len(SCENES)]) for k, p in enumerate(asked)]
    ways = {"words alone": (model.general, asked)} | {
        f"scale {s:g}": (model.identity.set_to(scale=s), faced) for s in options.scales
    }
    print("| | faces | one person | two | AUC | to the drawn one | to others | AUC |")
    print("| --- " * 8 + "|")
    shown = []
    for name, (G, prompts) in ways.items():
        images = painted(G, prompts)
        print(
            row(name, torch.stack([direction(knows, [i]) for i in images]), truth, nouns),
            flush=True,
        )
        shown.append(images)
    if options.sheet:
        page = Image.new("RGB", (128 * (len(shown) * len(SCENES) + 1), 128 * len(people)))
        for k in range(len(people)):
            line = [i for some in shown for i in some[k * len(SCENES) :][: len(SCENES)]]
            for x, image in enumerate([*line, drawn[k][0]]):
                page.paste(image.resize((128, 128)), (128 * x, 128 * k))
        page.save(options.sheet)


if __name__ == "__main__":
    main()
