"""What a frame costs, measured in one run and told as ratios: ``python benchmarks/cost.py``.

(a) Our frame (template, segmentation, re-denoising of s characters) against a plain picture of
diffusers' ``StableDiffusionXLPipeline``: same U-Net, VAE, sampler, steps and batch of one.
(b) Against the schedule of the method's released code, emulated with the same U-Net: the template
twice over and everything twice in the batch, 400 + 82 s evaluations at 50 steps.
(c) The most memory that each of them needed.
(d) The share of the machine's own matrix multiplication that ours reaches.

They take turns ``--repeats`` times, and the median of a turn's ratios counts: wall seconds on an
accelerator, the process's own seconds on a processor, which others may be using at the same time. ``--model miniature``, a folder or
sdxl is opened as the command line does; ``--model random-sdxl`` builds SDXL's U-Net, PhotoMaker's
LoRA and the VAE at their true sizes with random numbers, which needs an accelerator and no files
(its text states are random and nothing is segmented). Masks are columns in any case, so that
everybody is found; the model's own segmenter runs beside and its time counts.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from diffusers import DDIMScheduler, StableDiffusionXLPipeline
from PIL import Image
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from identitystory.config import InjectionConfig
from identitystory.injection import kept_latents, make_template, redenoise_together
from identitystory.models.backend import load_backend
from identitystory.models.device import resolve_device, resolve_dtype
from identitystory.models.files.checkpoint import find_checkpoint
from identitystory.models.samplers import sampler
from identitystory.models.sdxl.conditioning import Encoding
from identitystory.models.sdxl.generator import LatentDiffusion
from identitystory.models.sdxl.lora import LoraLayer, load_lora
from identitystory.models.sdxl.photomaker import LORA
from identitystory.models.sdxl.sizes import sdxl_unet, sdxl_vae
from identitystory.models.speed import machine, matmul_peak, timed
from identitystory.sampling import Watched
from identitystory.types import Prompt, Segmentation

PROMPT = "a portrait of a young woman with long red hair smiling on a beach"
PERSON, NOUN = "a young woman with long red hair", "woman"
PLAIN = "plain SDXL"
SCHEDULE = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "steps_offset": 1,
    "clip_sample": False,
    "set_alpha_to_one": False,
}


class Boxes:
    """A segmenter that sees each character in a column of its own.

    It costs what ``real`` costs, whose masks are thrown away: everybody has to be found every time.
    """

    def __init__(self, real: Any = None) -> None:
        self.real = real

    def segment(self, image: Image.Image, phrases: Sequence[str], **_: object) -> Segmentation:
        """Columns from left to right."""
        if self.real is not None:
            self.real.segment(image, phrases)
        masks = torch.zeros(len(phrases), image.height, image.width, dtype=torch.bool)
        width = image.width // (2 * len(phrases))
        for j, mask in enumerate(masks):
            mask[image.height // 4 :, 2 * j * width : (2 * j + 1) * width] = True
        return Segmentation(masks)


class WithAdapter:
    """A general generator with an identity LoRA on: PhotoMaker without its text side."""

    def __init__(self, general: LatentDiffusion, adapter: Any) -> None:
        self.general, self.adapter = general, adapter
        self.num_steps, self.size = general.num_steps, general.size
        self.multiple = general.multiple

    def condition(self, prompts: Sequence[Prompt]) -> Any:
        """The general one's; faces are not looked at."""
        return self.general.condition([replace(prompt, face=None) for prompt in prompts])

    def calls(self, i: int, cond: Any) -> int:
        """The general one's."""
        return self.general.calls(i, cond)

    def step(self, z: Tensor, i: int, cond: Any) -> Tensor:
        """A step with the LoRA on."""
        with self.adapter.on():
            return self.general.step(z, i, cond)


