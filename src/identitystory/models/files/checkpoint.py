"""Where a checkpoint's files lie, whether they are all there, and what they hash to.

Nothing is loaded here, neither diffusers nor transformers is imported and the network is not used,
so that a run whose parts are all finished returns at once.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

from ...errors import ModelError
from ...extensions import Registry
from ..family import (
    FAMILIES,
    IDENTITY_GENERATORS,
    SEGMENTERS,
    Family,
    IdentityPart,
    SegmenterPart,
    check_terms,
    family_of,
    plain_family,
)
from .card import read_card
from .catalogue import (
    BUILT_IN,
    BUNDLES,
    DEFAULT_MODEL,
    ENTRIES,
    OPTIONAL,
    Entry,
    entry_of,
    is_hub_id,
    known_base,
    split_name,
)
from .configs import read_json
from .found import Found, at_places, check_entries, found_in, is_file, plain_places
from .header import read_header, trigger_words
from .names import Loras, split_loras
from .store import content_hash, located

INDEX = "model_index.json"
FEW_STEPS = "few_steps.safetensors"  # a distilled LoRA of the U-Net; a checkpoint may do without


@dataclass(frozen=True)
class Lora:
    """A LoRA's file, its weight, and the words that it listens to, as the file tells them."""

    file: Path
    weight: float
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Checkpoint:
    """The files of a whole model, in one folder or in several.

    Attributes:
        family: what kind of base it is.
        base: the base's folder.
        identity: what paints faces.
        segmenter: what finds people.
        few_steps: a LoRA for portraits in few steps without guidance, or None.
        adapter: the folder with ``family.adapter`` in it, or None.
        loras: what is added to the base's weights, in order.
    """

    family: Family
    base: Path
    identity: Found[IdentityPart]
    segmenter: Found[SegmenterPart]
    few_steps: Path | None = None
    adapter: Path | None = None
    loras: tuple[Lora, ...] = ()


def find_checkpoint(model: str | Path) -> Checkpoint:
    """The complete checkpoint that ``model`` names; the network is never used.

    Args:
        model: a built-in name; a bundle's name, with ``:BASE`` (a folder or hub id) for another
            base of its family; a complete folder; or the hub id of a complete one. LoRAs on it stand
            behind it, see `names`.

    Raises:
        ModelError: it is not there, or lacks parts; the sentence names them and the command that
            gets them. A LoRA is of another family, or of a kind that is not supported.
    """
    name, loras = split_loras(str(model))
    checkpoint = _without_loras(name)
    return replace(checkpoint, loras=_loras(checkpoint, loras)) if loras else checkpoint


def _loras(checkpoint: Checkpoint, given: Loras) -> tuple[Lora, ...]:
    family = checkpoint.family
    made: list[Lora] = []
    for name, weight in given:
        file = Path(os.path.expanduser(name))
        header = read_header(file)
        if family.check_lora is None:
            raise ModelError(f"{family.title} takes no LoRAs; leave {name} out")
        family.check_lora(checkpoint.base, file, header)
        made.append(Lora(file, weight, trigger_words(header.metadata)))
    return tuple(made)


def _without_loras(model: str) -> Checkpoint:
    bundle, base = split_name(model)
    if bundle is not None:
        return _assembled(bundle, base)
    folder = find_folder(model)
    family = check_layout(folder)
    named = read_card(folder).parts
    own = BUILT_IN.get(model) or named.get("identity_generator") or family.identity or None
    identity = found_in(folder, IDENTITY_GENERATORS, own)
    segmenter = found_in(folder, SEGMENTERS, named.get("segmenter"))
    if identity is None or segmenter is None:
        pairs = ((identity, IDENTITY_GENERATORS), (segmenter, SEGMENTERS))
        missing = " and ".join(plain_places(registry) for found, registry in pairs if not found)
        raise ModelError(
            f"{folder} lacks {missing}; to use it as the base of the full-size "
            f"model give {as_base(family, model)}"
        )
    lora = folder / FEW_STEPS
    few_steps = lora if family.few_steps and lora.is_file() else None
    adapter = _adapter(family, folder)
    return _fitting(Checkpoint(family, folder, identity, segmenter, few_steps, adapter))


def as_base(family: Family, base: str | Path) -> str:
    """What is said to paint with ``base`` in the full-size model of its family."""
    return f"--model {family.name if family.name in BUNDLES else 'sdxl'} --base {base}"


def how_to_use(base: str) -> str:
    """`as_base` of a base by its hub id, which counts as SDXL where it is not whole."""
    try:
        family = check_layout(find_folder(base))
    except ModelError:
        family = plain_family()
    return as_base(family, base)


def _fitting(checkpoint: Checkpoint) -> Checkpoint:
    """``checkpoint``, if its identity generator can paint on its base, here and for us."""
    part, family = checkpoint.identity.part, checkpoint.family
    check_terms(part)
    part.check()
    if part.families and family.name not in part.families:
        raise ModelError(
            f"{part.title} paints on {' or '.join(part.families)}, and {checkpoint.base} is "
            f"{family.title}; take another identity generator or another base"
        )
    return checkpoint


