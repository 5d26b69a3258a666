"""Ablations on fakes: which settings are compared, what is shared, resuming, and the numbers."""

import csv
import dataclasses
import io
import re
from dataclasses import replace
from itertools import product
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import Image

from identitystory.cli.main import main
from identitystory.config import DiscoveryConfig, InjectionConfig, Preset
from identitystory.errors import ConfigError, RunError
from identitystory.experiments import batch, identity_space, table1
from identitystory.experiments import figures as ablation_figures
from identitystory.experiments.ablate import as_csv, chosen_stories, experiment, told_cost, write
from identitystory.experiments.ablations import ABLATIONS, ablation, variants
from identitystory.experiments.batch import paint
from identitystory.experiments.evaluate import scorer
from identitystory.experiments.experiment import measure
from identitystory.experiments.instruments import EvaluationRequest, Tools
from identitystory.experiments.tables import Outcome, Row, compared
from identitystory.methods.registry import OURS
from identitystory.metrics import intervals
from identitystory.metrics.evidence import Instruments
from identitystory.metrics.intervals import difference
from identitystory.models.files.suited import preset
from identitystory.runs import sheets
from identitystory.runs.files import read_tensors
from identitystory.runs.folder import RunFolder
from identitystory.runs.plan import make_plan
from identitystory.settings import PARTS
from identitystory.story.file import inline_story, slug
from identitystory.types import Character
from tests.workshop import FACTS, Workshop, contents

MARA, TOM = "Mara: a woman with dark curly hair", "Tom: an old man with a beard"
PRESET = Preset(
    "test",
    num_steps=10,
    discovery=DiscoveryConfig(num_portraits=12, rank=2, iterations=1),
    injection=InjectionConfig(start=8, reference_size=64, k_max=4.0),
)
STORIES = (
    inline_story([MARA], ["{Mara} reads", "{Mara} on a pier"], title="One"),
    inline_story([MARA, TOM], ["{Mara} and {Tom} sail", "{Tom} sleeps"], title="Two"),
)
PAPER = preset("paper")


def asked(name, out, scenes=2, **more):
    made = ablation(name)
    stories = chosen_stories(made, STORIES, PRESET, 2, scenes)
    return experiment(made, variants(made, PRESET)[0], stories, out, **more)


def changes(name, base=PAPER):
    """Label -> the numbers in which the variant differs from ``base``, and its method."""
    flat = lambda p: {
        "reuse": p.reuse,
        **{k: v for part in PARTS for k, v in dataclasses.asdict(getattr(p, part)).items()},
    }
    return {
        v.label: ({k: x for k, x in flat(v.preset).items() if x != flat(base)[k]}, v.method)
        for v in variants(ablation(name), base)[0]
    }


def test_each_ablation_changes_what_the_paper_changes_and_nothing_else():
    ours, direct = "identitystory", "direct-identity"
    assert changes("components") == {
        "no discovery": ({"selection": "mean"}, ours),
        "no injection": ({}, direct),
        "IdentityStory": ({}, ours),
    }
    assert changes("masking") == {
        "K_max = 0": ({"k_max": 0.0}, ours),
        "fixed": ({"k_max": 0.0, "margin": 50.0}, ours),
        "progressive": ({}, ours),
    }
    assert changes("mechanism") == {"no layout": ({"layout": False}, ours), "layout": ({}, ours)}
    starts = {f"t' = {s}": ({"start": s} if s != 40 else {}, ours) for s in (50, 40, 30, 20, 10)}
    assert changes("start") == starts
    picks = {"naive mean": "mean", "random": "random", "trim": "trim"}
    assert changes("discovery") == {
        **{label: ({"selection": pick}, direct) for label, pick in picks.items()},
        "SVD": ({}, direct),
    }
    assert changes("iterations") == {
        f"p = {p}": ({"iterations": p} if p != 3 else {}, direct) for p in (0, 1, 2, 3)
    }
    assert changes("rank") == {
        f"k = {k}": ({"rank": k} if k != 10 else {}, direct) for k in (1, 2, 5, 10, 20)
    }
    assert changes("averaged") == {
        "tokens": ({}, direct),
        "states": ({"averaged": "states"}, direct),
        "medoid portrait": ({"average": "medoid"}, direct),
    }
    guided = lambda part, **more: ({"guidance_interval": (0, part), **more}, ours)
    assert changes("price") == {
        "whole": ({}, ours),
        **{f"guided {round(100 * part)} %": guided(part) for part in (0.6, 0.45, 0.3)},
        "reuse 2": ({"reuse": 2}, ours),
        "guided 60 %, reuse 2": guided(0.6, reuse=2),
    }
    assert changes("space") == {"portraits": ({}, ours)}
    assert changes("pose") == {
        f"strength {s:g}": ({"strength": s} if s != 1 else {}, ours) for s in (0, 0.5, 1, 1.5)
    }


