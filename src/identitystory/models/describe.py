"""What a checkpoint is, told without opening it: no network library is imported."""

from __future__ import annotations

from ..protocols import ModelFacts
from .device import resolve_device, resolve_dtype
from .files.checkpoint import find_checkpoint, fingerprint, read_json
from .files.store import content_hash


def describe_model(model: str, device: str, dtype: str) -> ModelFacts:
    """What a model is, without loading it; see `protocols.ModelFacts`."""
    where = resolve_device(device)
    precision = str(resolve_dtype(dtype, where)).removeprefix("torch.")
    checkpoint = find_checkpoint(model)
    few_steps = content_hash(checkpoint.few_steps) if checkpoint.few_steps else ""
    unet, vae = (read_json(checkpoint.base / part / "config.json") for part in ("unet", "vae"))
    levels, deeper = (len(part["block_out_channels"]) - 1 for part in (vae, unet))
    side = int(unet["sample_size"]) * 2**levels
    schedule = read_json(checkpoint.base / "scheduler" / "scheduler_config.json")
    return ModelFacts(
        fingerprint(checkpoint),
        str(where),
        precision,
        checkpoint.base,
        few_steps,
        int(schedule.get("num_train_timesteps", 1000)),
        checkpoint.segmenter[0] if len(checkpoint.segmenter) == 2 else None,
        (side, side),
        2 ** (levels + deeper),
    )
