"""What a run will ask its model to read, checked before anything is searched, painted or written."""

from __future__ import annotations

from collections.abc import Iterator

from ..models.sdxl.prompt_length import check_lengths, check_phrases
from ..models.sdxl.tokens import class_word
from ..protocols import ModelFacts
from ..wording import identity_prompt, phrases, search_prompt
from .plan import Plan
from .request import RunRequest


def check_prompts(request: RunRequest, made: Plan, model: ModelFacts) -> None:
    """Nothing, if the model can read the prompts of the parts asked for and put faces into them.

    Args:
        request: what was asked for.
        made: its plan.
        model: what the model is; where its folders are not known, no prompt is too long.

    Raises:
        PromptError: a prompt or the descriptions of a scene have too many tokens, or a character's noun is not in the prompt that
            its face is put into.
        ModelError: a tokenizer of the checkpoint is missing or broken.
    """
    asked = list(_asked(request, made))
    for prompt, noun in asked:
        if noun:
            class_word(prompt, noun)
    if model.folder is not None:
        check_lengths(model.folder, [prompt for prompt, _ in asked])
    if model.detector is not None:
        scenes = [request.story.scenes[index] for index in made.wanted]
        check_phrases(model.detector, [phrases(request.story, scene) for scene in scenes])


def _asked(request: RunRequest, made: Plan) -> Iterator[tuple[str, str]]:
    """Each prompt, with the noun that a face is put into; empty where there is none."""
    story, discovery, injection = request.story, request.preset.discovery, request.preset.injection
    for name in made.cast:
        yield search_prompt(story.character(name), discovery), ""
        yield discovery.negative or "", ""
    for index in made.wanted:
        scene = story.scenes[index]
        cast = [story.character(name) for name in scene.cast]
        yield scene.prompt, ""
        if made.compared is None:
            yield injection.negative or "", ""
            yield from ((identity_prompt(story, scene, c, injection), c.noun) for c in cast)
            continue
        yield from ((story.scenes[n].prompt, "") for n in made.compared.depends(story, index))
        if made.compared.needs_identities:  # one face in the scene's own prompt
            yield from ((scene.prompt, c.noun) for c in cast[:1])
