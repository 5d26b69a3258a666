"""Contact sheets of the storybook world, to be looked at: ``python -m miniature.sheets [NAME ...]``."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import numpy as np
from PIL import Image

from .paths import state
from .world import records
from .world.pen import STYLES
from .world.picture import PARTS, paint
from .world.records import Moment, Place, Record
from .world.sampling import draw_person, draw_record


def grid(pictures, columns: int, gap: int = 4) -> np.ndarray:
    """Pictures of one size side by side."""
    h, w = pictures[0].shape[:2]
    rows = -(-len(pictures) // columns)
    out = np.full((rows * (h + gap) + gap, columns * (w + gap) + gap, 3), 250, np.uint8)
    for i, picture in enumerate(pictures):
        y, x = gap + i // columns * (h + gap), gap + i % columns * (w + gap)
        out[y : y + h, x : x + w] = picture
    return out


def one(
    person, place=None, framing="portrait", height=256, style="storybook", **moment
) -> np.ndarray:
    """One person in a fixed moment."""
    place = place or Place("plain wall", "day", 3)
    return paint(Record((person,), (Moment(**moment),), place, framing), height, style).rgb


def random_people(count: int = 200, start: int = 0, framing=None, height: int = 256):
    """Random people in random pictures."""
    rng = np.random.default_rng(start)
    return [
        paint(draw_record(rng, [draw_person(start + i)], framing), height).rgb for i in range(count)
    ]


def people() -> np.ndarray:
    """200 random people."""
    return grid(random_people(200, 1000, height=192), 20)


def people_large(start: int = 1000, count: int = 40, framing=None) -> np.ndarray:
    """Forty of them at full size."""
    return grid(random_people(count, start, framing), 8)


def pairs() -> np.ndarray:
    """Pairs, then groups of three."""
    rng = np.random.default_rng(5)
    two = [
        paint(draw_record(rng, [draw_person(3000 + 2 * i + k) for k in range(2)])).rgb
        for i in range(16)
    ]
    three = [
        paint(draw_record(rng, [draw_person(4000 + 3 * i + k) for k in range(3)])).rgb
        for i in range(9)
    ]
    a, b = grid(two, 4), grid(three, 3)
    wide = max(a.shape[1], b.shape[1])
    pad = lambda x: np.pad(x, ((0, 0), (0, wide - x.shape[1]), (0, 0)), constant_values=250)
    return np.concatenate([pad(a), pad(b)])


def places() -> np.ndarray:
    """Every place at every hour, with nobody."""
    out = []
    for k, name in enumerate(records.PLACES):
        for j, hour in enumerate(records.HOURS):
            out.append(paint(Record((), (), Place(name, hour, 7 * k + j), "nobody")).rgb)
    return grid(out, 8)


def expressions() -> np.ndarray:
    """Six expressions of eight people."""
    out = []
    for seed in range(8):
        person = draw_person(500 + seed, age=(28, 9, 70, 35, 16, 50, 23, 64)[seed], tone=seed / 7)
        out += [
            one(person, expression=e, yaw=(-12, 0, 9)[seed % 3], colour="blue")
            for e in records.EXPRESSIONS
        ]
    return grid(out, 6)


def outfits() -> np.ndarray:
    """Every outfit, near and farther, with the gestures."""
    out = []
    for i, outfit in enumerate(records.OUTFITS):
        woman = draw_person(600 + i, masc=0.1, age=30)
        colour, second = records.COLOURS[i % 12], records.COLOURS[(i * 5 + 3) % 12]
        second = second if second != colour else "white"
        out.append(one(woman, outfit=outfit, colour=colour, second=second))
        man = draw_person(700 + i, masc=0.9 if outfit not in ("dress", "blouse") else 0.1, age=35)
        gesture = records.GESTURES[i % 9]
        out.append(
            one(
                man,
                framing="half-body",
                outfit=outfit,
                colour=records.COLOURS[(i + 5) % 12],
                second="white",
                gesture=gesture,
            )
        )
    return grid(out, 8)


def hair() -> np.ndarray:
    """Every style from three sides."""
    out = []
    for i, style in enumerate(records.HAIRS):
        man = style in ("crop", "side part", "quiff", "buzz", "bald", "bowl")
        for k in range(3):
            tone = (0.15, 0.5, 0.85)[(i + k) % 3]
            person = draw_person(
                800 + i * 3 + k,
                hair=style,
                masc=0.9 if man else 0.1,
                age=30,
                tone=tone,
                beard="none",
                glasses="none",
            )
            out.append(one(person, yaw=(-18, 0, 18)[k], colour="teal", height=192))
    return grid(out, 12)


def ages() -> np.ndarray:
    """Six people growing old."""
    out = []
    looks = (
        (0.1, 0.1, "bob"),
        (0.9, 0.35, "side part"),
        (0.1, 0.6, "long curls"),
        (0.9, 0.9, "crop"),
        (0.1, 0.3, "long straight"),
        (0.9, 0.15, "quiff"),
    )
    for seed, (masc, tone, style) in enumerate(looks):
        for age in (5, 8, 12, 15, 18, 25, 36, 48, 60, 72, 84):
            person = draw_person(
                11 + seed, age=age, masc=masc, tone=tone, hair=style, glasses="none", beard="none"
            )
            out.append(
                one(
                    person,
                    expression="smiling",
                    yaw=-8,
                    height=192,
                    colour=records.COLOURS[seed * 2],
                )
            )
    return grid(out, 11)


def skins() -> np.ndarray:
    """The scale of skins; the beards; the glasses."""
    out = []
    for k in range(8):
        person = draw_person(77, tone=k / 7, masc=0.1, age=28, hair="low bun", glasses="none")
        out.append(one(person, expression="smiling", yaw=8, outfit="dress", colour="blue"))
    for k in range(18):
        beard = records.BEARDS[k % 6]
        person = draw_person(
            204 + k // 6,
            beard=beard,
            masc=0.95,
            age=(38, 55, 74)[k // 6],
            hair="crop",
            tone=(0.3, 0.8, 0.1)[k // 6],
        )
        out.append(one(person, expression=records.EXPRESSIONS[k % 6], colour="green"))
    return grid(out, 8)


def masks() -> np.ndarray:
    """Pictures with their person, part and head labels and key points."""
    rng, out = np.random.default_rng(8), []
    colours = np.random.default_rng(1).integers(60, 255, (len(PARTS), 3)).astype(np.uint8)
    colours[0] = 245
    for i, framing in enumerate(("portrait", "half-body", "portrait", "half-body")):
        picture = paint(draw_record(rng, [draw_person(40 + i)], framing))
        rgb = picture.rgb.copy()
        for x, y in picture.keypoints.reshape(-1, 2).round().astype(int):
            rgb[max(0, y - 2) : y + 2, max(0, x - 2) : x + 2] = (255, 0, 80)
        out += [rgb, colours[picture.part], colours[picture.person], colours[picture.head * 3]]
    return grid(out, 8)


def styles() -> np.ndarray:
    """The same records in every style."""
    out = []
    for style in STYLES:
        rng = np.random.default_rng(4)
        for i in range(8):
            out.append(paint(draw_record(rng, [draw_person(60 + i)]), 256, style).rgb)
    return grid(out, 8)


def speed(count: int = 200) -> None:
    """Pictures a second on this core, by processor time."""
    for framing, n in (("portrait", 1), ("half-body", 1), ("pair", 2), ("three", 3), ("nobody", 0)):
        rng = np.random.default_rng(0)
        start, wall = time.process_time(), time.time()
        for i in range(count):
            paint(draw_record(rng, [draw_person(10 * i + k) for k in range(n)], framing))
        used, wall = time.process_time() - start, time.time() - wall
        print(
            f"{framing}: {count / used:.0f} a second of processor time, {count / wall:.0f} of wall time"
        )


SHEETS = {
    f.__name__: f
    for f in (
        people,
        people_large,
        pairs,
        places,
        expressions,
        outfits,
        hair,
        ages,
        skins,
        masks,
        styles,
    )
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = [*SHEETS, speed.__name__]
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}; all sheets without"
    )
    wanted = parser.parse_args(arguments).names
    for name in wanted:
        if name not in names:
            parser.error(f"no sheet is called {name!r}; there are: {', '.join(names)}")
    out = state() / "sheets" / "world"
    out.mkdir(parents=True, exist_ok=True)
    for name in wanted or SHEETS:
        if name == "speed":
            speed()
        else:
            Image.fromarray(SHEETS[name]()).save(out / f"{name}.png")


if __name__ == "__main__":
    main()
