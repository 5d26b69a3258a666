"""Seeds become people and pictures, balanced over skin, age, hair, places, hours and expressions."""

from __future__ import annotations

import numpy as np

from .colour import COLOURS
from .records import (
    EXPRESSIONS,
    GESTURES,
    HOURS,
    OUTFITS,
    PLACES,
    RANGES,
    TWO_COLOURS,
    Moment,
    Person,
    Place,
    Record,
)

AGES = ((4.5, 12.3, 0.18), (13, 18.8, 0.11), (20, 39, 0.29), (41, 60, 0.21), (63, 86, 0.21))
SHADES = {"blond": 0.18, "red": 0.42, "brown": 0.52, "dark brown": 0.77, "black": 0.96}


def _clip(x: float, low: float = 0.0, high: float = 1.0) -> float:
    return float(min(high, max(low, x)))


class _Dice:
    """Chance by name: every name has its own stream, so that fixing one trait leaves the others."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng([7, seed])
        self.uniform, self.normal, self.next = rng.random(96), rng.standard_normal(96), 0

    def u(self, low: float = 0.0, high: float = 1.0) -> float:
        """The next uniform number."""
        self.next += 1
        return float(low + (high - low) * self.uniform[self.next])

    def n(self, middle: float = 0.0, spread: float = 1.0) -> float:
        """The next normal number, at most two spreads away."""
        self.next += 1
        return float(middle + spread * np.clip(self.normal[self.next], -2, 2))

    def pick(self, options, weights=None) -> str:
        """The next choice."""
        w = np.ones(len(options)) if weights is None else np.asarray(weights, float)
        return options[int(np.searchsorted(np.cumsum(w / w.sum()), self.u(0, 0.999999)))]


def hair_choices(age: float, masc: float, tone: float) -> dict[str, float]:
    """The styles that somebody may wear, with weights."""
    curly = 1.0 + 1.6 * (tone > 0.45)
    if masc > 0.5:
        out = {"crop": 2.4, "side part": 2.2, "quiff": 1.8, "buzz": 1.2, "short curls": 0.8 * curly,
               "bowl": 0.7, "wavy bob": 0.45, "long straight": 0.15, "low bun": 0.15}  # fmt: skip
        if age < 13:
            out |= {"bowl": 1.8, "crop": 2.4, "side part": 1.6}
        if age > 40:
            out["bald"] = 1.6
        elif age > 24:
            out["bald"] = 0.6
        if tone > 0.35:
            out |= {"afro": 0.9, "locs": 0.7 * (age > 12)}
        return out
    out = {"pixie": 1.0, "bob": 1.1, "bob with fringe": 1.1, "wavy bob": 1.1, "long straight": 1.1,
           "long with fringe": 1.4, "long wavy": 1.2, "long curls": curly, "braids": 0.7,
           "side braid": 1.0, "ponytail": 1.4, "top bun": 0.9, "low bun": 0.9, "headscarf": 0.9,
           "short curls": 0.35 * curly}  # fmt: skip
    if tone > 0.35:
        out |= {"afro": 1.2, "locs": 1.0, "afro puffs": 2.4 * (age < 38)}
    if age < 15:
        out |= {"pigtails": 2.6, "braids": 1.5, "headscarf": 0.0}
    if age > 62:
        out |= {"braids": 0.0, "ponytail": 0.4, "low bun": 1.5, "pixie": 1.5, "short curls": 1.6,
                "top bun": 0.6, "long with fringe": 0.3}  # fmt: skip
    return out


def draw_person(seed: int, **fixed) -> Person:
    """The person of this seed. Keywords fix fields of ``Person``; the others stay this seed's."""
    d = _Dice(seed)
    low, high, _ = d.pick(AGES, [a[2] for a in AGES])
    age = fixed.get("age", d.u(low, high))
    masc_draw = 0.5 + 0.5 * (1 if d.u() < 0.5 else -1) * d.u(0.4, 1)
    masc = fixed.get("masc", masc_draw)
    tone, build = fixed.get("tone", d.u() ** 1.15), fixed.get("build", d.u())
    young = _clip((20 - age) / 14) ** 0.9  # 1 a small child, .4 a teenager, 0 grown up
    old = _clip((age - 42) / 38)
    m, dark = masc * (0.1 + 0.9 * _clip((age - 12) / 10)), max(0.0, (tone - 0.45) / 0.55)
    out = dict(
        age=age, masc=masc, tone=tone, build=build,
        head_w=d.n(0.738, 0.040) + 0.020 * young + 0.05 * (build - 0.5),
        jaw=d.n(0.57, 0.044) + 0.040 * m + 0.06 * (build - 0.5) + 0.01 * young + 0.025 * old,
        square=_clip(d.n(0.22 + 0.42 * m, 0.22)),
        chin_w=d.n(0.240, 0.038) + 0.050 * m + 0.02 * (build - 0.5),
        chin_len=d.n(0, 0.030) + 0.02 * m + 0.025 - 0.045 * young,
        cheek=_clip(d.n(0.42, 0.2) + 0.4 * young + 0.35 * (build - 0.5)),
        eye_size=d.n(0.203, 0.015) + 0.026 * young - 0.006 * m - 0.010 * old,
        eye_open=d.n(0.130, 0.014) + 0.027 * young - 0.010 * m - 0.020 * old,
        eye_gap=d.n(0.322, 0.021) + 0.002 * young + 0.15 * (d.n(0, 0.03)),
        eye_tilt=d.n(0.022, 0.060),
        eye_y=d.n(0.048, 0.027) + 0.058 * young,
        lash=_clip(1.0 - 0.95 * m - 0.25 * young, 0.08) * d.u(0.7, 1.1),
        bags=_clip(0.8 * old + d.n(0.1, 0.22)) * (age > 19),
        brow_y=d.n(0.262, 0.023) - 0.018 * m + 0.01 * young,
        brow_arch=_clip(d.n(0.046, 0.024) - 0.012 * m, 0.0, 0.1),
        brow_thick=d.n(0.054, 0.013) + 0.022 * m - 0.018 * young - 0.004 * old,
        nose_len=d.n(0.395, 0.040) + 0.050 * old + 0.02 * m - 0.085 * young,
        nose_w=d.n(0.122, 0.019) + 0.030 * dark + 0.014 * m - 0.026 * young,
        nose_round=_clip(d.n(0.5, 0.25)),
        mouth_w=d.n(0.240, 0.025) + 0.012 * m - 0.055 * young,
        lip_up=max(0.028, d.n(0.052, 0.012) + 0.018 * dark - 0.010 * m - 0.014 * old),
        lip_low=max(0.042, d.n(0.074, 0.014) + 0.020 * dark - 0.010 * m - 0.012 * old),
        mouth_y=d.n(0.645, 0.019) + 0.030 * young,
        lipstick=d.u() ** 1.3 * (age >= 20 and masc <= 0.5),
        ear=_clip(d.u() * 0.9 + 0.1 * old),
        neck_w=d.n(0.335, 0.022) + 0.09 * m + 0.05 * (build - 0.5) - 0.085 * young,
        neck_len=d.n(0.0, 0.035) - 0.09 * young - 0.05 * (build - 0.5),
        shoulder=d.n(1.36, 0.06) + 0.24 * m + 0.30 * (build - 0.5) - 0.46 * young - 0.03 * old,
        under=d.n(0, 0.45),
        freckles=_freckles(d.u(-2, 1)) * (tone < 0.45),
        wrinkles=_clip(_clip((age - 36) / 32) + d.n(0, 0.08)) * (age > 38),
        blush=d.u(0.35, 0.95) + 0.25 * young,
        dimples=max(0.0, d.u(-1.2, 1)),
        volume=d.u(), length=d.u(), fringe=d.u(), parting=d.u(-1, 1),
        hairline=_clip(d.n(0.0, 0.03) + 0.07 * old * m, -0.07, 0.14),
        beard_len=d.u(), glasses_size=d.u(),
    )  # fmt: skip
    out |= _hair_numbers(d, age, tone, old, fixed)
    eyes = d.u(), d.u()
    out["iris"] = 0.28 * eyes[0] if tone > 0.45 or eyes[1] < 0.3 else 0.06 + 0.94 * eyes[0]
    choices = hair_choices(age, masc, tone)
    out["hair"] = d.pick(list(choices), list(choices.values()))
    beard = d.pick(
        ("none", "stubble", "moustache", "goatee", "short beard", "full beard"),
        (0.40, 0.13, 0.10, 0.08, 0.16, 0.13),
    )
    out["beard"] = beard if masc > 0.5 and age >= 21 else "none"
    glasses_chance = 0.20 if age < 20 else 0.28 if age < 50 else 0.46
    wears, kind = d.u() < glasses_chance, d.pick(("round", "square"))
    out["glasses"] = kind if wears else "none"
    out["frame"], out["accent"] = int(d.u() * 2.999), d.pick(COLOURS)
    out["fold"] = d.u()
    out["mole"] = int(d.u(1, 4.999)) * (d.u() < 0.22)
    out = {k: _clip(v, *RANGES[k]) if k in RANGES else v for k, v in out.items()}
    return Person(seed=seed, **{**out, **fixed})