class Bench:
    """The parts under measurement: G, G_id, a plain pipeline, a segmenter."""

    def __init__(self, model: str, steps: int, device: torch.device, dtype: torch.dtype) -> None:
        self.device, self.dtype, self.steps = device, dtype, steps
        self.text: dict[str, Any] = {}
        if model == "random-sdxl":
            self._random(steps)
        else:
            self._opened(model, steps)
        self.plain.set_progress_bar_config(disable=True)

    def _opened(self, model: str, steps: int) -> None:
        name = str(self.dtype).removeprefix("torch.")
        backend = load_backend(model, num_steps=steps, device=str(self.device), dtype=name)
        self.G, self.G_id = backend.general, backend.identity
        self.segmenter = Boxes(backend.segmenter)
        folder = find_checkpoint(model).base
        stock = StableDiffusionXLPipeline.from_pretrained(
            folder,
            unet=None,
            vae=None,
            text_encoder=backend.identity.text.models[0],
            text_encoder_2=backend.identity.text.models[1],
            local_files_only=True,
        )
        schedule = {**stock.scheduler.config, "clip_sample": False, "set_alpha_to_one": False}
        stock.register_modules(
            unet=backend.general.unet,
            vae=backend.general.vae,
            scheduler=DDIMScheduler.from_config(schedule),
        )
        stock.vae_scale_factor = 2 ** (len(stock.vae.config.block_out_channels) - 1)
        self.plain = stock
        self.text = {"prompt": PROMPT, "negative_prompt": ""}
        self.identities = torch.randn(1, sum(backend.identity.encoder.widths))

    def _random(self, steps: int) -> None:
        unet, vae = random_sdxl(self.device, self.dtype)
        sizes = unet.config
        pooled_width = (
            sizes.projection_class_embeddings_input_dim - 6 * sizes.addition_time_embed_dim
        )
        where = {"device": self.device, "dtype": self.dtype}
        hidden = torch.randn(1, 77, sizes.cross_attention_dim, **where)
        pooled = torch.randn(1, pooled_width, **where)

        def encode(prompts: Sequence[str], _: object) -> tuple[Encoding, Encoding]:
            n = len(prompts)
            one = Encoding(hidden.expand(n, -1, -1), pooled.expand(n, -1), (77,) * n)
            return one, one

        rule = sampler("ddim", SCHEDULE, steps)
        self.G = LatentDiffusion(unet, vae, rule, encode, device=self.device)
        self.G_id = WithAdapter(self.G, load_lora(unet, random_lora(unet), LORA))
        self.segmenter = Boxes()
        self.plain = StableDiffusionXLPipeline(
            vae=vae,
            unet=unet,
            scheduler=DDIMScheduler(**SCHEDULE),
            text_encoder=None,
            text_encoder_2=None,
            tokenizer=None,
            tokenizer_2=None,
            add_watermarker=False,
        )
        self.text = {
            "prompt_embeds": hidden,
            "negative_prompt_embeds": hidden,
            "pooled_prompt_embeds": pooled,
            "negative_pooled_prompt_embeds": pooled,
        }
        self.identities = torch.randn(1, sizes.cross_attention_dim)

    def stock(self) -> int:
        """One plain picture, without a trace of the LoRA; returns its evaluations."""
        width, height = self.G.size
        with without_lora(self.G.unet):
            self.plain(
                **self.text,
                height=height,
                width=width,
                num_inference_steps=self.steps,
                guidance_scale=5.0,
            )
        return 2 * self.steps

    def frames(self, characters: int, together: int = 1) -> int:
        """Our frames painted as one batch, all characters found; returns the evaluations of one."""
        G, G_id = Watched(self.G), Watched(self.G_id)
        config = InjectionConfig(start=round(0.8 * self.steps))
        cast = [f"person {j}" for j in range(characters)]
        prompts = [Prompt(PROMPT, guidance=5.0, seed=n) for n in range(together)]
        templates = [
            make_template(G, self.segmenter, prompt, cast, [PERSON] * characters, latents=z)
            for prompt, z in zip(prompts, kept_latents(G, prompts), strict=True)
        ]
        cond = G_id.condition(self.faces(characters) * together)
        for z_0 in redenoise_together(G_id, templates, cond, config):
            self.G.decode(z_0[None])
        return (G.evaluations + G_id.evaluations) // together

    def faces(self, characters: int) -> list[Prompt]:
        """What the identity generator paints that many characters from."""
        one = Prompt(PERSON, guidance=5.0, face=self.identities[0], noun=NOUN)
        return [one] * characters

    def release(self, characters: int) -> int:
        """The released code's schedule: two passes of doubled latents, then the identities."""
        G, G_id = Watched(self.G), Watched(self.G_id)
        again = self.steps - round(0.2 * self.steps) + 1
        two = G.condition([Prompt(PROMPT, guidance=5.0)] * 2)
        one = G_id.condition(self.faces(1))
        for second in (False, True):
            z = torch.stack([self.G.noise(0)] * 2)
            for i in range(self.steps, 0, -1):
                if second and i <= again:
                    for _ in range(characters):
                        G_id.step(z[1:], i, one)
                z = G.step(z, i, two)
            self.G.decode(z[1:])
        return G.evaluations + G_id.evaluations

    def flops(self) -> float:
        """Floating-point operations of one evaluation of the U-Net."""
        cond = self.G.condition([Prompt(PROMPT, guidance=5.0)])
        with FlopCounterMode(display=False) as counter:
            self.G.step(self.G.noise(0)[None], self.steps, cond)
        return counter.get_total_flops() / 2


