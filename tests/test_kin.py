"""Relatives: the portraits nearest to those they are to be like, in words that run in the family."""

import pytest
import torch

from benchmarks.families import family, nearer
from identitystory.casting import find, people, relatives
from identitystory.cli.main import main
from identitystory.discovery import discover
from identitystory.errors import ConfigError, ModelError, RunError
from identitystory.metrics.attributes import load_reader
from identitystory.metrics.kinship import AGES, fitting, inherited, relation, traits
from identitystory.models.files.checkpoint import find_checkpoint
from identitystory.runs.characters import consent
from identitystory.runs.characters.archive import open_file
from identitystory.runs.folder import RunFolder, read_identity
from identitystory.runs.request import recorded
from tests.characters import person
from tests.test_casting import CONFIG, planted
from tests.test_characters import CONSENT, photos
from tests.workshop import Workshop, contents

STRAYS = 48  # rows of `planted` from here on


def rows(found):
    return [int(each.kept[0]) for each in found]


# --- Vectors -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", [0, 3, 7])
def test_the_nearest_relatives_are_the_portraits_of_the_same_planted_person(who):
    E = planted()
    like = E[6 * who : 6 * who + 6].mean(dim=0, keepdim=True)
    found = relatives(E, like, 6, CONFIG)
    assert sorted(rows(found)) == [*range(6 * who, 6 * who + 6)]
    cosines = torch.cosine_similarity(E[rows(found)], like)
    assert cosines.tolist() == sorted(cosines.tolist(), reverse=True)
    assert all(torch.equal(each.embedding, E[each.kept[0]]) for each in found)


def test_the_child_of_two_is_between_them_and_no_order_matters():
    E = planted(strays=0)
    parents = torch.stack([E[0:6].mean(dim=0), 40 * E[6:12].mean(dim=0)])  # length is no nearness
    child = E[0:1] + E[6:7]
    with_child = torch.cat([E, child, child + 0.05 * E[20:21]])
    assert rows(relatives(with_child, parents, 2, CONFIG)) == [48, 49]
    assert rows(relatives(with_child, parents.flip(0), 2, CONFIG)) == [48, 49]
    turned = torch.randperm(50, generator=torch.Generator().manual_seed(1))
    again = rows(relatives(with_child[turned], parents, 4, CONFIG))
    assert turned[again].tolist() == rows(relatives(with_child, parents, 4, CONFIG))


def test_a_stray_is_nobodys_relative_however_near():
    E = planted()
    assert not {*rows(relatives(E, E[STRAYS : STRAYS + 1], 48, CONFIG))} & {*range(STRAYS, len(E))}


def test_a_candidate_is_a_relative_only_where_somebody_is_given():
    E = planted()
    assert torch.equal(find(E, CONFIG, candidate=2).kept, people(E, 2, CONFIG)[1].kept)
    assert torch.equal(find(E, CONFIG, candidate=2, like=E[:1]).kept, torch.tensor([
        rows(relatives(E, E[:1], 2, CONFIG))[1]]))  # fmt: skip
    assert torch.equal(find(E, CONFIG, like=E[:1]).embedding, discover(E, CONFIG).embedding)
    with pytest.raises(ConfigError, match="show 1 to 48"):
        relatives(E, E[:1], 49, CONFIG)
    with pytest.raises(ModelError, match="not finite"):
        relatives(E, torch.full((1, 32), torch.nan), 1, CONFIG)


# --- Words -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reader():
    return load_reader(find_checkpoint("miniature").base / "attributes")


SEEN = {"skin": "dark", "eyes": "green", "freckles": "yes", "hair colour": "black", "age": "young"}
OTHER = {"skin": "light", "eyes": "blue", "freckles": "no", "hair colour": "gray", "age": "old"}


@pytest.mark.parametrize(
    ("noun", "to", "words"),
    [
        ("girl", "child", "a girl with dark skin, red hair, freckles and green eyes"),
        ("woman", "sibling", "a young woman with dark skin, red hair, freckles and green eyes"),
        ("woman", "older=20", "a middle-aged woman with dark skin, red hair, freckles and green eyes"),
        ("woman", "older=45", "an old woman with dark skin, freckles and green eyes"),
        ("man", "parent", "a middle-aged man with dark skin, red hair, freckles and green eyes"),
        ("teenage girl", "younger=15", "a teenage girl with dark skin, red hair, freckles and green eyes"),
        ("doctor", "sibling", "a doctor with dark skin, red hair, freckles and green eyes"),
    ],
)  # fmt: skip
def test_a_relative_has_an_age_that_fits_and_the_looks_of_the_family(reader, noun, to, words):
    her = traits("a young woman with red hair", [SEEN, SEEN, OTHER], reader.phrases)
    made = inherited(f"a {noun}", noun.split()[-1], relation(to), [her], reader, lambda _: 0)
    assert made == words


