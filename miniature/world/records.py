"""What a picture shows, as plain records: who (``Person``), how (``Moment``), where (``Place``)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .colour import COLOURS

# The numbers that make a person, with the range that ``identity_numbers`` maps to -1..1.
# Lengths are in half heads (crown to chin is 2); the rest are shares or as said.
RANGES: dict[str, tuple[float, float]] = {
    "age": (4, 86),  # years
    "masc": (0, 1),  # features of a woman (0) to those of a man (1)
    "build": (0, 1),  # slight to broad
    "head_w": (0.64, 0.88), "jaw": (0.46, 0.72), "square": (0, 1), "chin_w": (0.14, 0.40),
    "chin_len": (-0.10, 0.10), "cheek": (0, 1),
    "eye_size": (0.155, 0.26), "eye_open": (0.07, 0.18), "eye_gap": (0.28, 0.42),
    "eye_tilt": (-0.15, 0.25), "eye_y": (0.02, 0.26), "lash": (0, 1.2),
    "iris": (0, 1),  # dark brown, brown, amber, green, blue, gray
    "bags": (0, 1),
    "fold": (0, 1),  # of the upper lid, none to high
    "brow_y": (0.20, 0.33), "brow_arch": (0, 0.10), "brow_thick": (0.02, 0.10),
    "nose_len": (0.24, 0.52), "nose_w": (0.07, 0.22), "nose_round": (0, 1),
    "mouth_w": (0.15, 0.32), "lip_up": (0.025, 0.10), "lip_low": (0.035, 0.13),
    "mouth_y": (0.60, 0.71), "lipstick": (0, 1),
    "ear": (0, 1),  # small and close to large and standing out
    "neck_w": (0.24, 0.52), "neck_len": (-0.16, 0.10), "shoulder": (0.9, 1.95),
    "tone": (0, 1),  # skin, even steps of lightness from the palest to the darkest
    "under": (-1, 1),  # skin's hue, rosy to golden
    "freckles": (0, 1), "wrinkles": (0, 1), "blush": (0.2, 1.2), "dimples": (0, 1),
    "melanin": (0, 1),  # hair, blond to black
    "red": (0, 1), "grey": (0, 1), "volume": (0, 1),
    "length": (0, 1),  # of hair that falls
    "fringe": (0, 1),  # how far hair comes down the forehead
    "parting": (-1, 1),  # where it parts, left to right
    "hairline": (-0.07, 0.14), "beard_len": (0, 1), "glasses_size": (0, 1),
}  # fmt: skip
IDENTITY: tuple[str, ...] = tuple(RANGES)

HAIRS: tuple[str, ...] = (
    "crop", "side part", "quiff", "buzz", "bald", "short curls", "pixie", "bowl", "bob",
    "bob with fringe", "wavy bob", "long straight", "long with fringe", "long wavy", "long curls",
    "locs", "braids", "side braid", "ponytail", "pigtails", "top bun", "low bun", "afro",
    "afro puffs", "headscarf",
)  # fmt: skip
BEARDS: tuple[str, ...] = ("none", "stubble", "moustache", "goatee", "short beard", "full beard")
GLASSES: tuple[str, ...] = ("none", "round", "square")
EXPRESSIONS: tuple[str, ...] = ("calm", "smiling", "laughing", "sad", "surprised", "angry")
OUTFITS: tuple[str, ...] = (
    "t-shirt", "shirt", "striped shirt", "sweater", "turtleneck", "hoodie", "jacket", "coat",
    "suit", "cardigan", "dress", "blouse", "overalls", "sports top", "vest", "work shirt",
)  # fmt: skip
# Outfits that show their second colour: what is worn below them, stripes, dots, a scarf.
TWO_COLOURS = frozenset(
    {"striped shirt", "jacket", "coat", "suit", "cardigan", "dress", "overalls", "sports top"}
)
GESTURES: tuple[str, ...] = (
    "none", "waving", "cheering", "leaning", "book", "cup", "flowers", "apple", "cat",
)  # fmt: skip
PLACES: tuple[str, ...] = (
    "beach", "forest", "meadow", "snowy mountains", "harbour", "garden", "city street", "desert",
    "kitchen", "library", "cafe", "office", "living room", "bedroom", "studio", "art studio",
    "plain wall",
)  # fmt: skip
INDOORS = frozenset(PLACES[8:])
HOURS: tuple[str, ...] = ("dawn", "day", "sunset", "night")
FRAMINGS: tuple[str, ...] = ("portrait", "half-body", "pair", "three", "nobody")


@dataclass(frozen=True)
class Person:
    """One person: the numbers of ``RANGES``, then what comes in kinds."""

    seed: int
    age: float
    masc: float
    build: float
    head_w: float
    jaw: float
    square: float
    chin_w: float
    chin_len: float
    cheek: float
    eye_size: float
    eye_open: float
    eye_gap: float
    eye_tilt: float
    eye_y: float
    lash: float
    iris: float
    bags: float
    fold: float
    brow_y: float
    brow_arch: float
    brow_thick: float
    nose_len: float
    nose_w: float
    nose_round: float
    mouth_w: float
    lip_up: float
    lip_low: float
    mouth_y: float
    lipstick: float
    ear: float
    neck_w: float
    neck_len: float
    shoulder: float
    tone: float
    under: float
    freckles: float
    wrinkles: float
    blush: float
    dimples: float
    melanin: float
    red: float
    grey: float
    volume: float
    length: float
    fringe: float
    parting: float
    hairline: float
    beard_len: float
    glasses_size: float
    hair: str  # one of HAIRS
    beard: str  # one of BEARDS
    glasses: str  # one of GLASSES
    frame: int  # 0..2, the colour of the glasses
    accent: str  # one of COLOURS: headscarf, hair ties
    mole: int  # 0 none, 1..4 where


@dataclass(frozen=True)
class Moment:
    """How somebody is in one picture. Angles in degrees."""

    yaw: float = 0.0  # -20..20, above 0 towards the picture's right
    pitch: float = 0.0  # -12..12, above 0 upwards
    roll: float = 0.0  # -8..8, above 0 clockwise
    expression: str = "calm"  # one of EXPRESSIONS
    outfit: str = "t-shirt"  # one of OUTFITS
    colour: str = "teal"  # one of COLOURS
    second: str = "white"  # one of COLOURS
    gesture: str = "none"  # one of GESTURES; shown in half-bodies only
    gaze: float = 0.0  # -1..1, where the eyes look, above 0 to the picture's right
    light: int = -1  # -1 or 1, the side that the light comes from


@dataclass(frozen=True)
class Place:
    """Where it is. The seed arranges what stands there."""

    name: str = "meadow"  # one of PLACES
    hour: str = "day"  # one of HOURS
    seed: int = 0


@dataclass(frozen=True)
class Record:
    """Everything that decides a picture: people from left to right, as many moments, a place."""

    people: tuple[Person, ...]
    moments: tuple[Moment, ...]
    place: Place
    framing: str  # one of FRAMINGS

    def __post_init__(self) -> None:
        """Refuses a framing that does not fit the number of people."""
        wanted = {"portrait": 1, "half-body": 1, "pair": 2, "three": 3, "nobody": 0}[self.framing]
        if len(self.people) != wanted or len(self.moments) != wanted:
            raise ValueError(f"{self.framing} needs {wanted} people, given {len(self.people)}")


def identity_numbers(person: Person) -> np.ndarray:
    """The person's numbers in the order of ``IDENTITY``, each roughly in -1..1 (float32)."""
    out = [
        2 * (getattr(person, name) - low) / (high - low) - 1 for name, (low, high) in RANGES.items()
    ]
    return np.array(out, np.float32)


