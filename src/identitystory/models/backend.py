"""A checkpoint's files opened as a ``Backend``: the one place that says which parts belong together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import ConfigError, ModelError
from ..protocols import Backend, Segmenter
from .device import Room, compile_unet, resolve_device, resolve_dtype
from .files.checkpoint import find_checkpoint, fingerprint, read_json
from .sdxl.feature_cache import DeepFeatures
from .sdxl.load import load_sdxl
from .sdxl.lora import read_lora
from .sdxl.photomaker import load_photomaker
from .segment.clipseg import load_clipseg


def load_backend(
    model: str | Path,
    *,
    sampler: str = "ddim",
    num_steps: int = 50,
    search_steps: int | None = None,
    device: str = "auto",
    dtype: str = "auto",
    memory: str = "all",
    compiled: bool | str = False,
    reuse: int = 1,
    distilled: bool = False,
) -> Backend:
    """G, G_id and the segmenter of a checkpoint, sharing one U-Net.

    Args:
        model: see ``folder.find_checkpoint``.
        sampler: ``ddim`` or ``euler``.
        num_steps: t.
        search_steps: steps of the portraits; None is t.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        dtype: ``auto``, ``float32``, ``bfloat16`` or ``float16``, for U-Net, VAE and text encoders.
        memory: ``all`` keeps every network on the device; ``low`` one at a time, and decodes in
            tiles.
        compiled: compile the U-Net (``torch.compile``; a string names its backend); the first steps
            take minutes.
        reuse: deep features of the U-Net are computed at every so manieth step (``deep``).
        distilled: portraits are painted with the checkpoint's few-step LoRA on.

    Raises:
        ModelError: a part is missing, broken or of an unsupported kind.
        ConfigError: the sampler, the number of steps, the device or the dtype does not exist, or
            features are reused in a compiled U-Net.
    """
    where = resolve_device(device)
    precision = resolve_dtype(dtype, where)
    checkpoint = find_checkpoint(model)
    room = Room(where, one_at_a_time=memory == "low")
    general, text = load_sdxl(
        checkpoint.base,
        sampler_name=sampler,
        num_steps=num_steps,
        device=where,
        dtype=precision,
        room=room,
    )
    if reuse != 1:
        if compiled:
            raise ConfigError("a compiled U-Net keeps no features; leave out --compile or --reuse")
        general.deep = DeepFeatures(general.unet, reuse)
    identity = load_photomaker(checkpoint.identity, general, text)
    search = identity.with_steps(search_steps or num_steps)
    if distilled:
        if checkpoint.few_steps is None:
            raise ModelError(f"{model} has no few-step LoRA")
        lora = read_lora(checkpoint.few_steps, general.unet, "few_steps")
        search = identity.distilled(lora, search_steps or num_steps)
    if compiled:
        compile_unet(general.unet, compiled if isinstance(compiled, str) else "inductor")
    return Backend(
        name=str(model),
        general=general,
        identity=identity,
        segmenter=load_segmenter(checkpoint.segmenter, room=room),
        fingerprint=fingerprint(checkpoint),
        search=search,
    )


def load_segmenter(folders: tuple[Path, ...], *, room: Room, **options: Any) -> Segmenter:
    """CLIPSeg from one folder, or Grounding DINO and SAM from two; ``options`` are the class's.

    Raises:
        ModelError: the folder holds neither.
    """
    if len(folders) == 2:
        from .segment.grounded_sam import load_grounded_sam

        return load_grounded_sam(*folders, room=room, **options)
    kind = read_json(folders[0] / "config.json").get("model_type")
    if kind != "clipseg":
        raise ModelError(f"{folders[0]} holds a {kind}; CLIPSeg, or detector/ and sam/, is wanted")
    return load_clipseg(folders[0], room=room, **options)
