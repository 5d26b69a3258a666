"""Several people of one description: apart, never a stray, and one of them the run's to stay."""

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import normalize

from benchmarks.casting import PERSONS, PORTRAITS, Crowd, distance, measured
from identitystory.casting import find, people
from identitystory.cli.main import main
from identitystory.config import DiscoveryConfig
from identitystory.discovery import discover
from identitystory.errors import ConfigError, RunError, StoryError
from identitystory.metrics.attributes import load_reader
from identitystory.metrics.traits import completed
from identitystory.models.files.checkpoint import find_checkpoint
from identitystory.runs import audition
from identitystory.runs.characters.archive import open_file
from identitystory.runs.folder import RunFolder, read_identity
from identitystory.runs.request import recorded
from identitystory.story.safety import check_story
from identitystory.types import Character, Scene, Story
from tests.workshop import FACTS, Workshop, contents

CONFIG = DiscoveryConfig(num_portraits=48, rank=4, iterations=2)


def planted(persons=8, each=6, d=32, strays=3, seed=0):
    """E of a few people, ``each`` portraits of one after the other, and strays who are like nobody."""
    rng = torch.Generator().manual_seed(seed)
    middles = torch.linalg.qr(torch.randn(d, d, generator=rng)).Q[: persons + strays]
    typical = middles[:persons].sum(dim=0) / 4
    near = middles[:persons].repeat_interleave(each, 0) + typical
    near = near + 0.05 * torch.randn(near.shape, generator=rng)
    return torch.cat([near, 3 * middles[persons:]])