def test_what_a_description_says_is_never_changed(reader):
    her, said = traits("a woman", [SEEN], reader.phrases), "a boy with blond hair and brown eyes"
    made = inherited(said, "boy", relation("child"), [her], reader, lambda _: 0)
    assert made == f"{said}, dark skin and freckles"


def test_a_child_of_two_has_skin_between_theirs_and_eyes_of_one(reader):
    both = [traits(d, [s], reader.phrases) for d, s in (("a woman", SEEN), ("a man", OTHER))]
    made = [
        inherited("a boy", "boy", relation("child"), some, reader, lambda _, n=n: n)
        for n in (0, 1)
        for some in (both, both[::-1])
    ]
    assert made[0] == made[1] == "a boy with tan skin, black hair and blue eyes"
    assert made[2] == made[3] == "a boy with brown skin, black hair, freckles and green eyes"


def test_whose_age_is_not_known_may_be_of_any(reader):
    made = inherited(
        "a woman", "woman", relation("child"), [{"eyes": "green"}], reader, lambda _: 0
    )
    assert made == "a woman with green eyes"


def test_ages_that_fit():
    assert fitting(relation("older=20"), ["young"])[0] == "middle-aged"
    assert fitting(relation("child"), ["young"])[0] == "child"
    assert "old" not in fitting(relation("child"), ["middle-aged"])
    assert fitting(relation("child"), ["child"]) == fitting(relation("older=60"), ["old"]) == []
    for n in range(1, 91):  # there and back again
        for age in AGES:
            for other in fitting(relation(f"older={n}"), [age]):
                assert age in fitting(relation(f"younger={n}"), [other])


@pytest.mark.parametrize(
    ("description", "to", "why"),
    [
        ("a woman", "child", "may be 'child', 'teenager'; describe"),
        ("an old woman", "sibling", "of no age that fits"),
        ("a man", "older=20", "the same person older, a woman"),
        ("a woman", "older=80", "80 years older than this one, 'young', may be nobody"),
    ],
)
def test_a_description_that_cannot_be_is_refused(reader, description, to, why):
    her = traits("a young woman", [SEEN], reader.phrases)
    noun = description.split()[-1]
    with pytest.raises(ConfigError, match=why):
        inherited(description, noun, relation(to), [her], reader, lambda _: 0)


# --- Through the command line ------------------------------------------------------------------------


@pytest.fixture
def call(tmp_path, backend, monkeypatch, capsys):
    """Runs ``discover`` on a story of two: exit code, what was said, the identity generator's steps."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    shop = Workshop(backend)
    story = ["--character", "Mara: a young woman", "--character", "Ida: a girl"]
    story += ["--scene", "{Mara} and {Ida} read"]

    def run(*argv, command="discover"):
        before = shop.steps["identity"]
        options = ["--out", "run", *map(str, argv)]
        code = main([command, *story, *options], service=lambda: shop.service)
        return code, capsys.readouterr(), shop.steps["identity"] - before

    return run


@pytest.fixture
def mara(call, tmp_path):
    """Mara's face as a file, beside another and the run that found both."""
    assert call("--candidates", 2, "--who", "Mara")[0] == 0
    assert call("--choose", "Mara=2")[0] == 0
    file = tmp_path / "mara.character"
    file.write_bytes((tmp_path / "run/cast/Mara.character").read_bytes())
    assert call("--choose", "Mara=1")[0] == 0
    other = (tmp_path / "run/cast/Mara.character").read_bytes()
    (tmp_path / "other.character").write_bytes(other)
    return file


def test_a_relative_is_shown_then_chosen_and_nothing_finished_changes(call, mara, tmp_path):
    apart = lambda: {k: v for k, v in contents(tmp_path).items() if "run/casting" not in k}
    before, frames = apart(), contents(tmp_path / "run/casting/frames")
    code = call("--like", mara.name, "--as", "child", "--who", "Ida")[0]
    assert code == 0
    after = apart()
    assert {k: v for k, v in after.items() if k in before} == before
    assert {*frames.values()} <= {*contents(tmp_path / "run/casting/frames").values()}
    cast = recorded(tmp_path / "run/casting").story.characters
    assert [c.name for c in cast] == ["Ida 1", "Ida 2", "Ida 3"]
    assert all(c.like == (open_file(mara).face,) for c in cast)

    folder = RunFolder(tmp_path / "run/casting")
    found = [read_identity(folder.identity(c.name)) for c in cast]
    (encoder,) = open_file(mara).told.embeddings
    _, face = open_file(mara).vectors(encoder)
    cosines = [float(torch.cosine_similarity(f.embedding, face, dim=0)) for f in found]
    assert cosines == sorted(cosines, reverse=True)

    assert call("--like", mara.name, "--as", "child", "--who", "Ida")[2] == 0  # all is kept
    assert call("--choose", "Ida=1")[0] == 0
    ida = recorded(tmp_path / "run").story.character("Ida")
    assert (ida.candidate, ida.like) == (1, ())
    assert torch.equal(read_identity(RunFolder(tmp_path / "run").identity("Ida")).embedding,
                       found[0].embedding)  # fmt: skip
    assert mara.read_bytes() == before["mara.character"]


