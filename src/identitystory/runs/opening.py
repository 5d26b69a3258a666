"""Opening the model that a run paints with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from ..config import Preset
from ..metrics.attributes import AttributeReader, reader_in
from ..metrics.torso import undressed
from ..protocols import Backend, ModelFacts
from .files import canonical

Load = Callable[..., Backend]  # `models.backend.load_backend`, or what stands for it


class Kept:
    """``load`` that keeps the model it opened last, for runs that follow with the same options.

    Generators are pure and every method puts back what it changes, so that a run is the same on a
    fresh model. Sent to another process it starts empty.
    """

    def __init__(self, load: Load) -> None:
        self.load, self.asked = load, ""
        self.model: Backend | None = None

    def __call__(self, model: str, **options: Any) -> Backend:
        """The model, opened if it is not the last one."""
        asked = canonical({"model": model, **options})
        if self.model is None or self.asked != asked:
            self.model = None  # never two in memory
            self.asked, self.model = asked, self.load(model, **options)
        return self.model

    def forget_others(self, fingerprint: str) -> None:
        """Drops the model unless it was opened from files with this fingerprint, as far as it tells."""
        if self.model is not None and self.model.fingerprint not in ("", fingerprint):
            self.model = None

    def __reduce__(self) -> tuple[type[Kept], tuple[Load]]:
        """Without the model."""
        return Kept, (self.load,)


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
    if isinstance(load, Kept):
        load.forget_others(facts.fingerprint)  # its files may have changed since it was opened
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
