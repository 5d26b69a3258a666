"""Who somebody is: a ``Person`` drawn from (seed, index), and the moment they are caught in.

A person keeps a face: shape, skin, hair, brows, beard, glasses. A ``Moment`` is what changes from
picture to picture: expression, pose, gaze, clothes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

import numpy as np

from .body import BODY_VERTICES, Body, rotation

SEXES = ("man", "woman")
AGES = ("child", "young", "middle-aged", "old")
ANCESTRIES = ("african", "asian", "european", "mixed")
SKINS = ("light", "brown", "dark")
HAIRS = ("long", "short", "bob", "ponytail", "afro", "buzzed", "bald", "curly")
HAIR_COLOURS = {  # linear RGB of shadow and highlight
    "black": ((0.012, 0.010, 0.010), (0.04, 0.035, 0.035)),
    "dark brown": ((0.035, 0.018, 0.010), (0.10, 0.06, 0.035)),
    "brown": ((0.10, 0.05, 0.024), (0.22, 0.13, 0.07)),
    "blond": ((0.42, 0.28, 0.13), (0.75, 0.58, 0.33)),
    "red": ((0.20, 0.038, 0.010), (0.42, 0.115, 0.035)),
    "gray": ((0.28, 0.27, 0.26), (0.55, 0.55, 0.55)),
    "white": ((0.62, 0.61, 0.59), (0.9, 0.9, 0.9)),
}
EYE_COLOURS = {
    "dark": (0.035, 0.018, 0.010),
    "brown": (0.10, 0.045, 0.016),
    "blue": (0.13, 0.25, 0.42),
    "green": (0.14, 0.22, 0.10),
    "hazel": (0.19, 0.12, 0.045),
    "gray": (0.24, 0.27, 0.30),
}
BEARDS = ("none", "stubble", "full", "moustache", "goatee")
GLASSES = ("none", "round", "rectangular")
OUTFITS = (
    "t-shirt", "long-sleeved shirt", "vest", "dress", "suit", "overalls",
    "sportswear", "sweater", "striped shirt", "jacket", "blouse", "work clothes",
)  # fmt: skip
CLOTH_COLOURS = {
    "red": (0.55, 0.03, 0.03),
    "blue": (0.04, 0.10, 0.45),
    "green": (0.05, 0.28, 0.08),
    "yellow": (0.75, 0.55, 0.05),
    "white": (0.8, 0.8, 0.78),
    "black": (0.015, 0.015, 0.017),
    "gray": (0.2, 0.2, 0.21),
    "purple": (0.22, 0.05, 0.35),
    "orange": (0.75, 0.25, 0.03),
    "pink": (0.8, 0.3, 0.42),
}
EXPRESSIONS = {  # facial action units
    "neutral": {},
    "smile": dict(
        mouthSmileLeft=0.65, mouthSmileRight=0.65, cheekSquintLeft=0.35, cheekSquintRight=0.35,
        mouthDimpleLeft=0.2, mouthDimpleRight=0.2,
    ),
    "laugh": dict(
        mouthSmileLeft=0.8, mouthSmileRight=0.8, jawOpen=0.28, mouthUpperUpLeft=0.35,
        mouthUpperUpRight=0.35, cheekSquintLeft=0.5, cheekSquintRight=0.5, eyeSquintLeft=0.3,
        eyeSquintRight=0.3,
    ),
    "surprise": dict(
        jawOpen=0.35, browInnerUp=0.8, browOuterUpLeft=0.7, browOuterUpRight=0.7,
        eyeWideLeft=0.6, eyeWideRight=0.6,
    ),
    "anger": dict(
        browDownLeft=0.8, browDownRight=0.8, mouthFrownLeft=0.35, mouthFrownRight=0.35,
        noseSneerLeft=0.3, noseSneerRight=0.3,
    ),
    "sadness": dict(
        browInnerUp=0.7, mouthFrownLeft=0.6, mouthFrownRight=0.6, mouthShrugLower=0.3,
    ),
}  # fmt: skip
POSES = ("stand", "wave", "arms raised", "walk", "sit", "lean")

AGE_SLIDER = {
    "child": (0.16, 0.30),
    "young": (0.62, 0.72),
    "middle-aged": (0.77, 0.86),
    "old": (0.94, 1.0),
}
SKIN_TONE = {  # mean linear RGB
    "african": np.array([0.19, 0.098, 0.060]),
    "asian": np.array([0.42, 0.25, 0.155]),
    "european": np.array([0.46, 0.265, 0.19]),
}
_RACE = {"african": "african", "asian": "asian", "european": "caucasian"}
HEAD_SHAPES = (
    "head-oval", "head-round", "head-rectangular", "head-square", "head-triangular",
    "head-invertedtriangular", "head-diamond",
)  # fmt: skip
# Targets that grow grotesque (cone heads, jutting noses) are damped; sigma .33 separates people well.
SIGMA = 0.33
DAMPED = re.compile(
    r"^l-ear|neck|head-age|chin-jaw-drop|head-fat|eye-bag|mouth-scale-depth|chin-prognathism"
    r"|head-scale|eyebrows-angle|nose-septumangle|eye-height|eye-push|forehead-scale-vert|head-back"
    r"|mouth-.*(scale-vert|middle|ext)"
)
TALL = re.compile(
    r"head-scale-vert|forehead-scale-vert|head-back|nose-septumangle|nose-scale-depth"
)
FACE = re.compile(r"^(l-)?(cheek|chin|eyebrows|eye|forehead|head|mouth|nose|neck|ear)")
DROPPED = re.compile(r"trans-(out|forward)$|bag-out|neck-trans|head-trans")


def face_targets(body: Body) -> list[str]:
    """Names of the ~90 signed local targets that make a face."""
    return [n for n in sorted(body.pairs) if FACE.match(n) and not DROPPED.search(n)]


@dataclass(frozen=True)
class Person:
    """Somebody with one face. ``index`` names them within a world seed."""

    seed: int
    index: int
    sex: str
    age: str
    ancestry: str
    skin: str
    macro: dict
    local: dict
    tone: np.ndarray  # mean linear RGB of the skin
    hair: str
    hair_colour: str
    brow: int
    brow_colour: str
    eyes: str
    beard: str
    glasses: str
    glasses_colour: tuple
    freckles: float
    moles: tuple
    blush: float
    under_eyes: float
    lipstick: float
    lip_colour: tuple

    @property
    def key(self) -> int:
        """A seed of this person's own."""
        return (self.seed * 1_000_003 + self.index) % (2**31)

    def numbers(self) -> np.ndarray:
        """What makes the face besides its shape, as numbers of comparable size."""
        one_hot = [
            float(value == getattr(self, key))
            for key, values in (
                ("hair", HAIRS), ("hair_colour", HAIR_COLOURS), ("eyes", EYE_COLOURS),
                ("beard", BEARDS), ("glasses", GLASSES),
            )
            for value in values
        ]  # fmt: skip
        macro = [self.macro[k] for k in ("gender", "age", "african", "asian")]
        rest = [self.freckles, self.blush, self.under_eyes, self.lipstick, self.brow / 12]
        tone = list(2 * np.log(self.tone / 0.25))
        return np.array([*macro, *tone, *one_hot, *rest], np.float32)

    def face(self, body: Body) -> np.ndarray:
        """(k, 3) every third vertex of the face at rest, around their middle, decimetres."""
        v, _ = body.shape(self.macro, self.local)
        rest = body.template[:BODY_VERTICES]
        x, y, z = rest.T
        front = (z > 0.6) & (abs(x) < 0.9) & (y > 6.4) & (y < 8.3)  # eyes are at 7.28
        face = v[:BODY_VERTICES][front][::3]
        return face - face.mean(0)


