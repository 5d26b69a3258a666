"""How much of a person is kept: ``python -m miniature.checks.kept``, the chain of identity.

A regressor reads the identity numbers off the heads of held-out people, in drawings, in autoencoded
drawings, in pictures painted from words alone, and in pictures painted with the identity of other
portraits. kept = (r with identity - r words) / (r autoencoded - r words), r the mean correlation with
the truth. It tells long before a recogniser does where a person is lost.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from .. import paths
from ..pictures.faces import numbers_of
from ..pictures.latents import Latents
from ..pictures.people import embedded
from ..pictures.sets import PictureSet, open_there
from ..stages.little_people import look_at
from ..stages.numbers import NAME as NUMBERS
from ..stages.numbers import load_numbers
from ..training.captioning import Speaker
from ..training.loop import CPU, mixed, trained
from ..training.noise import GUIDANCE, scheduler
from ..world.captions import caption
from ..world.records import IDENTITY
from .painting import SEED, decoded


def correlations(guess: Tensor, truth: Tensor) -> np.ndarray:
    """(numbers,) over people; 0 where one of both does not vary."""
    g, t = guess - guess.mean(0), truth - truth.mean(0)
    size = (g.square().sum(0) * t.square().sum(0)).sqrt()
    return torch.where(size > 1e-9, (g * t).sum(0) / size.clamp(min=1e-9), 0.0).numpy()


@torch.inference_mode()
def paint(painter: nn.Module, said, e: Tensor | None, steps: int) -> Tensor:
    """Latents of captions [..., empty], with the identity of ``e`` or without."""
    from ..stages.vae import CHANNELS

    s, rng = scheduler(), torch.Generator().manual_seed(SEED)
    s.set_timesteps(steps)
    n = len(said.states) - 1
    states = said.states[:-1]
    if e is not None:
        states = painter.with_identity(states, said.where[:-1], e)
    h = torch.cat([said.states[-1:].expand(n, -1, -1), states])
    p = torch.cat([said.pooled[-1:].expand(n, -1), said.pooled[:-1]])
    z = torch.randn(n, CHANNELS, 16, 16, generator=rng)
    for t in s.timesteps:
        with mixed(CPU):
            both = painter(torch.cat([z, z]), t.expand(2 * n), h, p, identity=e is not None)
        u, c = both.float().chunk(2)
        z = s.step(u + GUIDANCE * (c - u), t, z, eta=1.0, generator=rng).prev_sample
    return z


def chosen_portraits(data: PictureSet, count: int) -> np.ndarray:
    """The first portrait of each of so many people, of whom there is another one."""
    known = embedded(data)
    return np.array(sorted(int(known.numbers[rows[0]]) for rows in known.of.values())[:count])


@torch.inference_mode()
def report(count: int = 96, steps: int = 20) -> dict[str, float]:
    """Mean correlation at each link of the chain, and what share is kept."""
    from ..stages.identity_lora import load_painter
    from ..stages.vae import CHANNELS, load_vae

    if not trained(NUMBERS):
        return {}
    (data, *_) = open_there("held_out", "singles")
    numbers, known, rng = chosen_portraits(data, count), embedded(data), np.random.default_rng(0)
    shots = [data.shots[int(n)] for n in numbers]
    truth = torch.from_numpy(np.stack([numbers_of(data)[s.people[0]] for s in shots]))
    reader, painter, vae = load_numbers(), load_painter(), load_vae()
    z = torch.from_numpy(Latents(data).arrays(CHANNELS)[0][numbers]).float()
    said = Speaker().encode([*(caption(s.record, rng) for s in shots), ""])
    e = torch.stack(
        [known.of_person(s.people[0], int(n), rng) for s, n in zip(shots, numbers, strict=True)]
    )
    pictures = {
        "drawn": None, "autoencoded": z, "words": paint(painter, said, None, steps),
        "identity": paint(painter, said, e, steps),
    }  # fmt: skip
    found = {}
    for name, latents in pictures.items():
        x = None if latents is None else decoded(vae, latents)
        heads = look_at([data], [(0, (int(n), 0, 0)) for n in numbers], None, x)
        found[name] = correlations(reader(heads), truth)
    r = {k: round(float(v.mean()), 3) for k, v in found.items()}
    room = r["autoencoded"] - r["words"]
    r["kept"] = round((r["identity"] - r["words"]) / room, 3) if abs(room) > 1e-3 else 0.0
    table = {n: [round(float(v[k]), 2) for v in found.values()] for k, n in enumerate(IDENTITY)}
    path = paths.sheet("kept").with_suffix(".json")
    path.write_text(json.dumps(dict(mean=r, columns=list(found), numbers=table), indent=1))
    return r


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state", type=Path)
    parser.add_argument("--count", type=int, default=96)
    options = parser.parse_args()
    paths.use_state(options.state)
    torch.set_num_threads(1)
    print(report(options.count))


if __name__ == "__main__":
    main()
