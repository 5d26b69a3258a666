import dataclasses

import pytest
import torch

from identitystory.attempts import find_template
from identitystory.config import ControlConfig, DiscoveryConfig, InjectionConfig, Preset
from identitystory.cost import count_evaluations, frame_evaluations, search_evaluations
from identitystory.discovery import discover
from identitystory.errors import ConfigError
from identitystory.injection import kept_latents, make_template, windows
from identitystory.methods.method import Work
from identitystory.methods.plain import DirectIdentity
from identitystory.pipeline import (
    asked_template,
    find_identity,
    first_latents,
    inject,
    inject_together,
    paint,
    portraits,
    unguided_injection,
)
from identitystory.pose import Pose
from identitystory.protocols import Backend
from identitystory.sampling import Watched, trajectory
from identitystory.seeds import attempt_seed, frame_seed, portrait_seeds
from identitystory.skeleton import control_of
from identitystory.story.imports import consistory
from identitystory.types import Character, Identity, Prompt, Segmentation
from identitystory.wording import identity_prompt, phrases, styled, template_prompt

from .conftest import MARA, TOM, FakeGenerator, FakeIdentityGenerator, FakeSegmenter, T, asked

DISCOVERY = DiscoveryConfig(num_portraits=10, rank=2, search_prompt="a portrait of {description}")
PRESET = Preset("test", num_steps=T, discovery=DISCOVERY, injection=InjectionConfig(start=8))


def faces(*values):
    none = torch.zeros(0, dtype=torch.int64)
    names = ("Mara", "Tom")
    return {n: Identity(torch.full((16,), v), none) for n, v in zip(names, values, strict=False)}


# --- seeds -------------------------------------------------------------------------------------


def test_portrait_seeds_are_the_same_on_every_machine():
    assert portrait_seeds(MARA, 0, 2) == [92461795702519, 97896871755698]


def test_seeds_of_frames_and_attempts_are_the_same_on_every_machine():
    assert [attempt_seed(4, n) for n in (0, 1)] == [4, 142744361749625]
    frames = [frame_seed(4, place, per_frame=True) for place in (2, "pier")]
    assert frames == [99221493348212, 148230260871399]


def test_portrait_seeds_are_distinct_and_a_prefix_of_more():
    seeds = portrait_seeds(MARA, 0, 64)
    assert len(set(seeds)) == 64
    assert seeds[:10] == portrait_seeds(MARA, 0, 10)
    twin = Character("Lena", MARA.description, MARA.noun)
    for other in (
        portrait_seeds(MARA, 1, 64),
        portrait_seeds(TOM, 0, 64),
        portrait_seeds(twin, 0, 64),
    ):
        assert not set(seeds) & set(other)


def test_frames_get_their_own_seed_unless_the_preset_says_one_for_all():
    assert len({frame_seed(0, n, per_frame=PRESET.seed_per_frame) for n in range(20)}) == 20
    assert {frame_seed(4, n, per_frame=False) for n in range(20)} == {4}
    assert attempt_seed(4, 0) == 4
    assert len({attempt_seed(4, n) for n in range(5)}) == 5


# --- discovery ---------------------------------------------------------------------------------


def test_portraits_are_plain_sampling_without_an_identity():
    G_id = FakeIdentityGenerator()
    images, E = portraits(G_id, MARA, [3, 4], DISCOVERY)
    prompt = "a portrait of a woman with dark curly hair"
    assert G_id.conditions[0] == asked([prompt] * 2, guidance=5.0, negative="", seeds=[3, 4])
    for seed, image, row in zip((3, 4), images, E, strict=True):
        cond = G_id.condition(asked([prompt], guidance=5.0))
        z = [z for _, z in trajectory(G_id, G_id.noise(seed)[None], cond)][-1]
        assert image.tobytes() == G_id.decode(z)[0].tobytes()
        assert torch.equal(row, G_id.embed([image])[0])


@pytest.mark.parametrize("batch", [1, 3, 10])
def test_the_batch_of_portraits_does_not_change_the_identity(batch):
    identity, images, E = find_identity(FakeIdentityGenerator(), MARA, DISCOVERY, batch=batch)
    _, all_at_once = portraits(
        FakeIdentityGenerator(), MARA, portrait_seeds(MARA, 0, 10), DISCOVERY
    )
    assert torch.equal(E, all_at_once)
    assert len(images) == 10
    torch.testing.assert_close(identity.embedding, E[identity.kept].mean(dim=0))
    assert [len(e) for e in identity.errors] + [len(identity.kept)] == list(DISCOVERY.rows)


