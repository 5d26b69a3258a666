"""Those whom a relative is to be like: character files whose faces a model knows as its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from ...errors import ConfigError, RunError
from ...metrics.attributes import AttributeReader
from ...metrics.kinship import SIGNS, Relation, inherited, traits
from ...protocols import ModelFacts
from ...seeds import derived_seed
from ...types import Character
from . import consent, library
from .archive import SUFFIX, CharacterFile, open_file


@dataclass(frozen=True)
class Kin:
    """Whom somebody is to be like, and what they are to these."""

    people: tuple[CharacterFile, ...]
    relation: Relation

    def of(self, who: Character, seed: int, reader: AttributeReader | None) -> Character:
        """``who`` as their relative: in the words of `kinship.inherited`, where there is a reader.

        Raises:
            ConfigError: as `kinship.inherited`.
        """
        people = sorted(self.people, key=lambda person: person.face)
        like = tuple(person.face for person in people)
        found = replace(who, like=like, kin=(who.description, self.relation.text, *like))
        if reader is None:
            return found
        others = [
            traits(p.told.description, [reader.read(each) for each in p.portraits], reader.phrases)
            for p in people
        ]
        toss = lambda name: derived_seed("kin", seed, who.name, name) % 2
        words = inherited(who.description, who.noun, self.relation, others, reader, toss)
        return replace(found, description=words)


def kin(names: Sequence[str], relation: Relation, model: ModelFacts) -> Kin:
    """Those of these names in the library, or these character files.

    Raises:
        ConfigError: nobody is called so; as `family`.
        RunError: a file cannot be read; as `family`.
    """
    return family([_read(name) for name in names], relation, model)


def family(people: Sequence[CharacterFile], relation: Relation, model: ModelFacts) -> Kin:
    """Those to whom somebody has this relation.

    Raises:
        ConfigError: one face is given twice; two cannot be one person.
        RunError: their consent has ended; the face is of photos, or of another model.
    """
    for person in people:
        _check(person, model)
    if len({person.face for person in people}) < len(people):
        raise ConfigError("--like names one face twice; give each once")
    if relation.name in SIGNS and len(people) > 1:
        raise ConfigError(f"--as {relation.name} is one person at another age; give --like once")
    return Kin(tuple(people), relation)


def _read(name: str) -> CharacterFile:
    file = name.lower().endswith(SUFFIX)
    return open_file(Path(name).resolve()) if file else library.read(name)


def _check(person: CharacterFile, model: ModelFacts) -> None:
    if why := consent.why_not(person.told.consent):
        raise consent.refused(person.told.name, why)
    if person.told.consent is not None:
        raise RunError(
            f"the face of {person.told.name!r} is of photos; relatives are found of invented faces "
            "only, since they would stay when a consent ends"
        )
    if person.vectors(model.embeds) is None:
        raise RunError(
            f"the face of {person.told.name!r} was found by another model, {person.told.made.model}; "
            "choose one with that model, or find the relative with it"
        )


def faces(people: Mapping[str, CharacterFile], who: Character, model: ModelFacts) -> Tensor | None:
    """(n, d) the identities of those whom ``who`` is like; None if that is nobody.

    Raises:
        RunError: one of them has no numbers of this model's.
    """
    if not who.like:
        return None
    known = [found for face in who.like if (found := people[face].vectors(model.embeds))]
    if len(known) < len(who.like):
        raise RunError(f"somebody whom {who.name!r} is like was found by another model")
    return torch.stack([e for _, e in known])
