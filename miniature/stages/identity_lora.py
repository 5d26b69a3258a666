"""The identity generator: ``python -m miniature.stages.identity_lora``, after ``unet``.

Trains as PhotoMaker does: the U-Net stays as it is, and the LoRA and the fuse module learn to paint
the person of an embedding, from other portraits of that person. Of pictures of two people it is told
of one, and held to that one's part, as re-denoising uses it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..pictures.latents import GROUPS, Latents
from ..pictures.people import Embedded, embedded
from ..pictures.sets import open_there
from ..training.beside import begin_anew_unless_fitting, fingerprint, fits
from ..training.captioning import Said, Speaker, worded
from ..training.loop import DEVICE, Run, load_trained, mixed, moved, trained
from ..training.noise import believed, draw_times, noised, scheduler
from ..training.options import stage_options
from ..world.records import Person, Record, age_group
from .painter import Painter, load_plain, painter_of_unet, plain_state
from .perception import NAME as PERCEPTION
from .perception import load_perception
from .unet import load_unet, squared_error, visibility, weight_of_cells
from .vae import CHANNELS

NAME, BATCH = "identity_lora", 48
BARE = 0.4  # share of samples whose caption is the class word alone
TWO = 0.25  # share of steps with pictures of two people
DEAF = 0.2  # share of samples without the pooled vector, so that the rows must be heard
HEARD, OTHER = 0.02, 0.5  # signal from which who it is can be judged, and the weight of that


class Listener(Painter):
    """The trained U-Net, of which only what hears the identity learns."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("beside", torch.tensor(0.0))
        for name, parameter in self.named_parameters():
            parameter.requires_grad_("lora_" in name or name.startswith("fuse"))

    @classmethod
    def new(cls) -> Listener:
        """As ``unet`` left it."""
        listener = cls()
        load_plain(listener, load_unet().state_dict())
        listener.beside.fill_(fingerprint(NAME))
        return listener


@dataclass(frozen=True)
class Batch:
    """B pictures of one size: latents, loss weights of cells, what is said, and whose E it is."""

    z: Tensor
    weight: Tensor
    said: Said
    e: Tensor
    alone: bool


def class_word(person: Person) -> str:
    """man, woman, boy or girl."""
    young = age_group(person.age) in ("child", "teenager")
    return (("woman", "man"), ("girl", "boy"))[young][person.masc > 0.5]


def bare(record: Record, rng: np.random.Generator) -> str:
    """A caption that says nothing but the class words: "a portrait of a woman".

    With it everything about the face must come from the identity, which teaches the attention to
    listen to the class word.
    """
    fronts = {"portrait": "a portrait of ", "half-body": "a half-body photo of "}
    front = fronts.get(record.framing, "") if rng.random() < 0.7 else ""
    return front + " and ".join(f"a {class_word(p)}" for p in record.people)


