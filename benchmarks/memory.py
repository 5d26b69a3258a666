"""What a whole story needs of memory: ``python -m benchmarks.memory``, from the repository's root.

Paints a small story through the door that the command line takes: two searches, a picture of one
person and a picture of both, with the text encoders, the identity encoder and the segmenter. The
peak does not depend on steps, portraits or scenes, so there are few of each, and one picture at a
time goes through the U-Net. ``--preset low-vram`` has one network at a time on the accelerator.

``--model random-sdxl`` writes a whole checkpoint of SDXL's, PhotoMaker's, Grounding DINO's and SAM's
true sizes with random numbers into ``--checkpoint`` (12 GB), unless it is there, and paints with it
(noise, but as much of it); whatever Grounding DINO sees counts as found. ``--limit 16`` lets the
accelerator give out no more than so many GiB: a story that is painted fits.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import (
    BertTokenizer,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    CLIPVisionConfig,
    GroundingDinoConfig,
    GroundingDinoForObjectDetection,
    GroundingDinoImageProcessorPil,
    SamConfig,
    SamImageProcessorPil,
    SamModel,
)

from benchmarks.cost import SCHEDULE, Peak, machine, random_lora
from identitystory.errors import is_out_of_memory
from identitystory.models.device import resolve_device, resolve_dtype
from identitystory.models.files.checkpoint import find_checkpoint
from identitystory.models.sdxl import sizes as published
from identitystory.models.sdxl.family import PHOTOMAKER_FILE
from identitystory.models.sdxl.identity_encoder import IdentityEncoder
from identitystory.models.segment.parts import GROUNDED_SAM
from identitystory.protocols import Backend, Segmenter
from identitystory.runs.events import Finished, FrameReady
from identitystory.runs.options import new_request
from identitystory.runs.service import Service, load_model
from identitystory.settings import Overrides
from identitystory.story.file import inline_story

RANDOM = "random-sdxl"
CAST = ["Mara: a young woman with long red hair", "Tom: an old man with a white beard"]
SCENES = ["a portrait of {Mara} on a beach", "{Mara} and {Tom} in a library"]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", ","]


@dataclass(frozen=True)
class Sizes:
    """Configurations of every network of a checkpoint; the published ones if nothing is said."""

    unet: dict[str, Any] = field(default_factory=lambda: published.SDXL_UNET)
    vae: dict[str, Any] = field(default_factory=lambda: published.SDXL_VAE)
    text: dict[str, Any] = field(default_factory=lambda: published.SDXL_TEXT)
    text_2: dict[str, Any] = field(default_factory=lambda: published.SDXL_TEXT_2)
    tower: dict[str, Any] = field(default_factory=lambda: published.CLIP_VIT_L)
    widths: tuple[int, int] = published.PHOTOMAKER_WIDTHS
    rank: int = 64
    detector: GroundingDinoConfig = field(default_factory=published.grounding_dino_config)
    masks: SamConfig = field(default_factory=published.sam_config)
    detector_images: dict[str, Any] = field(default_factory=dict)
    masks_images: dict[str, Any] = field(default_factory=dict)


def write_checkpoint(
    folder: Path, sizes: Sizes, *, device: torch.device, dtype: torch.dtype
) -> None:
    """A complete checkpoint with random numbers; the folder appears whole or not at all.

    Args:
        folder: must not be there.
        sizes: of the networks.
        device: where the numbers are drawn; an accelerator takes seconds, a processor minutes.
        dtype: of the U-Net, the VAE, the text encoders and the LoRA; the others are float32.
    """
    beside = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    with _drawn(device, dtype):
        base = _base(sizes)
        base.save_pretrained(beside)
        lora = random_lora(base.unet, sizes.rank)
    with _drawn(device, torch.float32):
        encoder = IdentityEncoder(CLIPVisionConfig(**sizes.tower), sizes.widths)
        tensors = {f"id_encoder.{k}": v for k, v in encoder.state_dict().items()}
        tensors |= {f"lora_weights.{k}": v for k, v in lora.items()}
        whole = {k: v.contiguous().cpu() for k, v in tensors.items()}
        save_file(whole, beside / PHOTOMAKER_FILE, metadata={"format": "pt"})
        _write_segmenter(beside, sizes)
    beside.rename(folder)


@contextmanager
def _drawn(device: torch.device, dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            yield
    finally:
        torch.set_default_dtype(before)


def _base(sizes: Sizes) -> StableDiffusionXLPipeline:
    """SDXL's half. Its tokenizers are the miniature's: words do not matter, but must be known."""
    known = find_checkpoint("miniature").base
    tokenizers = [CLIPTokenizer.from_pretrained(known / n) for n in ("tokenizer", "tokenizer_2")]
    first, second = (
        CLIPTextConfig(**{**own, "bos_token_id": t.bos_token_id, "eos_token_id": t.eos_token_id})
        for own, t in zip((sizes.text, sizes.text_2), tokenizers, strict=True)
    )
    return StableDiffusionXLPipeline(
        vae=AutoencoderKL(**sizes.vae),
        text_encoder=CLIPTextModel(first),
        text_encoder_2=CLIPTextModelWithProjection(second),
        tokenizer=tokenizers[0],
        tokenizer_2=tokenizers[1],
        unet=UNet2DConditionModel(**sizes.unet),
        scheduler=DDIMScheduler(**SCHEDULE),
        add_watermarker=False,
    )


def _write_segmenter(folder: Path, sizes: Sizes) -> None:
    detector, masks = (folder / place for place in GROUNDED_SAM.places)
    GroundingDinoForObjectDetection(sizes.detector).save_pretrained(detector)
    GroundingDinoImageProcessorPil(**sizes.detector_images).save_pretrained(detector)
    words = sorted({word for line in CAST for word in line.lower().replace(":", "").split()})
    (detector / "vocab.txt").write_text("\n".join([*SPECIAL, *words]) + "\n", encoding="utf-8")
    BertTokenizer(vocab=str(detector / "vocab.txt")).save_pretrained(detector)
    SamModel(sizes.masks).save_pretrained(masks)
    SamImageProcessorPil(**sizes.masks_images).save_pretrained(masks)


class AtItsWord:
    """A segmenter whose people need no heads, since random numbers know none."""

    def __init__(self, segmenter: Segmenter) -> None:
        self.segment = segmenter.segment


def finds_everybody(model: str, **options: Any) -> Backend:
    """``load_model``, with a detector that takes its best box for each whatever it is worth."""
    backend = load_model(model, **options)
    if not hasattr(backend.segmenter, "thresholds"):
        return backend
    backend.segmenter.thresholds = (0.0,)
    return replace(backend, segmenter=AtItsWord(backend.segmenter))


def measure(
    model: str,
    preset: str,
    *,
    device: torch.device,
    dtype: torch.dtype,
    steps: int,
    portraits: int,
    load: Any = load_model,
) -> dict[str, Any]:
    """The peak of one story, and what it took, as plain numbers."""
    with tempfile.TemporaryDirectory() as out:
        request = new_request(
            inline_story(CAST, SCENES, title="memory"),
            Path(out) / "run",
            Overrides(steps=steps, portraits=portraits),
            preset_name=preset,
            model=model,
            device=str(device),
            dtype=str(dtype).removeprefix("torch."),
        )
        peak, began = Peak(device), time.perf_counter()
        events = list(Service(load=load).run(request))
        spent = time.perf_counter() - began
        missing = {e.index: e.missing for e in events if isinstance(e, FrameReady) and e.missing}
        (end,) = (e for e in events if isinstance(e, Finished))
        return {
            "preset": preset,
            "peak MiB": peak.mebibytes(),
            "evaluations": end.evaluations,
            "wall s": round(spent, 1),
            "not found": missing,
        }


def options() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(description=__doc__)
    made.add_argument("--model", default="miniature", help=f"as everywhere, or {RANDOM}")
    made.add_argument("--checkpoint", type=Path, default=Path("build") / RANDOM)
    made.add_argument("--preset", default="recommended")
    made.add_argument("--device", default="auto")
    made.add_argument("--dtype", default="auto")
    made.add_argument("--steps", type=int, default=5)
    made.add_argument("--portraits", type=int, default=1, help="painted together, up to 16")
    made.add_argument("--limit", type=float, metavar="GIB", help="of the accelerator's memory")
    return made


def main() -> None:
    """Prints one JSON object."""
    parser = options()
    asked = parser.parse_args()
    device = resolve_device(asked.device)
    dtype = resolve_dtype(asked.dtype, device)
    if device.type != "cuda" and (asked.limit or asked.model == RANDOM):
        parser.error(f"--limit and --model {RANDOM} need a CUDA accelerator")
    model, load = asked.model, load_model
    if model == RANDOM:
        if not asked.checkpoint.is_dir():
            asked.checkpoint.parent.mkdir(parents=True, exist_ok=True)
            write_checkpoint(asked.checkpoint, Sizes(), device=device, dtype=dtype)
            torch.cuda.empty_cache()
        model, load = str(asked.checkpoint), finds_everybody
    if asked.limit:  # now, for a checkpoint is written from all networks at once
        whole = torch.cuda.get_device_properties(device).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, asked.limit * 2**30 / whole), device)
    told: dict[str, Any] = {
        "machine": machine(device),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "torch": torch.__version__,
        "model": asked.model,
        "dtype": str(dtype).removeprefix("torch."),
        "limit GiB": asked.limit,
    }
    numbers = {"steps": asked.steps, "portraits": asked.portraits}
    try:
        told |= measure(model, asked.preset, device=device, dtype=dtype, load=load, **numbers)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        told |= {"preset": asked.preset, "does not fit": " ".join(str(error).split())}
    print(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
