"""All that is said before painting: what a model cannot read, and what is probably not meant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import RunError, quoted
from ..models.sdxl.tokens import class_word
from ..protocols import ModelFacts
from ..sizes import as_text, buckets, parse_size, size_of_aspect
from ..story import paints, vocabulary
from ..story.advice import advice, language_of
from ..story.safety import check_story
from ..story.text import scenes_said
from ..types import Character
from ..wording import phrases, search_prompt
from . import faces, takes
from .characters import casting, consent
from .files import silent
from .folder import RunFolder
from .plan import Plan
from .request import RunRequest
from .strip import UNMARKED
from .told import finished_faces


def check_safe(request: RunRequest) -> None:
    """Nothing, if what ``request`` asks for may be painted, see `story.safety`; every run comes by here.

    Raises:
        StoryError: it is never painted.
    """
    story = request.story
    check_story(story, story.title or "the story", request.preset.discovery.search_prompt)


def with_faces(request: RunRequest, made: Plan) -> RunRequest:
    """``request`` with every character file that it needs, if every face of one may be painted.

    A candidate who was chosen is in the run's folder. What the run keeps of a face whose consent has
    ended is deleted.

    Raises:
        RunError: a consent has ended, or a face is in no file that is at hand.
    """
    for who in request.story.faced:
        if why := consent.why_not_now(who.consent):
            casting.forget(request.out)
            raise consent.refused(who.name, why)
    people, folder = dict(request.people), RunFolder(request.out)
    needy = [who for who in map(request.story.character, made.cast) if _files(who) - people.keys()]
    there = finished_faces(folder, made, silent) | faces.aside(folder, made) if needy else set()
    for who in needy:
        if made.identities[who.name].name in there:
            continue
        if (chosen := casting.chosen(request.out, who)) is not None:
            people[who.face] = chosen
        if _files(who) - people.keys():
            raise RunError(_not_at_hand(request.out, who))
    return request if len(people) == len(request.people) else replace(request, people=people)


def _files(who: Character) -> set[str]:
    """The character files, by their faces, that the face of ``who`` is made from."""
    return {*filter(None, [who.face]), *who.like}


def _not_at_hand(out: Path, who: Character) -> str:
    """What is said where a file of `_files` is missing, and what to do."""
    if who.like:
        return (
            f"{who.name!r} is a relative of somebody whose character file is not at hand here; give "
            "discover its --like again"
        )
    if who.sought:
        return (
            f"the face of {who.name!r} is that of a candidate, whose character file is not in {out} "
            f"any more; choose again: identitystory discover STORY --out {out} --choose "
            f"{who.name}={who.candidate}"
        )
    return (
        f"the face of {who.name!r} is that of a character file (sha256 {who.file[:12]}) which is not "
        "at hand here; give generate the story that names it"
    )


def check_prompts(request: RunRequest, made: Plan, model: ModelFacts) -> None:
    """Nothing, if the model can read the prompts of the parts asked for and put faces into them.

    Args:
        request: what was asked for.
        made: its plan.
        model: what the model is.

    Raises:
        PromptError: a prompt or the descriptions of a scene have too many tokens, or a character's noun is not in the prompt that
            its face is put into.
        ModelError: a tokenizer of the checkpoint is missing or broken.
    """
    asked = list(dict.fromkeys(_asked(request, made)))  # others' frames share prompts
    for prompt, noun in asked:
        if noun:
            class_word(prompt, noun)
    model.check_prompts([prompt for prompt, _ in asked])
    scenes = [request.story.scenes[index] for index in made.wanted]
    model.check_phrases([phrases(request.story, scene) for scene in scenes])


def _asked(request: RunRequest, made: Plan) -> Iterator[tuple[str, str]]:
    """Each prompt, with the noun that a face is put into; empty where there is none."""
    story, discovery = made.story, request.preset.discovery
    for name in made.cast:
        yield search_prompt(story.character(name), discovery), ""
        yield discovery.negative or "", ""
    for index in _looked_at(made):
        yield from made.method.prompts(story, index)


def _looked_at(made: Plan) -> list[int]:
    """The frames asked for, and those that they look at."""
    every, found = len(made.frames), set(made.wanted)
    for index in made.wanted:
        if len(found) == every:
            break
        found.update(made.method.depends(made.story, index))
    return sorted(found)


def other_weights(
    request: RunRequest, model: ModelFacts, record: Mapping[str, Any] | None
) -> tuple[str, ...]:
    """A line if the pictures in the folder, of which ``record`` tells, are of another checkpoint."""
    was = (record or {}).get("model", {}).get("fingerprint", model.fingerprint)
    if was == model.fingerprint:
        return ()
    return (
        f"{request.out} was painted by another checkpoint (fingerprint {was[:12]}) than "
        f"{request.model!r} is here ({model.fingerprint[:12]}): what is asked for is painted anew, "
        "and the earlier pictures stay in frames/takes",
    )


def _outside(request: RunRequest, made: Plan, folder: Path) -> Iterator[str]:
    """What lies outside of a checkpoint's words and pictures, or what is painted instead."""
    scenes = [made.story.scenes[i] for i in made.wanted]
    taught, known = paints.load_paints(folder), vocabulary.load_vocabulary(folder)
    found: list[paints.Unseen] = []
    if taught is not None and request.unknown != "replace":
        found = [each for scene in scenes for each in paints.unseen(scene, taught)]
        yield from paints.warnings(found, taught)
    if known is not None:
        told = {w for e in found if e.kind != "nobody" for w in vocabulary.words_of(e.words)}
        texts = [scene.prompt for scene in scenes]
        texts += [c.description for c in made.story.characters if c.name in made.cast]
        english = [each for each in texts if not language_of(each)]  # of others `advice` tells
        yield from filter(
            None, [vocabulary.vocabulary_warning(vocabulary.unknown_words(english, known, told))]
        )
    changed = [
        i for i in made.wanted if made.story.scenes[i].prompt != request.story.scenes[i].prompt
    ]
    for i in changed[: vocabulary.MAX_NAMED]:
        yield f"scene {i + 1} is painted as {made.story.scenes[i].prompt!r}"
    if more := changed[vocabulary.MAX_NAMED :]:
        yield f"{len(more)} more scenes are painted in other words than theirs, as their pictures say"


