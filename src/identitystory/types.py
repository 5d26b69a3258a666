"""The values that flow from a story to its pictures (the straight line of docs/reference/paper.md).

Letters used everywhere: t steps, i step index **counting down** (i = t is pure noise, i = 0 is
clean), m portraits, d identity dimension, s characters in a scene, C x h x w a latent,
H x W an image in pixels.
"""

from __future__ import annotations

import io
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from .control import WHOLE as WHOLE
from .control import Control as Control
from .control import Interval as Interval
from .control import guided as guided
from .marks.mark import mark
from .marks.packet import PLAIN, Claim
from .pose import Pose
from .window import Window as Window

if TYPE_CHECKING:  # so that a configuration is read without torch
    from PIL import Image
    from torch import Tensor

Outcome = Literal["found", "weak", "noun", "missing"]
Pairs = tuple[tuple[str, str], ...]
Scales = tuple[float, float, float, float]  # of FreeU: s1, s2, b1, b2


@dataclass(frozen=True)
class Character:
    """Somebody of the story: c_j of the paper.

    Attributes:
        name: as written between braces in a scene.
        description: c_j, e.g. ``a middle-aged woman with dark curly hair``.
        noun: the class word inside the description, ``woman``.
        wears: ``a blue suit``, said in scenes but not in portraits; a scene may say otherwise.
        words_only: has no face to keep and is in no cast: an animal, a machine.
        face: sha256 of a face that a character file has; empty is one that is searched for.
        file: sha256 of that file.
        consent: for a face of photos, the consent's id and its last day: ``ID 2027-12-31``.
        seed: of the search for the face; 0 is the run's.
        candidate: which of the people in the portraits it is, from 1 (0: the filter's); ``sought``: whose portraits.
        like: the faces (as ``face``) of those whom a candidate is a relative of; the first is the most like them.
        kin: of a relative: their description as the story has it, what they are, ``child``, and to whose faces.
    """

    name: str
    description: str
    noun: str
    wears: str = ""
    words_only: bool = False
    face: str = ""
    file: str = ""
    consent: str = ""
    seed: int = 0
    candidate: int = 0
    sought: tuple[()] | tuple[str, str] = ()
    like: tuple[str, ...] = ()
    kin: tuple[str, ...] = ()

    @property
    def searched(self) -> Character:
        """Whose portraits are painted: their own, or those that they are a candidate in."""
        name, description = self.sought or (self.name, self.description)
        return replace(self, name=name, description=description)


@dataclass(frozen=True)
class Scene:
    """One picture to make.

    Attributes:
        prompt: T_i, every ``{Name}`` replaced by the character's description, style in front.
        cast: names of the characters whose faces are in it, in order of mention; the order of the
            masks.
        text: the scene as the writer wrote it, characters' names in braces and locations in words.
        shape: ``1216x832`` (width x height in pixels) or ``16:9``, see `sizes`; empty is the story's.
        negative: what is not to be seen, the story's and the scene's; added to the preset's.
        wears: who wears what in it, (name, words).
        caption: for a page; no model reads it.
        dialogue: likewise, (name, what they say).
        id: a name by which its run knows it again when its words change; empty is none.
        shot: for a storyboard, like ``camera``, ``slow push in``: ``close-up``; no model reads it.
        notes: for those who work on it.
        seconds: that it stands in an animatic; 0 is as long as reading its words takes.
        pose: how people hold their heads, where it is said.
        expect: what its picture is tested for, see `story.expect`; no model reads it.
    """

    prompt: str
    cast: tuple[str, ...]
    text: str = ""
    shape: str = ""
    negative: str = ""
    wears: Pairs = ()
    caption: str = ""
    dialogue: Pairs = ()
    id: str = ""
    shot: str = ""
    camera: str = ""
    notes: str = ""
    seconds: float = 0.0
    pose: tuple[Pose, ...] = ()
    expect: tuple[str, ...] = ()

    @property
    def bare(self) -> Scene:
        """The scene without what no model reads."""
        silent = replace(self, caption="", dialogue=(), shot="", camera="", notes="", expect=())
        return replace(silent, seconds=0.0)


@dataclass(frozen=True)
class Story:
    """Characters and scenes, validated: every name in a cast is a character's.

    ``shape`` is that of scenes that have none of their own; empty is the model's own size.
    ``negative`` is in that of each scene already; it and ``locations``, (name, words), are for
    scenes that are added later. ``loras`` are put on the model, each ``FILE.safetensors:WEIGHT``.
    """

    title: str
    characters: tuple[Character, ...]
    scenes: tuple[Scene, ...]
    style: str = ""
    shape: str = ""
    negative: str = ""
    locations: Pairs = ()
    loras: tuple[str, ...] = ()

    @property
    def faced(self) -> tuple[Character, ...]:
        """Those whose faces are kept, in order."""
        return tuple(c for c in self.characters if not c.words_only)

    def character(self, name: str) -> Character:
        """The character called ``name``; KeyError if there is none."""
        return {c.name: c for c in self.characters}[name]