def test_the_seed_of_a_search_is_that_of_its_filter_too():
    """Only the control ``random`` draws: what it keeps is of the search's seed."""
    config = dataclasses.replace(DISCOVERY, selection="random")
    for seed in (0, 1, 2):
        found, _, E = find_identity(FakeIdentityGenerator(), MARA, config, seed=seed)
        assert torch.equal(found.kept, discover(E, config, seed=seed).kept)


def test_eight_portraits_are_painted_at_a_time_of_seed_0_unless_it_is_said_otherwise():
    ready = []
    _, _, E = find_identity(FakeIdentityGenerator(), MARA, DISCOVERY, ready=ready)
    assert [len(images) for images, _ in ready] == [8, 2]
    assert torch.equal(E, find_identity(FakeIdentityGenerator(), MARA, DISCOVERY, seed=0)[2])


def test_fewer_portraits_give_the_identity_of_those_few():
    G = FakeIdentityGenerator()
    config = DiscoveryConfig(num_portraits=32, rank=2, settle=1.99)
    identity, images, E = find_identity(G, MARA, config, batch=16)
    assert len(images) == len(E) == 32
    config = dataclasses.replace(config, num_portraits=64)
    identity, images, E = find_identity(G, MARA, config, batch=16)
    assert len(images) == len(E) == 32  # 16 and 32 are compared, 48 and 64 are never painted
    assert torch.equal(identity.embedding, discover(E, config).embedding)


def test_portraits_that_are_there_are_not_painted_again():
    ready = []
    whole = find_identity(FakeIdentityGenerator(), MARA, DISCOVERY, batch=4, ready=ready)
    assert [len(images) for images, _ in ready] == [4, 4, 2]
    G_id, rest = FakeIdentityGenerator(), ready[:2]
    again = find_identity(G_id, MARA, DISCOVERY, batch=4, ready=rest)
    assert G_id.asked == [(2, i) for i in range(T, 0, -1)]
    assert len(rest) == 3
    assert torch.equal(again[0].embedding, whole[0].embedding)


def test_portraits_behind_the_end_of_a_search_are_not_shown():
    """A search that asked for more may have left them, before ``settle`` was asked for."""
    config = DiscoveryConfig(num_portraits=64, rank=2)
    ready = []
    find_identity(FakeIdentityGenerator(), MARA, config, batch=16, ready=ready)
    config = dataclasses.replace(config, settle=1.99)
    _, images, E = find_identity(FakeIdentityGenerator(), MARA, config, batch=16, ready=ready)
    assert len(ready) == 4
    assert len(images) == len(E) == 32


# --- frames ------------------------------------------------------------------------------------


def test_every_character_is_conditioned_on_its_words_noun_and_face(story, backend):
    paint(backend, story, story.scenes[1], faces(1.0, 2.0), PRESET)
    prompts = backend.identity.conditions[0]
    assert [p.text for p in prompts] == [f"watercolour, {c.description}" for c in (MARA, TOM)]
    assert [p.noun for p in prompts] == ["woman", "man"]
    assert [float(p.face.mean()) for p in prompts] == [1.0, 2.0]
    assert {p.guidance for p in prompts} == {PRESET.injection.guidance_identity}
    assert phrases(story, story.scenes[1]) == [MARA.description, TOM.description]


def test_the_whole_scene_is_said_again_only_of_somebody_alone(story):
    alone, together = story.scenes[0], story.scenes[1]
    assert (len(alone.cast), len(together.cast)) == (1, 2)
    words = dataclasses.replace(PRESET.injection, identity_words="scene")
    described = f"watercolour, {MARA.description}"
    assert identity_prompt(story, alone, MARA, PRESET.injection) == described
    assert identity_prompt(story, alone, MARA, words) == alone.prompt != described
    assert identity_prompt(story, together, MARA, words) == described
    plain = dataclasses.replace(story, style="")
    assert identity_prompt(plain, together, TOM, words) == TOM.description