def warnings(request: RunRequest, made: Plan, model: ModelFacts, folder: RunFolder) -> list[str]:
    """What may go on but is probably not meant, one line each, before anything is painted."""
    story = request.story
    lines = [*request.notes, *advice(story), *[UNMARKED] * (not request.marks)]
    lines += [
        f"the face of {c.name!r} is of photos, with consent until {c.consent.partition(' ')[2]}"
        for c in story.faced
        if c.consent
    ]
    there, wanted = model.fingerprint, request.fingerprint
    if wanted and wanted != there:
        lines.append(
            f"the picture was painted by another checkpoint (fingerprint {wanted[:12]}) than "
            f"{request.model!r} is here ({there[:12]}): it will look otherwise; "
            "name the other one with --model"
        )
    if model.folder is not None:
        lines += _outside(request, made, model.folder)
        casts = [len(story.scenes[i].cast) for i in made.wanted]
        lines += filter(None, [vocabulary.crowd_warning(model.folder, casts)])
    prompts = {i: [text for text, _ in made.method.prompts(story, i)] for i in _looked_at(made)}
    said = " ".join(text.casefold() for texts in prompts.values() for text in texts)
    for file, words in model.words.items():
        if words:
            missing = not any(word.casefold() in said for word in words)
            hint = "; no prompt says one of them: put it into the style" if said and missing else ""
            lines.append(f"{file} was taught with the words {quoted(words)}{hint}")
    parted = model.check_prompts([text for texts in prompts.values() for text in texts]) or ()
    if long := [i for i, texts in prompts.items() if not {*texts}.isdisjoint(parted)]:
        lines.append(
            f"prompts of {scenes_said([i + 1 for i in long])} have more words than the model "
            "reads at once (77 tokens): it reads them in pieces, and the first weigh most"
        )
    if not made.method.heeds_poses and any(story.scenes[i].pose for i in made.wanted):
        lines.append(
            f"{made.method.name} paints as if no scene had a pose; identitystory heeds them"
        )
    shapes = sorted({shape for i in made.wanted if (shape := made.story.scenes[i].shape)})
    if model.size is not None:
        made_for = model.size, model.multiple, model.sizes
        for size in map(parse_size, shapes):
            if size not in buckets(*made_for):
                better = as_text(size_of_aspect(size, *made_for))
                lines.append(
                    f"{request.model} was not made for pictures of {as_text(size)}, and people may "
                    f"come twice in them; {better} suits it better"
                )
    lines += _narrow(request, made, model)
    if (kept := takes.size(folder)) > takes.MANY:
        lines.append(
            f"{folder.takes} keeps {kept / 2**30:.1f} GiB of earlier pictures; "
            f"identitystory prune {folder.root} frees them"
        )
    return lines


def _narrow(request: RunRequest, made: Plan, model: ModelFacts) -> Iterator[str]:
    """A line if several people are to stand in pictures that are not wide, where the model has wide ones."""
    if model.size is None:
        return
    wide = [size for size in model.sizes if size[0] > size[1]]
    size_of = lambda scene: parse_size(scene.shape) if scene.shape else model.size
    crowds = [i for i in made.wanted if len(made.story.scenes[i].cast) > 1]
    narrow = [i for i in crowds if (size := size_of(made.story.scenes[i]))[0] <= size[1]]
    if wide and narrow:
        yield (
            f"{scenes_said([i + 1 for i in narrow])}: people stand side by side, which this model paints "
            f"in pictures of {as_text(wide[0])}; give --size {as_text(wide[0])}, or the scene a size of its own"
        )
