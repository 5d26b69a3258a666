"""A checkpoint folder opened as a ``Backend``: the one place that says which parts belong together."""

from __future__ import annotations

from pathlib import Path

from ..protocols import Backend
from .clipseg import load_clipseg
from .folder import IDENTITY, SEGMENTER, fingerprint, model_folder
from .hardware import resolve_device, resolve_dtype
from .photomaker import load_photomaker
from .sdxl import load_sdxl


def load_backend(
    model: str | Path,
    *,
    sampler: str = "ddim",
    num_steps: int = 50,
    device: str = "auto",
    dtype: str = "auto",
    offline: bool = True,
) -> Backend:
    """G, G_id and the segmenter of a checkpoint, sharing one U-Net.

    Args:
        model: ``miniature`` (in the package), ``sdxl``, a folder, or a hub id.
        sampler: ``ddim`` or ``euler``.
        num_steps: t.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        dtype: ``auto``, ``float32``, ``bfloat16`` or ``float16``, for U-Net, VAE and text encoders.
        offline: whether a hub id must already be in the cache.

    Raises:
        ModelError: a part is missing, broken or of an unsupported kind.
        ConfigError: the sampler, the number of steps, the device or the dtype does not exist.
    """
    where = resolve_device(device)
    precision = resolve_dtype(dtype, where)
    folder = model_folder(model, offline=offline)
    general, text = load_sdxl(
        folder, sampler_name=sampler, num_steps=num_steps, device=where, dtype=precision
    )
    return Backend(
        name=str(model),
        general=general,
        identity=load_photomaker(folder / IDENTITY, general, text),
        segmenter=load_clipseg(folder / SEGMENTER, device=where),
        fingerprint=fingerprint(folder),
    )