def _pick(rng: np.random.Generator, values, p=None):
    return values[int(rng.choice(len(values), p=p))]


def draw_person(body: Body, seed: int, index: int, **fixed) -> Person:
    """The person ``index`` of world ``seed``; ``fixed`` may force sex, age, ancestry, hair ..."""
    rng = np.random.default_rng([seed, index, 1])
    sex = fixed.get("sex") or _pick(rng, SEXES)
    age = fixed.get("age") or _pick(rng, AGES, [0.12, 0.44, 0.24, 0.20])
    ancestry = fixed.get("ancestry") or _pick(rng, ANCESTRIES, [0.28, 0.27, 0.33, 0.12])
    female = sex == "woman"
    slider = rng.uniform(*AGE_SLIDER[age])

    names = list(SKIN_TONE)
    if ancestry == "mixed":
        mix = dict(zip(names, rng.dirichlet([1.5] * 3), strict=True))
    else:
        mix = dict.fromkeys(names, 0.03)
        mix[ancestry] = 1.0
        mix[_pick(rng, [k for k in names if k != ancestry])] += rng.uniform(0, 0.25)
    total = sum(mix.values())
    mix = {k: x / total for k, x in mix.items()}
    tone = sum(mix[k] * SKIN_TONE[k] for k in names)
    dark = mix["african"] > 0.55
    tone = tone * np.exp(rng.normal(0, 0.16 if dark else 0.09)) * np.exp(rng.normal(0, 0.03, 3))
    skin = "dark" if tone[0] < 0.27 else "brown" if tone[0] < 0.40 else "light"

    macro = dict(
        gender=float(np.clip(rng.normal(0.93 if female else 0.05, 0.05), 0, 1)),
        age=float(slider),
        muscle=float(rng.uniform(0.35, 0.75)),
        weight=float(np.clip(rng.normal(0.5, 0.16), 0.15, 0.95)),
        height=float(np.clip(rng.normal(0.5, 0.12), 0.2, 0.8)),
        proportions=float(rng.uniform(0.3, 0.9)),
        cupsize=0.5,
        firmness=0.6,
        **{_RACE[k]: float(x) for k, x in mix.items()},
    )
    local = _draw_face(body, rng, child=age == "child")

    dark_hair = mix["african"] > 0.5 or mix["asian"] > 0.5
    if slider > 0.9 and rng.random() < 0.85:
        hair_colour = _pick(rng, ["gray", "white"], [0.6, 0.4])
    elif dark_hair:
        hair_colour = _pick(rng, ["black", "dark brown", "brown"], [0.65, 0.25, 0.1])
    else:
        hair_colour = _pick(
            rng, ["black", "dark brown", "brown", "blond", "red"], [0.12, 0.18, 0.25, 0.27, 0.18]
        )
    if female:
        styles = ["long", "bob", "ponytail", "short", "curly"]
        hair = _pick(rng, styles, [0.32, 0.22, 0.22, 0.12, 0.12])
    else:
        curly = "afro" if dark else "curly"
        hair = _pick(rng, ["short", "bald", "buzzed", curly], [0.58, 0.14, 0.12, 0.16])
    hair = fixed.get("hair") or hair
    hair_colour = fixed.get("hair_colour") or hair_colour

    beard = "none"
    if not female and age != "child":
        beard = _pick(
            rng, ["none", "stubble", "full", "moustache", "goatee"], [0.4, 0.15, 0.2, 0.13, 0.12]
        )
    eyes = (
        _pick(rng, ["dark", "brown"], [0.6, 0.4])
        if dark_hair
        else _pick(rng, ["brown", "blue", "green", "hazel", "gray"], [0.3, 0.3, 0.15, 0.15, 0.1])
    )
    return Person(
        seed=seed, index=index, sex=sex, age=age, ancestry=ancestry, skin=skin,
        macro=macro, local=local, tone=tone, hair=hair, hair_colour=hair_colour,
        brow=int(rng.integers(1, 13)),
        brow_colour="gray" if hair_colour == "white" else hair_colour,
        eyes=eyes, beard=fixed.get("beard", beard),
        glasses=fixed.get("glasses", _pick(rng, GLASSES, [0.74, 0.13, 0.13])),
        glasses_colour=_pick(rng, [(0.01, 0.01, 0.01), (0.12, 0.04, 0.02), (0.35, 0.3, 0.2)]),
        freckles=0.0 if dark or rng.random() < 0.75 else float(rng.uniform(0.4, 1)),
        moles=tuple(
            (float(rng.random()), float(rng.uniform(0.8, 1.8))) for _ in range(rng.integers(0, 5))
        ),
        blush=float(rng.uniform(0, 0.6)),
        under_eyes=float(rng.uniform(0, 0.5) + (0.3 if slider > 0.75 else 0)),
        lipstick=float(rng.uniform(0.1, 0.55)) if female and age != "child" else 0.0,
        lip_colour=_pick(rng, [(0.75, 0.35, 0.35), (0.85, 0.2, 0.25), (0.8, 0.45, 0.45)]),
    )  # fmt: skip