def test_a_description_without_its_noun_is_said_whole_by_the_release(story):
    words = dataclasses.replace(PRESET.injection, identity_words="release")
    together = dataclasses.replace(story.scenes[1], text="{Mara} and {Tom}, on a pier")
    keeper = dataclasses.replace(TOM, noun="keeper")
    other = dataclasses.replace(story, characters=(MARA, keeper))
    assert f"and {TOM.description}, on" in template_prompt(other, together, words)
    assert TOM.description[-5:] not in template_prompt(story, together, words)


def test_the_words_of_the_release(story):
    """The bare description of somebody alone; several joined to the style by a blank, their template
    with the descriptions cut behind the nouns. Everybody else's words stay as they were."""
    alone, together = story.scenes[0], story.scenes[1]
    words = dataclasses.replace(PRESET.injection, identity_words="release")
    assert identity_prompt(story, alone, MARA, words) == MARA.description
    assert identity_prompt(story, together, TOM, words) == f"watercolour {TOM.description}"
    assert template_prompt(story, alone, words) == alone.prompt
    assert template_prompt(story, together, PRESET.injection) == together.prompt
    style = "A close-up photo of"
    public = consistory.story(
        {
            "prompts": [f"{style} young girl with red hair, old man in a coat, on a pier"],
            "token": ["girl", "man"],
            "character": ["young girl with red hair", "old man in a coat"],
            "style": style,
        },
        "x",
        "x",
    )
    (scene,) = public.scenes
    said = f"{style} a young girl and an old man, on a pier"
    assert template_prompt(public, scene, words) == said
    assert template_prompt(public, scene, PRESET.injection) == scene.prompt
    of = identity_prompt(public, scene, public.characters[0], words)
    assert of == f"{style} a young girl with red hair"
    assert styled(style, "a man") == f"{style} a man"
    assert styled("watercolour", "a man") == "watercolour, a man"


def test_a_face_changes_its_own_character_and_nobody_else(story, backend):
    scene, config = story.scenes[1], dataclasses.replace(PRESET.injection, k_max=0.0)
    preset = dataclasses.replace(PRESET, injection=config)
    one, other = (paint(backend, story, scene, faces(1.0, v), preset) for v in (2.0, 9.0))
    differ = torch.tensor(
        [
            a != b
            for a, b in zip(
                one.image.convert("L").tobytes(), other.image.convert("L").tobytes(), strict=True
            )
        ]
    ).view(64, 64)
    tom = one.template.masks[1]
    assert differ.any()
    cells = tom[::8, ::8].repeat_interleave(8, 0).repeat_interleave(8, 1)
    assert not (differ & ~cells).any()


def test_the_same_seed_paints_the_same_frame_and_another_another(story, backend):
    def frame(seed):
        return paint(backend, story, story.scenes[1], faces(1.0, 2.0), PRESET, seed=seed)

    assert frame(1).image.tobytes() == frame(1).image.tobytes()
    assert frame(1).image.tobytes() != frame(2).image.tobytes()


@pytest.mark.parametrize("while_faces_are_put_in", [False, True])
def test_a_pose_steers_templates_and_faces_where_the_preset_says_so(
    story, backend, while_faces_are_put_in
):
    turned = dataclasses.replace(story.scenes[0], pose=(Pose("Mara", yaw=20.0),))
    preset = dataclasses.replace(PRESET, control=ControlConfig(identity=while_faces_are_put_in))
    paint(backend, story, turned, faces(1.0), preset)
    control = control_of(turned, backend.general.size, preset.control)
    assert control is not None
    assert [p.control for p in backend.general.conditions[0]] == [control]
    steered = [control] if while_faces_are_put_in else [None]
    assert [p.control for p in backend.identity.conditions[0]] == steered


def test_frames_painted_together_keep_each_to_its_own_control_and_seed(story, backend):
    scenes, config, seeds = story.scenes[:2], PRESET.injection, (3, 4)
    turned = dataclasses.replace(scenes[0], pose=(Pose("Mara", yaw=20.0),))
    controls = [control_of(turned, backend.general.size, PRESET.control), None]
    G, G_id, people = backend.general, backend.identity, faces(1.0, 2.0)
    assert first_latents(G, story, scenes[:1], [3], config, controls[:1]) == [None]
    made = first_latents(G, story, scenes, seeds, config, controls)
    (asked_for,) = G.conditions
    assert [p.control for p in asked_for] == controls
    templates = []
    for scene, seed, z, control in zip(scenes, seeds, made, controls, strict=True):
        assert torch.equal(z, kept_latents(G, [asked_template(story, scene, seed, config)])[0])
        how = {"seed": seed, "latents": z, "control": control}
        templates.append(find_template(G, backend.segmenter, story, scene, PRESET, **how))
    frames = inject_together(G_id, story, scenes, templates, people, config, controls)
    (asked_for,) = G_id.conditions
    assert [p.control for p in asked_for] == [controls[0], None, None]
    assert [p.seed for p in asked_for] == [3, 4, 4]
    for frame, scene, template in zip(frames, scenes, templates, strict=True):
        alone = inject(G_id, story, scene, template, people, config)
        assert frame.image.tobytes() == alone.image.tobytes()
        assert (frame.scene, frame.template) == (scene, template)