@contextmanager
def without_lora(unet: Any) -> Iterator[None]:
    """The U-Net with its own layers where the LoRA's stand, which cost a little even when off."""
    wrapped = {name: m for name, m in unet.named_modules() if isinstance(m, LoraLayer)}
    for name, layer in wrapped.items():
        unet.set_submodule(name, layer.base_layer)
    try:
        yield
    finally:
        for name, layer in wrapped.items():
            unet.set_submodule(name, layer)


def random_sdxl(device: torch.device, dtype: torch.dtype) -> tuple[Any, Any]:
    """SDXL base 1.0's U-Net and VAE at their true sizes, with random numbers."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            unet, vae = sdxl_unet(), sdxl_vae()
    finally:
        torch.set_default_dtype(before)
    return unet, vae


def random_lora(unet: Any, rank: int = 64) -> dict[str, Tensor]:
    """A LoRA of PhotoMaker's shapes on every attention projection."""
    state = {}
    for name, module in unet.named_modules():
        if name.endswith(("to_q", "to_k", "to_v", "to_out.0")):
            weight = module.weight
            state[f"{name}.lora_A.weight"] = weight.new_empty(rank, module.in_features).normal_()
            state[f"{name}.lora_B.weight"] = weight.new_zeros(module.out_features, rank)
    return state


class Peak:
    """The most memory in use since it was made, in MiB: the accelerator's, or the process's own."""

    def __init__(self, device: torch.device) -> None:
        self.cuda = device.type == "cuda"
        if self.cuda:
            torch.cuda.reset_peak_memory_stats()
        else:
            _try_write("/proc/self/clear_refs", "5")

    def mebibytes(self) -> float | None:
        """None where the system does not say."""
        if self.cuda:
            return round(torch.cuda.max_memory_allocated() / 2**20)
        try:
            lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        except OSError:
            return None
        return round(next(int(s.split()[1]) for s in lines if s.startswith("VmHWM")) / 2**10)


def _try_write(path: str, text: str) -> None:
    try:
        Path(path).write_text(text, encoding="ascii")
    except OSError:
        print(f"{path} cannot be written: the peaks are those of the whole run so far")