@pytest.mark.parametrize("name", ABLATIONS)
@pytest.mark.parametrize("base", ["paper", "release", "recommended", "fast"])
def test_the_configuration_itself_is_always_among_the_variants(name, base, tmp_path):
    base = preset(base)
    found, _ = variants(ablation(name), base)
    request = experiment(ablation(name), found, STORIES, tmp_path)
    assert request.reference.preset == base
    assert len({v.name for v in found}) == len({v.label for v in found}) == len(found)


def test_the_starts_follow_the_number_of_steps():
    assert [v.number for v in variants(ablation("start"), PRESET)[0]] == [10, 8, 6, 4, 2]


def test_what_few_portraits_do_not_allow_is_left_out_and_said():
    few = replace(PAPER, discovery=DiscoveryConfig(num_portraits=16, rank=4))  # 5 in the last round
    found, notes = variants(ablation("rank"), few)
    assert [v.number for v in found] == [1, 2, 4]
    assert [note.split(":")[0] for note in notes] == [f"k = {k} is left out" for k in (5, 10, 20)]
    one = replace(PAPER, discovery=DiscoveryConfig(num_portraits=1, iterations=0))
    with pytest.raises(ConfigError, match=r"nothing to compare: p = 1 is left out.*--portraits"):
        variants(ablation("iterations"), one)


def test_names_and_numbers_are_checked():
    with pytest.raises(ConfigError, match=r"no ablation is called 'component'.*'components'"):
        ablation("component")
    for sets, scenes, said in ((0, 1, "--sets is 0"), (1, 0, "--scenes is 0")):
        with pytest.raises(ConfigError, match=said):
            chosen_stories(ablation("start"), STORIES, PRESET, sets, scenes)


def test_stories_are_cut_with_their_casts_and_descriptions_come_once():
    (_, two) = chosen_stories(ablation("start"), STORIES[:1] + STORIES[1:], PRESET, 2, 1)
    assert [c.name for c in two.characters] == ["Mara", "Tom"]
    swapped = replace(STORIES[1], scenes=STORIES[1].scenes[::-1])
    (one,) = chosen_stories(ablation("start"), [swapped], PRESET, 2, 1)
    assert [c.name for c in one.characters] == ["Tom"]
    asks = replace(PRESET.discovery, search_prompt="a portrait of {description}")
    faces = chosen_stories(
        ablation("discovery"), STORIES, replace(PRESET, discovery=asks), 9, 3
    )  # fmt: skip
    assert [(c.name,) for s in faces for c in s.characters] == [s.scenes[0].cast for s in faces]
    assert [len(s.scenes) for s in faces] == [3, 3]
    assert faces[0].scenes[0].prompt == "a portrait of a woman with dark curly hair"
    assert faces[0].scenes[0].text == "a portrait of {Mara}"
    dog = Character("Rex", "a brown dog", "dog", words_only=True)
    beside = replace(STORIES[1], characters=(*STORIES[1].characters, dog))
    assert (
        chosen_stories(
            ablation("discovery"), [STORIES[0], beside], replace(PRESET, discovery=asks), 9, 3
        )
        == faces
    )  # whom nobody searches is nobody's portrait


def test_heads_are_turned_a_scene_an_angle():
    stories = chosen_stories(ablation("pose"), STORIES, PRESET, 9, 4)
    assert [s.characters[0].name for s in stories] == ["Mara", "Tom"]
    poses = [scene.pose[0] for scene in stories[0].scenes]
    assert [(p.who, p.yaw, p.pitch) for p in poses[:3]] == [
        ("Mara", 0, 0), ("Mara", -20, 0), ("Mara", 20, 0)
    ]  # fmt: skip
    assert len({(p.yaw, p.pitch) for p in poses}) == len(poses) == 4
    assert {scene.prompt for scene in stories[0].scenes} == {
        "a portrait of a woman with dark curly hair"
    }


