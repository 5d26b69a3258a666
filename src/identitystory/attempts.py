"""Which of several pictures of one scene is taken: who is found on it, dressed, and nobody else."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from operator import itemgetter

from torch import Tensor

from .config import Preset
from .injection import heads_in, make_template
from .protocols import Backend, FindsBare, ImageGenerator, Segmenter
from .sampling import sized
from .seeds import attempt_seed
from .types import Control, Frame, Scene, Story, Template
from .wording import asked_template, phrases, surplus


def find_template(
    G: ImageGenerator,
    segmenter: Segmenter,
    story: Story,
    scene: Scene,
    preset: Preset,
    *,
    seed: int,
    latents: Tensor | None = None,
    control: Control | None = None,
    bare: FindsBare | None = None,
    turn: int = 0,
) -> Template:
    """The first template that shows the whole cast, dressed, and nobody else, or the best of ``preset.attempts``.

    Best is who finds most, then has the fewest bare, then the fewest people too many or too few, then
    came first. While somebody is bare, twice as many are painted after the first. It never raises for any
    of that: ``missing``, ``bare`` and ``people`` tell. ``latents`` are the first attempt's, if it was painted
    already (`first_latents`). ``control`` is what all keep to, ``bare`` sees who wears nothing. Another
    ``turn`` has other seeds.
    """
    config, G = preset.injection, sized(G, scene)
    nouns = [story.character(name).noun for name in scene.cast]
    by_noun = config.fallback_nouns or getattr(segmenter, "uses_nouns", False)

    def wrong(template: Template) -> tuple[int, int, int]:
        off = surplus(template.people, story, scene)
        return len(template.missing), len(template.bare), off

    found: list[Template] = []
    most = 2 * preset.attempts - 1
    for attempt in range(most):
        new = make_template(
            G,
            segmenter,
            asked_template(
                story, scene, attempt_seed(seed, turn * most + attempt), config, control
            ),
            scene.cast,
            phrases(story, scene),
            margin=config.margin_at(min(G.size)),
            fallbacks=nouns if by_noun else None,
            latents=None if attempt else latents,
            bare=bare,
        )
        found = [min([*found, new], key=wrong)]
        if not any(wrong(found[0])) or (attempt + 1 >= preset.attempts and not found[0].bare):
            break
    return found[0]


def best_of_turns(
    backend: Backend,
    story: Story,
    frame: Frame,
    preset: Preset,
    paint_on: Callable[[Template], Frame],
    *,
    seed: int,
    control: Control | None = None,
) -> Frame:
    """``frame``, or the best of those that ``paint_on`` makes of other templates while something is wrong with it.

    A face that is put in may bring a second head, or take a collar away: that is, there are more or fewer
    people than its template has, or somebody wears nothing. ``preset.attempts`` are painted at most. Best is
    whose template finds most, then who has the fewest bare, then the fewest people too many or too few,
    then came first. ``seed`` and ``control`` are as for `find_template`.
    """
    scene, bare = frame.scene, backend.bare

    def wrong(some: Frame) -> tuple[int, int, int]:
        template = some.template
        if template is None:
            return 0, 0, 0
        heads = heads_in(backend.segmenter, some.image, phrases(story, scene))
        undressed = bare(some.image, template.masks, heads, False) if bare else ()
        off = surplus(None if heads is None else len(heads), story, scene)
        off = max(0, off - surplus(template.people, story, scene))
        return len(template.missing), len(undressed), off

    if preset.attempts == 1 or not scene.cast:
        return frame
    find = partial(find_template, backend.general, backend.segmenter, bare=bare)
    tried = [(wrong(frame), frame)]
    while any(tried[-1][0][1:]) and len(tried) < preset.attempts:
        template = find(story, scene, preset, seed=seed, control=control, turn=len(tried))
        frame = paint_on(template)
        tried.append((wrong(frame), frame))
    return min(tried, key=itemgetter(0))[1]