def measure(
    bench: Bench, repeats: int, people: Sequence[int], together: Sequence[int] = ()
) -> dict[str, Any]:
    """Everything, as plain numbers; of ``together`` frames in a batch, one frame's share."""
    device = bench.device
    work: dict[str, Callable[[], int]] = {PLAIN: bench.stock}
    for s in people:
        work[f"ours, s = {s}"] = lambda s=s: bench.frames(s)  # type: ignore[misc]
        work[f"release, s = {s}"] = lambda s=s: bench.release(s)  # type: ignore[misc]
    shares = dict.fromkeys(work, 1)
    for n in together:
        name = f"ours, s = {people[0]}, {n} together"
        work[name] = lambda n=n: bench.frames(people[0], n)  # type: ignore[misc]
        shares[name] = n
    wall: dict[str, list[float]] = {name: [] for name in work}
    busy: dict[str, list[float]] = {name: [] for name in work}
    evaluations, peaks = {}, {}
    for turn in range(repeats + 1):  # the first is for warming up, and for the peaks
        for name, run in work.items():
            peak = Peak(device)
            seconds, processor, evaluations[name] = timed(run, device)
            if turn == 0:
                peaks[name] = peak.mebibytes()
            else:
                wall[name].append(seconds / shares[name])
                busy[name].append(processor / shares[name])
    flops, best = bench.flops(), matmul_peak(device, bench.dtype)
    counted = wall if device.type == "cuda" else busy
    rows = []
    for name in work:
        middle = statistics.median(counted[name])
        ratios = [mine / plain for mine, plain in zip(counted[name], counted[PLAIN], strict=True)]
        rows.append(
            {
                "what": name,
                "evaluations": evaluations[name],
                "wall s": round(statistics.median(wall[name]), 3),
                "processor s": round(statistics.median(busy[name]), 3),
                "times plain": round(statistics.median(ratios), 2),
                "from": round(min(ratios), 2),
                "to": round(max(ratios), 2),
                "peak MiB": peaks[name],
                "share of matmul": round(evaluations[name] * flops / middle / best, 3),
            }
        )
    return {
        "machine": machine(device),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "torch": torch.__version__,
        "dtype": str(bench.dtype).removeprefix("torch."),
        "steps": bench.steps,
        "pixels": "x".join(map(str, bench.G.size)),
        "repeats": repeats,
        "GFLOP an evaluation": round(flops / 1e9, 2),
        "matmul GFLOP/s": round(best / 1e9, 1),
        "rows": rows,
    }


def as_markdown(model: str, told: dict[str, Any]) -> str:
    """A section for docs/explanation/performance.md."""
    facts = ", ".join(f"{k} {v}" for k, v in told.items() if k not in ("rows", "machine", "date"))
    head = list(told["rows"][0])
    lines = [f"## {model}: {told['machine']}, {told['date']}", "", facts + ".", ""]
    lines += ["| " + " | ".join(head) + " |", "| " + " | ".join("---" for _ in head) + " |"]
    lines += ["| " + " | ".join(str(v) for v in row.values()) + " |" for row in told["rows"]]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measures and prints JSON, or a section in Markdown."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--model", default="miniature")
    options.add_argument("--steps", type=int, default=50)
    options.add_argument("--repeats", type=int, default=5)
    options.add_argument("--people", type=int, nargs="+", default=[1, 2])
    options.add_argument("--together", type=int, nargs="+", default=[], help="frames in a batch")
    options.add_argument("--device", default="auto")
    options.add_argument("--dtype", default="auto")
    options.add_argument("--markdown", action="store_true")
    arguments = options.parse_args()
    device = resolve_device(arguments.device)
    if arguments.model == "random-sdxl" and device.type == "cpu":
        options.error("random-sdxl needs an accelerator")
    with torch.no_grad():
        bench = Bench(
            arguments.model, arguments.steps, device, resolve_dtype(arguments.dtype, device)
        )
        told = measure(bench, arguments.repeats, arguments.people, arguments.together)
    print(as_markdown(arguments.model, told) if arguments.markdown else json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
