"""The autoencoder: 256 px pictures to 16 x 16 latents and back. ``python -m miniature.stages.vae``.

A plain ``AutoencoderKL`` of factor 16, held to L1, gradients, and to what the ``look`` sees. Its
latents forgive: they are decoded with noise, at half their size, and now and then without their last
channels. The first half of the channels carry the structure: a linear layer must read off them each
cell's mean colour and the shares of its parts. (Without it red and green are brown for half an hour.)
Trained at a constant rate; ``--cool`` goes on from a copy with the rate to zero, and that one is used.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from torch import Tensor, nn

from ..pictures.sets import PictureSet, open_there, part_of
from ..pictures.views import windows
from ..training.loop import DEVICE, Run, load_trained, mixed, moved, trained
from ..training.losses import opponent, reconstruction
from ..training.muon import muon_and_adam
from ..training.options import stage_options
from .look import load_look

NAME, COOLED, DECODER = "vae", "vae_cool", "decoder"
SIZE, FACTOR, CHANNELS = 256, 16, 24
WIDTHS = (16, 32, 64, 128, 128)
WINDOW, BATCH = 128, 8
SETS, SHARES = ("singles", "pairs", "threes"), (0.75, 0.2, 0.05)
NOISE = 0.2  # of a latent's spread, that the decoder forgives
CUTS = (8, 12, 16, 20)  # channels that a picture is decoded from now and then
CUT_SHARE = 0.25
TOLD, COLOURED, PARTED = CHANNELS // 2, 2.0, 0.1  # channels that tell structure, and what it weighs
PARTS = 32
OUTER = ("conv_in", "conv_out", "quant", "norm", "structure")  # learned by AdamW


def new_vae() -> AutoencoderKL:
    """The untrained autoencoder. Channels first: faster here than channels last, by a fifth."""
    levels = len(WIDTHS)
    return AutoencoderKL(
        in_channels=3, out_channels=3, latent_channels=CHANNELS, sample_size=SIZE,
        block_out_channels=WIDTHS, layers_per_block=1, norm_num_groups=8,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        mid_block_add_attention=False, scaling_factor=1.0, force_upcast=False,
    )  # fmt: skip


class Taught(nn.Module):
    """The autoencoder, and the layer that reads structure off its latents."""

    def __init__(self) -> None:
        super().__init__()
        self.vae = new_vae()
        self.structure = nn.Conv2d(TOLD, 3 + PARTS, 1)

    def untold(self, z: Tensor, x: Tensor, shares: Tensor) -> tuple[Tensor, Tensor]:
        """How far colours of cells (of x) and shares of parts (B, 32, h, w) are from being told."""
        colour, part = self.structure(z[:, :TOLD]).split([3, PARTS], 1)
        wrong = (colour - F.avg_pool2d(opponent(x), FACTOR)).square().mean()
        return wrong, -(shares * part.log_softmax(1)).sum(1).mean()


def shares_of(marks: np.ndarray) -> Tensor:
    """(B, 32, h, w) how much of each cell each part fills, of marks (B, H, W)."""
    part = torch.from_numpy(part_of(marks)).long()
    return F.avg_pool2d(F.one_hot(part, PARTS).permute(0, 3, 1, 2).float(), FACTOR)


def optimizers_of(model: nn.Module, muon: float, adam: float) -> list[torch.optim.Optimizer]:
    """Muon for the inner convolutions, AdamW for the rest."""
    inner = [
        p for n, p in model.named_parameters()
        if p.requires_grad and p.ndim == 4 and not any(k in n for k in OUTER)
    ]  # fmt: skip
    return muon_and_adam(inner, model.parameters(), muon=muon, adam=adam, decay=0.0)


def noisy(z: Tensor, amount: float) -> Tensor:
    """``z`` with noise of between none and sqrt(2) times ``amount``."""
    level = amount * 2**0.5 * torch.rand(len(z), 1, 1, 1, device=z.device)
    return z + level * torch.randn_like(z)


def cut(z: Tensor, share: float) -> Tensor:
    """``z`` of which a share has lost its last channels."""
    keep = torch.full((len(z),), z.shape[1], device=z.device)
    some = torch.rand(len(z), device=z.device) < share
    cuts = torch.tensor(CUTS, device=z.device)
    keep = torch.where(some, cuts[torch.randint(len(CUTS), (len(z),), device=z.device)], keep)
    channels = torch.arange(z.shape[1], device=z.device)
    return z * (channels[None] < keep[:, None])[:, :, None, None]


def train(
    minutes: float, *, cool: bool = False, batch: int = BATCH, steps: int | None = None,
    window: int = WINDOW,
) -> None:  # fmt: skip
    """Encoder and decoder together."""
    taught, look = Taught(), load_look().to(DEVICE)
    vae = taught.vae
    run = Run(
        COOLED if cool else NAME, taught, optimizers_of(taught, 0.02, 1.5e-3), minutes=minutes,
        steps=steps, ema=0.99, decay_from=0.0 if cool else None, start=NAME if cool else None,
        warmup=1 if cool else 50,
    )  # fmt: skip
    rng = np.random.default_rng([run.step, run.rank])
    torch.manual_seed(run.step * 16 + run.rank)
    sets: list[PictureSet] = []
    for _ in run:
        if (run.step - run.first) % 200 == 0:
            sets = open_there(*SETS)
            shares = [SHARES[SETS.index(s.folder.name)] for s in sets]
        w = windows(sets, shares, batch, window, rng)
        x, weight, parted = moved(w.x, w.weight, shares_of(w.marks))
        with mixed():
            mean = vae.encode(x).latent_dist.mean.float()
            z = noisy(mean, NOISE)
            y = vae.decode(cut(z, CUT_SHARE)).sample.float()
        rough, unlike = reconstruction(y, x, weight), look.unlike(y, x)
        colour, parts = taught.untold(z, x, parted)
        loss = rough + 0.6 * unlike + 0.2 * (mean.square().mean((0, 2, 3)) - 1).relu().mean()
        loss = loss + COLOURED * colour + PARTED * parts
        shown = dict(rough=rough, unlike=unlike, colour=colour, parts=parts)
        if run.step % 2:
            loss = loss + 0.35 * (equal := unequal_when_smaller(vae, z, x))
            shown["equal"] = equal
        error = (y.detach() - x).square().mean()
        run.update(loss, **shown, psnr=-10 * (error / 4).log10())


def unequal_when_smaller(vae: AutoencoderKL, z: Tensor, x: Tensor) -> Tensor:
    """L1 between what latents of half the size decode to and the picture of half the size."""
    with mixed():
        y = vae.decode(F.avg_pool2d(z[:6], 2)).sample.float()
    return (y - F.avg_pool2d(x[:6], 2)).abs().mean()


def load_encoder_side() -> AutoencoderKL:
    """The trained autoencoder whose latents everything lives on: the cooled one, if there is one."""
    return load_trained(COOLED if trained(COOLED) else NAME, Taught()).vae


def load_vae() -> AutoencoderKL:
    """The same, with the decoder that was trained on where there is one."""
    vae = load_encoder_side()
    if trained(DECODER):
        load_trained(DECODER, vae.decoder)
    return vae


def main() -> None:
    """Command line."""
    options = stage_options(__doc__, minutes=90, batch=BATCH, flags=("--cool",))
    if not options.report:
        window = 64 if options.tiny else WINDOW
        train(
            options.minutes, cool=options.cool, batch=options.batch, steps=options.steps,
            window=window,
        )  # fmt: skip
    if options.rank == 0:
        from ..checks.autoencoder import report

        print(report(COOLED if options.cool else NAME, 4 if options.tiny else 48))


if __name__ == "__main__":
    main()