def test_planted_people_are_found_each_once_and_strays_are_nobody():
    found = people(planted(), 8, CONFIG)
    assert sorted(int(who.kept[0]) // 6 for who in found) == list(range(8))
    assert all(torch.equal(who.embedding, planted()[who.kept[0]]) for who in found)


def test_more_people_begin_with_the_same_and_a_rotation_chooses_the_same():
    E = planted()
    turn = torch.linalg.qr(torch.randn(32, 32, generator=torch.Generator().manual_seed(1))).Q
    rows = lambda E, n: [int(who.kept[0]) for who in people(E, n, CONFIG)]
    assert rows(E, 5) == rows(E, 8)[:5] == rows(E @ turn, 5)


def test_the_first_is_the_nearest_to_the_filters_and_each_next_the_farthest_from_those_before():
    E = torch.randn(48, 6, generator=torch.Generator().manual_seed(3)) + 0.5
    rows = [int(who.kept[0]) for who in people(E, 4, CONFIG)]
    cosines = normalize(E.double(), dim=1) @ normalize(E.double(), dim=1).mT
    company = cosines - 2 * torch.eye(48)
    kept = discover(E, CONFIG).kept
    among = cosines[kept][:, kept]
    floor = (among.sum() - len(kept)) / (len(kept) * (len(kept) - 1))
    may = [n for n in range(48) if company[n].max() >= floor - 1e-9]
    to_filter = normalize(E.double(), dim=1) @ normalize(
        discover(E, CONFIG).embedding.double(), dim=0
    )
    assert rows[0] == max(may, key=lambda n: to_filter[n])
    for count in (1, 2, 3):
        left = [n for n in may if n not in rows[:count]]
        assert rows[count] == min(left, key=lambda n: cosines[n, rows[:count]].max())


def test_a_person_of_several_portraits_is_their_mean():
    E = planted(strays=0)
    for who in people(E, 8, CONFIG, near=3):
        assert len(who.kept) == 3
        assert len({int(n) // 6 for n in who.kept}) == 1
        torch.testing.assert_close(who.embedding, E[who.kept].mean(dim=0))


def test_candidate_zero_is_the_filters_and_too_many_are_refused():
    E = planted()
    assert torch.equal(find(E, CONFIG).embedding, discover(E, CONFIG).embedding)
    assert torch.equal(find(E, CONFIG, candidate=2).kept, people(E, 2, CONFIG)[1].kept)
    with pytest.raises(ConfigError, match="show 1 to 48"):
        people(E, 49, CONFIG)


# --- Words -------------------------------------------------------------------------------------------

SHOWN = {"skin": "dark", "hair": "long wavy", "hair colour": "red", "eyes": "green", "sex": "woman",
         "beard": "none", "glasses": "round", "freckles": "no", "age": "young"}  # fmt: skip


@pytest.fixture(scope="module")
def phrases():
    return load_reader(find_checkpoint("miniature").base / "attributes").phrases


@pytest.mark.parametrize(
    ("description", "more"),
    [
        ("a young woman", " with dark skin, wavy red hair, round glasses and green eyes"),
        ("an old woman with white hair", ", dark skin, round glasses and green eyes"),
        ("a young woman with brown hair", ", dark skin, round glasses and green eyes"),
        ("a woman with fair skin and green eyes", ", wavy red hair and round glasses"),
    ],
)
def test_what_portraits_show_is_said_where_the_description_is_silent(phrases, description, more):
    assert completed(description, [SHOWN], phrases) == description + more


def test_only_what_all_portraits_show_is_said(phrases):
    other = SHOWN | {"skin": "tan", "glasses": "none", "hair colour": "black", "eyes": "brown"}
    assert completed("a woman", [SHOWN, other], phrases) == "a woman"


# --- Through the command line ------------------------------------------------------------------------


@pytest.fixture
def call(tmp_path, backend, capsys):
    """Runs ``discover`` on one story: exit code, what was said, the identity generator's steps."""
    shop = Workshop(backend)
    story = ["--character", "Mara: a young woman", "--scene", "{Mara} reads", "--style", "ink"]

    def run(*argv, command="discover", story=story):
        before = shop.steps["identity"]
        options = ["--out", str(tmp_path / "run"), *map(str, argv)]
        code = main([command, *story, *options], service=lambda: shop.service)
        return code, capsys.readouterr(), shop.steps["identity"] - before

    return run


def test_candidates_share_the_portraits_and_the_same_command_goes_on(call, tmp_path):
    steps = call()[2]
    run = tmp_path / "run"
    code, _, more = call("--candidates", 3, "--seed", 1)
    assert code == 0
    assert more < steps + 3 * 2 * 50  # one search, and three painted in two scenes
    story = recorded(run / "casting").story
    assert [c.name for c in story.characters] == ["Mara 1", "Mara 2", "Mara 3"]
    assert all(scene.prompt.startswith("ink, a") for scene in story.scenes)
    E = [read_identity(RunFolder(run / "casting").identity(c.name)) for c in story.characters]
    assert len({tuple(e.kept.tolist()) for e in E}) == 3
    there = contents(run)
    assert call("--candidates", 3)[2] == 0
    assert contents(run) == there
    (run / "casting/frames/002.png").unlink()
    RunFolder(run / "casting").identity("Mara 3").unlink()
    assert call("--candidates", 3)[2] < 50
    assert contents(run) == there
    assert call("--candidates", 3, "--quiet")[1].out == f"{run}\n"


@pytest.mark.parametrize("words", [True, False])
def test_words_for_what_is_seen_are_left_out_if_asked(tmp_path, backend, monkeypatch, words):
    readers, service = [], Workshop(backend).service
    service.describe = lambda *_: replace(FACTS, folder=find_checkpoint("miniature").base)

    def seen(request, count, names, reader, family):
        readers.append(reader)
        raise RunError("that is enough")

    monkeypatch.setattr(audition, "audition", seen)
    argv = ["discover", "--character", "Mara: a young woman", "--scene", "{Mara} reads"]
    argv += ["--steps", "10", "--portraits", "4", "--out", str(tmp_path / "run")]
    argv += ["--candidates", "1", *([] if words else ["--no-words"])]
    assert main(argv, service=lambda: service) == 2
    assert [reader is not None for reader in readers] == [words]


def test_a_chosen_candidate_is_the_runs_person_until_another_is_chosen(call, tmp_path):
    run = tmp_path / "run"
    call("--candidates", 3)
    filters = read_identity(RunFolder(run).identity("Mara"))
    assert call("--choose", "Mara=2")[0] == 0
    second = read_identity(RunFolder(run / "casting").identity("Mara 2"))
    embedding = lambda: read_identity(RunFolder(run).identity("Mara")).embedding
    assert torch.equal(embedding(), second.embedding)
    person = open_file(RunFolder(run).identity("Mara").with_suffix(".character"))
    assert (person.told.name, person.told.description) == ("Mara", "a young woman")
    assert call(command="generate")[0] == 0
    assert torch.equal(embedding(), second.embedding)
    assert recorded(run).story.character("Mara").candidate == 2
    assert call("--choose", "Mara=0")[0::2] == (0, 0)  # her face was kept
    assert torch.equal(embedding(), filters.embedding)
    other = ["--character", "Mara: an old woman", "--scene", "{Mara} reads"]
    call("--choose", "Mara=1")
    assert call(story=other)[0] == 0  # she is described otherwise: nobody's choice any more
    assert recorded(run).story.character("Mara").face == ""


@pytest.mark.parametrize("lost", ["png", "safetensors"])
def test_a_chosen_face_that_is_lost_is_made_again_from_its_file(call, tmp_path, lost):
    cast = tmp_path / "run" / "cast"
    call("--candidates", 2)
    call("--choose", "Mara=2")
    assert call(command="generate")[0] == 0
    there = contents(tmp_path / "run")
    (cast / f"Mara.{lost}").unlink()
    assert call(command="generate")[0] == 0
    assert contents(tmp_path / "run") == there
    (cast / f"Mara.{lost}").unlink()
    (cast / "Mara.character").unlink()
    code, said, _ = call(command="generate")
    assert (code, said.err.count("\n")) == (2, 1)
    assert f"--out {tmp_path / 'run'} --choose Mara=2" in said.err
    assert call("--choose", "Mara=2")[0] == 0
    assert call(command="generate")[0] == 0
    assert contents(tmp_path / "run") == there


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        (["--choose", "Mara"], "write a name and a number"),
        (["--choose", "Tom=1"], "nobody is called 'Tom'"),
        (["--choose", "Mara=1"], "no candidate 1 of 'Mara'; first run"),
        (["--who", "Mara"], "give that, too"),
        (["--candidates", "2", "--who", "Tom"], "nobody is called"),
        (["--candidates", "0"], "not a number from 1 to"),
        (["--candidates", "2", "--choose", "Mara=1"], "give --choose afterwards"),
    ],
)
def test_mistakes_are_one_line(call, argv, why):
    code, said, _ = call(*argv)
    assert code == 2
    assert why in said.err
    assert len([line for line in said.err.splitlines() if not line.startswith("warning: ")]) == 1


def test_what_a_candidate_was_searched_by_is_held_to_the_same_rules():
    """A run.json from elsewhere may say other words there than the story's."""
    who = Character("Mara 1", "a woman", "woman", candidate=1, sought=("Mara", "a nude girl"))
    with pytest.raises(StoryError):
        check_story(Story("", (who,), (Scene("a woman reads", ("Mara 1",)),)), "it")


def test_the_benchmark_knows_perfect_groups_and_its_distance_is_total_variation():
    rng = torch.Generator().manual_seed(0)
    E = torch.eye(PERSONS).repeat_interleave(PORTRAITS, 0)
    E = E + 0.01 * torch.randn(E.shape, generator=rng)
    made = Crowd(E, torch.arange(PERSONS).repeat_interleave(PORTRAITS))
    perfect = [torch.arange(3 * k, 3 * k + 3) for k in range(6)]
    mixed = [torch.tensor([3 * k, 3 * k + 3, 3 * k + 6]) for k in range(6)]
    assert measured(perfect, made)[:3] == [6, 1.0, 1.0]
    assert measured(mixed, made)[1] == pytest.approx(1 / 3)
    assert distance(["a", "a"], ["a", "b"]) == 0.5
    assert distance(["a", "b"], ["b", "a"]) == 0