CATEGORIES: dict[str, tuple[str, ...]] = {
    "sex": ("woman", "man"),
    "age": ("child", "teenager", "young", "middle-aged", "old"),
    "skin": ("light", "tan", "brown", "dark"),
    "hair": HAIRS,
    "hair colour": ("black", "dark brown", "brown", "blond", "red", "gray", "white", "hidden"),
    "beard": BEARDS,
    "glasses": GLASSES,
    "freckles": ("no", "yes"),
    "eyes": ("dark", "brown", "hazel", "green", "blue", "gray"),
    "expression": EXPRESSIONS,
    "outfit": OUTFITS,
    "colour": COLOURS,
    "second": (*COLOURS, "none"),
    "gesture": GESTURES,
    "place": PLACES,
    "hour": HOURS,
    "framing": FRAMINGS,
}


def age_group(age: float) -> str:
    """child (under 12.5), teenager (under 19), young, middle-aged (from 40), old (from 61)."""
    ends = ((12.5, "child"), (19, "teenager"), (40, "young"), (61, "middle-aged"))
    return next((name for end, name in ends if age < end), "old")


def skin_group(tone: float) -> str:
    """light, tan (from .28), brown (from .48), dark (from .70)."""
    return "light" if tone < 0.28 else "tan" if tone < 0.48 else "brown" if tone < 0.70 else "dark"


def hair_colour(person: Person) -> str:
    """The word for the hair's colour; hidden where none shows."""
    if person.hair in ("bald", "headscarf"):
        return "hidden"
    if person.grey > 0.45:
        return "white" if person.grey > 0.88 else "gray"
    if person.red > 0.5:
        return "red"
    m = person.melanin
    return "blond" if m < 0.36 else "brown" if m < 0.66 else "dark brown" if m < 0.88 else "black"


def eye_colour(person: Person) -> str:
    """The word for the iris."""
    return CATEGORIES["eyes"][min(5, int(person.iris * 5 + 0.5))]


def categories(record: Record, who: int) -> dict[str, str]:
    """Every attribute of person ``who`` (0 is the leftmost), one of ``CATEGORIES`` each."""
    p, m, place = record.people[who], record.moments[who], record.place
    return {
        "sex": "man" if p.masc > 0.5 else "woman", "age": age_group(p.age),
        "skin": skin_group(p.tone), "hair": p.hair, "hair colour": hair_colour(p),
        "beard": p.beard, "glasses": p.glasses, "freckles": "yes" if p.freckles > 0.25 else "no",
        "eyes": eye_colour(p), "expression": m.expression, "outfit": m.outfit, "colour": m.colour,
        "second": m.second if m.outfit in TWO_COLOURS else "none",
        "gesture": m.gesture if record.framing == "half-body" else "none",
        "place": place.name, "hour": place.hour, "framing": record.framing,
    }  # fmt: skip