def test_variants_share_portraits_and_templates_and_have_the_bytes_of_runs_alone(backend, tmp_path):
    request, workshop = asked("components", tmp_path / "out"), Workshop(backend)
    ahead = sum(batch.ahead(request.runs(), FACTS))
    paint(request, workshop.service)
    portraits, frames, casts = 2 * 12, 4, 5  # both characters once; casts of 1, 1, 2, 1
    assert workshop.steps["general"] == 10 * frames  # templates of one variant serve the other
    assert workshop.steps["identity"] == 10 * portraits + 2 * 8 * casts + 10 * frames
    assert ahead == 2 * sum(workshop.steps.values())
    for variant, story in product(request.variants, request.stories):
        run = request.run(variant, story)
        alone = replace(run, out=tmp_path / "alone" / variant.name, cache=None)
        list(Workshop(backend).service.run(alone))
        assert contents(alone.out) == contents(run.out)
        Workshop(backend)  # next story in another folder
        (tmp_path / "alone" / variant.name).rename(tmp_path / f"{variant.name}-{run.story.title}")


def test_ablations_in_one_folder_paint_the_method_itself_once(backend, tmp_path):
    paint(asked("components", tmp_path), Workshop(backend).service)
    workshop = Workshop(backend)
    paint(asked("mechanism", tmp_path), workshop.service)
    assert workshop.steps == {"general": 0, "identity": 8 * 5}  # without layout, from the templates


def test_a_bench_in_the_same_folder_has_painted_the_portraits_and_the_method_itself(
    backend, tmp_path
):
    request = table1.experiment(STORIES, tmp_path, PRESET, (OURS,))
    paint(request, Workshop(backend).service)
    workshop = Workshop(backend)
    paint(asked("mechanism", tmp_path), workshop.service)
    assert workshop.steps == {"general": 10 * 4, "identity": 8 * 5}  # the frames without layout


class StoppedError(Exception):
    pass


def test_cut_off_and_given_again_nothing_is_made_twice(backend, tmp_path):
    whole, workshop = asked("masking", tmp_path / "whole"), Workshop(backend)
    paint(whole, workshop.service)
    total, request, broken = dict(workshop.steps), asked("masking", tmp_path / "cut"), []

    def stop(line):
        broken.append(line)
        if len(broken) == 4:
            raise StoppedError

    first = Workshop(backend)
    with pytest.raises(StoppedError):
        paint(request, first.service, stop)
    done = dict(first.steps)
    with pytest.raises(
        RunError, match="is not finished; give the same ablate masking command again"
    ):
        measure(request, by(NOTHING))
    again = Workshop(backend)
    said = told_cost(request, again.service)
    left = 2 * (sum(total.values()) - sum(done.values()))
    assert f"{left:,} network calls lie ahead" in said
    paint(request, again.service)
    assert {k: done[k] + again.steps[k] for k in done} == total
    assert contents(request.out) == contents(whole.out)
    again.steps = {"general": 0, "identity": 0}
    paint(request, again.service)
    assert again.steps == {"general": 0, "identity": 0}


@pytest.mark.parametrize(("known", "silent"), [(0, 0), (0.5, 1), (1, 9)])
def test_minutes_are_told_from_a_share_of_the_work_on(
    backend, tmp_path, monkeypatch, known, silent
):
    """The first two of ten runs are half of the work: they search the two characters."""
    monkeypatch.setattr(batch, "KNOWN", known)
    said = []
    paint(asked("start", tmp_path), Workshop(backend).service, said.append)
    lines = [line for line in said if re.match(r"\d+ of \d+, ", line)]
    told = [" min left" in line for line in lines]
    assert told == [False] * silent + [True] * (9 - silent) + [False]


def test_the_model_is_opened_once_for_all_variants(backend, tmp_path):
    opened = []
    service = Workshop(backend).service
    load = service.load
    service.load = lambda *a, **k: opened.append(a) or load(*a, **k)
    paint(asked("mechanism", tmp_path), service)
    assert opened == [("miniature",)]


# --- numbers ------------------------------------------------------------------------------------

NOTHING = Tools(Instruments(), {}, {"CLIP": "no CLIP"})


def by(tools):
    return scorer(EvaluationRequest(()), tools)


def test_the_difference_is_of_the_same_story_and_knows_of_missing_ones():
    """Stories differ by far more than variants do; the gain is 0.1 on each, without any width."""
    base = [0.1, 0.5, 0.9, 0.7, float("nan")]
    assert difference([v + 0.1 for v in base], base) == pytest.approx((0.1, 0.1, 0.1, 4))
    assert difference([float("nan")] * 5, base) == (None, None, None, 0)
    value, low, high, pairs = difference([0.2, 0.5, 0.9, 0.7, 1.0], base)
    assert (value, pairs) == (pytest.approx(0.1 / 4), 4)
    assert low == pytest.approx(0)
    assert low < value < high
    rows = [
        Row("a", None, "m", 0.3, None, None, 2, each=(0.2, 0.4)),
        Row("b", None, "m", 0.5, None, None, 2, each=(0.5, 0.5)),
        Row("b", None, "pooled", 0.5, None, None, 2),
    ]
    gains = {(r.variant, r.measure): r.gain for r in compared(rows, "b")}
    assert gains == {("a", "m"): pytest.approx(-0.2), ("b", "m"): None, ("b", "pooled"): None}