def _draw_face(body: Body, rng: np.random.Generator, *, child: bool) -> dict[str, float]:
    local: dict[str, float] = {}
    for name in face_targets(body):
        x = float(np.clip(rng.normal(0, SIGMA), -1, 1))
        x *= 0.3 if TALL.search(name) else 0.55 if DAMPED.search(name) else 1.0
        x *= 0.7 if child else 1.0
        for side in (name, "r-" + name[2:]) if name.startswith("l-") else (name,):
            local[side] = float(np.clip(x + rng.normal(0, 0.03), -1, 1))
    shape = rng.dirichlet([0.5] * len(HEAD_SHAPES)) * rng.uniform(0.3, 0.9)
    local |= dict(zip(HEAD_SHAPES, map(float, shape), strict=True))
    for name in sorted(body.single_sided):
        if name.startswith("asym-") and rng.random() < 0.25:
            local[name] = float(rng.uniform(0, 0.35))
    return local


@dataclass(frozen=True)
class Moment:
    """One person at one instant."""

    expression: str = "neutral"
    amount: float = 1.0
    pose: str = "stand"
    yaw: float = 0.0  # degrees, of the whole body
    head: tuple[float, float, float] = (0.0, 0.0, 0.0)  # yaw, pitch, roll
    gaze: tuple[float, float] = (0.0, 0.0)
    outfit: str = "t-shirt"
    colour: str = "blue"
    accent: tuple[float, float, float] = (0.3, 0.3, 0.3)
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)  # decimetres
    limbs: dict = field(default_factory=dict)  # bone -> (3, 3)

    def units(self) -> dict[str, float]:
        """Facial action units of the expression."""
        return {k: x * self.amount for k, x in EXPRESSIONS[self.expression].items()}