def _assembled(bundle: str, base: str) -> Checkpoint:
    entries = [ENTRIES[name] for name in BUNDLES[bundle]]
    check_entries(entries)
    found: dict[str, Path] = {}
    lacking: list[Entry] = []
    for entry in entries:
        if entry.role == "base" and base:
            here = os.path.exists(os.path.expanduser(base))
            if here or not (is_hub_id(base) or known_base(base)):
                found[entry.place] = find_folder(base)
                continue
            entry = entry_of(base)
        try:
            found |= at_places(entry, located(entry))
        except ModelError:
            lacking.append(entry)
    if lacking:
        size, repos = sum(entry.size for entry in lacking) / 1e9, [e.repo for e in lacking]
        whole = f"{bundle}:{base}" if base and any(e.role == "base" for e in lacking) else bundle
        raise ModelError(
            f"{bundle!r} lacks {', '.join(dict.fromkeys(repos))} on this machine. "
            f"Get them with: identitystory models fetch {whole} ({size:.1f} GB)"
        )

    folder = found[""]
    family = check_layout(folder)
    if not (family.identity or any(entry.role == "identity" for entry in entries)):
        raise ModelError(
            f"{base} is {family.title}, and --model {bundle} has nothing that paints its faces; "
            f"give {as_base(family, base)}"
        )
    few_steps = _optional("few-steps") if family.few_steps else None

    def part(registry: Registry, role: str, own: str = "") -> Found[Any]:
        name = next((entry.part for entry in entries if entry.role == role), own)
        made = registry.get(name)
        files = found | made.elsewhere() if role == "identity" else found
        return Found(name, made, tuple(files[place] for place in made.places))

    identity = part(IDENTITY_GENERATORS, "identity", family.identity)
    segmenter = part(SEGMENTERS, "segmenter")
    adapter = _adapter(family, folder) or _optional("adapter")
    return _fitting(Checkpoint(family, folder, identity, segmenter, few_steps, adapter))


def _adapter(family: Family, folder: Path) -> Path | None:
    """``folder``, if it holds an adapter for pictures as references."""
    return folder if family.adapter and (folder / family.adapter).is_file() else None


def _optional(role: str) -> Path | None:
    """The first entry of the table with this role that is on this machine."""
    for entry in (ENTRIES[name] for name in OPTIONAL if ENTRIES[name].role == role):
        with suppress(ModelError):
            return located(entry)
    return None


def fingerprint(checkpoint: Checkpoint) -> str:
    """sha256, in hex, over what a checkpoint's pictures depend on: weights, configs, vocabularies.

    Files count by their places in a complete folder, so a copy elsewhere, or the same parts in
    several folders, have the same fingerprint.
    """
    files = {INDEX: checkpoint.base / INDEX}
    folders = {part: checkpoint.base / part for part in checkpoint.family.parts}
    for found in (checkpoint.identity, checkpoint.segmenter):
        for place, path in zip(found.part.places, found.files, strict=True):
            (files if is_file(place) else folders)[place] = path
    for label, folder in folders.items():
        for pattern in ("*.safetensors", "*.json", "*.txt"):
            files |= {f"{label}/{file.name}": file for file in folder.glob(pattern)}
    digest = hashlib.sha256()
    for label, file in sorted(files.items(), key=lambda item: Path(item[0])):
        digest.update(f"{label} {content_hash(file)}\n".encode())
    for lora in checkpoint.loras:
        digest.update(f"LoRA {content_hash(lora.file)} {lora.weight!r}\n".encode())
    return digest.hexdigest()


def find_folder(model: str | Path, role: str = "base") -> Path:
    """The folder of a model given by a built-in name, by path, or by the hub id of one in the cache.

    Args:
        model: the name, the path or the id.
        role: what an id is that stands in no table, see ``catalogue.Entry``.

    Raises:
        ModelError: there is no such folder, and no such id on this machine.
    """
    if str(model) in BUILT_IN:
        folder = Path(str(resources.files("identitystory") / "weights" / DEFAULT_MODEL))
        if not folder.is_dir():
            raise ModelError(f"the weights of {model} are missing from the package: {folder}")
        return folder
    folder = Path(os.path.expanduser(model))  # pathlib's raises for nobody's, or a name too long
    if os.path.isdir(folder):
        return folder
    if os.path.isfile(folder):
        raise ModelError(
            f"{model} is a file; make a folder of it once with: identitystory models add {model}"
        )
    if not is_hub_id(str(model)) and known_base(str(model)) is None:
        raise ModelError(f"there is no folder {str(model)!r}; give one or a hub id like owner/name")
    return located(entry_of(str(model), role))


def check_layout(folder: Path) -> Family:
    """The family of the base in ``folder``, which has all of its parts.

    Raises:
        ModelError: naming every part that is missing, or the pipeline that it is instead.
    """
    index = folder / INDEX
    pipeline = str(read_json(index).get("_class_name", "")) if index.is_file() else ""
    family = family_of(pipeline)
    layout = family or plain_family()
    missing = [INDEX] if not index.is_file() else []
    missing += [part for part in layout.parts if not (folder / part).is_dir()]
    if missing:
        raise ModelError(
            f"{folder} is not a checkpoint in {layout.title}'s layout: {', '.join(missing)} missing"
        )
    if family is None:
        raise strange_pipeline(folder, pipeline)
    return family


def strange_pipeline(where: Path | str, pipeline: str) -> ModelError:
    """The error for a checkpoint of no family that is known here."""
    *others, last = (FAMILIES.get(name).title for name in FAMILIES.own)
    return ModelError(
        f"{where} holds a {pipeline or 'nameless pipeline'}; {', '.join(others)} and {last} are supported"
    )
