"""The rules of methods and measures, see `methods.method.Method` and `metrics.measures.Measure`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch

from ..config import InjectionConfig, Preset
from ..methods.method import Method, Sources, Work
from ..metrics.evidence import Evidence, Instruments, MeasuredStory
from ..metrics.measures import Measure
from ..protocols import Backend, ModelFacts, Segmenter
from ..sampling import Watched
from ..types import Character, Frame, Identity, Prompt, Scene, Segmentation, Story
from .rules import drawn, rule

MARA = Character("Mara", "a woman with long red hair", "woman")
TOM = Character("Tom", "an old man with a white beard", "man")
STORY = Story(
    "check",
    (MARA, TOM),
    (
        Scene(f"{MARA.description} by the sea", ("Mara",)),
        Scene(f"{MARA.description} and {TOM.description} by the sea", ("Mara", "Tom")),
        Scene(f"{TOM.description} in the snow", ("Tom",)),
    ),
)


class _Stripes:
    """Finds everybody, side by side, so that a frame costs what it should."""

    def segment(self, image: Any, phrases: Any) -> Segmentation:
        column = torch.arange(image.width) * max(1, len(phrases)) // image.width
        stripe = column.expand(image.height, -1)
        masks = [stripe == n for n in range(len(phrases))]
        return Segmentation(torch.stack(masks), found=(True,) * len(masks))


def check_method(kind: type[Method], backend: Backend, *, story: Story = STORY) -> None:
    """Raises ContractError unless a method keeps its contract.

    Args:
        kind: the class.
        backend: with a few steps; its segmenter is not asked.
        story: three scenes, with names in their casts.
    """
    t = backend.general.num_steps
    preset = Preset("check", num_steps=t, injection=InjectionConfig(start=max(1, t - 1)))
    method = kind.of(preset)
    frozen = is_dataclass(method) and method.__dataclass_params__.frozen
    rule("settings", frozen, "it is not a frozen dataclass")
    rule("name", isinstance(kind.name, str) and bool(kind.name), f"{kind.name!r}")
    seeds = [method.seed(3, n, per_frame=True) for n in range(len(story.scenes))]
    rule("seeds", seeds == [method.seed(3, n, per_frame=True) for n in range(len(seeds))], "vary")
    _words(method, story)
    _keys(method, story, tuple(seeds))
    stripes: Segmenter = _Stripes()
    _paints(method, replace(backend, segmenter=stripes), story, tuple(seeds))


def _words(method: Method, story: Story) -> None:
    for n in range(len(story.scenes)):
        beside = method.depends(story, n)
        there = set(beside) <= set(range(len(story.scenes))) - {n}
        rule("depends", there and len(set(beside)) == len(beside), f"frame {n} on {beside}")
        for text, noun in method.prompts(story, n):
            rule("prompts", noun in text, f"the noun {noun!r} is not in {text!r}")


def _keys(method: Method, story: Story, seeds: tuple[int, ...]) -> None:
    model = ModelFacts("weights", "cpu", "float32")
    faces = {character.name: f"face of {character.name}" for character in story.characters}
    sources = Sources(story, model, seeds, faces if method.needs_identities else {})
    key = lambda method, sources: json.dumps(method.inputs(sources, 1), sort_keys=True)
    try:
        before = key(method, sources)
        json.dumps(method.facts(sources, 1))
    except TypeError as error:
        rule("keys: plain values", False, str(error))
    rule("keys: same again", key(method, sources) == before, "inputs differ from call to call")
    other = replace(sources, seeds=tuple(seed + 1 for seed in seeds))
    rule("keys: seed", key(method, other) != before, "another seed has the same key")
    for name, changed in _other_settings(method):
        rule("keys: settings", key(changed, sources) != before, f"another {name}, the same key")
    if method.needs_identities:
        other = replace(sources, identities={name: f"{key} 2" for name, key in faces.items()})
        rule("keys: faces", key(method, other) != before, "other faces have the same key")


def _other_settings(method: Any) -> Iterator[tuple[str, Any]]:
    """The method with one field at a time changed, where that is allowed."""
    for field in fields(method):
        value = getattr(method, field.name)
        if isinstance(value, bool):
            other: Any = not value
        elif isinstance(value, int | float):
            other = value + 1
        elif isinstance(value, str):
            other = value + "x"
        else:
            continue
        try:
            yield field.name, replace(method, **{field.name: other})
        except ValueError:
            continue


def _paints(method: Method, backend: Backend, story: Story, seeds: tuple[int, ...]) -> None:
    G, G_id = Watched(backend.general), Watched(backend.identity)
    watched = replace(backend, general=G, identity=G_id)
    E = backend.identity.embed([drawn(64, 64, n) for n in range(len(story.characters))])
    cast = {
        character.name: Identity(e, torch.zeros(0, dtype=torch.int64))
        for character, e in zip(story.characters, E, strict=True)
    }
    probe = G.noise(11)[None]
    cond = backend.general.condition([Prompt(story.scenes[0].prompt, guidance=3.0, seed=11)])
    with torch.no_grad():
        before = backend.general.step(probe, 1, cond)

        def paint(seeds: tuple[int, ...], *wanted: int) -> dict[int, Frame]:
            work = Work(story, seeds, wanted, cast if method.needs_identities else {})
            painted = list(method.paint(watched, work))
            once = sorted(n for n, _ in painted) == list(wanted)
            rule("frames", once, f"asked for {list(wanted)}, painted {[n for n, _ in painted]}")
            return dict(painted)

        everyone = tuple(range(len(story.scenes)))
        frames = paint(seeds, *everyone)
        made = G.evaluations + G_id.evaluations
        told = method.calls(story, everyone, backend.general.num_steps)
        rule("calls", made == told, f"painting makes {made} network calls and says {told}")
        after = backend.general.step(probe, 1, cond)
        rule("trace", torch.equal(after, before), "G steps otherwise when it has painted")
        alone = paint(seeds, 1)[1].image.tobytes() == frames[1].image.tobytes()
        rule("alone", alone, "a frame depends on which others are wanted")
        again = paint(tuple(seed + 1 for seed in seeds), 1)[1].image.tobytes()
        rule("seed", again != frames[1].image.tobytes(), "another seed paints the same")


def check_measure(measure: Measure, evidence: Evidence | None = None) -> None:
    """Raises ContractError unless a measure keeps its contract.

    Args:
        measure: a row of the table.
        evidence: of a story that it can measure; without it only what holds for none is checked.
    """
    rule("name", bool(measure.name.strip()), f"{measure.name!r}")
    rule("better", measure.better in ("more", "less", ""), f"{measure.better!r}")
    rule("unit", bool(measure.unit), f"{measure.unit!r}")
    tools = Instruments()
    if measure.pool is None:
        nothing = measure.of(Evidence(MeasuredStory("nothing", (), 0)), tools)
        rule("nothing to measure", math.isnan(nothing), f"{nothing} of no pictures, not nan")
    if evidence is None:
        return
    value = _value(measure, evidence, tools)
    rule("value", isinstance(value, float) and math.isfinite(value), f"{value!r}")
    rule("value: same again", _value(measure, evidence, tools) == value, "another value")
    if measure.unit in ("%", "0-1"):
        rule("unit", -1 <= value <= 1, f"{value} is not a share")


def _value(measure: Measure, evidence: Evidence, tools: Instruments) -> float:
    if measure.pool is None:
        return measure.of(evidence, tools)
    return measure.pool([evidence], tools)(torch.ones(1, dtype=torch.float64))
