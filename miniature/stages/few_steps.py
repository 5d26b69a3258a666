"""A LoRA for portraits in eight steps without guidance: ``python -m miniature.stages.few_steps``.

Progressive distillation (Salimans and Ho, 2022) of guided sampling: from a noised picture the
teacher takes two guided steps, and the student learns the one prediction that gets there at once.
It fits the U-Net beside which it was trained and no other.
"""

from __future__ import annotations

from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model_state_dict
from safetensors.torch import save_file
from torch import Tensor, nn

from identitystory.models.files.checkpoint import FEW_STEPS as FILE
from identitystory.models.files.suited import suits_of
from identitystory.models.samplers import ddim_step
from identitystory.presets import FEW_STEPS

from ..pictures.training_set import WORDINGS, Ready
from ..training.loop import DEVICE, Run, load_trained, mixed, moved
from ..training.on_finished_unet import command, fingerprint, load_fitting
from .painter import Painter, predicted, scheduler
from .unet_batches import below

NAME, RANK = "few_steps", 4
GUIDANCE = suits_of().guidance  # what the LoRA is taught to do without


class Student(nn.Module):
    """The trained identity generator, frozen, with a LoRA of its own beside that of the identity.

    ``beside`` remembers which U-Net it belongs to.
    """

    def __init__(self) -> None:
        super().__init__()
        painter = load_trained("unet", Painter())
        targets = ["to_q", "to_k", "to_v", "to_out.0"]
        lora = LoraConfig(r=RANK, lora_alpha=RANK, target_modules=targets)
        painter.unet.add_adapter(lora, NAME)
        # The frozen networks are no part of the checkpoint.
        self.frozen = (painter.unet.to(DEVICE), painter._switches)
        self.lora = nn.ParameterList(
            p for n, p in painter.unet.named_parameters() if f".{NAME}." in n
        )
        self.register_buffer("beside", torch.tensor(fingerprint()))

    def forward(
        self, x: Tensor, t: Tensor, states: Tensor, pooled: Tensor, *, taught: bool
    ) -> Tensor:
        """Predicted velocity; ``taught`` switches the LoRA on."""
        unet, layers = self.frozen
        for layer in layers:
            layer.set_adapter(["photomaker", NAME] if taught else ["photomaker"])
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


def train(minutes: float, ready: Ready, *, batch: int) -> None:
    """Distil for ``minutes``."""
    student = Student()
    optimizer = torch.optim.AdamW(student.parameters(), 2e-3, betas=(0.9, 0.99), weight_decay=0)
    run = Run(NAME, student, [optimizer], minutes=minutes, warmup=50)
    alpha_bar = scheduler().alphas_cumprod.to(DEVICE)
    torch.manual_seed(run.step * 16 + run.rank)
    people, empty = len(ready.people), len(ready.states) - 1
    nothing = (ready.states[empty:].float(), ready.pooled[empty:])
    for _ in run:
        i = torch.randint(0, people, (batch,))
        text = i * WORDINGS + torch.randint(0, WORDINGS, (batch,))
        of_batch = [x.expand(batch, *x.shape[1:]) for x in nothing]
        z, *rows = moved(
            ready.latents[0, i].float(), ready.states[text].float(), ready.pooled[text], *of_batch
        )
        k = below(FEW_STEPS, batch)
        t = torch.tensor(grid(2 * FEW_STEPS), device=DEVICE)[2 * k]
        a = level(t, alpha_bar)
        x = a.sqrt() * z + (1 - a).sqrt() * torch.randn_like(z)
        t, target = taught_step(student, x, k, tuple(rows), alpha_bar)
        with mixed():
            v = student(x, t, rows[0], rows[1], taught=True)
        run.update((v - target).square().mean())


def pack(student: Student, folder: Path) -> None:
    """Writes ``few_steps.safetensors`` into the checkpoint ``folder``, float16."""
    state = get_peft_model_state_dict(student.frozen[0], adapter_name=NAME)
    half = {f"unet.{k}": v.detach().half().contiguous() for k, v in state.items()}
    save_file(half, folder / FILE)


def load_student() -> Student:
    """The trained LoRA with its U-Net; see ``beside.load_fitting``."""
    return load_fitting(NAME, Student)


def main() -> None:
    """Command line."""
    command(NAME, __doc__, train, lambda out: pack(load_student(), out), minutes=10)


if __name__ == "__main__":
    main()
