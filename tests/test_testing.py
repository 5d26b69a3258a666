"""identitystory.testing: our own parts keep the contract, and a part that breaks a rule is told which."""

import shutil
from dataclasses import dataclass, replace
from time import perf_counter

import pytest
import torch
from PIL import Image

from identitystory.errors import ConfigError, PromptError
from identitystory.methods.plain import General
from identitystory.methods.registry import METHODS, REGISTRY
from identitystory.metrics.evidence import Evidence, MeasuredStory
from identitystory.metrics.measures import MEASURES, Measure
from identitystory.models.backend import load_backend
from identitystory.models.device import Room
from identitystory.models.files.checkpoint import Found
from identitystory.models.sdxl.family import SDXL
from identitystory.models.segment.parts import GROUNDED_SAM
from identitystory.protocols import Backend
from identitystory.testing import (
    ContractError,
    check_family,
    check_generator,
    check_identity_generator,
    check_measure,
    check_method,
    check_segmenter,
)
from identitystory.testing.rules import drawn
from identitystory.types import Segmentation
from tests.conftest import FakeGenerator, FakeIdentityGenerator, FakeSegmenter
from tests.toy import toy_checkpoint, write_toy_grounded  # noqa: F401


@pytest.fixture(scope="module")
def toys(toy):
    return load_backend(toy, device="cpu", dtype="float32", num_steps=3, sampler="ancestral")


# --- Our own --------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampler", ["ddim", "euler"])
def test_our_generator_keeps_its_contract(toy, sampler):
    backend = load_backend(toy, device="cpu", dtype="float32", num_steps=3, sampler=sampler)
    check_generator(backend.general)


def test_photomaker_keeps_its_contract(toys):
    check_identity_generator(toys.identity, general=toys.general)


def test_our_segmenters_keep_their_contract(toys, tmp_path):
    check_segmenter(toys.segmenter)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        folder = write_toy_grounded(tmp_path)
    found = Found("grounded-sam", GROUNDED_SAM, (folder / "detector", folder / "sam"))
    check_segmenter(found.open(room=Room(torch.device("cpu")), thresholds=(0.0,)))


def test_sdxl_keeps_its_contract(toy):
    check_family(SDXL, toy)


# --- Whoever breaks a rule -----------------------------------------------------------------------


class Sound(FakeGenerator):
    """A fake that keeps every rule; a face is not its business."""

    def condition(self, prompts):
        if any(prompt.face is not None for prompt in prompts):
            raise ConfigError("no faces")
        return super().condition(prompts)


class SoundWithFaces(FakeIdentityGenerator):
    def embed(self, images):
        return super().embed(images) if images else torch.zeros(0, 16)

    def condition(self, prompts):
        if any(p.face is not None and p.noun not in p.text for p in prompts):
            raise PromptError("no noun")
        return super().condition(prompts)


def test_a_sound_part_breaks_no_rule():
    check_generator(Sound())
    check_identity_generator(SoundWithFaces(), general=Sound())
    check_segmenter(FakeSegmenter({"a man": (1, 2, 20, 30)}))


def changed(base, **methods):
    return type("Changed", (base,), methods)()


@pytest.mark.parametrize(
    ("rule", "found", "at"),
    [
        ("points: count", [None], torch.ones(5, 2)),
        ("points: whose", [None, torch.ones(5, 2)], torch.ones(5, 2)),
        ("points: shape", [torch.ones(3, 2), None], torch.ones(5, 2)),
        ("points: inside", [None, None], torch.full((5, 2), -1.0)),
        ("points: heeded", [None, None], torch.ones(5, 2)),
    ],
)
def test_who_places_faces_is_told_which_rule_it_breaks(rule, found, at):
    points = {
        "face_points": lambda G, image, masks: found[: len(masks)],
        "portrait_points": lambda G: at,
    }
    with pytest.raises(ContractError, match=f"^{rule}: "):
        check_identity_generator(changed(SoundWithFaces, **points))


def counting(G, z, i, cond):
    """A step that depends on how often it was called."""
    G.count = getattr(G, "count", 0) + 1
    return FakeGenerator.step(G, z, i, cond) + G.count