@dataclass(frozen=True)
class Prompt:
    """Everything that steers one picture; a batch is several of them.

    Attributes:
        text: what the picture shows.
        negative: the negative prompt. "" is an empty one; None is none at all: zeros, where the checkpoint says so.
        guidance: w of eps = eps_uncond + w (eps_cond - eps_uncond); 1 turns guidance off.
        interval: the part of the steps that guidance is on in, from noise (0) to clean (1).
        seed: of z_t, and of the noise that an ancestral sampler draws at each step.
        face: (d,) an identity's embedding, for generators that paint with one; None is nobody's.
        noun: the class word of ``text`` that the face is fused into; needed with a face.
        control: a picture of the layout, for generators with a control net; None is none.
        window: the part that is painted, outside of which a step may give anything; None is all.
        points: (5, 2), where in the picture the face is, for a `protocols.PlacesFaces`; None leaves it open.
    """

    text: str
    negative: str | None = ""
    guidance: float = 1.0
    interval: Interval = WHOLE
    seed: int = 0
    face: Tensor | None = None
    noun: str = ""
    control: Control | None = None
    window: Window | None = None
    points: Tensor | None = None

    def guidance_at(self, i: int, t: int) -> float:
        """w at step ``i`` of ``t`` (counting down): 1, which is none, outside the interval."""
        return self.guidance if guided(i, t, self.interval) else 1.0


@dataclass(frozen=True)
class Identity:
    """e_j, one face for a character, and how it was found.

    Attributes:
        embedding: (d,) float32.
        kept: (n,) int64, rows of E that survived the filter, ascending.
        errors: one (m_q,) float32 tensor a round, the reconstruction errors of Eq. 2, in the order
            of the rows still present in that round.
    """

    embedding: Tensor
    kept: Tensor
    errors: tuple[Tensor, ...] = ()


@dataclass(frozen=True)
class Template:
    """What the general generator painted: layout for the re-denoising (Sec. 3.2).

    Attributes:
        image: the decoded template.
        latents: (t+1, C, h, w) float32, ``latents[i]`` is z_i; ``latents[0]`` is clean.
        masks: (s, H, W) bool, image pixels, mutually exclusive, one a character of the cast.
        missing: names of characters that the segmenter did not find; their masks are empty.
        seed: the seed that the noise was drawn from.
        people: how many heads are in it, None if nobody counted; bare: names of who seems to wear nothing.
    """

    image: Image.Image
    latents: Tensor
    masks: Tensor
    missing: tuple[str, ...] = ()
    seed: int = 0
    people: int | None = None
    bare: tuple[str, ...] = ()


@dataclass(frozen=True)
class Frame:
    """A finished picture of ``scene`` and the template it was made from; a notebook shows it.

    ``people`` is how many heads are in it; None if nobody counted. ``unplaced`` are the names of those
    whose face the identity generator looked for in the template and did not find (`protocols.PlacesFaces`).
    """

    scene: Scene
    image: Image.Image
    template: Template | None = None
    people: int | None = None
    unplaced: tuple[str, ...] = ()

    def save(self, path: str | Path) -> None:
        """Writes the picture as a PNG that says what made it; Pillow's own ``save`` would not."""
        Path(path).write_bytes(png(self.image))

    def _repr_png_(self) -> bytes:
        return png(self.image)


def png(image: Image.Image, claim: Claim | None = PLAIN) -> bytes:
    """A picture as the bytes of a PNG file, marked with ``claim``, see `marks.mark.mark`."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return mark(buffer.getvalue(), "png", claim)


@dataclass(frozen=True)
class Segmentation:
    """Masks for phrases, in their order.

    Attributes:
        masks: (s, H, W) bool, exclusive; all False where nobody was found.
        scores: the segmenter's confidence for each phrase, in [0, 1].
        found: whether each phrase was found.
        outcomes: ``found`` at once, ``weak``ly, by the ``noun`` alone, or ``missing``; empty if not told.
        areas: pixels of each mask before overlaps were given out. Empty if none overlapped.
    """

    masks: Tensor
    scores: tuple[float, ...] = ()
    found: tuple[bool, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    areas: tuple[int, ...] = ()


@dataclass(frozen=True)
class Face:
    """A face that a recogniser found in a picture.

    Attributes:
        box: left, top, right, bottom in pixels of the picture; may reach beyond it.
        score: the detector's confidence, larger is surer; comparable within one detector only.
        embedding: (d,) float32, what the recogniser compares.
        chip: (48, 48) float32, grey values in [0, 1] of the face turned upright and scaled.
    """

    box: tuple[float, float, float, float]
    score: float
    embedding: Tensor
    chip: Tensor


_MAY_LACK = {"shape", "id", "negative", "wears", "words_only", "caption", "dialogue", "locations"}
_MAY_LACK |= {"loras", "shot", "camera", "notes", "seconds", "face", "file", "consent", "seed"}
_MAY_LACK |= {"candidate", "sought", "like", "kin", "expect", "pose", "who", "x", "height"}
_MAY_LACK |= {"picture", "source"}


def plain(value: Story | Scene | Character) -> dict[str, Any]:
    """Plain values of it, as runs record them and keys are made from; what few have only where it is."""
    said = lambda items: {k: v for k, v in items if v or k not in _MAY_LACK}
    return asdict(value, dict_factory=said)