@pytest.fixture
def two_will_do(monkeypatch):
    """Intervals of two stories, which span both."""
    monkeypatch.setattr(intervals, "FEWEST", 2)


class Grey:
    """An encoder of one number: cosine 1 with every text; its crops do not matter."""

    name, limit = "grey", 77

    def pictures(self, images):
        means = [[float(np.asarray(i.convert("L")).mean()) / 255, 1.0] for i in images]
        return torch.tensor(means).reshape(-1, 2)

    def texts(self, texts):
        return torch.tensor([[1.0, 0.0]] * len(texts)).reshape(-1, 2)


def test_the_csv_has_the_score_of_each_variants_own_pictures(backend, tmp_path, two_will_do):
    request = asked("mechanism", tmp_path / "out")
    paint(request, Workshop(backend).service)
    outcome = measure(
        request, by(Tools(Instruments(encoder=Grey()), {"CLIP": {"name": "grey"}}, {}))
    )
    table = list(csv.DictReader(io.StringIO(as_csv(request, outcome))))
    found = {r["variant"]: r for r in table if r["measure"] == "CLIP-T"}
    means = {}
    for variant in request.variants:
        each = []
        for story in request.stories:
            folder = RunFolder(request.run(variant, story).out)
            grey = [np.asarray(Image.open(folder.frame(n)).convert("L")).mean() for n in (0, 1)]
            each.append(np.mean([g / 255 / np.hypot(g / 255, 1) for g in grey]))
        means[variant.label] = np.mean(each)
        assert float(found[variant.label]["value"]) == pytest.approx(means[variant.label], abs=1e-5)
    gain = means["no layout"] - means["layout"]
    assert gain != 0
    assert float(found["no layout"]["minus layout"]) == pytest.approx(gain, abs=2e-6)
    assert found["layout"]["minus layout"] == ""
    assert found["layout"]["low"] < found["layout"]["value"] < found["layout"]["high"]
    files = write(request, outcome)
    names = ["mechanism.csv", "mechanism.json", "mechanism/one.png", "mechanism/two.png"]
    assert [str(f.relative_to(request.out)) for f in files] == names
    before = [f.read_bytes() for f in files]
    assert [f.read_bytes() for f in write(request, outcome)] == before
    with Image.open(files[2]) as picture:
        assert picture.size == (sheets.NAMES + 2 * sheets.TILE, 2 * sheets.TILE)


def test_the_figure_is_drawn_the_same_each_time(backend, tmp_path):
    request = asked("mechanism", tmp_path, scenes=1)
    paint(request, Workshop(backend).service)
    rows = [
        Row(v.label, v.number, "CLIP-T", k / 10, 0.0, 0.9, 2, each=(0.1, k / 5))
        for k, v in enumerate(request.variants)
    ]
    files = ablation_figures.draw(request, Outcome(rows))
    assert [f.name for f in files] == ["mechanism.png", "mechanism.svg"]
    before = [f.read_bytes() for f in files]
    assert [f.read_bytes() for f in ablation_figures.draw(request, Outcome(rows))] == before
    rows[0] = replace(rows[0], value=0.5)
    assert ablation_figures.draw(request, Outcome(rows))[1].read_bytes() != before[1]
    with Image.open(files[0]) as picture:
        assert picture.width > 500


# Drawing takes longer than all else: bars, a line of steps, angles beside pictures, a cloud.
DRAWN = ("components", "start", "pose", "space")


