"""Opening the model that a run paints with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from ..config import Preset
from ..metrics.attributes import AttributeReader, reader_in
from ..metrics.torso import undressed
from ..protocols import Backend, ModelFacts

Load = Callable[..., Backend]  # `models.backend.load_backend`, or what stands for it


def open_model(load: Load, model: str, preset: Preset, facts: ModelFacts) -> Backend:
    """The model as ``preset`` wants it, on the device and in the precision of ``facts``.

    Who wears nothing is seen by the checkpoint's reader of attributes, if it has one.
    """
    more = {
        "search_steps": preset.discovery.search_steps,
        "memory": None if preset.memory == "all" else preset.memory,
        "compiled": preset.compiled or None,
        "reuse": None if preset.reuse == 1 else preset.reuse,
        "distilled": preset.discovery.distilled or None,
        "freeu": preset.discovery.freeu,
        "face_scale": None if preset.injection.face_scale == 1 else preset.injection.face_scale,
        "averaged": None if preset.discovery.averaged == "tokens" else preset.discovery.averaged,
    }
    opened = load(
        model,
        sampler=preset.sampler,
        num_steps=preset.num_steps,
        device=facts.device,
        dtype=facts.dtype,
        **{key: value for key, value in more.items() if value is not None},
    )
    reader = reader_of(facts)
    return opened if reader is None else replace(opened, bare=partial(undressed, reader))


def reader_of(facts: ModelFacts) -> AttributeReader | None:
    """The checkpoint's reader of attributes, opened once; None if it has none.

    Raises:
        ModelError: it is there but broken.
    """
    return None if facts.folder is None else reader_in(facts.folder, facts.fingerprint)
