"""Somebody with a face, in memory, and their way into a character file and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image
from torch import Tensor

from .config import Preset
from .errors import ConfigError
from .marks.packet import PLAIN
from .protocols import ModelFacts
from .runs import inside
from .runs.characters import consent, library
from .runs.characters.archive import SUFFIX, CharacterFile, open_file
from .runs.characters.casting import character
from .runs.characters.making import found
from .runs.sheets import contact_sheet, thumbnails
from .settings import to_dict
from .types import Character, Identity, png


@dataclass(frozen=True)
class Search:
    """How somebody was found, so that it can be told and done again.

    Attributes:
        model: the name that it was opened by.
        facts: what it is.
        preset: its settings.
        seed: of the search.
        E: (m, d), the embeddings of all portraits.
    """

    model: str
    facts: ModelFacts
    preset: Preset
    seed: int
    E: Tensor


@dataclass(frozen=True)
class Person:
    """Somebody that `IdentityStory.discover` found or `load` read; shows itself in a notebook.

    Attributes:
        character: name, description and class word.
        identity: the embedding, and which portraits it is the mean of.
        portraits: all that were painted, in order; of a file those that were kept.
        fingerprint: of the weights that found it; no others can paint it.
        source: what it is saved from: how it was found, or the file that it was read from.
    """

    character: Character
    identity: Identity
    portraits: tuple[Image.Image, ...]
    fingerprint: str
    source: Search | CharacterFile | None = field(default=None, repr=False, compare=False)

    @property
    def sheet(self) -> Image.Image:
        """The portraits on one page: those that the filter kept first, the others dimmed."""
        return contact_sheet(thumbnails(self.portraits), self.identity.kept.tolist())

    def save(self, file: str | Path) -> Path:
        """Writes a character file, ``mara.character``, that every model can read; returns its place.

        What was read from a file is written as it was.

        Raises:
            ConfigError: it has another ending, or there is nothing to tell how the face was found.
            RunError: it cannot be written.
        """
        path, kept = Path(file), self.identity.kept
        if path.suffix.lower() != SUFFIX:
            raise ConfigError(f"{path} must end in {SUFFIX}")
        if self.source is None:
            raise ConfigError("only who was discovered, or read from a file, can be saved")
        whole = self.source
        if isinstance(whole, Search):
            whole = found(
                self.character,
                model=whole.model,
                facts=whole.facts,
                preset=to_dict(whole.preset),
                seed=whole.seed,
                kept=kept.tolist(),
                portraits=[self.portraits[n] for n in kept.tolist()],
                E=whole.E[kept],
                embedding=self.identity.embedding,
            )
        inside.write_whole(path, whole.content)
        return path

    def _repr_png_(self) -> bytes:
        photos = isinstance(self.source, CharacterFile) and self.source.told.consent is not None
        return png(self.sheet, None if photos else PLAIN)

    def __repr__(self) -> str:
        """Who it is, and from how many portraits."""
        kept = f"{len(self.identity.kept)} of {len(self.portraits)} portraits kept"
        return f"Person({self.character.description!r}, {kept})"


def loaded(
    file: str,
    look: str | None,
    facts: ModelFacts,
    embed: Callable[[Sequence[Image.Image]], Tensor],
    average: Callable[[Tensor], Tensor],
) -> Person:
    """What `api.IdentityStory.load` returns."""
    whole = open_file(Path(file).resolve()) if file.lower().endswith(SUFFIX) else library.read(file)
    if why := consent.why_not(whole.told.consent):
        raise consent.refused(whole.told.name, why)
    identity, _ = whole.identity(facts.embeds, embed, average)
    who = character(whole, look)
    return Person(who, identity, tuple(whole.portraits), facts.fingerprint, whole)
