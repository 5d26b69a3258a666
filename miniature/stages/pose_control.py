"""A control net that turns heads: ``python -m miniature.stages.pose_control``, after ``unet``.

ControlNet (Zhang et al. 2023) on the drawn world: of every picture the world knows where eyes, ears and
nose are, and how the head is turned. The U-Net stays as it is. The net beside it begins as a copy of the
U-Net's encoder half, and says nothing yet. Half of the pictures are drawn from the face's
own points, and half from the angles alone, as a story's poses are.

The velocity's error says little of how a head is turned, so what the prediction believes is also read by a
small network that tells the angles from latents (consistency, as ControlNet++ has it, Li et al. 2024).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import ControlNetModel
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor, nn

from ..package import CONTROLS, drawn
from ..pictures.keypoints import skeletons
from ..pictures.latents import Latents
from ..pictures.sets import PictureSet, open_there
from ..training.beside import begin_anew_unless_fitting, fingerprint, load_fitting
from ..training.captioning import Speaker, worded
from ..training.loop import DEVICE, Run, mixed, moved
from ..training.noise import believed, draw_times, noised, scheduler
from ..training.options import stage_options
from .unet import (
    Draw,
    conditions,
    load_unet,
    predicted,
    squared_error,
    weight_of_cells,
)
from .vae import CHANNELS

NAME, BATCH, KIND = "pose_control", 48, "openpose"
SEEN = (8, 8, 16, 32, 64)  # channels that see the picture; each layer halves it, 16 times in all
RANGE, OFF = (10.0, 5.0), 0.2  # degrees that count as one, and the weight of being off
GAIN = 1.5  # of the layers that see: thin lines on black are faint
NEW = ("controlnet_",)  # what the U-Net has not: what sees the picture, and the zero convolutions


def grown(tensor: Tensor, shape: torch.Size) -> Tensor:
    """``tensor`` at the beginning of one of ``shape``, zeros in the rest."""
    more = [b - a for a, b in zip(tensor.shape, shape, strict=True)]
    return F.pad(tensor, [n for size in reversed(more) for n in (0, size)])


def encoder_half(unet: nn.Module, widths: tuple[int, ...]) -> ControlNetModel:
    """A control net that begins as the encoder half of ``unet``, and says nothing yet.

    Where the U-Net's layers are narrower than the class has them (of the time), zeros stand in the
    rest, so that it computes the same. ``widths`` are of the layers that see the picture, each half the
    size of the one before.
    """
    net = ControlNetModel.from_unet(
        unet, conditioning_embedding_out_channels=widths, load_weights_from_unet=False
    )
    seeing = net.controlnet_cond_embedding
    # As torch begins them, pictures of two poses differ by a millionth behind these layers.
    for layer in (seeing.conv_in, *seeing.blocks):
        nn.init.kaiming_normal_(layer.weight)
        layer.weight.data *= GAIN
        nn.init.zeros_(layer.bias)
    own, state = unet.state_dict(), net.state_dict()
    net.load_state_dict({k: grown(own[k], v.shape) if k in own else v for k, v in state.items()})
    return net


class PoseControl(nn.Module):
    """The control net. ``beside`` remembers its U-Net."""

    def __init__(self, unet: nn.Module) -> None:
        super().__init__()
        self.register_buffer("beside", torch.tensor(0.0))
        self.net = encoder_half(unet, SEEN)
        self.net.set_attn_processor(AttnProcessor())

    def forward(
        self,
        unet: nn.Module,
        x: Tensor,
        t: Tensor,
        states: Tensor,
        pooled: Tensor,
        pictures: Tensor,
    ) -> Tensor:
        """The velocity that ``unet`` predicts with what the net says of ``pictures`` (B, 3, H, W)."""
        extra = conditions(x, pooled)
        down, middle = self.net(
            x, t, states, controlnet_cond=pictures, added_cond_kwargs=extra, return_dict=False
        )
        return unet(
            x, t, states, added_cond_kwargs=extra, down_block_additional_residuals=down,
            mid_block_additional_residual=middle,
        ).sample  # fmt: skip


def seen(data: PictureSet, numbers: np.ndarray, rng: np.random.Generator) -> Tensor:
    """(B, 3, H, W) in [0, 1], the skeletons of these pictures."""
    size = data.spec["width"], data.spec["height"]
    drawings = [drawn(skeletons(data, int(n), own=rng.random() < 0.5), size) for n in numbers]
    return torch.from_numpy(np.stack(drawings)).permute(0, 3, 1, 2).float() / 255


def turned(data: PictureSet, numbers: np.ndarray) -> Tensor:
    """(B, 2) yaw and pitch in ``RANGE`` where one person alone is to be seen, else nan."""
    moments = [data.shots[int(n)].record.moments for n in numbers]
    told = [(m[0].yaw, m[0].pitch) if len(m) == 1 else (np.nan, np.nan) for m in moments]
    return torch.tensor(told, dtype=torch.float32) / torch.tensor(RANGE)


def new_angle_reader() -> nn.Module:
    """Latents (B, C, 16, 16) of one person to yaw and pitch (B, 2) in ``RANGE``."""
    layer = lambda a, b: (nn.Conv2d(a, b, 3, 2, 1), nn.GroupNorm(8, b), nn.GELU())
    return nn.Sequential(
        nn.Conv2d(CHANNELS, 48, 3, 1, 1), nn.GELU(), *layer(48, 64), *layer(64, 96),
        nn.Flatten(), nn.Dropout(0.3), nn.Linear(96 * 16, 2),
    )  # fmt: skip


def taught_angles(latents: Latents, steps: int = 200) -> nn.Module:
    """A reader of angles that has learned on ``latents``, made soft and noisy as a prediction's are."""
    torch.manual_seed(0)
    z, _ = latents.arrays(CHANNELS)
    truth = turned(latents.data, latents.numbers)
    there = truth.isfinite().all(1)
    clean, truth = moved(torch.from_numpy(z[latents.numbers]).float()[there], truth[there])
    reader = new_angle_reader().to(DEVICE)
    optimizer = torch.optim.AdamW(reader.parameters(), weight_decay=0.1)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * (1 - step / steps)
        of = torch.randint(len(clean), (64,), device=DEVICE)
        x, (share, size) = clean[of], torch.rand(2, 64, 1, 1, 1, device=DEVICE)
        x = torch.lerp(x, F.avg_pool2d(x, 3, 1, 1), share) + 0.5 * size * torch.randn_like(x)
        (reader(x) - truth[of]).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    return reader.eval().requires_grad_(False)


