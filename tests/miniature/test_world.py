"""Facts about the storybook world."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from miniature.world import captions, words
from miniature.world.colour import CLOTH_HEX, COLOURS, hexlab, rgb_to_lab
from miniature.world.head import Head, skin_colour
from miniature.world.picture import KEY_POINTS, PARTS, STYLES, paint
from miniature.world.records import (
    CATEGORIES,
    EXPRESSIONS,
    GESTURES,
    HAIRS,
    HOURS,
    IDENTITY,
    OUTFITS,
    PLACES,
    TWO_COLOURS,
    Moment,
    Place,
    Record,
    categories,
    identity_numbers,
)
from miniature.world.sampling import draw_person, draw_record

WALL = Place("plain wall", "day", 3)


def alone(person, framing="portrait", place=WALL, **moment) -> Record:
    return Record((person,), (Moment(**moment),), place, framing)


def part(picture, *names) -> np.ndarray:
    return np.isin(picture.part, [PARTS.index(n) for n in names])


def test_the_same_seed_gives_the_same_picture():
    for framing, n in (("portrait", 1), ("half-body", 1), ("pair", 2), ("nobody", 0)):
        records = [
            draw_record(np.random.default_rng(5), [draw_person(40 + k) for k in range(n)], framing)
            for _ in range(2)
        ]
        assert records[0] == records[1]
        one, other = paint(records[0]), paint(records[1])
        for name in ("rgb", "person", "part", "head", "keypoints"):
            assert np.array_equal(getattr(one, name), getattr(other, name))


def test_the_width_follows_the_number_of_people():
    people = [draw_person(k) for k in range(3)]
    rng = np.random.default_rng(0)
    for count, width in ((0, 128), (1, 128), (2, 192), (3, 256)):
        picture = paint(draw_record(rng, people[:count]), 128)
        assert picture.rgb.shape == (128, width, 3)
        assert picture.person.shape == picture.part.shape == picture.head.shape == (128, width)
        assert picture.keypoints.shape == (count, len(KEY_POINTS), 2)
        assert set(np.unique(picture.person)) == set(range(count + 1))
        assert set(np.unique(picture.head)) == set(range(count + 1))
    assert paint(draw_record(rng, people[:1]), 200).rgb.shape == (200, 200, 3)


def test_a_framing_needs_its_number_of_people():
    with pytest.raises(ValueError, match="pair needs 2"):
        alone(draw_person(1), "pair")


def test_labels_lie_where_the_person_is_drawn():
    record = draw_record(np.random.default_rng(3), [draw_person(9)], "portrait")
    with_person = paint(record)
    place = replace(record, place=replace(record.place, name="studio"))
    changed = (with_person.rgb != paint(place).rgb).any(-1)
    # the other place changes nothing inside the person (but its edge and the hour's light)
    solid = with_person.person > 0
    inside = (
        solid[2:-2, 2:-2] & solid[:-4, 2:-2] & solid[4:, 2:-2] & solid[2:-2, :-4] & solid[2:-2, 4:]
    )
    if place.place.hour == record.place.hour:
        assert not (changed[2:-2, 2:-2] & inside).mean() > 0.6
    assert ((with_person.part > 0) == solid).all()
    assert (with_person.head <= with_person.person).all()
    assert (with_person.head > 0).mean() > 0.15


def test_heads_are_as_large_as_the_framing_says():
    for framing, share in (("portrait", 0.55), ("half-body", 0.40)):
        sizes = []
        for seed in range(8):
            points = paint(alone(draw_person(seed), framing)).keypoints[0] / 256
            sizes.append(np.linalg.norm(points[8] - points[5]))
        assert abs(np.mean(sizes) - share) < 0.05


@pytest.mark.parametrize("framing", ["portrait", "half-body"])
def test_key_points_lie_in_the_head(framing):
    rng = np.random.default_rng(2)
    for seed in range(24):
        picture = paint(draw_record(rng, [draw_person(200 + seed)], framing), 128)
        x, y = picture.keypoints[0].round().astype(int).T
        near = [
            picture.head[max(0, b - 1) : b + 2, max(0, a - 1) : a + 2].any()
            for a, b in zip(x, y, strict=True)
        ]
        assert all(near), (seed, [n for n, ok in zip(KEY_POINTS, near, strict=True) if not ok])


@pytest.mark.parametrize("outfit", OUTFITS)
def test_the_torso_is_covered(outfit):
    for seed, framing in ((1, "portrait"), (2, "half-body"), (3, "half-body")):
        person = draw_person(seed, age=(30, 9, 60)[seed - 1], hair="crop", tone=0.1)
        picture = paint(alone(person, framing, outfit=outfit, colour="blue", second="teal"))
        unit = np.linalg.norm(picture.keypoints[0][8] - picture.keypoints[0][5]) / 2
        chin = picture.keypoints[0][5]
        top = int(chin[1] + 0.95 * unit)
        strip = np.s_[top:256, int(chin[0] - 0.4 * unit) : int(chin[0] + 0.4 * unit)]
        assert picture.part[strip].size
        assert (picture.part[strip] == PARTS.index("cloth")).mean() > 0.97
        skin = np.array(skin_colour(person))
        near = np.linalg.norm(rgb_to_lab(picture.rgb[strip]) - skin, axis=-1) < 0.05
        assert near.mean() < 0.02


@pytest.mark.parametrize("colour", COLOURS)
def test_a_colour_word_is_the_colour_of_the_cloth(colour):
    names = list(CLOTH_HEX)
    known = np.array([hexlab(CLOTH_HEX[n]) for n in names])
    for k, outfit in enumerate(("t-shirt", "sweater", "shirt", "turtleneck", "vest", "hoodie")):
        picture = paint(alone(draw_person(k, hair="crop"), outfit=outfit, colour=colour))
        cloth = rgb_to_lab(picture.rgb[part(picture, "cloth")])
        assert names[int(np.linalg.norm(known - np.median(cloth, 0), axis=1).argmin())] == colour


def test_two_colours_show_where_they_are_said():
    for outfit in TWO_COLOURS:
        picture = paint(
            alone(
                draw_person(4, hair="crop"),
                "half-body",
                outfit=outfit,
                colour="blue",
                second="yellow",
            )
        )
        cloth = rgb_to_lab(picture.rgb[part(picture, "cloth")])
        for name in ("blue", "yellow"):
            near = np.linalg.norm(cloth - np.array(hexlab(CLOTH_HEX[name])), axis=1) < 0.11
            assert near.mean() > 0.02, (outfit, name)


def test_every_place_word_has_a_place_and_every_hour_shows():
    assert set(words.PLACE) == set(words.VIEW) == set(PLACES)
    for name in PLACES:
        seen = [paint(Record((), (), Place(name, hour, 8), "nobody"), 64).rgb for hour in HOURS]
        for i in range(len(HOURS)):
            for j in range(i):
                assert np.abs(seen[i].astype(int) - seen[j]).mean() > 1.0, (
                    name,
                    HOURS[i],
                    HOURS[j],
                )


def test_words_know_every_kind():
    assert set(words.HAIR) == set(HAIRS)
    assert set(words.OUTFIT) == set(OUTFITS)
    assert set(words.EXPRESSION) == set(EXPRESSIONS)
    assert set(words.GESTURE) == set(GESTURES)


def test_captions_are_true_and_in_the_vocabulary():
    rng = np.random.default_rng(11)
    known = set(captions.VOCABULARY)
    for i in range(300):
        count = (1, 1, 1, 2, 0, 3)[i % 6]
        record = draw_record(rng, [draw_person(i * 3 + k) for k in range(count)])
        text = captions.caption(record, rng)
        found = set(re.findall(r"[^\W\d_]+(?:-[^\W\d_]+)*", text.lower()))
        assert found <= known, (found - known, text)
        if count == 1:
            facts = categories(record, 0)
            if re.search(r"(?<!no )(?<!without )glasses", text):
                assert facts["glasses"] != "none", text
            if "no glasses" in text or "without glasses" in text:
                assert facts["glasses"] == "none", text
            if "Black" in text or "dark skin" in text:
                assert facts["skin"] == "dark", text
            for colour in ("red", "green", "blue", "purple", "pink", "teal", "orange", "yellow"):
                if re.search(rf"\b{colour}\b", text):
                    said = (
                        facts["colour"],
                        facts["second"],
                        facts["hair colour"],
                        facts["eyes"],
                        record.people[0].accent,
                    )
                    assert colour in said or (colour == "blue" and "under a blue sky" in text), text
            assert ("night" in text or "stars" in text) <= (facts["hour"] == "night"), text


def test_the_article_suits_a_cut_without_its_colour():
    rng, person = np.random.default_rng(0), draw_person(3, hair="afro")
    said = " / ".join(captions.describe(person, rng) for _ in range(200))
    assert "with an afro" in said
    assert not re.search(r"\ba [aeiou]", said)


def test_every_category_is_known():
    rng = np.random.default_rng(1)
    for i in range(200):
        record = draw_record(rng, [draw_person(i)])
        facts = categories(record, 0)
        assert set(facts) == set(CATEGORIES)
        assert all(facts[k] in CATEGORIES[k] for k in facts)


def test_changing_a_trait_keeps_the_person_otherwise():
    for seed in range(30):
        base = draw_person(seed)
        for change in (
            dict(hair="afro"),
            dict(beard="none"),
            dict(glasses="round"),
            dict(volume=0.5),
        ):
            other = draw_person(seed, **change)
            assert other == replace(base, **change)
        assert draw_person(seed, tone=base.tone, age=base.age) == base


def test_identity_numbers_are_scaled():
    numbers = np.stack([identity_numbers(draw_person(i)) for i in range(300)])
    assert numbers.shape == (300, len(IDENTITY))
    assert numbers.dtype == np.float32
    assert np.abs(numbers).max() <= 1.0001
    assert (numbers.std(0) > 0.15).all()


def test_people_are_balanced():
    people = [draw_person(i) for i in range(900)]
    facts = [categories(alone(p), 0) for p in people]
    share = lambda key, value: np.mean([f[key] == value for f in facts])
    assert all(0.15 < share("skin", s) < 0.40 for s in CATEGORIES["skin"])
    assert all(0.08 < share("age", a) < 0.35 for a in CATEGORIES["age"])
    assert all(share("hair", h) > 0.010 for h in HAIRS)
    assert 0.45 < share("sex", "woman") < 0.55


def test_the_head_turns_as_the_moment_says():
    person = draw_person(3, hair="crop")
    nose = [Head(person, Moment(yaw=y)).key_points()[2][0] for y in (-20, 0, 20)]
    assert nose[0] < nose[1] < nose[2]
    nose = [Head(person, Moment(pitch=y)).key_points()[2][1] for y in (-12, 0, 12)]
    assert nose[0] > nose[1] > nose[2]


def test_every_style_draws_the_same_labels():
    record = draw_record(np.random.default_rng(6), [draw_person(12)])
    base = paint(record)
    for style in STYLES:
        picture = paint(record, style=style)
        assert np.array_equal(picture.part, base.part)
        assert (picture.rgb == base.rgb).all() == (style == "storybook")