def _freckles(chance: float) -> float:
    """None, or enough to be seen."""
    return 0.3 + 0.7 * chance if chance > 0 else 0.0


def _hair_numbers(d: _Dice, age: float, tone: float, old: float, fixed: dict) -> dict[str, float]:
    """melanin, red and grey, in separate kinds, so that the words for them are clear."""
    fair = (0.30, 0.16, 0.26, 0.18, 0.10) if tone < 0.32 else (0.03, 0.03, 0.16, 0.34, 0.44)
    kind = d.pick(list(SHADES), fair if tone < 0.62 else (0, 0, 0.02, 0.25, 0.73))
    at, red, turn, touch = d.n(0, 1), d.u(0.65, 1.0), d.u(), d.u()
    spread = {"blond": 0.07, "red": 0.07, "brown": 0.05, "dark brown": 0.04, "black": 0.02}[kind]
    grey = 0.0
    if age > 46 and turn < (age - 40) / 30:
        grey = 0.55 + 0.30 * touch if age < 66 or touch < 0.4 else 0.90 + 0.10 * touch
    elif age > 40:
        grey = 0.25 * old * touch
    return {
        "melanin": _clip(fixed.get("melanin", SHADES[kind] + spread * at)),
        "red": red if kind == "red" else 0.0,
        "grey": grey,
    }


