"""Stable Diffusion XL's folder as a ``LatentDiffusion``: two text encoders, U-Net, VAE, schedule.

The layout is the hub's (``model_index.json``, ``tokenizer``, ``tokenizer_2``, ``text_encoder``,
``text_encoder_2``, ``unet``, ``vae``, ``scheduler``). Every size is read from the files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.utils import logging as diffusers_logging
from torch import Tensor
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer
from transformers.utils import logging as transformers_logging

from ..errors import ModelError, PromptError
from .diffusion import Encoding, LatentDiffusion, sampler
from .folder import check_layout, read_json


@dataclass(frozen=True)
class TextEncoders:
    """SDXL's pair of CLIP text encoders, called as ``(prompts, negative) -> (without, with)``.

    Attributes:
        tokenizers: one an encoder.
        models: ``CLIPTextModel`` and ``CLIPTextModelWithProjection``.
        zeros_for_none: whether no negative prompt at all is zeros rather than the empty prompt.
    """

    tokenizers: tuple[Any, Any]
    models: tuple[Any, Any]
    zeros_for_none: bool = True

    @property
    def widths(self) -> tuple[int, int]:
        """(d1, d2): what each encoder gives of a token."""
        first, second = (model.config.hidden_size for model in self.models)
        return first, second

    @property
    def limits(self) -> tuple[int, int]:
        """The most tokens each encoder reads, start and end included."""
        first, second = (
            min(tokenizer.model_max_length, model.config.max_position_embeddings)
            for tokenizer, model in zip(self.tokenizers, self.models, strict=True)
        )
        return first, second

    def __call__(self, prompts: Sequence[str], negative: str | None) -> tuple[Encoding, Encoding]:
        """Encodings of ``negative``, repeated, and of ``prompts``: (B, L, d1 + d2) and (B, P)."""
        given = self.encode_prompts(prompts)
        if negative is None and self.zeros_for_none:
            return Encoding(given.hidden * 0, given.pooled * 0), given
        without = self.encode_prompts([negative or ""])
        count = len(prompts)
        without = Encoding(without.hidden.expand(count, -1, -1), without.pooled.expand(count, -1))
        return without, given

    @torch.inference_mode()
    def encode_prompts(self, prompts: Sequence[str]) -> Encoding:
        """Last hidden layer but one of both encoders side by side, and the second's pooled vector.

        Equal prompts are encoded once.

        Raises:
            PromptError: a prompt is longer than an encoder reads.
        """
        unique = list(dict.fromkeys(prompts))
        hidden, pooled = [], torch.empty(0)
        pairs = zip(self.tokenizers, self.models, self.limits, strict=True)
        for tokenizer, model, limit in pairs:
            ids = token_ids(tokenizer, unique, limit).to(model.device)
            out = model(ids, output_hidden_states=True)
            hidden.append(out.hidden_states[-2])
            pooled = out[0]
        order = [unique.index(prompt) for prompt in prompts]
        return Encoding(torch.cat(hidden, dim=-1)[order], pooled[order])


def token_ids(tokenizer: Any, prompts: Sequence[str], limit: int) -> Tensor:
    """(B, limit) token ids, padded as the tokenizer pads.

    Raises:
        PromptError: a prompt has more than ``limit`` tokens, start and end included.
    """
    for prompt in prompts:
        count = len(tokenizer(prompt, verbose=False).input_ids)
        if count > limit:
            raise PromptError(
                f"the prompt {prompt!r} has {count} tokens with start and end; "
                f"the model reads {limit}. Shorten it"
            )
    ids = tokenizer(list(prompts), padding="max_length", max_length=limit, return_tensors="pt")
    return ids.input_ids


# --- Opening a folder -----------------------------------------------------------------------------


def load_part(kind: Any, folder: Path, *, dtype: torch.dtype | None = None) -> Any:
    """A diffusers or transformers class from a local folder, safetensors only.

    Raises:
        ModelError: weights or configuration are missing or broken, or only a pickle is there.
    """
    files = sorted(file.name for file in folder.glob("*.safetensors"))
    options: dict[str, Any] = {"local_files_only": True}
    if dtype is not None:
        if not files:
            raise ModelError(f"{folder} has no .safetensors file; pickled weights are not opened")
        options["use_safetensors"] = True
        options["variant"] = "fp16" if all(".fp16" in name for name in files) else None
        options["torch_dtype" if kind.__module__.startswith("diffusers") else "dtype"] = dtype
    try:
        with _quiet():
            return kind.from_pretrained(str(folder), **options)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise ModelError(f"{folder} cannot be opened as {kind.__name__}: {error}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars of the libraries' own: a part is read in a moment."""
    showing = [x for x in (diffusers_logging, transformers_logging) if x.is_progress_bar_enabled()]
    for library in showing:
        library.disable_progress_bar()
    try:
        yield
    finally:
        for library in showing:
            library.enable_progress_bar()


def load_text_encoders(folder: Path, *, device: torch.device, dtype: torch.dtype) -> TextEncoders:
    """Both tokenizers and text encoders of the checkpoint in ``folder``."""
    index = read_json(folder / "model_index.json")
    models = (
        load_part(CLIPTextModel, folder / "text_encoder", dtype=dtype),
        load_part(CLIPTextModelWithProjection, folder / "text_encoder_2", dtype=dtype),
    )
    return TextEncoders(
        tokenizers=(
            load_part(CLIPTokenizer, folder / "tokenizer"),
            load_part(CLIPTokenizer, folder / "tokenizer_2"),
        ),
        models=(
            models[0].to(device).eval().requires_grad_(False),
            models[1].to(device).eval().requires_grad_(False),
        ),
        zeros_for_none=bool(index.get("force_zeros_for_empty_prompt", True)),
    )


def load_sdxl(
    folder: Path, *, sampler_name: str, num_steps: int, device: torch.device, dtype: torch.dtype
) -> tuple[LatentDiffusion, TextEncoders]:
    """G and its text encoders, from a folder in SDXL's layout.

    Raises:
        ModelError: a part is missing, broken or of another kind.
        ConfigError: the sampler or the number of steps does not fit.
    """
    check_layout(folder)
    schedule = read_json(folder / "scheduler" / "scheduler_config.json")
    rule = sampler(sampler_name, schedule, num_steps)
    text = load_text_encoders(folder, device=device, dtype=dtype)
    unet = load_part(UNet2DConditionModel, folder / "unet", dtype=dtype)
    if unet.config["addition_embed_type"] != "text_time":
        raise ModelError(f"{folder / 'unet'} is not SDXL's: addition_embed_type is not text_time")
    if unet.config["cross_attention_dim"] != sum(text.widths):
        raise ModelError(
            f"the U-Net of {folder} reads {unet.config['cross_attention_dim']} numbers a token, "
            f"its text encoders give {text.widths[0]} + {text.widths[1]}"
        )
    overflows = read_json(folder / "vae" / "config.json").get("force_upcast", True)
    vae_dtype = torch.float32 if dtype == torch.float16 and overflows else dtype
    vae = load_part(AutoencoderKL, folder / "vae", dtype=vae_dtype)
    return LatentDiffusion(unet, vae, rule, text, device=device), text
