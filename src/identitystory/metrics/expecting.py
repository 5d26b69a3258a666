"""Whether a finished picture shows what its scene's ``expect`` lines say (`story.expect`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from PIL import Image
from torch import Tensor

from ..injection import heads_in
from ..masks import clean, with_heads
from ..protocols import Segmenter
from ..story.expect import Expectation
from ..types import Scene, Story
from ..wording import phrases
from .attributes import AttributeReader, Phrases, said, unread
from .heads import square


@dataclass(frozen=True)
class Result:
    """One line held against a picture.

    Attributes:
        line: as it was written.
        holds: whether it is so; None where nothing here can tell.
        read: what was read instead, or why nothing could be; empty where it holds.
    """

    line: str
    holds: bool | None
    read: str = ""


@dataclass(frozen=True)
class Seen:
    """A finished picture of a scene, looked at when it is asked.

    Attributes:
        image: W x H.
        story, scene: which show who is meant.
        segmenter: finds people, and may count them.
        reader: reads attributes; None if the checkpoint has none.
    """

    image: Image.Image
    story: Story
    scene: Scene
    segmenter: Segmenter
    reader: AttributeReader | None

    @cached_property
    def heads(self) -> Tensor | None:
        """(n, H, W) bool; None if nobody can count."""
        return heads_in(self.segmenter, self.image, phrases(self.story, self.scene))

    @cached_property
    def cast(self) -> Tensor:
        """(s, H, W) bool where those are who should be in it; empty where they are not."""
        return self._masks(self.scene.cast)

    def mask(self, name: str) -> Tensor:
        """(H, W) bool where somebody is; empty if they are not there.

        Who is not meant to be in the picture is so only if it has more heads than those who are: of
        one person two descriptions are both found.
        """
        if name in self.scene.cast:
            return self.cast[self.scene.cast.index(name)]
        if self.heads is not None and len(self.heads) <= int(self.cast.flatten(1).any(dim=1).sum()):
            return torch.zeros(self.image.height, self.image.width, dtype=torch.bool)
        return self._masks([*self.scene.cast, name])[-1]

    def _masks(self, names: Sequence[str]) -> Tensor:
        if not names:
            return torch.zeros(0, self.image.height, self.image.width, dtype=torch.bool)
        words = [self.story.character(name).description for name in names]
        M = clean(self.segmenter.segment(self.image, words).masks.cpu().bool())
        return M if self.heads is None else with_heads(M, self.heads)

    @cached_property
    def _shown(self) -> dict[str, dict[str, str]]:
        return {}

    def shown(self, who: str, reader: AttributeReader) -> dict[str, str]:
        """What the reader reads off somebody, or off the whole picture where ``who`` is empty."""
        if who not in self._shown:
            self._shown[who] = reader.read(self.around(self.mask(who)) if who else self.image)
        return self._shown[who]

    def around(self, mask: Tensor) -> Image.Image:
        """The `square` around somebody's head.

        The whole picture where it is square and nobody else is in it: as the reader was taught.
        """
        heads = torch.zeros(0, *mask.shape, dtype=torch.bool) if self.heads is None else self.heads
        if len(heads) < 2 and self.image.width == self.image.height:
            return self.image
        mine = [head for head in heads if 2 * int((head & mask).sum()) > int(head.sum())]
        return square(self.image, mine[0] if mine else mask)


def held(expected: Sequence[Expectation], seen: Seen) -> list[Result]:
    """Each line held against the picture, in order."""
    return [Result(each.line, *_held(each, seen)) for each in expected]


def _held(each: Expectation, seen: Seen) -> tuple[bool | None, str]:
    if each.kind == "people":
        if seen.heads is None:
            return None, "the model cannot count people"
        count = len(seen.heads)
        return count == each.count, "" if count == each.count else f"{count or 'nobody'} seen"
    if each.kind == "place":
        if seen.reader is None:
            return None, "the model has no reader of places"
        return _read(each, seen.reader, seen.shown("", seen.reader))
    mask = seen.mask(each.who)
    there = bool(mask.any())
    if each.kind == "presence":
        right = there == each.holds
        return right, "" if right else f"{each.who} {'was' if there else 'was not'} found"
    if not there:
        return False, f"{each.who} was not found"
    if seen.reader is None:
        return None, "the model has no reader of what people look like"
    return _read(each, seen.reader, seen.shown(each.who, seen.reader))


def _read(each: Expectation, reader: AttributeReader, shown: dict[str, str]) -> tuple[bool, str]:
    wanted = said(each.words, reader.phrases)
    wrong = [k for k, values in wanted.items() if (shown[k] in values) != each.holds]
    if each.holds:
        return not wrong, ", ".join(f"{k} {shown[k]}" for k in wrong)
    none = len(wrong) < len(wanted)  # "no red coat" is broken by a red coat alone
    return none, "" if none else ", ".join(f"{k} {shown[k]}" for k in wrong)


def unreadable(
    expected: Sequence[Expectation], phrases: Phrases, scene: frozenset[str]
) -> Iterator[str]:
    """A sentence for each line with words that a reader does not know.

    ``phrases`` and ``scene`` as `AttributeReader` has them.
    """
    for each in expected:
        if each.kind not in ("looks", "place"):
            continue
        kinds = [k for k in phrases if (k in scene) == (each.kind == "place") and phrases[k]]
        table = {k: phrases[k] for k in kinds}
        if left := unread(each.words, table) or ([each.words] * (not said(each.words, table))):
            yield (
                f"{each.line!r} has {', '.join(map(repr, left))}, which this model's reader does not "
                f"know; it reads {', '.join(kinds)}"
            )