def _one(rng: np.random.Generator, options):
    return options[int(rng.integers(len(options)))]


def draw_moment(rng: np.random.Generator, person: Person, framing: str, **fixed) -> Moment:
    """A moment of somebody: angles, expression, clothes, and in half-bodies a gesture."""
    outfits = [o for o in OUTFITS if person.masc < 0.5 or o not in ("dress", "blouse")]
    if person.age < 13:
        outfits = [o for o in outfits if o not in ("suit", "work shirt")]
    if person.age >= 20 and rng.random() < 0.1:
        outfits = ["suit"]
    colour = _one(rng, COLOURS)
    plain = "white" if colour != "white" else "blue"
    second = _one(rng, [c for c in COLOURS if c != colour]) if rng.random() < 0.65 else plain
    angle = lambda spread, most: float(np.clip(rng.normal(0, spread), -most, most))
    out = dict(
        yaw=angle(10, 20), pitch=angle(4, 12), roll=angle(3, 8),
        expression=str(rng.choice(EXPRESSIONS, p=(0.22, 0.24, 0.18, 0.12, 0.12, 0.12))),
        outfit=_one(rng, outfits), colour=colour, second=second,
        gesture="none", gaze=angle(0.35, 1.0), light=int(rng.choice([-1, 1])),
    )  # fmt: skip
    if framing == "half-body" and rng.random() < 0.62:
        out["gesture"] = _one(rng, GESTURES[1:])
    out |= fixed
    if out["outfit"] in TWO_COLOURS and out["second"] == out["colour"]:
        out["second"] = "white" if out["colour"] != "white" else "blue"
    if out["outfit"] == "suit" and out["second"] == "white":  # a white tie on a white shirt is none
        out["second"] = "blue" if out["colour"] != "blue" else "red"
    return Moment(**out)


def draw_place(rng: np.random.Generator, **fixed) -> Place:
    """A place at an hour."""
    out = dict(name=_one(rng, PLACES), hour=str(rng.choice(HOURS, p=(0.16, 0.36, 0.24, 0.24))),
               seed=int(rng.integers(1 << 30)))  # fmt: skip
    return Place(**(out | fixed))


def draw_record(rng: np.random.Generator, people, framing: str | None = None) -> Record:
    """A picture of these people (0 to 3, left to right); alone, nearer or farther by chance."""
    people = tuple(people)
    if framing is None:
        alone = "portrait" if rng.random() < 0.55 else "half-body"
        framing = ("nobody", alone, "pair", "three")[len(people)]
    moments = [draw_moment(rng, p, framing) for p in people]
    if len(people) > 1:
        first, light = moments[0], moments[0].light
        share = {"expression": first.expression} if rng.random() < 0.5 else {}
        if rng.random() < 0.2 and first.outfit not in ("dress", "blouse", "suit", "work shirt"):
            share |= dict(outfit=first.outfit, colour=first.colour, second=first.second)
        turned = []
        for k, moment in enumerate(moments):  # people in company turn a little to each other
            inward = 7 * (1 - 2 * k / (len(people) - 1))
            yaw = float(np.clip(moment.yaw * 0.8 + inward, -20, 20))
            turned.append(Moment(**{**vars(moment), **share, "light": light, "yaw": yaw}))
        moments = turned
    return Record(people, tuple(moments), draw_place(rng), framing)