def test_each_is_denoised_again_in_their_window(story, backend):
    config = dataclasses.replace(PRESET.injection, window=0.0, k_max=0.0)
    preset = dataclasses.replace(PRESET, injection=config)
    frame = paint(backend, story, story.scenes[1], faces(1.0, 2.0), preset)
    seen = windows(backend.identity, frame.template, config)
    assert None not in seen
    assert [p.window for p in backend.identity.conditions[0]] == seen


def test_a_scene_without_people_is_the_template(story, backend):
    frame = paint(backend, story, story.scenes[2], {}, PRESET)
    assert frame.template.seed == 0
    assert frame.image is frame.template.image
    assert backend.identity.asked == []


def test_who_is_not_found_at_first_is_looked_for_again_with_new_seeds(story, boxes, backend):
    segmenter = FakeSegmenter(boxes, blind=2)
    got = find_template(backend.general, segmenter, story, story.scenes[1], PRESET, seed=5)
    assert (segmenter.calls, got.missing, got.seed) == (3, (), attempt_seed(5, 2))


def test_only_the_first_attempt_starts_from_the_latents_that_are_there(story, boxes, backend):
    scene, config = story.scenes[1], PRESET.injection
    said = lambda seed: Prompt(scene.prompt, guidance=config.guidance_template, seed=seed)
    ready, retried = kept_latents(backend.general, [said(5), said(attempt_seed(5, 1))])
    for blind, latents in ((0, ready), (1, retried)):
        backend.general.asked.clear()
        segmenter = FakeSegmenter(boxes, blind=blind)
        parts = (backend.general, segmenter, story, scene, PRESET)
        got = find_template(*parts, seed=5, latents=ready)
        assert torch.equal(got.latents, latents)
        assert len(backend.general.asked) == T * blind


class NounSegmenter:
    """Finds nobody, and remembers what it was asked for."""

    def __init__(self):
        self.asked = []

    def segment(self, image, phrases, **options):
        self.asked.append(options)
        masks = torch.zeros(len(phrases), image.height, image.width, dtype=torch.bool)
        return Segmentation(masks)


@pytest.mark.parametrize(
    ("by_config", "by_segmenter"), [(True, False), (False, True), (False, False)]
)
def test_nouns_are_asked_for_where_preset_or_segmenter_want_them(story, by_config, by_segmenter):
    segmenter = NounSegmenter()
    if by_segmenter:
        segmenter.uses_nouns = True
    injection = InjectionConfig(start=8, fallback_nouns=by_config)
    mine = Preset("mine", num_steps=T, injection=injection, attempts=2)
    scene = story.scenes[1]
    template = find_template(FakeGenerator(), segmenter, story, scene, mine, seed=0)
    nouns = {"fallbacks": [MARA.noun, TOM.noun]} if by_config or by_segmenter else {}
    assert segmenter.asked == [nouns] * 2
    assert template.missing == ("Mara", "Tom")
    frame = inject(FakeIdentityGenerator(), story, scene, template, {}, mine.injection)
    assert frame.image is template.image


@pytest.mark.parametrize("shape", ["128x64", "64x128"])
def test_the_margin_is_scaled_by_the_shorter_side(story, backend, shape):
    scene = dataclasses.replace(story.scenes[0], shape=shape)
    injection = dataclasses.replace(PRESET.injection, margin=2.0, reference_size=32)
    preset = dataclasses.replace(PRESET, injection=injection)
    found = find_template(backend.general, backend.segmenter, story, scene, preset, seed=5)
    (mask,) = found.masks
    rows, columns = mask.any(dim=1).nonzero(), mask.any(dim=0).nonzero()
    edges = [int(n) for n in (rows.min(), columns.min(), rows.max() + 1, columns.max() + 1)]
    assert edges == [16 - 4, 8 - 4, 56 + 4, 24 + 4]
    assert mask.shape == found.image.size[::-1]


