"""How much of a person is kept: ``python -m miniature.checks.kept [RUN ...]``, the chain of identity.

A regressor reads the identity numbers off the heads of held-out people, in drawings, in autoencoded
drawings, in pictures painted from words alone, and in pictures painted with the identity of four other
drawn portraits; a ridge regression reads them off the identity itself. kept = (r with identity - r words) / (r autoencoded - r words), r the mean correlation
with the truth. It tells long before a recogniser does where a person is lost.

Of finished runs of one character each the truth is what is read off the portraits that were kept of
the character, all together; r is then that of templates and of frames, and of one portrait. ``--figure
FILE`` draws both chains.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

from .. import paths
from ..package import IdentityEncoder
from ..pictures.faces import middles, numbers_of
from ..pictures.sets import open_held_out, open_set
from ..pictures.views import to_images, to_tensor
from ..stages.little_people import SET as STRANGERS
from ..stages.little_people import SOMEWHERE, autoencoded, face_of, heads_in, load_recogniser
from ..stages.numbers import NAME as NUMBERS
from ..stages.numbers import load_numbers
from ..stages.tower import embed_all
from ..training.captioning import Speaker
from ..training.loop import CPU, mixed, trained
from ..training.noise import GUIDANCE, scheduler
from ..world.captions import caption
from ..world.picture import paint as draw
from ..world.records import IDENTITY
from ..world.sampling import draw_record
from .painting import SEED, decoded

PORTRAITS = 4  # drawn, from which an identity is known
KNOWN = 1500  # pictures of others from which it is learnt how embeddings tell numbers
RIDGE = 0.1  # times their number
TILE, COLUMNS = 128, 8  # of a page of portraits, cast/NAME.png


def correlations(guess: Tensor, truth: Tensor) -> np.ndarray:
    """(numbers,) over people; 0 where one of both does not vary."""
    g, t = guess - guess.mean(0), truth - truth.mean(0)
    size = (g.square().sum(0) * t.square().sum(0)).sqrt()
    return torch.where(size > 1e-9, (g * t).sum(0) / size.clamp(min=1e-9), 0.0).numpy()


def share_kept(r: dict[str, float], less: str, more: str, of: str) -> float:
    """How far ``more`` is on the way from ``less`` to ``of``; 0 where there is no way."""
    room = r[of] - r[less]
    return round((r[more] - r[less]) / room, 3) if abs(room) > 1e-3 else 0.0


def ridge(E: Tensor, numbers: Tensor, e: Tensor) -> Tensor:
    """(m, k): what ridge regression reads off embeddings e (m, d), fitted to E (n, d) and its numbers (n, k)."""
    mean, spread = E.mean(0), E.std(0).clamp(min=1e-6)
    A, middle = (E - mean) / spread, numbers.mean(0)
    gram = A.T @ A + RIDGE * len(A) * torch.eye(A.shape[1])
    return (e - mean) / spread @ torch.linalg.solve(gram, A.T @ (numbers - middle)) + middle


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


@torch.inference_mode()
def told_by(encoder: IdentityEncoder, e: Tensor) -> Tensor:
    """(m, k) identity numbers that identities e (m, d) tell, learnt from pictures of other people."""
    others = open_set(STRANGERS)
    alone = [n for n, shot in sorted(others.shots.items()) if len(shot.people) == 1][:KNOWN]
    known = numbers_of(others)
    numbers = torch.from_numpy(np.stack([known[others.shots[n].people[0]] for n in alone]))
    return ridge(embed_all(others, np.array(alone), encoder), numbers.float(), e.float())


@torch.inference_mode()
def report(count: int = 96, steps: int = 20) -> dict[str, float]:
    """Mean correlation at each link of the chain, and what share is kept."""
    from ..stages.identity_lora import load_painter
    from ..stages.tower import load_encoder
    from ..stages.vae import load_vae

    if not trained(NUMBERS):
        return {}
    (data,) = open_held_out()
    first: dict[int, int] = {}
    for number, shot in sorted(data.shots.items()):
        if len(shot.people) == 1:
            first.setdefault(shot.people[0], number)
    numbers, rng = list(first.values())[:count], np.random.default_rng(0)
    shots = [data.shots[n] for n in numbers]
    truth = torch.from_numpy(np.stack([numbers_of(data)[s.people[0]] for s in shots]))
    painter, vae, encoder, drawn = load_painter(), load_vae(), load_encoder(), data.rgb[numbers]
    others = [
        draw_record(rng, [s.record.people[0]], "portrait") for s in shots for _ in range(PORTRAITS)
    ]
    e = torch.cat([encoder.embed(middles(to_tensor(draw(r).rgb[None]))) for r in others])
    e = e.unflatten(0, (-1, PORTRAITS)).mean(1)
    said = Speaker().encode([*(caption(s.record, rng) for s in shots), ""])
    pictures = {
        "drawn": drawn,
        "autoencoded": np.concatenate([autoencoded(vae, drawn[k : k + 8]) for k in range(0, len(drawn), 8)]),
        "words": to_images(decoded(vae, paint(painter, said, None, steps))),
        "identity": to_images(decoded(vae, paint(painter, said, e, steps))),
    }  # fmt: skip
    reader, net = load_numbers(), load_recogniser()
    places = [face_of(data, n, 0) or SOMEWHERE for n in numbers]
    read = lambda some: reader(heads_in(net, some, places))
    guesses = {name: read(some) for name, some in pictures.items()}
    guesses |= {"embedding": told_by(encoder, e)}
    links = ("drawn", "autoencoded", "embedding", "words", "identity")
    found = {name: correlations(guesses[name], truth) for name in links}
    r = {k: round(float(v.mean()), 3) for k, v in found.items()}
    r["kept"] = share_kept(r, "words", "identity", "autoencoded")
    return written("kept", r, found)


def written(name: str, mean: dict[str, float], found: dict[str, np.ndarray]) -> dict[str, float]:
    """``mean``, which is written down with the correlations of every number."""
    table = {n: [round(float(v[k]), 2) for v in found.values()] for k, n in enumerate(IDENTITY)}
    path = paths.sheet(name).with_suffix(".json")
    path.write_text(json.dumps(dict(mean=mean, columns=list(found), numbers=table), indent=1))
    return mean


def portraits_kept(run: Path) -> np.ndarray:
    """(n, 128, 128, 3) uint8: the portraits from which a run's one character was found."""
    (cast,) = (run / "cast").glob("*.safetensors")
    page = np.asarray(Image.open(cast.with_suffix(".png")).convert("RGB"))
    count = len(load_file(cast)["kept"])
    return np.stack([
        page[TILE * (k // COLUMNS) :, TILE * (k % COLUMNS) :][:TILE, :TILE] for k in range(count)
    ])  # fmt: skip


@torch.inference_mode()
def report_runs(runs: Sequence[Path]) -> dict[str, float]:
    """Mean correlation over runs of what is read off templates, frames and one portrait with what is
    read off the other portraits that were kept."""
    reader, net = load_numbers(), load_recogniser()
    rows: dict[str, list[Tensor]] = {k: [] for k in ("truth", "templates", "frames", "portrait")}
    read = lambda some: reader(heads_in(net, some, [SOMEWHERE] * len(some)))
    for run in runs:
        portraits = read(portraits_kept(run))
        files = sorted(f for f in (run / "frames").glob("*.png") if len(f.suffixes) == 1)
        opened = lambda some: np.stack([np.asarray(Image.open(f).convert("RGB")) for f in some])
        rows["templates"].append(read(opened([f.with_suffix(".template.png") for f in files])))
        rows["frames"].append(read(opened(files)))
        rows["portrait"].append(portraits[:1].expand(len(files), -1))
        rows["truth"].append(portraits[1:].mean(0).expand(len(files), -1))
    every = {name: torch.cat(parts) for name, parts in rows.items()}
    truth = every.pop("truth")
    found = {name: correlations(guess, truth) for name, guess in every.items()}
    r = {k: round(float(v.mean()), 3) for k, v in found.items()}
    r["kept"] = share_kept(r, "templates", "frames", "portrait")
    return written("kept_runs", r, found)


def draw_figure(file: Path) -> None:
    """Both chains as bars, from what was written down."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 2.6), layout="constrained")
    told = [
        ("kept", "held-out people, with their own numbers"),
        ("kept_runs", "IdentityStory, with the portraits it found"),
    ]
    there = [(n, t) for n, t in told if paths.sheet(n).with_suffix(".json").exists()]
    axes = np.atleast_1d(np.asarray(figure.subplots(1, len(there), sharey=True)))
    for axis, (name, title) in zip(axes, there, strict=True):
        mean = json.loads(paths.sheet(name).with_suffix(".json").read_text())["mean"]
        kept = mean.pop("kept")
        bars = axis.bar(list(mean), list(mean.values()), color="#1f5fbf", width=0.6)
        axis.bar_label(bars, fmt="%.2f", fontsize=9)
        axis.set_title(f"{title}; kept {kept:.2f}", fontsize=10)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("mean correlation")
    figure.savefig(file, dpi=110)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="*", help="finished runs of one character each")
    parser.add_argument("--state", type=Path)
    parser.add_argument("--count", type=int, default=96)
    parser.add_argument("--figure", type=Path, help="draw what was measured so far")
    options = parser.parse_args()
    paths.use_state(options.state)
    torch.set_num_threads(1)
    if options.figure:
        draw_figure(options.figure)
    else:
        print(report_runs(options.runs) if options.runs else report(options.count))


if __name__ == "__main__":
    main()
