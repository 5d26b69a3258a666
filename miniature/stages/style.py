"""Another style as a LoRA: ``python -m miniature.stages.style "ink line"``, after ``unet``.

The U-Net learns to paint the same records in another style of the pen, and keeps its own weights. Cells of
the finest level have no attention, so every matrix gets a difference of low rank, the convolutions' too.
It is packed as an ordinary LoRA file for ``--lora``.
"""

from __future__ import annotations

from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model_state_dict
from safetensors.torch import save_file
from torch import Tensor, nn

from ..pictures.recipe import slug
from ..training.beside import begin_anew_unless_fitting, fingerprint, load_fitting
from ..training.loop import DEVICE, Run, mixed, moved
from ..training.noise import draw_times, noised, scheduler
from ..training.options import stage_options
from ..world.pen import OTHER_STYLES
from .unet import Draw, load_unet, predicted, squared_error, visibility

RANK, BATCH = 16, 32
TARGETS = (
    "to_q", "to_k", "to_v", "to_out.0", "proj", "net.2", "proj_in", "proj_out",
    "conv", "conv1", "conv2", "conv_shortcut", "conv_in", "conv_out",
)  # fmt: skip


def name_of(style: str) -> str:
    """The checkpoint of a style's LoRA."""
    return f"style_{slug(style)}"


def sets_of(style: str) -> dict[str, float]:
    """The drawn sets of a style, and what share of the steps sees each."""
    return {f"singles_{slug(style)}": 0.75, f"pairs_{slug(style)}": 0.25}


class Styled(nn.Module):
    """The U-Net, of which only a LoRA learns. ``beside`` remembers the U-Net."""

    def __init__(self) -> None:
        super().__init__()
        unet = load_unet()
        unet.add_adapter(LoraConfig(r=RANK, lora_alpha=RANK, target_modules=list(TARGETS)))
        self.frozen = (unet.to(DEVICE),)  # no part of the checkpoint
        self.lora = nn.ParameterList(p for n, p in unet.named_parameters() if "lora_" in n)
        self.register_buffer("beside", torch.tensor(fingerprint("style")))

    def forward(self, x: Tensor, t: Tensor, states: Tensor, pooled: Tensor) -> Tensor:
        """Predicted velocity."""
        return predicted(self.frozen[0], x, t, states, pooled)


def train(style: str, minutes: float, *, batch: int = BATCH, steps: int | None = None) -> None:
    """Learn to paint what captions say in ``style``."""
    model, sets = Styled(), sets_of(style)
    optimizer = torch.optim.AdamW(model.lora, 1e-3, betas=(0.9, 0.99), weight_decay=0.0)
    run = Run(name_of(style), model, [optimizer], minutes=minutes, steps=steps, warmup=20)
    torch.manual_seed(run.step * 16 + run.rank)
    draw, seen = (
        Draw([run.step, run.rank, 17], sets),
        visibility(1 if steps else 4, next(iter(sets))),
    )
    alpha_bar, visible = moved(scheduler().alphas_cumprod, seen)
    for _ in run:
        b = draw(batch)
        t = draw_times(len(b.z), DEVICE)
        x, target = noised(b.z, torch.randn_like(b.z), t, alpha_bar)
        with mixed():
            v = model(x, t, b.said.states, b.said.pooled).float()
        run.update(squared_error(v, target, t, b.weight, alpha_bar, visible).mean())


def pack(style: str, file: Path) -> None:
    """Writes the trained LoRA of ``style`` as a file for ``--lora``, float16."""
    model = load_fitting(name_of(style), Styled)
    state = get_peft_model_state_dict(model.frozen[0])
    file.parent.mkdir(parents=True, exist_ok=True)
    half = {f"unet.{k}": v.detach().half().contiguous() for k, v in state.items()}
    save_file(half, file)


def main() -> None:
    """Command line."""
    options = stage_options(__doc__, minutes=15, batch=BATCH, choices={"style": OTHER_STYLES})
    name = name_of(options.style)
    if not options.report:
        if options.rank == 0:
            begin_anew_unless_fitting(name)
        train(options.style, options.minutes, batch=options.batch, steps=options.steps)


if __name__ == "__main__":
    main()