class Draw:
    """Draws batches of people of whom there are other portraits."""

    def __init__(self, seed: list[int]) -> None:
        self.rng, self.speaker = np.random.default_rng(seed), Speaker()
        sets = [Latents(s) for s in open_there("singles", "pairs")]
        self.known: Embedded = embedded(sets[0].data)
        self.sets, self.pools = [], []
        for latents in sets:
            shots = latents.data.shots
            pool = [
                (int(n), k) for n in latents.numbers for k, who in enumerate(shots[int(n)].people)
                if len(self.known.of.get(who, ())) > 1
            ]  # fmt: skip
            if pool:
                self.sets.append(latents)
                self.pools.append(pool)

    def __call__(self, batch: int) -> Batch:
        """One set's pictures, each told of one of its people."""
        rng = self.rng
        k = int(rng.random() < TWO) if len(self.sets) > 1 else 0
        latents, pool = self.sets[k], self.pools[k]
        z, cells = latents.arrays(CHANNELS)
        count = max(1, batch * z.shape[2] // z.shape[3])
        chosen = sorted(pool[int(i)] for i in rng.integers(0, len(pool), count))
        numbers, which = np.array([n for n, _ in chosen]), [w for _, w in chosen]
        shots = [latents.data.shots[int(n)] for n in numbers]
        e = [
            self.known.of_person(s.people[w], n, rng)
            for s, w, n in zip(shots, which, numbers, strict=True)
        ]
        texts = [
            bare(s.record, rng) if rng.random() < BARE else worded(s.record, rng) for s in shots
        ]
        said = (
            [self.speaker.encode([t], w) for t, w in zip(texts, which, strict=True)] if k else None
        )
        said = joined(said) if said else self.speaker.encode(texts)
        deaf = torch.rand(count) < DEAF
        empty = self.speaker.encode([""]).pooled
        said.pooled[deaf] = empty
        there = torch.from_numpy(cells[numbers]).float() / 255
        weight = weight_of_cells(there)
        if k:  # the one who is spoken of, and a tenth of everything else
            rows = torch.tensor([GROUPS.index(f"person {w + 1}") for w in which])
            weight = weight * (0.1 + 0.9 * there[torch.arange(count), rows])
            weight = weight / weight.mean((1, 2), keepdim=True)
        clean = torch.from_numpy(z[numbers]).float()
        return Batch(*moved(clean, weight), said, *moved(torch.stack(e)), alone=not k)


def joined(said: list[Said]) -> Said:
    """Several captions' words as one."""
    fields = ("states", "pooled", "where", "about")
    return Said(*(torch.cat([getattr(s, f) for s in said]) for f in fields))


def train(minutes: float, *, batch: int = BATCH, steps: int | None = None) -> None:
    """Pictures of people from other pictures of them."""
    listener = Listener.new()
    perception = load_perception().to(DEVICE) if trained(PERCEPTION) else None
    lora = [p for n, p in listener.named_parameters() if "lora_" in n]
    groups = [dict(params=lora), dict(params=list(listener.fuse.parameters()), lr=3e-3)]
    optimizer = torch.optim.AdamW(groups, 1e-3, betas=(0.9, 0.99), fused=True)
    run = Run(NAME, listener, [optimizer], minutes=minutes, steps=steps, ema=0.99)
    torch.manual_seed(run.step * 16 + run.rank)
    draw = Draw([run.step, run.rank, 9])
    alpha_bar, visible = moved(scheduler().alphas_cumprod, visibility(4 if steps else 32))
    for _ in run:
        b = draw(batch)
        t = draw_times(len(b.z), DEVICE)
        x, target = noised(b.z, torch.randn_like(b.z), t, alpha_bar)
        states = listener.with_identity(b.said.states, b.said.where, b.e)
        with mixed():
            v = listener(x, t, states, b.said.pooled, identity=True).float()
        error = squared_error(v, target, t, b.weight, alpha_bar, visible).mean()
        loss, shown = error, {"error": error}
        if perception is not None and b.alone:
            seen = believed(x, v, t, alpha_bar)
            with mixed():
                other = perception.other(seen, b.z)
            other = (other * (alpha_bar[t] > HEARD)).mean()
            loss, shown = loss + OTHER * other, shown | {"other": other}
        run.update(loss, **shown)


def load_painter() -> Painter:
    """The trained U-Net, with LoRA and fuse module where they were trained beside it."""
    if fits(NAME):
        return load_trained(NAME, Listener())
    return painter_of_unet()


def main() -> None:
    """Command line."""
    options = stage_options(__doc__, minutes=120, batch=BATCH)
    if not options.report:
        if options.rank == 0:
            begin_anew_unless_fitting(NAME)
        train(options.minutes, batch=options.batch, steps=options.steps)
    if options.rank == 0:
        from ..checks.kept import report

        print(report(4 if options.tiny else 96, steps=2 if options.tiny else 20))


__all__ = ["Listener", "load_painter", "plain_state"]

if __name__ == "__main__":
    main()
