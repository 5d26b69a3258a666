"""What suits a model, by its card or the catalogue; nothing is imported for it but a reader of text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ...config import Preset
from ...errors import ModelError
from ...presets import Suits, fitted
from .card import read_card
from .catalogue import BUNDLES, DEFAULT_MODEL, ENTRIES, known_base, split_name
from .checkpoint import check_layout, find_folder
from .names import split_loras


def suits_of(model: str | Path = DEFAULT_MODEL) -> Suits:
    """What a model is used with; the same as any of full size where it is not here or has no card.

    Args:
        model: see ``checkpoint.find_checkpoint``.

    Raises:
        ModelError: its card is broken.
    """
    bundle, base = split_name(str(model))
    if bundle is not None and not base:
        return ENTRIES[BUNDLES[bundle][0]].suits
    if (entry := known_base(base)) is not None:
        return entry.suits
    try:
        folder = find_folder(base or split_loras(str(model))[0])
    except ModelError:
        return Suits()
    card = read_card(folder)
    try:
        usual = check_layout(folder).suits
    except ModelError:  # told when it is opened
        return card.suits
    return replace(usual, **card.values.get("suits", {}))


def preset(name: str, model: str | Path = DEFAULT_MODEL) -> Preset:
    """The preset called ``name``, with guidance, sampler and steps that suit ``model``.

    Raises:
        ConfigError: there is none; says which there are and which was probably meant.
        ModelError: the model's card is broken.
    """
    return fitted(name, suits_of(model))
