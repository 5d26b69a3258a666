"""What a checkpoint has seen pictures of, and what of a story's words lies outside.

A text encoder may know a word that the painter never saw a picture of. A card with ``[paints]`` lists
the phrases that the painter was taught; one without it (SDXL's) is taken to paint everything.

    [paints]
    places = ["on a beach", "in the library"]
    hours = ["at night"]
    framings = ["a portrait of"]
    doing = ["smiling", "reading a book"]
    wears = ["shirt", "red coat"]
    things = ["a teapot on a table"]
    nobody = ["nobody in it"]      # what is said of a place without people; [] if it knows none
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path

from ..errors import ModelError, StoryError, quoted, shown
from ..types import Scene, Story
from . import vocabulary
from .advice import ABSENT
from .text import plain_name, split_article

MAX_SWAPS = 100  # words and phrases of a story that others are looked for
_NAMES = re.compile(r"\{([^{}]*)\}(?:['\u2019]s\b)?")
_WORD = r"[^\W\d_][\w'-]*"
_PLACE = re.compile(
    rf"\b(?:in|on|at|by|near|inside|outside|under|behind|beside|among|through|across)\s+"
    rf"(?:(?:an?|the|his|her|their)\s+)?(?:(?!(?:and|with|in|on|at|by|of|while)\b){_WORD}\s*){{1,3}}"
    rf"(?:\bof\s+(?:(?:an?|the)\s+)?{_WORD})?"
)
_FRAMING = re.compile(
    rf"\ban?\s+(?:{_WORD}\s+){{0,2}}?(?:photo|photograph|picture|shot|view|portrait|painting|image|close-up) of\b"
)
# No clothes at all, or less than anybody wears in a picture for everybody.
_BARE = re.compile(
    r"\b(?:shirtless|topless|bare (?:chest|torso|skin|back|shoulders|upper body)|bare-?chested|bare-?skinned|naked|nude|undressed|unclothed|"
    r"half-naked|in (?:a |his |her |their )?(?:underwear|lingerie|swimsuit|swimwear|bikini|trunks|towel))\b"
)


@dataclass(frozen=True)
class Paints:
    """The phrases that a painter was taught, by kind; see the head of this file."""

    places: tuple[str, ...] = ()
    hours: tuple[str, ...] = ()
    framings: tuple[str, ...] = ()
    doing: tuple[str, ...] = ()
    wears: tuple[str, ...] = ()
    things: tuple[str, ...] = ()
    nobody: tuple[str, ...] = ()

    @cached_property
    def verbs(self) -> re.Pattern[str]:
        """What people do, with the thing that they do it to."""
        verbs = {first for p in self.doing if (first := p.split()[0]).endswith("ing")}
        return re.compile(rf"\b{_any(verbs)}\b(?:\s+(?:an?|the)\s+{_WORD})?")

    @cached_property
    def known(self) -> re.Pattern[str]:
        """Any of the phrases, the longest first; clothes with the words that lead to them."""
        plain = {p for f in fields(self) if f.name != "wears" for p in getattr(self, f.name)}
        worn = _any(self.wears)
        clothes = rf"(?:(?:in|wearing|dressed in)\s+)?(?:an?\s+)?(?:{_WORD}\s+){{0,3}}?{worn}\b"
        return re.compile(
            rf"\b{_with_any_article(_any(plain))}\b" + (rf"|\b{clothes}" if self.wears else "")
        )


def _any(phrases: Iterable[str]) -> str:
    """A pattern of any of them, each before what it begins with; nothing if there are none."""
    ordered = sorted(phrases, reverse=True)
    return "(?:" + "|".join(map(re.escape, ordered)) + ")" if ordered else "(?!)"


def _with_any_article(pattern: str) -> str:
    """The pattern, whose articles may be others."""
    return re.sub(r"(?<![^\W_])(?:an|a|the)\\ ", r"(?:an?|the)\\ ", pattern)


@dataclass(frozen=True)
class Unseen:
    """Words of a scene that the painter has no picture of.

    Attributes:
        kind: ``place``, ``framing``, ``doing``, ``negation``, ``bare`` or ``nobody``.
        words: in small letters; of ``nobody`` the scene's whole text.
    """

    kind: str
    words: str


def load_paints(checkpoint: Path) -> Paints | None:
    """What a checkpoint's card says that it paints; None if it does not say.

    Raises:
        ModelError: the card is there but broken.
    """
    file = checkpoint / vocabulary.CARD
    said = vocabulary.stated(file, tomllib.loads, dict, "paints", needed=False)
    if said is None:
        return None
    names = [f.name for f in fields(Paints)]
    for name, phrases in said.items():
        texts = isinstance(phrases, list) and all(isinstance(p, str) and p for p in phrases)
        if name not in names or not texts:
            raise ModelError(
                f"{file} is broken: paints.{name} must be one of {', '.join(names)}, a list of texts"
            )
    return Paints(**{name: tuple(phrases) for name, phrases in said.items()})


def unseen(scene: Scene, paints: Paints) -> list[Unseen]:
    """What of a scene's own words the painter has no picture of; of descriptions bare skin alone."""
    found = [Unseen("bare", m[0]) for m in _BARE.finditer(scene.prompt.lower())]
    for part in _parts(scene):
        rest = _BARE.sub(" ; ", part.lower())
        for m in paints.verbs.finditer(rest):
            if not paints.known.match(rest, m.start()):
                found.append(Unseen("doing", m[0]))
        rest = paints.known.sub(" ; ", rest)
        for kind, pattern in (("negation", ABSENT), ("framing", _FRAMING), ("place", _PLACE)):
            found += [Unseen(kind, m[0].strip()) for m in pattern.finditer(rest)]
            rest = pattern.sub(" ; ", rest)
    if not scene.cast and not re.search(_any(paints.nobody), scene.text.lower()):
        found.append(Unseen("nobody", scene.text or scene.prompt))
    return found


