"""A LoRA for portraits in eight steps without guidance: ``python -m miniature.stages.few_steps``.

Progressive distillation (Salimans and Ho, 2022) of guided sampling: from a noised picture the
teacher takes two guided steps, and the student learns the one prediction that gets there at once.
It fits the U-Net beside which it was trained and no other.
"""

from __future__ import annotations

from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ..package import FEW_STEPS, FEW_STEPS_FILE, ddim_step
from ..training.beside import begin_anew_unless_fitting, fingerprint, load_fitting
from ..training.loop import DEVICE, Run, mixed, moved
from ..training.noise import GUIDANCE, scheduler
from ..training.options import stage_options
from .identity_lora import load_painter
from .painter import LORA, TARGETS
from .unet import Draw, predicted

NAME, RANK, BATCH = "few_steps", 4, 32


class Student(nn.Module):
    """The trained identity generator, frozen, with a LoRA of its own beside that of the identity.

    ``beside`` remembers which U-Net it belongs to.
    """

    def __init__(self) -> None:
        super().__init__()
        painter = load_painter()
        lora = LoraConfig(r=RANK, lora_alpha=RANK, target_modules=TARGETS)
        painter.unet.add_adapter(lora, NAME)
        # The frozen networks are no part of the checkpoint.
        self.frozen = (painter.unet.to(DEVICE), painter._switches)
        named = painter.unet.named_parameters()
        self.lora = nn.ParameterList(p for n, p in named if f".{NAME}." in n)
        self.register_buffer("beside", torch.tensor(fingerprint(NAME)))

    def forward(
        self, x: Tensor, t: Tensor, states: Tensor, pooled: Tensor, *, taught: bool
    ) -> Tensor:
        """Predicted velocity; ``taught`` switches the LoRA on."""
        unet, layers = self.frozen
        for layer in layers:
            layer._disable_adapters = False
            layer.set_adapter([LORA, NAME] if taught else [LORA])
        for p in unet.parameters():
            p.requires_grad_(False)
        for p in self.lora:
            p.requires_grad_(taught)
        return predicted(unet, x, t, states, pooled).float()


def grid(steps: int) -> list[int]:
    """Timesteps of ``steps`` steps and where the last one lands, below 0."""
    s = scheduler()
    s.set_timesteps(steps)
    return [*s.timesteps.tolist(), -1]


def level(t: Tensor, alpha_bar: Tensor) -> Tensor:
    """(B, 1, 1, 1) signal at timesteps of which those below 0 are the first entry's."""
    return alpha_bar[t.clamp(min=0)].view(-1, 1, 1, 1)


def velocity_to(z: Tensor, landed: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """The prediction with which one DDIM step takes ``z`` at signal ``a`` to ``landed`` at ``b``."""
    s, n, s_b, n_b = a.sqrt(), (1 - a).sqrt(), b.sqrt(), (1 - b).sqrt()
    return (landed - (s_b * s + n_b * n) * z) / (n_b * s - s_b * n)


@torch.no_grad()
def taught_step(
    student: Student, x: Tensor, k: Tensor, rows: tuple[Tensor, ...], alpha_bar: Tensor
) -> tuple[Tensor, Tensor]:
    """Timesteps, and the velocity that two guided steps of the teacher amount to.

    Args:
        k: (B,) which of the eight steps.
        rows: states and pooled vectors of the captions, then of the empty prompt.
    """
    fine = torch.tensor(grid(2 * FEW_STEPS), device=x.device)
    states, pooled, no_states, no_pooled = rows
    h, p = torch.cat([no_states, states]), torch.cat([no_pooled, pooled])
    z = x
    for n in (2 * k, 2 * k + 1):
        t, after = fine[n], fine[n + 1]
        with mixed():
            v = student(torch.cat([z, z]), t.repeat(2), h, p, taught=False)
        without, given = v.chunk(2)
        guided = without + GUIDANCE * (given - without)
        z = ddim_step(
            z, guided, alpha=level(t, alpha_bar), alpha_next=level(after, alpha_bar),
            prediction_type="v_prediction",
        )  # fmt: skip
    start, end = fine[2 * k], fine[2 * k + 2]
    return start, velocity_to(x, z, level(start, alpha_bar), level(end, alpha_bar))


def train(minutes: float, *, batch: int = BATCH, steps: int | None = None) -> None:
    """Distil for ``minutes``."""
    student = Student()
    optimizer = torch.optim.AdamW(student.parameters(), 2e-3, betas=(0.9, 0.99), weight_decay=0)
    run = Run(NAME, student, [optimizer], minutes=minutes, steps=steps, warmup=50)
    (alpha_bar,) = moved(scheduler().alphas_cumprod)
    torch.manual_seed(run.step * 16 + run.rank)
    draw = Draw([run.step, run.rank, 14])
    nothing = draw.speaker.encode([""])
    for _ in run:
        b = draw(batch)
        n = len(b.z)
        k = torch.randint(0, FEW_STEPS, (n,), device=DEVICE)
        t = torch.tensor(grid(2 * FEW_STEPS), device=DEVICE)[2 * k]
        a = level(t, alpha_bar)
        x = a.sqrt() * b.z + (1 - a).sqrt() * torch.randn_like(b.z)
        empty = nothing.states.expand(n, -1, -1), nothing.pooled.expand(n, -1)
        rows = b.said.states, b.said.pooled, *empty
        t, target = taught_step(student, x, k, rows, alpha_bar)
        with mixed():
            v = student(x, t, rows[0], rows[1], taught=True)
        run.update((v - target).square().mean())


def load_student() -> Student:
    """The trained LoRA with its U-Net, if it fits the U-Net that is there."""
    return load_fitting(NAME, Student)


def pack(folder: Path) -> None:
    """Writes ``few_steps.safetensors`` into the checkpoint ``folder``, float16."""
    state = get_peft_model_state_dict(load_student().frozen[0], adapter_name=NAME)
    half = {f"unet.{k}": v.detach().half().contiguous() for k, v in state.items()}
    save_file(half, folder / FEW_STEPS_FILE)


def unpacked(file: Path, beside: float) -> Student:
    """The LoRA that ``pack`` wrote, marked as fitting what ``beside`` stands for."""
    student = Student()
    tensors = {k.removeprefix("unet."): v.float() for k, v in load_file(file).items()}
    set_peft_model_state_dict(student.frozen[0], tensors, adapter_name=NAME)
    student.beside.fill_(beside)
    return student


def main() -> None:
    """Command line."""
    options = stage_options(__doc__, minutes=20, batch=BATCH)
    if not options.report:
        if options.rank == 0:
            begin_anew_unless_fitting(NAME)
        train(options.minutes, batch=options.batch, steps=options.steps)


if __name__ == "__main__":
    main()
