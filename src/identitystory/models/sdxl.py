"""Stable Diffusion XL's folder as a ``LatentDiffusion``: two text encoders, U-Net, VAE, schedule.

The layout is the hub's (``model_index.json``, ``tokenizer``, ``tokenizer_2``, ``text_encoder``,
``text_encoder_2``, ``unet``, ``vae``, ``scheduler``). Every size is read from the files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.utils import logging as diffusers_logging
from safetensors import SafetensorError
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer
from transformers.utils import logging as transformers_logging

from ..errors import ModelError, is_out_of_memory
from .diffusion import Encoding, LatentDiffusion, sampler
from .folder import check_layout, read_json
from .hardware import Room
from .tokens import chunk_starts, token_ids


@dataclass(frozen=True)
class TextEncoders:
    """SDXL's pair of CLIP text encoders, called as ``(prompts, negative) -> (without, with)``.

    Attributes:
        tokenizers: one an encoder.
        models: ``CLIPTextModel`` and ``CLIPTextModelWithProjection``.
        zeros_for_none: whether no negative prompt at all is zeros rather than the empty prompt.
        room: brings the encoders to the device.
    """

    tokenizers: tuple[Any, Any]
    models: tuple[Any, Any]
    zeros_for_none: bool = True
    room: Room = field(default_factory=lambda: Room(torch.device("cpu")))

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
        """Encodings of ``negative``, repeated, and of ``prompts``: (B, L, d1 + d2) and (B, P).

        L is the same for both: 77, or as many times 77 as the longest of all these prompts needs.
        """
        chunks = max(map(self.chunks, {*prompts, negative or ""}))
        given = self.encode_prompts(prompts, chunks=chunks)
        if negative is None and self.zeros_for_none:
            return Encoding(given.hidden * 0, given.pooled * 0), given
        without = self.encode_prompts([negative or ""], chunks=chunks)
        count = len(prompts)
        without = Encoding(without.hidden.expand(count, -1, -1), without.pooled.expand(count, -1))
        return without, given

    def chunks(self, prompt: str) -> int:
        """How many times an encoder has to read to see all of ``prompt``; 1 up to 77 tokens.

        Raises:
            PromptError: more than ``MAX_CHUNKS``.
        """
        pairs = zip(self.tokenizers, self.limits, strict=True)
        return max(len(chunk_starts(tokenizer, prompt, limit)) for tokenizer, limit in pairs)

    @torch.inference_mode()
    def encode_prompts(self, prompts: Sequence[str], *, chunks: int = 1) -> Encoding:
        """Last hidden layer but one of both encoders side by side, and the second's pooled vector.

        A long prompt is read in chunks, whose hidden states stand one after the other; shorter
        prompts are filled with empty chunks. The pooled vector is the first chunk's. Equal prompts
        are encoded once.

        Args:
            prompts: B of them.
            chunks: at least so many chunks.

        Raises:
            PromptError: a prompt is longer than ``MAX_CHUNKS`` chunks.
        """
        unique = list(dict.fromkeys(prompts))
        chunks = max([chunks, *map(self.chunks, unique)])
        hidden, pooled = [], torch.empty(0)
        pairs = zip(self.tokenizers, self.models, self.limits, strict=True)
        for tokenizer, model, limit in pairs:
            ids = torch.stack([token_ids(tokenizer, p, limit, chunks) for p in unique])
            with self.room.holding(model):
                out = model(ids.flatten(0, 1).to(self.room.device), output_hidden_states=True)
            rows = out.hidden_states[-2].unflatten(0, (len(unique), chunks))  # (U, k, 77, d)
            hidden.append(rows.flatten(1, 2))
            pooled = out[0][::chunks]
        order = [unique.index(prompt) for prompt in prompts]
        return Encoding(torch.cat(hidden, dim=-1)[order], pooled[order])


# --- Opening a folder -----------------------------------------------------------------------------

_BROKEN = (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError)
TILE = 512  # pixels of a tile's side where memory is short


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
    except Exception as error:
        # The tokenizers' library raises plain Exceptions and has no kind of its own.
        if is_out_of_memory(error) or not (isinstance(error, _BROKEN) or type(error) is Exception):
            raise
        raise ModelError(
            f"{folder} cannot be opened as {kind.__name__}: {error}. "
            "Its files are broken or another model's; get them again"
        ) from error


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


def load_text_encoders(folder: Path, *, room: Room, dtype: torch.dtype) -> TextEncoders:
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
            room.place(models[0]).eval().requires_grad_(False),
            room.place(models[1]).eval().requires_grad_(False),
        ),
        zeros_for_none=bool(index.get("force_zeros_for_empty_prompt", True)),
        room=room,
    )


def load_sdxl(
    folder: Path,
    *,
    sampler_name: str,
    num_steps: int,
    device: torch.device,
    dtype: torch.dtype,
    room: Room | None = None,
) -> tuple[LatentDiffusion, TextEncoders]:
    """G and its text encoders, from a folder in SDXL's layout.

    In float16 the VAE is kept in float32 if its configuration says that it overflows
    (``force_upcast``), as SDXL's own does. A room that holds one network at a time also decodes
    pictures in tiles.

    Raises:
        ModelError: a part is missing, broken or of another kind.
        ConfigError: the sampler or the number of steps does not fit.
    """
    check_layout(folder)
    schedule = read_json(folder / "scheduler" / "scheduler_config.json")
    rule = sampler(sampler_name, schedule, num_steps)
    room = room or Room(device)
    text = load_text_encoders(folder, room=room, dtype=dtype)
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
    if room.one_at_a_time:
        decode_in_tiles(vae)
    return LatentDiffusion(unet, vae, rule, text, device=device, room=room), text


def decode_in_tiles(vae: Any, side: int = TILE) -> None:
    """Has ``vae`` decode what is larger than ``side`` pixels in overlapping tiles of that side.

    Its own tiles are as large as the pictures that it was made for, so that those never come in
    more than one. A tile has its own group norms: pictures differ a little from those of one piece.
    """
    factor = 2 ** (len(vae.config["block_out_channels"]) - 1)
    vae.enable_tiling()
    vae.tile_sample_min_size, vae.tile_latent_min_size = side, side // factor