def instead_of(each: Unseen, paints: Paints) -> tuple[str, ...]:
    """The nearest phrases that the painter knows, the best first, at most two; none if none is near.

    Near is what is spelt alike: of a place its last word, of what somebody does the verb.
    """
    if each.kind == "nobody":
        return paints.nobody[:1]
    if each.kind == "doing":
        return tuple(p for p in paints.doing if p.split()[0] == each.words.split()[0])[:2]
    known = {"place": paints.places, "framing": paints.framings}.get(each.kind, ())
    end = lambda phrase: phrase.split()[-1] if each.kind == "place" else phrase
    by_end = {end(phrase): phrase for phrase in reversed(known)}
    near = difflib.get_close_matches(end(each.words), by_end, n=2, cutoff=0.75)
    return tuple(by_end[k] for k in near)


# Of negations `advice` tells, with any model.
_TOLD = {
    "place": "has no picture of a place called",
    "framing": "has no picture framed as",
    "doing": "has no picture of anybody",
    "bare": "has seen nobody without clothes; leave out",
    "nobody": "puts somebody into a picture unless it is said that nobody is there:",
}


def warnings(found: Sequence[Unseen], paints: Paints) -> Iterator[str]:
    """A line for each kind."""
    for kind, told in _TOLD.items():
        of_kind = list(dict.fromkeys(each for each in found if each.kind == kind))
        lines = [_shown(each, paints) for each in of_kind[: vocabulary.MAX_NAMED]]
        if more := len(of_kind) - len(lines):
            lines.append(f"and {more} more")
        if lines:
            yield f"the model {told} {', '.join(lines)}"


def _shown(each: Unseen, paints: Paints) -> str:
    instead = instead_of(each, paints)
    return shown(each.words) + (
        f" (it knows {' and '.join(map(repr, instead))})" if instead else ""
    )