def outfits_for(person: Person) -> list[str]:
    """The outfits a person may wear: everything, but dresses and blouses on women and girls."""
    return [o for o in OUTFITS if person.sex == "woman" or o not in ("dress", "blouse")]


def draw_moment(person: Person, seed: int, *, poses=POSES, **fixed) -> Moment:
    """A moment of ``person`` drawn from ``seed``."""
    rng = np.random.default_rng([seed, person.index, 2])
    pose = fixed.get("pose") or _pick(rng, poses)
    moment = Moment(
        expression=_pick(rng, list(EXPRESSIONS), [0.25, 0.25, 0.14, 0.12, 0.12, 0.12]),
        amount=float(rng.uniform(0.75, 1.05)),
        pose=pose,
        yaw=float(rng.uniform(-18, 18)),
        head=(
            float(rng.uniform(-14, 14)), float(rng.uniform(-7, 7)), float(rng.uniform(-6, 6)),
        ),
        gaze=(float(rng.uniform(-8, 8)), float(rng.uniform(-5, 5))),
        outfit=_pick(rng, outfits_for(person)),
        colour=_pick(rng, list(CLOTH_COLOURS)),
        accent=tuple(float(x) for x in rng.uniform(0.05, 0.4, 3)),
        limbs=_limbs(pose, rng),
    )  # fmt: skip
    return replace(moment, **{k: v for k, v in fixed.items() if k != "pose"})


def _limbs(pose: str, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Bone rotations of a pose. At rest the arms are half raised; 38 degrees brings them down."""
    limbs: dict[str, np.ndarray] = {}

    def arm(side: str, down=38.0, forward=0.0, elbow=0.0, elbow_roll=0.0):
        sign = 1 if side == "L" else -1
        limbs[f"upperarm01.{side}"] = rotation("x", -forward) @ rotation("z", -down * sign)
        limbs[f"lowerarm01.{side}"] = rotation("x", -elbow) @ rotation("z", elbow_roll * sign)

    if pose == "wave":
        arm("L")
        arm("R", down=-62, elbow_roll=105 + rng.uniform(-15, 15))
    elif pose == "arms raised":
        for side in "LR":
            arm(side, down=-85, elbow_roll=25)
    elif pose == "walk":
        arm("L", forward=25, elbow=20)
        arm("R", forward=-25, elbow=15)
        limbs |= {
            "upperleg01.L": rotation("x", 22), "upperleg01.R": rotation("x", -24),
            "lowerleg01.L": rotation("x", 18), "lowerleg01.R": rotation("x", 6),
        }  # fmt: skip
    elif pose == "sit":
        for side in "LR":
            arm(side, forward=20, elbow=35)
            limbs[f"upperleg01.{side}"] = rotation("x", -82)
            limbs[f"lowerleg01.{side}"] = rotation("x", 85)
    elif pose == "lean":
        arm("L", down=30, forward=12)
        arm("R", down=44, forward=-6)
        limbs["spine03"] = rotation("z", float(rng.uniform(5, 9)) * rng.choice([-1, 1]))
    else:
        for side in "LR":
            arm(side, down=36 + rng.uniform(-4, 6))
    return limbs