def test_a_relative_may_be_the_first_who_is_found_in_a_folder(call, mara, tmp_path):
    fresh = ["--out", "other"]
    like = ["--like", mara.name, "--as", "older=20", "--who", "Ida", "--candidates", 1]
    assert call(*like, *fresh)[0] == 0
    assert call("--choose", "Ida=1", *fresh)[0] == 0
    chosen = recorded(tmp_path / "other").story.character("Ida")
    assert (chosen.candidate, chosen.kin) == (1, ("a girl", "older=20", open_file(mara).face))


def test_another_seed_has_other_portraits_and_the_run_keeps_its_own(call, mara, tmp_path):
    kept = lambda: [
        read_identity(RunFolder(tmp_path / "run/casting").identity("Ida 1")).embedding.tolist(),
        recorded(tmp_path / "run").seed,
    ]
    like = ["--like", mara.name, "--as", "child", "--who", "Ida", "--candidates", 1]
    call(*like)
    first = kept()
    call(*like, "--seed", 5)
    assert kept()[0] != first[0]
    assert kept()[1] == first[1]


MISTAKES = [
    (["--as", "cousin", "--who", "Ida"], "no relation; there are 'sibling'"),
    (["--as", "older", "--who", "Ida"], "by how many years; write older=20"),
    (["--as", "older=0", "--who", "Ida"], "a number from 1 to 90"),
    (["--as", "younger=91", "--who", "Ida"], "a number from 1 to 90"),
    (["--as", "older=1e9", "--who", "Ida"], "a number from 1 to 90"),
    (["--as", "child"], "--who NAME"),
    (["--who", "Ida"], "give both"),
    (["--as", "child", "--who", "Tom"], "nobody is called 'Tom'"),
    (["--as", "child", "--who", "Ida", "--choose", "Ida=1"], "give --choose afterwards"),
    (["--as", "child", "--who", "Ida", "--candidates", "25"], "not a number from 1 to 24"),
    (["--as", "child", "--who", "Ida", "--like", "mara.character"], "one face twice"),
    (["--as", "older=9", "--who", "Ida", "--like", "other.character"], "give --like once"),
]


def test_mistakes_are_one_line_and_paint_nothing(call, mara, tmp_path):
    there = contents(tmp_path)
    for argv, why in MISTAKES:
        code, said, steps = call("--like", "mara.character", *argv)
        assert (code, steps) == (2, 0), argv
        assert why in said.err
        told = [line for line in said.err.splitlines() if not line.startswith("warning: ")]
        assert len(told) == 1, argv
        assert contents(tmp_path) == there, argv


@pytest.mark.parametrize("kind", ["another model's", "of photos", "withdrawn", "over"])
def test_faces_that_may_not_or_cannot_be_compared(call, tmp_path, monkeypatch, kind):
    made, why = photos(until="2999-01-01"), "of photos; relatives are found of invented faces only"
    if kind == "another model's":
        made, why = person(), "was found by another model, miniature"
    elif kind == "withdrawn":
        monkeypatch.setattr(consent, "withdrawn", lambda: {CONSENT.id})
        why = "the consent for 'Mara' was withdrawn"
    elif kind == "over":
        made, why = photos(until="2026-01-02"), "the consent for 'Mara' ended on 2026-01-02"
    (tmp_path / "mara.character").write_bytes(made.content)
    there = contents(tmp_path)
    code, said, steps = call("--like", "mara.character", "--as", "sibling", "--who", "Ida")
    assert (code, steps) == (2, 0)
    assert why in said.err
    assert contents(tmp_path) == there


def test_a_relative_whose_kin_is_not_at_hand_is_refused(call, mara, tmp_path, backend):
    call("--like", mara.name, "--as", "child", "--who", "Ida", "--candidates", 1)
    request = recorded(tmp_path / "run/casting")
    RunFolder(tmp_path / "run/casting").identity("Ida 1").unlink()
    with pytest.raises(RunError, match="give discover its --like again"):
        list(Workshop(backend).service.run(request))


# --- The benchmark -----------------------------------------------------------------------------------


def test_nearer_counts_the_strangers_who_are_less_like_a_child():
    alike = torch.tensor([[0.5, 0.1, 0.2], [0.9, 0.3, 0.1], [0.4, 0.4, 0.1]])
    assert nearer(alike).tolist() == [1.0, 0.5, 0.0]


def test_a_drawn_child_has_its_colours_from_its_parents():
    for number in range(6):
        mother, father, child = family(number)
        assert (child.melanin, child.red) in [(p.melanin, p.red) for p in (mother, father)]
        assert child.iris in (mother.iris, father.iris)
        assert min(mother.tone, father.tone) <= child.tone <= max(mother.tone, father.tone)
        assert 6 <= child.age <= 12 < 24 <= min(mother.age, father.age)
