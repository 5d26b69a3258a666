"""The identity generator alone: ``python -m miniature.stages.identity_lora``, after ``unet``.

Trains as PhotoMaker does: the U-Net stays as it is, and the LoRA and the fuse module go on learning to
paint the person of an embedding. A step tells them more than one of ``unet`` does, in less time, and
what was trained beside the U-Net (``ip_adapter``, ``few_steps``) still fits.
"""

from __future__ import annotations

import torch

from ..pictures.training_set import Ready, bare_captions
from ..training.loop import DEVICE, Run, load_trained, moved, trained
from ..training.on_finished_unet import command, fingerprint, fits
from .painter import Painter
from .perception import load_perception
from .unet import loss_of, visibility
from .unet_batches import Draw

NAME = "identity_lora"


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
        listener.load_state_dict(load_trained("unet", Painter()).state_dict(), strict=False)
        listener.beside.fill_(fingerprint())
        return listener


def train(minutes: float, ready: Ready, *, batch: int) -> None:
    """Pictures of people from other pictures of them."""
    listener, perception = Listener.new(), load_perception().to(DEVICE)
    lora = [p for n, p in listener.named_parameters() if "lora_" in n]
    groups = [dict(params=lora), dict(params=list(listener.fuse.parameters()), lr=3e-3)]
    optimizer = torch.optim.AdamW(groups, 1e-3, betas=(0.9, 0.99), fused=True)
    run = Run(NAME, listener, [optimizer], minutes=minutes, ema=0.99)
    torch.manual_seed(run.step * 16 + run.rank)
    draw, (visible,) = Draw(ready, bare_captions(ready)), moved(visibility(ready))
    for _ in run:
        b = draw(batch, identity=True)
        loss, told = loss_of(listener, b, perception, draw.alpha_bar, visible)
        run.update(loss, **told)


def load_painter() -> Painter:
    """The trained U-Net, with the LoRA and fuse module of this stage where it was run beside it."""
    if trained(NAME) and fits(NAME):
        return load_trained(NAME, Listener())
    return load_trained("unet", Painter())


def main() -> None:
    """Command line."""
    command(NAME, __doc__, train, minutes=60)


if __name__ == "__main__":
    main()