def heeded(story: Story, folder: Path | None, how: str) -> Sequence[Scene]:
    """The story's scenes as the model in ``folder`` is to paint them.

    Args:
        story: the whole story.
        folder: a checkpoint's; None is one that says nothing.
        how: ``refuse``; ``replace``, by the nearest phrases and words that the model knows; or empty,
            which leaves them as they are. A phrase that nothing is near to is left out, a word stays;
            of a scene without people it is said that nobody is there. Descriptions stay as they are,
            and what the writer wrote: only prompts change.

    Raises:
        StoryError: a scene is refused, or there are more than ``MAX_SWAPS`` words to replace.
        ModelError: the checkpoint's card or list of words is broken.
    """
    if not how or folder is None:
        return story.scenes
    paints, known = load_paints(folder) or Paints(), vocabulary.load_vocabulary(folder)
    found = {n: unseen(s, paints) if paints != Paints() else [] for n, s in enumerate(story.scenes)}
    phrases = {each for some in found.values() for each in some if each.kind != "nobody"}
    unknown: dict[str, tuple[str, ...]] = {}
    if known is not None:
        out = dict.fromkeys((each.words for each in phrases), "")
        parts = [_swapped(part, out) for scene in story.scenes for part in _parts(scene)]
        unknown = vocabulary.unknown_words(parts, known)
    for c in story.characters:  # whose words are in their portraits, too
        said = f"{c.description} {c.wears}".lower()
        words = [m[0] for m in _BARE.finditer(said)] if paints != Paints() else []
        if known is not None and how == "refuse":
            words += vocabulary.unknown_words([said], known)
        _refused(repr(c.name), words, "warn")
    if how == "refuse":
        _refuse(story, found, unknown)
        return story.scenes
    if len(phrases) + len(unknown) > MAX_SWAPS:
        raise StoryError(
            f"{len(phrases) + len(unknown)} words and phrases would be replaced, and at most "
            f"{MAX_SWAPS} are; write the story in words that the model knows"
        )
    swaps = {each.words: (*instead_of(each, paints), "")[0] for each in phrases}
    for word in unknown:
        if near := vocabulary.nearest(word, known or frozenset()):
            swaps[word] = near[0]
    empty = {n for n, some in found.items() if any(each.kind == "nobody" for each in some)}
    nobody = paints.nobody[:1]
    return [
        _reworded(story, s, swaps, nobody if n in empty else ()) for n, s in enumerate(story.scenes)
    ]


def _refuse(story: Story, found: Mapping[int, Sequence[Unseen]], unknown: Iterable[str]) -> None:
    strange = set(unknown)
    for n, scene in enumerate(story.scenes):
        words = [w for part in _parts(scene) for w in vocabulary.words_of(part) if w in strange]
        _refused(f"scene {n + 1}", [*(each.words for each in found[n]), *words], "warn or replace")


def _refused(place: str, words: Iterable[str], other: str) -> None:
    if told := list(dict.fromkeys(words))[: vocabulary.MAX_NAMED]:
        raise StoryError(
            f"{place}: the model has no picture of {quoted(told)}; say it in words that it knows, "
            f"or give --unknown {other}"
        )


def _reworded(story: Story, scene: Scene, swaps: Mapping[str, str], more: Sequence[str]) -> Scene:
    """The scene with its own words swapped, and ``more`` at the end of its prompt."""
    said = {c.name: split_article(c.description)[1] for c in story.characters}
    prompt, at = scene.prompt, 0
    for n, piece in enumerate(_NAMES.split(scene.text)):
        if n % 2:  # a name: its description is stepped over, where it stands here
            words = said.get(plain_name(piece), "")
            start = prompt.find(words, at, at + len(words) + len(" the  "))
            at = start + len(words) if start >= 0 else at
        elif (part := _own(piece)) and (start := prompt.find(part, at)) >= 0:
            new = _swapped(part, swaps)
            prompt, at = prompt[:start] + new + prompt[start + len(part) :], start + len(new)
    if prompt == scene.prompt and not more:
        return scene
    whole = ", ".join([prompt.strip(" .,;"), *more])
    whole = re.sub(r"\s+([,.;])", r"\1", " ".join(whole.split()))
    return replace(scene, prompt=re.sub(r"([,;])(?:[,;])+", r"\1", whole).strip(" ,;"))


def _parts(scene: Scene) -> list[str]:
    """What the writer wrote between the names."""
    return [part for piece in _NAMES.split(scene.text)[::2] if (part := _own(piece))]


def _own(piece: str) -> str:
    """What stands between two names, as it stands in the prompt: without the next one's article."""
    return re.sub(r"\b(?:an?|the)\s*$", "", piece, flags=re.IGNORECASE).strip(" .,;")


def _swapped(part: str, swaps: Mapping[str, str]) -> str:
    if not swaps:
        return part
    words = rf"(?<![\w-]){_any(swaps)}(?![\w-])"
    return re.sub(words, lambda m: swaps[m[0].lower()], part, flags=re.IGNORECASE)
