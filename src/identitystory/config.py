"""Every number that the method can be tuned by; `presets` has the named sets of them.

Where the paper is silent, docs/reference/paper.md tells what was chosen.
Configurations are checked when they are made: one that exists is valid.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from .checked import MOST, Checked, check_number, number, whole
from .errors import ConfigError
from .types import WHOLE, Interval, Scales

Rounding = Literal["floor", "round", "ceil"]
Selection = Literal["svd", "mean", "random", "trim"]
Average = Literal["mean", "medoid"]
Averaged = Literal["tokens", "states"]
Downsampling = Literal["nearest", "area"]
IdentityWords = Literal["description", "scene", "release"]
Sampler = Literal["ddim", "euler", "ancestral"]
Memory = Literal["all", "low"]
Precision = Literal["auto", "float16"]

_LATER = {"later": True}  # not recorded at its default, see `settings.to_dict`


def survivors(n: int, keep_ratio: float, rounding: Rounding = "floor") -> int:
    """How many of ``n`` rows one round of the filter keeps: r·n as a whole number, at least one.

    The paper's (1-r)·m is read as a share of the rows *still present*: 64 become 38, 22, 13.
    """
    share = n * keep_ratio
    counts = {
        "floor": math.floor(share + 1e-9),  # 100 * 0.29 is 28.999999999999996
        "round": math.floor(share + 0.5 + 1e-9),
        "ceil": math.ceil(share - 1e-9),
    }[rounding]
    return max(1, counts)


@dataclass(frozen=True)
class DiscoveryConfig(Checked):
    """Iterative Identity Discovery, Sec. 3.1.

    Attributes:
        num_portraits: m, pictures painted for one character; 1 or more.
        keep_ratio: r, the share of rows that a round keeps; in (0, 1].
        iterations: p, rounds of filtering; 0 averages all rows.
        rank: k of Eq. 2, directions kept. Not given in the paper; below the rows of every round.
        rounding: how r·n becomes a whole number.
        selection: ``svd`` is the paper's filter. ``mean`` (all rows), ``random`` (as many rows as
            the filter would keep) and ``trim`` (nearest to the mean) are the controls.
        center: subtract the mean of the rows before the SVD.
        normalize: scale rows to length one before the SVD. The average is always of the raw rows.
        average: what the kept rows become: their ``mean``, or the ``medoid``, the row nearest to it.
        averaged: of what: ``tokens`` that the identity generator paints from, or ``states`` of its picture
            encoder that they are made of, where it has both (Plus Face).
        search_prompt: what a portrait is painted from; ``{description}`` stands for c_j.
        guidance: classifier-free guidance scale of the portraits; 1 or more.
        negative: negative prompt of the portraits; "" is an empty one, None is none at all: zeros.
        search_steps: steps of a portrait; None takes the preset's t.
        guidance_interval: the part of its steps that guidance is on in, from noise (0) to clean (1).
        distilled: portraits are painted with the model's few-step LoRA, and without guidance.
        freeu: s1, s2, b1 and b2 of FreeU on portraits; None is off.
        settle: the search ends before m portraits when the identity's direction has moved by less
            than this cosine distance since the last batch of portraits; 0 always paints m.
    """

    num_portraits: int = whole(64, 1, MOST, "64 is the paper's")
    keep_ratio: float = number(0.6, 0.0, 1.0, "0.6 is the paper's", low_open=True)
    iterations: int = whole(3, 0, 100, "3 is the paper's, 0 averages every portrait")
    rank: int = whole(10, 1, MOST, "10 is the release's")
    rounding: Rounding = "floor"
    selection: Selection = "svd"
    center: bool = False
    normalize: bool = False
    search_prompt: str = "{description}"
    guidance: float = number(5.0, 1.0, 100.0, "5 is usual, 1 turns guidance off")
    negative: str | None = ""
    search_steps: int | None = whole(None, 1, MOST, "None takes as many as a frame", later=True)
    guidance_interval: Interval = field(default=WHOLE, metadata=_LATER)
    settle: float = number(0.0, 0.0, 2.0, "0 paints all portraits", later=True)
    distilled: bool = field(default=False, metadata=_LATER)
    average: Average = field(default="mean", metadata=_LATER)
    averaged: Averaged = field(default="tokens", metadata=_LATER)
    freeu: Scales | None = field(default=None, metadata=_LATER)

    def __post_init__(self) -> None:
        """Refuse what cannot be computed, before an hour of portraits is painted."""
        super().__post_init__()
        if self.freeu is not None:
            if not isinstance(self.freeu, tuple | list) or len(self.freeu) != 4:
                raise ConfigError(
                    f"freeu is {self.freeu!r}; it must be four numbers, s1, s2, b1, b2, or none."
                )
            for value in self.freeu:
                check_number("freeu", value, 0.0, 10.0, "0.6, 0.4, 1.1, 1.2 are usual for SDXL")
            object.__setattr__(self, "freeu", tuple(map(float, self.freeu)))
        if "{description}" not in self.search_prompt:
            raise ConfigError(
                f"search_prompt is {self.search_prompt!r}; it must contain '{{description}}', "
                "which stands for the character's description."
            )
        if self.selection == "svd" and self.iterations:
            rows = self.rows[-2]
            limit = rows - 2 if self.center else rows - 1
            if self.rank > limit:
                raise ConfigError(
                    f"rank is {self.rank}, but the last round filters {rows} rows, so it must be "
                    f"at most {limit}: at full rank every error is zero and nothing can be "
                    "filtered. Lower rank or iterations, or raise num_portraits."
                )

    @property
    def portrait_guidance(self) -> float:
        """The scale that portraits are painted with: 1, which is none, with a distilled model."""
        return 1.0 if self.distilled else self.guidance

    @property
    def rows(self) -> tuple[int, ...]:
        """Rows before the first round and after each: (64, 38, 22, 13) with the defaults."""
        counts = [self.num_portraits]
        for _ in range(self.iterations):
            counts.append(survivors(counts[-1], self.keep_ratio, self.rounding))
        return tuple(counts)


@dataclass(frozen=True)
class InjectionConfig(Checked):
    """Re-denoising Identity Injection, Sec. 3.2.

    Attributes:
        start: t', the steps that are denoised again, first z_start to z_{start-1}; release: 41.
        k_max: K_max of Eq. 8, the radius in pixels that masks have grown by at the last step, in a
            picture of ``reference_size`` pixels; scaled with the picture's shorter side.
        reference_size: the side of the picture that ``k_max`` and ``margin`` are meant for, pixels.
        margin: radius that a cleaned mask is widened by once, at ``reference_size``; 0 leaves it.
        downsample: DS of Eq. 7. ``nearest`` keeps masks binary; ``area`` is the covered share,
            with soft seams.
        guidance_template: guidance scale of the general generator.
        guidance_identity: guidance scale of the identity generator while re-denoising.
        negative: negative prompt of both; empty or None as for portraits.
        guidance_interval: as in `DiscoveryConfig`, for templates and re-denoising.
        fallback_nouns: look for the bare noun of a character whose description was not found.
            Grounding DINO + SAM does so in any case.
        layout: False gives up the masks and averages the kept latent with the characters' at every
            step, the control of Fig. 8b.
        refuse_every_step: fuse the identity into the already fused prompt again at every step, as
            the release does. Probably its mistake; False fuses once.
        identity_words: what a character is denoised again from: their ``description`` (the paper's
            c_j), or the whole prompt of the ``scene`` where they are alone in it. ``release`` is as
            the authors' program builds them, and templates of several people too, see `wording`.
        window: a character is denoised again in the box around their mask only, with this margin in pixels
            at ``reference_size``; None in the whole picture. Less to compute, and less to be seen.
        face_scale: how much is added of what is seen of a face, by a generator that looks at faces beside
            the words (Plus Face, and PhotoMaker with an adapter).
    """

    start: int = whole(40, 0, MOST, "40 of 50 steps is the paper's, 0 keeps the template")
    k_max: float = number(50.0, 0.0, 1e4, "50 is the paper's, 0 fixes the masks")
    reference_size: int = whole(1024, 1, 2**16, "k_max is meant for 1024")
    margin: float = number(0.0, 0.0, 1e4, "10 is the release's, 0 leaves the masks")
    downsample: Downsampling = "nearest"
    guidance_template: float = number(7.0, 1.0, 100.0, "7 is usual, 1 turns guidance off")
    guidance_identity: float = number(7.0, 1.0, 100.0, "7 is usual, 1 turns guidance off")
    negative: str | None = ""
    refuse_every_step: bool = False
    guidance_interval: Interval = field(default=WHOLE, metadata=_LATER)
    fallback_nouns: bool = field(default=False, metadata=_LATER)
    layout: bool = field(default=True, metadata=_LATER)
    identity_words: IdentityWords = field(default="description", metadata=_LATER)
    face_scale: float = number(1.0, 0.0, 2.0, "1 is as it was trained", later=True)
    window: float | None = number(None, 0.0, 1e4, "None is the whole picture", later=True)

    def __post_init__(self) -> None:
        """Refuse a window without masks to lay it around."""
        super().__post_init__()
        if self.window is not None and not self.layout:
            raise ConfigError(
                f"window is {self.window:g}, but without layout there are no masks for it; set one of "
                "them back: window to none, or layout to true."
            )

    def k_max_at(self, size: int) -> float:
        """K_max in pixels of a picture whose shorter side is ``size`` pixels."""
        return self.k_max * size / self.reference_size

    def margin_at(self, size: int) -> int:
        """The margin in whole pixels of a picture whose shorter side is ``size`` pixels."""
        return round(self.margin * size / self.reference_size)


@dataclass(frozen=True)
class ControlConfig(Checked):
    """How closely pictures keep to a scene's pose, by a control net (ControlNet, Fig. 10a).

    Attributes:
        strength: what the control net says is multiplied by; 0 paints as without poses.
        interval: the part of a template's steps that it speaks in, from noise (0) to clean (1).
        identity: it speaks while faces are put in, too, in the same part of the steps.
    """

    strength: float = number(1.0, 0.0, 2.0, "1 is as it was trained, 0 is without poses")
    interval: Interval = WHOLE
    identity: bool = False


@dataclass(frozen=True)
class Preset(Checked):
    """A named, complete configuration; a run records the one it was made with.

    Attributes:
        name: what the command line calls it.
        sampler: the one-step sampler of both generators: deterministic, or ``ancestral``, which is DDIM
            with new noise at each step, drawn from the picture's seed.
        num_steps: t.
        discovery: Sec. 3.1.
        injection: Sec. 3.2.
        control: of scenes that say how somebody holds their head.
        seed_per_frame: draw another noise for every frame; False uses the story's seed for all.
        attempts: templates painted at most while somebody of the cast is not found or more people are
            seen than are meant; after the first twice as many while somebody wears nothing. And pictures, each
            on other templates, while a face that was put in brought more heads or fewer clothes.
        memory: ``all`` networks on the device, or ``low``: one at a time, pictures decoded in tiles.
        compiled: compile the U-Net: minutes at first, then faster; other last bits.
        reuse: the deep part of the U-Net is computed at every so manieth step; 1 is always.
        batch: frames painted together at most. 1 paints each by itself, so that its bytes depend on
            nothing else; more is faster, and may change last bits, see docs/explanation/performance.md.
        precision: what an accelerator computes in where ``--dtype`` is not given: ``auto`` is the
            fastest that is safe, ``float16`` the release's.
    """

    name: str
    sampler: Sampler = "ddim"
    num_steps: int = whole(50, 1, MOST, "50 is the paper's")
    discovery: DiscoveryConfig = field(default_factory=DiscoveryConfig)
    injection: InjectionConfig = field(default_factory=InjectionConfig)
    seed_per_frame: bool = True
    attempts: int = whole(3, 1, 100, "3 is usual")
    memory: Memory = field(default="all", metadata=_LATER)
    compiled: bool = field(default=False, metadata=_LATER)
    reuse: int = whole(1, 1, MOST, "1 computes everything at every step", later=True)
    batch: int = whole(1, 1, MOST, "1 paints each frame by itself", later=True)
    precision: Precision = field(default="auto", metadata=_LATER)
    control: ControlConfig = field(default=ControlConfig(), metadata=_LATER)

    def __post_init__(self) -> None:
        """Refuse parts that do not fit together."""
        super().__post_init__()
        if self.injection.start > self.num_steps:
            raise ConfigError(
                f"start is {self.injection.start}, but there are only {self.num_steps} steps; "
                f"it must be at most {self.num_steps}. Lower start or raise num_steps."
            )

    @property
    def portrait_steps(self) -> int:
        """Steps of a portrait: the search's own, or as many as a frame takes."""
        return self.discovery.search_steps or self.num_steps
