"""1Prompt1Story: One-Prompt-One-Story, Free-Lunch Consistent Text-to-Image Generation, ICLR 2025.

Covered: prompt consolidation (all frames in one prompt behind the identity's), singular-value
reweighting (the frame's own tokens up, the others' down; ``reweight``), identity-preserving
cross-attention. Keys and values of a cross-attention do not depend on the step, so the latter is
written as the text states of both prompts side by side under a mask, without a pass of its own.

The identity prompt is the style and the descriptions of a frame's cast; only frames with the same
cast are consolidated. Defaults are those of the authors' benchmark script for SDXL (mode
``svr-eot``); ``padding=None`` is the mode of their program for Playground (``svr``), which leaves next
to nothing of end and padding rows. The paper's appendix swaps the two pairs of numbers. Not
reproduced: FreeU (off in the code too), dropout of the identity's columns (0 in the code, 0.5 in
the paper).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from ..config import Preset
from ..models.sdxl.attention import Site, attend, edited
from ..models.sdxl.tokens import token_rows
from ..protocols import Backend, Conditioning, EditableGenerator
from ..sampling import sample, sized
from ..story.text import plain_name
from ..types import Frame, Scene, Story
from ..wording import worn
from .base import BaseMethod
from .method import Work, editable, for_the_last

_PICTURE = r"(?:portrait|photo|photograph|picture|shot|view|image|painting|drawing|illustration)"
_NAMES = re.compile(  # who is there, at the start or behind "a half-body photo of"
    rf"^(?P<picture>[^{{}},.]*\b{_PICTURE})?(?(picture)\s+of)"
    r"(?:\s*(?:,|and|with)?\s*(?:the\s+)?\{[^{}]*\}(?!['\u2019]s\b))+[\s,]*",
    re.IGNORECASE,
)
_NAME = re.compile(r"(?:\b(?:an?|the)\s+)?\{([^{}]*)\}", re.IGNORECASE)


@dataclass(frozen=True)
class OnePromptOneStory(BaseMethod):
    """One consolidated prompt for all frames of a cast, reweighted for each.

    Attributes:
        window: the most frames in one prompt; fewer where the text encoders' limit is reached.
        express_alpha: alpha of sigma' = beta sigma exp(-alpha sigma), for the frame's own tokens.
        express_beta: beta of the same.
        suppress_alpha: alpha for the other frames' tokens.
        suppress_beta: beta of the same.
        padding: what rows of end and padding are multiplied by as often as there are frames in the
            prompt; their values are no frame's. None lets them take part in every frame's.
        own_pooled: give each frame the pooled vector of its own prompt. The release gives all the
            consolidated prompt's, which SDXL hardly heeds; a U-Net that reads the scenery off it,
            as the miniature's does, would paint the last frame's scenery everywhere.
    """

    name: ClassVar[str] = "one-prompt-one-story"
    recipe: ClassVar[int] = 2  # 1 mistook rows of prompts beyond 77 tokens

    negative: str | None = None
    window: int = 10
    express_alpha: float = -0.01
    express_beta: float = 1.0
    suppress_alpha: float = 0.01
    suppress_beta: float = 0.05
    padding: float | None = 0.9
    own_pooled: bool = False

    @classmethod
    def changes(cls, preset: Preset) -> dict[str, Any]:
        """Each frame's own pooled vector too: see ``own_pooled``."""
        return {**super().changes(preset), "own_pooled": True}

    def seed(self, seed: int, place: int | str, *, per_frame: bool) -> int:
        """The same noise for every frame."""
        return seed

    def group(self, story: Story, index: int) -> tuple[int, ...]:
        """The frames of the same cast: their words are in the prompt."""
        return companions(story, index)

    def paint(self, backend: Backend, work: Work) -> Iterator[tuple[int, Frame]]:
        """Each frame by itself: the others take part by their words alone."""
        story = work.story
        for n in work.wanted:
            G = sized(editable(backend, self.name), story.scenes[n])
            if story.scenes[n].cast:
                cond, seen = self.condition(G, story, n, work.seeds[n])
            else:
                cond = G.condition(self.said(work, [n]))
                seen = torch.ones(2, cond.hidden.shape[1], dtype=torch.bool)
            rows = seen[1:] if self.guidance == 1 else seen
            with edited(G.unet, IdentityPreserving(rows)):
                z = sample(G, G.noise(work.seeds[n])[None], cond)
            yield n, Frame(story.scenes[n], G.decode(z)[0])

    def condition(
        self, G: EditableGenerator, story: Story, n: int, seed: int
    ) -> tuple[Conditioning, Tensor]:
        """Frame ``n``'s conditioning, hidden (2, L, D): its reweighted prompt, then the identity's;
        and which of them each half may look at, bool (2, L)."""
        identity = identity_prompt(story, n)
        frames = window(story, n, self.window, lambda prompt: _fits(G.encode, prompt))
        settings = [setting(story, story.scenes[m]) for m in frames]
        whole, spans = consolidate(identity, settings)
        read = lambda text: G.condition([self.prompt(text, story.scenes[n], seed)])
        cond = read(whole)
        without, given = cond.hidden
        own = frames.index(n)
        order = [m for m in range(len(frames)) if m != own] + [own]  # expressed last
        given, first = given.clone(), 0
        encoders = zip(G.encode.tokenizers, G.encode.widths, G.encode.limits, strict=True)
        for tokenizer, width, limit in encoders:
            part = given[:, first : first + width]
            begun = range(0, len(part), limit)  # the start token of each chunk
            words = {*begun, *token_rows(tokenizer, whole, limit)}
            padding = [row for row in range(len(part)) if row not in words]
            for m in order:
                rows = token_places(tokenizer, whole, spans[m], limit)
                if self.padding is None:
                    rows += padding
                else:
                    part[padding] *= self.padding
                alpha, beta = (
                    (self.express_alpha, self.express_beta)
                    if m == own
                    else (self.suppress_alpha, self.suppress_beta)
                )
                part[rows] = reweight(part[rows], alpha, beta)
            first += width
        stored = read(identity).hidden[1]
        length, more = len(given), len(stored)  # the identity is no longer than the whole
        hidden = torch.stack([torch.cat([without, without[:more]]), torch.cat([given, stored])])
        seen = torch.zeros(2, length + more, dtype=torch.bool)
        seen[:, :length] = True
        tokenizer, limit = G.encode.tokenizers[0], G.encode.limits[0]
        for row in token_rows(tokenizer, identity, limit):  # words, and the starts of their chunks
            seen[1, [length + row, length + row // limit * limit]] = True
        cond = replace(cond, hidden=hidden)
        if self.own_pooled:
            cond = replace(cond, pooled=read(story.scenes[n].prompt).pooled)
        return cond, seen


class IdentityPreserving:
    """The edit: each half looks only at the text states it may see."""

    def __init__(self, seen: Tensor) -> None:
        self.seen = seen  # bool (rows, L)

    def __call__(self, site: Site, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Masked cross-attention; self-attention as it was."""
        if site.is_self:
            return attend(q, k, v)
        return attend(q, k, v, self.seen[:, None, None].to(k.device))


def reweight(X: Tensor, alpha: float, beta: float) -> Tensor:
    """X with each singular value sigma turned into beta sigma exp(-alpha sigma); (n, D), X's dtype.

    Computed in float64, as in the original.
    """
    U, S, Vh = torch.linalg.svd(X.double(), full_matrices=False)
    return ((U * (beta * S * torch.exp(-alpha * S))) @ Vh).to(X.dtype)


# --- Words ----------------------------------------------------------------------------------------


@for_the_last
def _by_cast(story: Story) -> dict[frozenset[str], tuple[int, ...]]:
    """The frames of each cast."""
    found: defaultdict[frozenset[str], list[int]] = defaultdict(list)
    for n, scene in enumerate(story.scenes):
        found[frozenset(scene.cast)].append(n)
    return {cast: tuple(frames) for cast, frames in found.items()}


def companions(story: Story, index: int) -> tuple[int, ...]:
    """The frames with the cast of frame ``index``, itself included; itself alone without people."""
    cast = frozenset(story.scenes[index].cast)
    return _by_cast(story)[cast] if cast else (index,)


def identity_prompt(story: Story, index: int) -> str:
    """The style and who is in the frame, in the story's order of characters."""
    scene = story.scenes[index]
    people = " and ".join(worn(c, scene) for c in story.characters if c.name in scene.cast)
    if not story.style:
        return people
    comma = "" if _without_style(story, scene.prompt)[:1] != "," else ","
    return f"{story.style}{comma} {people}"


def setting(story: Story, scene: Scene) -> str:
    """What a frame says beside who is in it: ``reads on a beach`` of ``{Mara} reads on a beach``.

    The identity prompt says once who it is; named again in every frame, more people would come.
    """
    text = _without_style(story, scene.text or scene.prompt).lstrip(" ,")
    words = [c for c in story.characters if c.words_only]  # the identity prompt does not say them
    for c in words:
        text = re.sub(rf"\{{\s*{re.escape(c.name)}\s*\}}", worn(c, scene), text, count=1)
    bare = _NAMES.sub(lambda m: f"{m['picture']} " if m["picture"] else "", text).strip() or text
    return _NAME.sub(lambda m: f"the {story.character(plain_name(m[1])).noun}", bare)


def _without_style(story: Story, text: str) -> str:
    return text[len(story.style) :] if story.style and text.startswith(story.style) else text


def consolidate(identity: str, settings: Sequence[str]) -> tuple[str, list[tuple[int, int]]]:
    """One prompt for all frames, and where each frame's words begin and end in it."""
    whole, spans = identity, []
    for words in settings:
        begin = len(whole) + 1
        whole = f"{whole} {words}"
        spans.append((begin, len(whole)))
    return whole, spans


def window(story: Story, index: int, most: int, fits: Any) -> list[int]:
    """The frames consolidated for frame ``index``: all of its cast in order, if they fit.

    Else as many as fit from itself on, the first following the last. ``fits(prompt)`` tells
    whether the text encoders can read a prompt.
    """
    group = list(companions(story, index))
    prompt = lambda frames: consolidate(
        identity_prompt(story, index), [setting(story, story.scenes[m]) for m in frames]
    )[0]
    if len(group) <= most and fits(prompt(group)):
        return group
    start = group.index(index)
    turned = group[start:] + group[:start]
    count = 1
    while count < min(most, len(group)) and fits(prompt(turned[: count + 1])):
        count += 1
    return turned[:count]


def _fits(encode: Any, prompt: str) -> bool:
    pairs = zip(encode.tokenizers, encode.limits, strict=True)
    return all(
        len(tokenizer(prompt, verbose=False).input_ids) <= limit for tokenizer, limit in pairs
    )


def token_places(tokenizer: Any, prompt: str, span: tuple[int, int], limit: int) -> list[int]:
    """Rows of the tokens of ``prompt[span[0]:span[1]]`` in the encoder's output."""
    offsets = tokenizer(prompt, return_offsets_mapping=True, verbose=False).offset_mapping[1:-1]
    rows, (begin, end) = token_rows(tokenizer, prompt, limit), span
    return [row for row, (a, b) in zip(rows, offsets, strict=True) if begin <= a and b <= end]
