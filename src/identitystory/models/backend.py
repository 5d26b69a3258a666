"""A checkpoint's files opened as a ``Backend``: the one place that says which parts belong together."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

from ..config import Averaged
from ..errors import ConfigError, ModelError
from ..protocols import Backend, ImageGenerator
from ..types import Scales
from .device import Room, resolve_device, resolve_dtype
from .family import check_faces
from .files.checkpoint import Checkpoint, find_checkpoint, fingerprint
from .files.controls import find_controls


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
    freeu: Scales | None = None,
    averaged: Averaged = "tokens",
    face_scale: float = 1.0,
) -> Backend:
    """G, G_id and the segmenter of a checkpoint, sharing one network.

    Args:
        model: see ``files.checkpoint.find_checkpoint``.
        sampler: ``ddim``, ``euler`` or ``ancestral``.
        num_steps: t.
        search_steps: steps of the portraits; None is t.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        dtype: ``auto``, ``float32``, ``bfloat16`` or ``float16``, of the base's networks.
        memory: ``all`` keeps every network on the device; ``low`` one at a time, and decodes in
            tiles.
        compiled: compile the network (``torch.compile``; a string names its backend); the first
            steps take minutes.
        reuse: its deep features are computed at every so manieth step (``sdxl.feature_cache``).
        distilled: portraits are painted with the checkpoint's few-step LoRA on.
        freeu: scales of FreeU on portraits.
        averaged: what an embedding of a portrait is, see `config.DiscoveryConfig`.
        face_scale: see `config.InjectionConfig`.

    Raises:
        ModelError: a part is missing, broken or of an unsupported kind.
        ConfigError: the sampler, the number of steps, the device or the dtype does not exist, or
            features are reused in a compiled network, or FreeU, other embeddings or a scale are asked
            of a generator without them.
    """
    where = resolve_device(device)
    precision = resolve_dtype(dtype, where)
    checkpoint = find_checkpoint(model)
    room = Room(where, one_at_a_time=memory == "low")
    general = checkpoint.family.open(
        checkpoint.base,
        sampler=sampler,
        num_steps=num_steps,
        device=where,
        dtype=precision,
        room=room,
        reuse=reuse,
        compiled=compiled,
        **({"loras": [(x.file, x.weight) for x in checkpoint.loras]} if checkpoint.loras else {}),
    )
    if opened := checkpoint.family.open_control:
        found = find_controls(model, checkpoint)
        controls: Any = {kind: opened(folder, general) for kind, folder in found.items()}
        general.controls = controls  # type: ignore[attr-defined]  # of a family that has such nets
    identity = checkpoint.identity.open(general)
    if averaged != "tokens" or face_scale != 1:
        check_faces(checkpoint.identity.part, averaged, face_scale)
        identity = identity.set_to(averaged=averaged, scale=face_scale)
    search = identity.with_steps(search_steps or num_steps)
    if distilled:
        if checkpoint.few_steps is None:
            raise ModelError(f"{model} has no few-step LoRA")
        search = identity.distilled(checkpoint.few_steps, search_steps or num_steps)
    if freeu is not None:
        if not hasattr(search, "with_freeu"):
            raise ConfigError(f"the identity generator of {model} has no FreeU; set it to none")
        search = search.with_freeu(freeu)
    return Backend(
        name=str(model),
        general=general,
        identity=identity,
        segmenter=checkpoint.segmenter.open(room=room),
        fingerprint=fingerprint(checkpoint),
        search=search,
        adapter=_adapter(checkpoint, general),
    )


def _adapter(checkpoint: Checkpoint, general: ImageGenerator) -> Callable[[], Any] | None:
    """What opens the checkpoint's IP-Adapter, once; None if it has none."""
    folder, opened = checkpoint.adapter, checkpoint.family.open_adapter
    return None if folder is None or opened is None else cache(partial(opened, folder, general))