def test_attempts_are_bounded_and_the_best_is_kept_and_told(story, boxes, backend):
    class OnceHalf(FakeSegmenter):
        def segment(self, image, wanted):
            half = self.calls == 1
            self.boxes = {MARA.description: boxes[MARA.description]} if half else {}
            return super().segment(image, wanted)

    segmenter = OnceHalf({})
    parts = dataclasses.replace(backend, segmenter=segmenter)
    frame = paint(parts, story, story.scenes[1], faces(1.0, 2.0), PRESET, seed=5)
    assert segmenter.calls == PRESET.attempts == 3
    assert frame.template.missing == ("Tom",)
    assert frame.template.seed == attempt_seed(5, 1)
    assert backend.identity.asked == [(1, i) for i in range(8, 0, -1)]


def test_nobody_found_gives_the_first_template(story, backend):
    parts = dataclasses.replace(backend, segmenter=FakeSegmenter({}))
    frame = paint(parts, story, story.scenes[1], faces(1.0, 2.0), PRESET, seed=5)
    assert frame.template.missing == ("Mara", "Tom")
    assert (frame.image, frame.template.seed) == (frame.template.image, 5)
    assert (backend.identity.asked, backend.identity.conditions) == ([], [])


def test_painting_somebody_undiscovered_is_refused(story, backend):
    with pytest.raises(ConfigError, match="no identity for 'Tom'"):
        paint(backend, story, story.scenes[1], faces(1.0), PRESET)


# --- ablations ---------------------------------------------------------------------------------


def test_the_identity_generator_alone_is_plain_sampling(story, backend):
    G_id, scene = backend.identity, story.scenes[0]
    work = Work(story, (3,) * len(story.scenes), (0,), faces(2.0))
    ((_, frame),) = DirectIdentity(guidance=7, words_first=0).paint(backend, work)
    face = faces(2.0)["Mara"].embedding
    said = Prompt(scene.prompt, guidance=7, seed=3, face=face, noun="woman")
    cond = G_id.condition([said])
    z = [z for _, z in trajectory(G_id, G_id.noise(3)[None], cond)][-1]
    assert frame.image.tobytes() == G_id.decode(z)[0].tobytes()
    (ours,) = G_id.conditions[0]
    assert torch.equal(ours.face, face)
    assert dataclasses.replace(ours, face=None) == dataclasses.replace(said, face=None)
    assert frame.template is None


def test_the_identity_generator_alone_starts_with_the_words(story, backend, monkeypatch):
    """PhotoMaker merges from step 10 on: 11 of 50 steps do not know the face, then all others do."""
    G_id, told = backend.identity, []
    step = type(G_id).step
    monkeypatch.setattr(
        type(G_id),
        "step",
        lambda G, z, i, c: (told.append((i, c.prompts[0].face)), step(G, z, i, c))[1],
    )
    work = Work(story, (3,) * len(story.scenes), (0,), faces(2.0))
    list(DirectIdentity(guidance=7, words_first=30).paint(backend, work))
    t = G_id.num_steps
    assert [i for i, _ in told] == list(range(t, 0, -1))
    assert [i for i, face in told if face is None] == list(range(t, round(0.4 * t), -1))
    assert round((1 - DirectIdentity().words_first / 50) * 50) == 39


def test_unguided_injection_averages_the_kept_latent_with_everybody(story, backend):
    scene, G_id, config = story.scenes[1], backend.identity, PRESET.injection
    said, wanted = Prompt(scene.prompt, guidance=7), phrases(story, scene)
    start = make_template(backend.general, backend.segmenter, said, scene.cast, wanted)
    frame = unguided_injection(G_id, story, scene, start, faces(1.0, 2.0), config)
    conds = [
        G_id.condition(
            asked([f"watercolour, {c.description}"], guidance=7, faces=torch.full((1, 16), v))
        )
        for c, v in ((MARA, 1.0), (TOM, 2.0))
    ]
    x = start.latents[8]
    for i in range(8, 0, -1):
        mara, tom = (G_id.step(x[None], i, c)[0] for c in conds)
        x = (start.latents[i - 1] + mara + tom) / 3
    assert frame.image.tobytes() == G_id.decode(x[None])[0].tobytes()
    unguided = dataclasses.replace(config, layout=False)
    again = inject(G_id, story, scene, start, faces(1.0, 2.0), unguided)
    assert again.image.tobytes() == frame.image.tobytes()
    empty = unguided_injection(G_id, story, story.scenes[2], start, {}, unguided)
    assert empty.image is start.image


