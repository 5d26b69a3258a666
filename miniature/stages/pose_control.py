"""A small control net that turns heads: ``python -m miniature.stages.pose_control``, after ``unet``.

ControlNet (Zhang et al. 2023) on the drawn world: of every picture the world knows where eyes, ears and
nose are, and how the head is turned. The U-Net stays as it is. The net beside it begins as a copy of the
U-Net's encoder half; so that it takes no more than a sixth of a MiB, each matrix learns a difference of low rank
alone, and so do the zero convolutions; only the layers that see the picture learn whole. It is packed as
that difference (``models.sdxl.control_net``). Half of the pictures are drawn from the face's own
points, and half from the angles alone, as a story's poses are.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from diffusers.models.attention_processor import AttnProcessor
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ..package import CONTROL_WIDTHS, CONTROLS, LOW_RANK, beside, drawn
from ..pictures.keypoints import skeletons
from ..pictures.latents import Latents
from ..pictures.sets import PictureSet, open_there
from ..training.beside import begin_anew_unless_fitting, fingerprint, load_fitting
from ..training.captioning import Speaker, worded
from ..training.loop import DEVICE, Run, mixed, moved
from ..training.noise import draw_times, noised, scheduler
from ..training.options import stage_options
from .unet import (
    Draw,
    conditions,
    load_unet,
    predicted,
    squared_error,
    visibility,
    weight_of_cells,
)
from .vae import CHANNELS

NAME, BATCH, KIND = "pose_control", 48, "openpose"
RANK, ZERO_RANK = 1, 8  # of matrices that the U-Net has too, and of the zero convolutions
SEEN = (8, 8, 12, 16, 16)  # channels that see the picture; each layer halves it, 16 times in all
WHOLE = "controlnet_cond_embedding"
ZERO = ("controlnet_down_blocks", "controlnet_mid_block")
OF_TIME = ("time_embedding", "add_embedding", "time_emb_proj")  # no pose is in them


class LowRank(nn.Module):
    """A matrix and a difference of low rank, 0 at first."""

    def __init__(self, weight: Tensor, rank: int) -> None:
        super().__init__()
        rows, columns = weight.shape[0], weight[0].numel()
        self.up = nn.Parameter(torch.zeros(rows, rank))
        self.down = nn.Parameter(torch.randn(rank, columns) * columns**-0.5)

    def forward(self, weight: Tensor) -> Tensor:
        """The sum."""
        return weight + (self.up @ self.down).view_as(weight)


class PoseControl(nn.Module):
    """The control net, of which only differences learn. ``beside`` remembers its U-Net."""

    def __init__(self, unet: nn.Module) -> None:
        super().__init__()
        self.register_buffer("beside", torch.tensor(0.0))
        self.net = beside(unet, widths=SEEN)
        self.net.set_attn_processor(AttnProcessor())
        self.net.requires_grad_(False)
        self.net.get_submodule(WHOLE).requires_grad_(True)
        self.low: dict[str, LowRank] = {}
        for name, layer in list(self.net.named_modules()):
            if not isinstance(layer, nn.Linear | nn.Conv2d) or name.startswith(WHOLE):
                continue
            zero = name.startswith(ZERO)
            if zero:
                layer.bias.requires_grad_(True)
            if not any(part in name for part in OF_TIME):
                self.low[f"{name}.weight"] = LowRank(layer.weight, ZERO_RANK if zero else RANK)
                parametrize.register_parametrization(layer, "weight", self.low[f"{name}.weight"])

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

    def learned(self) -> dict[str, nn.Parameter]:
        """What is packed, by its names there."""
        found = {
            f"{k}.{side}": getattr(v, side) for k, v in self.low.items() for side in ("up", "down")
        }
        named = self.net.named_parameters()
        return found | {k: p for k, p in named if p.requires_grad and "parametrizations" not in k}


def seen(data: PictureSet, numbers: np.ndarray, rng: np.random.Generator) -> Tensor:
    """(B, 3, H, W) in [0, 1], the skeletons of these pictures."""
    size = data.spec["width"], data.spec["height"]
    drawings = [drawn(skeletons(data, int(n), own=rng.random() < 0.5), size) for n in numbers]
    return torch.from_numpy(np.stack(drawings)).permute(0, 3, 1, 2).float() / 255


def train(minutes: float, *, batch: int = BATCH, steps: int | None = None) -> None:
    """Learn to paint the picture whose skeleton is seen, told what it shows."""
    unet = load_unet().to(DEVICE)
    model = PoseControl(unet)
    model.beside.fill_(fingerprint())
    learned = list(model.learned().values())
    optimizer = torch.optim.AdamW(learned, 2e-3, betas=(0.9, 0.99), weight_decay=0.0)
    run = Run(NAME, model, [optimizer], minutes=minutes, steps=steps, warmup=50)
    torch.manual_seed(run.step * 16 + run.rank)
    draw, rng = Draw([run.step, run.rank, 15]), np.random.default_rng([run.step, run.rank, 16])
    alpha_bar, visible = moved(scheduler().alphas_cumprod, visibility(4 if steps else 32))
    for _ in run:
        b = draw(batch)
        t = draw_times(len(b.z), DEVICE)
        x, target = noised(b.z, torch.randn_like(b.z), t, alpha_bar)
        (pictures,) = moved(seen(b.data, b.numbers, rng))
        with mixed():
            v = model(unet, x, t, b.said.states, b.said.pooled, pictures).float()
        run.update(squared_error(v, target, t, b.weight, alpha_bar, visible).mean())


def load_control() -> PoseControl:
    """The trained net, if it fits the U-Net that is there."""
    return load_fitting(NAME, lambda: PoseControl(load_unet()))


@torch.inference_mode()
def report(count: int = 64) -> dict[str, float]:
    """Squared error of the velocity on held-out people, with the net and without, by timestep."""
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
    """Writes ``controlnet/openpose`` into the checkpoint ``folder``, float16."""
    place = folder / CONTROLS / KIND
    place.mkdir(parents=True, exist_ok=True)
    half = {k: v.detach().half().contiguous() for k, v in load_control().learned().items()}
    save_file(half, place / LOW_RANK)
    facts = {"_class_name": "LowRankControlNet", CONTROL_WIDTHS: list(SEEN)}
    (place / "config.json").write_text(json.dumps(facts, indent=1))


def unpacked(file: Path, unet: nn.Module, steps: float) -> PoseControl:
    """The net in a packed file, marked as fitting the U-Net beside it, of so many ``steps``."""
    model = PoseControl(unet)
    tensors = load_file(file)
    with torch.no_grad():
        for name, parameter in model.learned().items():
            parameter.copy_(tensors[name])
    model.beside.fill_(steps)
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