@pytest.mark.parametrize(
    ("rule", "method", "does"),
    [
        ("noise: seed", "noise", lambda G, seed: torch.randn(2, 8, 8)),
        ("noise: seed", "noise", lambda G, seed: FakeGenerator.noise(G, 1)),
        ("noise: dtype", "noise", lambda G, seed: FakeGenerator.noise(G, seed).half()),
        ("noise: shape", "noise", lambda G, seed: FakeGenerator.noise(G, seed)[None]),
        ("step: order", "step", counting),
        ("step: pure", "step", lambda G, z, i, c: z.mul_(0.9) + FakeGenerator.step(G, z, i, c)),
        ("step: dtype", "step", lambda G, z, i, c: FakeGenerator.step(G, z, i, c).double()),
        ("step: finite", "step", lambda G, z, i, c: FakeGenerator.step(G, z, i, c) / 0),
        ("step: text", "step", lambda G, z, i, c: z * 0.9),
        (
            "step: pure",
            "step",
            lambda G, z, i, c: FakeGenerator.step(G, z, i, c) + torch.initial_seed() % 100 // 99,
        ),
        (
            "batch",
            "step",
            lambda G, z, i, c: FakeGenerator.step(G, z, i, c) + z.mean(dim=0, keepdim=True),
        ),
        ("calls", "calls", lambda G, i, c: None),
        ("decode: count", "decode", lambda G, z: FakeGenerator.decode(G, z)[:1]),
        (
            "decode: mode",
            "decode",
            lambda G, z: [p.convert("L") for p in FakeGenerator.decode(G, z)],
        ),
        ("with_steps", "with_steps", lambda G, steps: G),
        ("faces", "condition", FakeGenerator.condition),
    ],
)
def test_a_generator_that_breaks_a_rule_is_told_which(rule, method, does):
    with pytest.raises(ContractError, match=f"^{rule}: "):
        check_generator(changed(Sound, **{method: does}))


def test_calls_are_held_against_the_rows_that_the_network_sees(toys):
    class Cheap(type(toys.general)):
        def calls(self, i, cond):
            return 1

    liar = toys.general.with_steps(4)
    liar.__class__ = Cheap
    with pytest.raises(ContractError, match=r"^calls: step 4 makes 4 and says 1"):
        check_generator(liar)


@pytest.mark.parametrize(
    ("rule", "method", "does"),
    [
        ("embed: shape", "embed", lambda G, images: SoundWithFaces.embed(G, images)[:1]),
        ("embed: dtype", "embed", lambda G, images: SoundWithFaces.embed(G, images).double()),
        ("embed: who", "embed", lambda G, images: torch.ones(len(images), 16)),
        ("embed: nobody", "embed", FakeIdentityGenerator.embed),
        ("noun", "condition", FakeGenerator.condition),
        (
            "faces: heeded",
            "condition",
            lambda G, ps: SoundWithFaces.condition(G, [replace(p, face=None) for p in ps]),
        ),
    ],
)
def test_an_identity_generator_that_breaks_a_rule_is_told_which(rule, method, does):
    if rule == "embed: nobody":
        does = lambda G, images: SoundWithFaces.embed(G, images) if images else torch.zeros(0, 3)
    with pytest.raises(ContractError, match=f"^{rule}: "):
        check_identity_generator(changed(SoundWithFaces, **{method: does}))


def test_what_leaves_a_trace_in_a_shared_network_is_told():
    class Shared(Sound):
        merged = 0.0

        def step(self, z, i, cond):
            return super().step(z, i, cond) + Shared.merged

    class Merges(SoundWithFaces):
        def step(self, z, i, cond):
            Shared.merged = 1.0
            return super().step(z, i, cond)

    with pytest.raises(ContractError, match=r"^shared networks: "):
        check_identity_generator(Merges(), general=Shared())


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        ("masks: shape", lambda n, h, w: Segmentation(torch.zeros(n, w, h, dtype=torch.bool))),
        ("masks: dtype", lambda n, h, w: Segmentation(torch.zeros(n, h, w))),
        ("masks: exclusive", lambda n, h, w: Segmentation(torch.ones(n, h, w, dtype=torch.bool))),
        (
            "scores",
            lambda n, h, w: Segmentation(torch.zeros(n, h, w, dtype=torch.bool), (2.0,) * n),
        ),
        (
            "found",
            lambda n, h, w: Segmentation(torch.zeros(n, h, w, dtype=torch.bool), (), (True,) * n),
        ),
        ("same again", lambda n, h, w: Segmentation(one_of(torch.rand(n, h, w)))),
    ],
)
def test_a_segmenter_that_breaks_a_rule_is_told_which(rule, found):
    class Strange:
        def segment(self, image, phrases):
            return found(len(phrases), image.height, image.width)

    with pytest.raises(ContractError, match=f"^{rule}: "):
        check_segmenter(Strange(), images=[drawn(40, 64)])


