"""What does the U-Net listen to? ``python -m miniature.checks.probe``, while it trains or after.

Three things that pictures do not show until it is too late: the loss with the right caption, a
wrong one and none; the loss with the right identity, a wrong one and none, under a caption that says
only the class word; and where each cross attention looks.
"""

from __future__ import annotations

import argparse

import torch
from diffusers.models.attention_processor import Attention
from torch import Tensor

from ..pictures.dataset import add_set_options, open_sets
from ..pictures.training_set import WORDINGS, bare_captions, companions, portraits_of, prepare
from ..stages.painter import Painter, scheduler
from ..training.loop import CHECKPOINTS, CPU, mixed
from ..training.noise import noised


def quarters(error: Tensor) -> str:
    """The mean, and the means of four ranges of rising noise."""
    parts = (error.mean(), *error.view(4, -1).mean(1))
    return "  ".join(f"{float(x):.4f}" for x in parts)


def look(painter: Painter) -> dict[str, list[float]]:
    """Filled at every pass with entropy (nats) and weight on the start token of each attention."""
    seen: dict[str, list[float]] = {}
    names = {m: n for n, m in painter.unet.named_modules() if n.endswith("attn2")}
    scores = Attention.get_attention_scores

    def watched(self: Attention, *arguments) -> Tensor:
        a = scores(self, *arguments)
        if self in names:
            entropy = -(a * (a + 1e-9).log()).sum(-1).mean()
            seen[names[self]] = [float(entropy), float(a[..., 0].mean())]
        return a

    Attention.get_attention_scores = watched
    return seen


@torch.inference_mode()
def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_set_options(parser)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--count", type=int, default=96, help="pictures, a multiple of 4")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    n = options.count
    ready, painter = prepare(*open_sets(options)), Painter().eval()
    state = torch.load(CHECKPOINTS / "unet.pt", weights_only=True)
    painter.load_state_dict(state["model"])
    seen = look(painter)

    rng = torch.Generator().manual_seed(0)
    others = companions(ready.people, among=portraits_of(ready))
    known = torch.tensor([k for k, its in enumerate(others) if len(its)])
    i = known[torch.randint(0, len(known), (n,), generator=rng)]
    z = ready.latents[0, i].float()
    noise = torch.randn(z.shape, generator=rng)
    t = torch.linspace(100, 950, n).long()
    x, target = noised(z, noise, t, scheduler().alphas_cumprod)

    def error(states: Tensor, pooled: Tensor, *, identity: bool) -> str:
        with mixed(CPU):
            y = painter(x, t, states, pooled, identity=identity).float()
        return quarters((y - target).square().mean((1, 2, 3)))

    text, empty = i * WORDINGS, torch.full((n,), len(ready.states) - 1)
    for name, rows in (("right", text), ("wrong", text.roll(7)), ("no", empty)):
        states, pooled = ready.states[rows].float(), ready.pooled[rows]
        print(f"{name:6s} caption   {error(states, pooled, identity=False)}")
    bare_states, bare_pooled, where, _, fitting = bare_captions(ready)
    said = fitting[i]
    e = torch.stack([ready.embeddings[others[k]].mean(0) for k in i.tolist()])
    for name, identity in (("right", e), ("wrong", e.roll(7, 0)), ("no", None)):
        states = bare_states[said]
        if identity is not None:
            states = painter.with_identity(states, where[said], identity)
        print(f"{name:6s} identity  {error(states, bare_pooled[said], identity=True)}")
    for name, (entropy, start) in seen.items():
        print(f"{name.split('.transformer')[0]:32s} entropy {entropy:.2f}  start token {start:.2f}")


if __name__ == "__main__":
    main()