def test_without_layout_faces_keep_to_the_control_and_to_their_places(story, backend):
    class Places(FakeIdentityGenerator):
        """Sees the face of the last that is found."""

        def face_points(self, image, masks):
            return [None] * (len(masks) - 1) + [points]

        def portrait_points(self):
            raise AssertionError("there is a template")

    points, G_id = torch.zeros(5, 2), Places()
    turned = dataclasses.replace(story.scenes[1], pose=(Pose("Mara", yaw=20.0),))
    control = control_of(turned, backend.general.size, PRESET.control)
    said, wanted = Prompt(turned.prompt, guidance=7), phrases(story, turned)
    start = make_template(backend.general, backend.segmenter, said, turned.cast, wanted)
    config = dataclasses.replace(PRESET.injection, layout=False)
    frame = inject(G_id, story, turned, start, faces(1.0, 2.0), config, control)
    ((mara, tom),) = G_id.conditions
    assert mara.control is tom.control is control is not None
    assert (mara.points, tom.points) == (None, points)
    assert frame.unplaced == ("Mara",)
    alone = dataclasses.replace(
        start, masks=start.masks * torch.tensor([1, 0])[:, None, None].bool()
    )
    inject(G_id, story, turned, alone, faces(1.0, 2.0), config)
    assert [(p.points is points, p.control) for p in G_id.conditions[-1]] == [
        (True, None),
        (False, None),
    ]


# --- cost --------------------------------------------------------------------------------------


def test_the_formula_is_the_papers_cost():
    for s in range(4):
        assert count_evaluations(50, 40, s) == 100 + 80 * s
    assert count_evaluations(50, 40, 0, templates=0, portraits=64) == 6400


def test_the_formula_is_what_is_counted(story, backend, boxes):
    general, identity = Watched(backend.general), Watched(backend.identity)
    parts = Backend("watched", general, identity, FakeSegmenter(boxes, blind=1))
    cast = {c.name: find_identity(identity, c, DISCOVERY)[0] for c in story.characters}
    frames = [paint(parts, story, scene, cast, PRESET) for scene in story.scenes]
    assert all(not f.template.missing for f in frames)
    assert general.evaluations + identity.evaluations == count_evaluations(
        T, 8, 3, templates=3 + 1, portraits=2 * 10
    )


@pytest.mark.parametrize("interval", [(0.0, 1.0), (0.0, 0.6), (0.3, 0.5)])
@pytest.mark.parametrize(("template", "identity"), [(5.0, 5.0), (1.0, 1.0), (1.0, 5.0), (5.0, 1.0)])
def test_the_formula_is_what_is_counted_wherever_guidance_is_off(
    story, boxes, template, identity, interval
):
    general, G_id = Watched(FakeGenerator()), Watched(FakeIdentityGenerator())
    parts = Backend("watched", general, G_id, FakeSegmenter(boxes))
    search = dataclasses.replace(DISCOVERY, guidance=template, guidance_interval=interval)
    injection = dataclasses.replace(
        PRESET.injection,
        guidance_template=template,
        guidance_identity=identity,
        guidance_interval=interval,
    )
    preset = dataclasses.replace(PRESET, discovery=search, injection=injection)
    cast = {c.name: find_identity(G_id, c, search)[0] for c in story.characters}
    searched = G_id.evaluations
    assert searched == 2 * search_evaluations(preset)
    for scene in story.scenes:
        paint(parts, story, scene, cast, preset)
    counted = general.evaluations + G_id.evaluations - searched
    assert counted == frame_evaluations(preset, 3, templates=3)
    if (template, identity, interval) == (1.0, 1.0, (0.0, 1.0)):
        assert counted == 3 * T + 3 * 8


def test_injection_can_go_on_from_a_stored_template(story, backend):
    whole = paint(backend, story, story.scenes[1], faces(1.0, 2.0), PRESET, seed=1)
    again = inject(
        backend.identity, story, story.scenes[1], whole.template, faces(1.0, 2.0), PRESET.injection
    )
    assert again.image.tobytes() == whole.image.tobytes()