def one_of(noise):
    """Exclusive masks, each pixel the strongest's."""
    best = noise.argmax(dim=0) if len(noise) else torch.zeros(noise.shape[1:])
    return torch.stack([best == n for n in range(len(noise))]) if len(noise) else noise.bool()


def test_a_folder_of_another_family_is_told(toy, tmp_path):
    with pytest.raises(ContractError, match=r"^pipeline: .*'StableDiffusionXLPipeline'"):
        check_family(replace(SDXL, pipeline="Flux"), toy)
    copy = shutil.copytree(toy, tmp_path / "copy")
    shutil.rmtree(copy / "vae")
    with pytest.raises(ContractError, match=r"^parts: the folder has no vae/"):
        check_family(SDXL, copy)


# --- Methods and measures --------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in METHODS if name != "story-adapter"])
def test_our_methods_keep_their_contract(toys, name):
    check_method(REGISTRY.get(name), toys)


class Refrain(General):
    """Every frame by itself, as `General`; each test breaks something of it."""

    name = "refrain"
    extra: int = 3


def broken(**methods):
    return dataclass(frozen=True)(type("Broken", (Refrain,), methods))


@pytest.fixture(scope="module")
def fakes():
    return Backend("fake", Sound(num_steps=3), SoundWithFaces(num_steps=3), None)


def test_a_sound_method_breaks_no_rule(fakes):
    check_method(broken(), fakes)


def everybody_again(method, backend, work):
    everyone = replace(work, wanted=tuple(range(len(work.story.scenes))))
    yield from General.paint(method, backend, everyone)


def by_count(method, backend, work):
    for n, frame in General.paint(method, backend, work):
        grey = 10 * len(work.wanted)
        yield n, replace(frame, image=Image.new("RGB", frame.image.size, (grey, n, grey)))


@pytest.mark.parametrize(
    ("rule", "method", "does"),
    [
        ("depends", "depends", lambda m, story, n: (n,)),
        ("prompts", "prompts", lambda m, story, n: iter([("a man by the sea", "woman")])),
        ("keys: plain values", "inputs", lambda m, sources, n: {"face": torch.zeros(1)}),
        ("keys: same again", "inputs", lambda m, sources, n: {"at": perf_counter()}),
        ("keys: seed", "inputs", lambda m, sources, n: m.settings()),
        ("keys: settings", "inputs", lambda m, sources, n: {"seed": sources.seeds[n]}),
        ("calls", "calls", lambda m, story, wanted, steps: 0),
        ("frames", "paint", everybody_again),
        ("alone", "paint", by_count),
    ],
)
def test_a_method_that_breaks_a_rule_is_told_which(fakes, rule, method, does):
    with pytest.raises(ContractError, match=f"^{rule}: "):
        check_method(broken(**{method: does}), fakes)


def test_a_method_whose_settings_can_change_is_told(fakes):
    with pytest.raises(ContractError, match=r"^settings: it is not a frozen dataclass"):
        check_method(type("Loose", (), {"name": "x", "of": classmethod(lambda c, p: c())}), fakes)


@pytest.mark.parametrize("measure", MEASURES, ids=lambda measure: measure.name)
def test_our_measures_keep_their_contract(measure):
    check_measure(measure)


def test_a_measure_that_breaks_a_rule_is_told_which():
    sound = Measure("people", "pictures", "1-5", "", of=lambda e, _: e.story.people or float("nan"))
    pictures = Evidence(MeasuredStory("two", (), 2))
    check_measure(replace(sound, of=lambda e, _: float(e.story.people or "nan")), pictures)
    for rule, wrong in (
        ("better", replace(sound, better="up")),
        ("nothing to measure", replace(sound, of=lambda e, _: 0.0)),
        ("unit", replace(sound, unit="%", of=lambda e, _: float(e.story.people or "nan"))),
        ("value", sound),
        (
            "value: same again",
            replace(sound, of=lambda e, _: perf_counter() if e.story.people else float("nan")),
        ),
    ):
        with pytest.raises(ContractError, match=f"^{rule}: "):
            check_measure(wrong, pictures)