@pytest.mark.parametrize("name", ABLATIONS)
def test_every_ablation_leaves_pictures_a_table_with_intervals_and_a_figure(
    name, backend, tmp_path, two_will_do
):
    """A frame a story and variant; each variant's score inside its interval; a figure of each shape."""
    request = asked(name, tmp_path, scenes=1)
    paint(request, Workshop(backend).service)
    if request.paint:
        for variant, story in product(request.variants, request.stories):
            with Image.open(RunFolder(request.run(variant, story).out).frame(0)) as picture:
                assert picture.size == (64, 64)
        outcome, shown = measure(request, by(Tools(Instruments(encoder=Grey()), {}, {}))), "CLIP-T"
        pages = [tmp_path / name / f"{slug(story.title)}.png" for story in request.stories]
        files, draw = write(request, outcome), lambda: ablation_figures.draw(request, outcome)
    else:
        found, pages = identity_space.clouds(request), []
        outcome, shown = identity_space.measure_space(found), "cosine to own"
        files, draw = write(request, outcome), lambda: ablation_figures.draw_space(request, found)
    assert files == [tmp_path / f"{name}.csv", tmp_path / f"{name}.json", *pages]
    rows = list(csv.DictReader(files[0].read_text().splitlines()))
    scores = {r["variant"]: r for r in rows if r["measure"] == shown}
    assert list(scores) == list(outcome.labels)
    for row in scores.values():
        assert float(row["low"]) <= float(row["value"]) <= float(row["high"])
    against = f"minus {outcome.reference}"
    for label in set(scores) - {outcome.reference}:
        low, gain, high = (float(scores[label][against + end]) for end in (" low", "", " high"))
        assert low <= gain <= high
    if name not in DRAWN:
        return
    drawn = draw()
    assert drawn == [tmp_path / f"{name}.png", tmp_path / f"{name}.svg"]
    with Image.open(drawn[0]) as figure:
        assert len(figure.convert("L").getcolors()) > 10  # not an empty sheet
    assert ElementTree.parse(drawn[1]).getroot().tag.endswith("svg")


# --- the command --------------------------------------------------------------------------------


def test_the_command_says_what_it_costs_and_what_is_missing(backend, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(ablation_figures, "can_draw", lambda: False)
    file = tmp_path / "story.toml"
    file.write_text(
        'title = "One"\n[[character]]\nname = "Mara"\ndescription = "a woman"\n'
        '[[scene]]\nprompt = "{Mara} reads"\n'
    )
    command = ["ablate", "mechanism", "--stories", str(file), "--out", str(tmp_path / "out")]
    command += ["--steps", "10", "--portraits", "6", "--clip", "none", "--faces", "none"]
    assert main(command, service=lambda: Workshop(backend).service) == 0
    said = capsys.readouterr()
    # 6 portraits of 16 and a template of 20, and from step 8 once more for the variant with a mask
    assert (
        "variants 2, stories 1, pictures 2, portraits a character 6; 148 network calls" in said.err
    )
    assert "no figure: matplotlib is not installed; pip install" in said.err
    assert "| no layout |" in said.out
    assert (tmp_path / "out" / "mechanism.csv").is_file()
    assert main(["ablate", "component", "--out", str(tmp_path)]) == 2
    assert "'components'" in capsys.readouterr().err


def test_space_stops_before_the_pictures(backend, tmp_path, capsys):
    file = tmp_path / "stories.toml"
    file.write_text(
        "".join(
            f'[[story]]\ntitle = "{n}"\n[[story.character]]\nname = "{n}"\n'
            f'description = "a woman with {n} hair"\n[[story.scene]]\nprompt = "{{{n}}} reads"\n'
            for n in ("red", "long", "dark")
        )
    )
    command = ["ablate", "space", "--stories", str(file), "--out", str(tmp_path / "out")]
    command += ["--steps", "10", "--portraits", "8"]
    workshop = Workshop(backend)
    assert main(command, service=lambda: workshop.service) == 0
    assert workshop.steps == {"general": 0, "identity": 10 * 8 * 3}
    out = tmp_path / "out"
    assert {f.name for f in out.glob("space*")} == {
        "space.csv", "space.json", "space.points.csv", "space.png", "space.svg",
    }  # fmt: skip
    points = list(csv.DictReader((out / "space.points.csv").read_text().splitlines()))
    assert [p["portrait"] for p in points if p["character"] == "red"][-2:] == ["7", "identity"]
    kept = read_tensors(next(out.glob("runs/*/*red/cast/red.safetensors")))["kept"].tolist()
    assert [int(p["portrait"]) for p in points if p["character"] == "red" and p["kept"] == "1"] == (
        kept
    )
    assert "| kept portraits |" in capsys.readouterr().out


def test_the_plan_of_every_variant_holds_the_variants_own_numbers(tmp_path):
    """No variant's frames could be taken for another's."""
    request = asked("masking", tmp_path)
    runs = [request.run(v, request.stories[0]) for v in request.variants]
    keys = [make_plan(run, FACTS, None).frames[0].key for run in runs]
    assert len(set(keys)) == 3