def train(minutes: float, *, batch: int = BATCH, steps: int | None = None) -> None:
    """Learn to paint the picture whose skeleton is seen, told what it shows."""
    unet = load_unet().to(DEVICE)
    model = PoseControl(unet)
    model.beside.fill_(fingerprint(NAME))
    copied = [p for n, p in model.net.named_parameters() if not n.startswith(NEW)]
    new = [p for n, p in model.net.named_parameters() if n.startswith(NEW)]
    groups = [dict(params=copied), dict(params=new, lr=1e-3)]
    optimizer = torch.optim.AdamW(groups, 3e-4, betas=(0.9, 0.99), weight_decay=0.0, fused=True)
    run = Run(NAME, model, [optimizer], minutes=minutes, steps=steps, warmup=20)
    reader = taught_angles(Latents(open_there("singles")[0]), steps or 200)
    torch.manual_seed(run.step * 16 + run.rank)
    draw, rng = Draw([run.step, run.rank, 15]), np.random.default_rng([run.step, run.rank, 16])
    alpha_bar, every = moved(scheduler().alphas_cumprod, torch.ones(()))
    for _ in run:
        b = draw(batch)
        t = draw_times(len(b.z), DEVICE)
        x, target = noised(b.z, torch.randn_like(b.z), t, alpha_bar)
        (pictures,) = moved(seen(b.data, b.numbers, rng))
        with mixed():
            v = model(unet, x, t, b.said.states, b.said.pooled, pictures).float()
        error = squared_error(v, target, t, b.weight, alpha_bar, every).mean()
        (asked,) = moved(turned(b.data, b.numbers))
        off, alone = torch.zeros((), device=DEVICE), asked.isfinite().all(1)
        if alone.any():
            off = (reader(believed(x, v, t, alpha_bar)[alone]) - asked[alone]).square().mean()
        run.update(error + OFF * off, error=error, off=off)


def load_control() -> PoseControl:
    """The trained net, if it fits the U-Net that is there."""
    return load_fitting(NAME, lambda: PoseControl(load_unet()))


@torch.inference_mode()
def report(count: int = 64) -> dict[str, float]:
    """Squared error of the velocity, with the net and without, by timestep: on held-out people, and
    where none are drawn, as beside the shipped weights, on those it was trained on."""
    model, unet, rng = load_control().to(DEVICE), load_unet().to(DEVICE), np.random.default_rng(0)
    latents = Latents((open_there("held_out") or open_there("singles"))[0])
    z, cells = latents.arrays(CHANNELS)
    of = latents.numbers[:count]
    said = Speaker().encode([worded(latents.data.shots[int(n)].record, rng, 0.0) for n in of])
    clean, there = moved(torch.from_numpy(z[of]).float(), torch.from_numpy(cells[of]).float() / 255)
    pictures, alpha_bar = moved(seen(latents.data, of, rng), scheduler().alphas_cumprod)
    found = {}
    for step in (300, 600, 900):
        t = torch.full((len(of),), step, device=DEVICE)
        noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(step)).to(DEVICE)
        x, target = noised(clean, noise, t, alpha_bar)
        inputs = unet, x, t, said.states, said.pooled
        with mixed():
            both = {"with": model(*inputs, pictures), "without": predicted(*inputs)}
        for name, v in both.items():
            error = (v.float() - target).square().mean(1) * weight_of_cells(there)
            found[f"{name} at {step}"] = round(float(error.mean()), 4)
    return found


def pack(folder: Path) -> None:
    """Writes ``controlnet/openpose`` into the checkpoint ``folder``, in diffusers' layout, float16."""
    load_control().net.half().save_pretrained(folder / CONTROLS / KIND)


def unpacked(folder: Path, unet: nn.Module, beside: float) -> PoseControl:
    """The net that ``pack`` wrote for ``unet``, marked as fitting what ``beside`` stands for."""
    model = PoseControl(unet)
    model.net.load_state_dict(ControlNetModel.from_pretrained(folder).float().state_dict())
    model.beside.fill_(beside)
    return model


def main() -> None:
    """Command line."""
    options = stage_options(__doc__, minutes=30, batch=BATCH)
    if not options.report:
        if options.rank == 0:
            begin_anew_unless_fitting(NAME)
        train(options.minutes, batch=options.batch, steps=options.steps)
    if options.rank == 0:
        print(report(8 if options.tiny else 64))


if __name__ == "__main__":
    main()
