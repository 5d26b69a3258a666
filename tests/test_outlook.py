"""What a run says that it would paint is what it paints, and no more than what a picture depends on."""

import copy
import json
import random
from collections import Counter
from dataclasses import replace

import pytest

from identitystory.cli.main import main
from identitystory.config import DiscoveryConfig, InjectionConfig, Preset
from identitystory.protocols import Backend, ModelFacts
from identitystory.runs.events import Finished
from identitystory.runs.folder import frame_part
from identitystory.runs.outlook import outlook
from identitystory.runs.plan import make_plan
from identitystory.runs.request import RunRequest
from identitystory.runs.told import make_record
from identitystory.story.file import make_story
from tests.conftest import FakeGenerator, FakeIdentityGenerator, FakeSegmenter, T
from tests.workshop import Workshop, contents

PRESET = Preset(
    name="test",
    num_steps=T,
    attempts=1,
    discovery=DiscoveryConfig(num_portraits=16, rank=2, iterations=1),
    injection=InjectionConfig(start=8),
)
FACTS = ModelFacts("w1", "cpu", "float32", size=(64, 64), multiple=8)
LOOKS = {"a woman with red hair": "woman", "a man with a beard": "man", "an old woman": "woman"}
NEW = {"file"}
KINDS = {  # what may be said of a picture that an edit has painted anew
    "words": NEW | {"words"},
    "insert": NEW,
    "looks": {"cast"},
    "wears": {"cast"},
    "rank": {"cast"},
    "style": {"style"},
    "negative": {"words"},
    "size": {"setting"},
    "steps": {"setting", "cast"},  # portraits take as many
    "start": {"setting"},
    "checkpoint": {"checkpoint", "cast"},
    "seed": {"seed"},
    "run seed": {"seed", "cast"},
}
NOTHING = ("order", "remove", "caption")
EDITS = (*KINDS, *NOTHING, "undo")


class Told:
    """A story as its writer has it, and what each of its pictures depends on, by hand."""

    def __init__(self):
        self.style, self.negative, self.seed = "", "", 0
        self.steps, self.start, self.rank, self.weights = T, 8, 2, "w1"
        looks = zip(("Mara", "Tom", "Ida"), LOOKS, strict=True)
        self.people = {name: {"description": look, "wears": ""} for name, look in looks}
        self.scenes = [
            self.scene("Mara"),
            self.scene("Mara", "Tom", id="both"),
            self.scene(),
            self.scene("Ida"),
        ]
        self.frame_seeds = {}  # by place

    @staticmethod
    def scene(*who, number=0, **more):
        names = " and ".join(f"{{{name}}}" for name in who)
        return {"prompt": f"{names or 'a boat'} near house {number}", **more}

    def places(self, before):
        """Of each scene what its seed comes from: what it had, by its id or words, or a new one."""
        old = {(kind, name): place for kind, name, place in before}
        had_id = {place for kind, _, place in before if kind == "id"}
        found = [old.get(("id", s.get("id"))) for s in self.scenes]
        for n, (scene, words) in enumerate(zip(self.scenes, self.words(), strict=True)):
            place = old.get(("words", words))
            if (
                found[n] is None
                and place not in found
                and not (scene.get("id") and place in had_id)
            ):
                found[n] = place
        for n, scene in enumerate(self.scenes):
            if found[n] is None:
                own = scene.get("id") or n
                numbers = range(len(found), 3 * len(found))
                found[n] = next(p for p in (own, *numbers) if p not in found)
        return found

    def words(self):
        seen = Counter()
        for scene in self.scenes:
            seen[scene["prompt"]] += 1
            yield scene["prompt"], seen[scene["prompt"]]

    def known(self, places):
        """By what its scenes are known again."""
        ids = [("id", s["id"], p) for s, p in zip(self.scenes, places, strict=True) if "id" in s]
        return ids + [("words", w, p) for w, p in zip(self.words(), places, strict=True)]

    def depends(self, scene, place):
        who = [name for name in self.people if f"{{{name}}}" in scene["prompt"]]
        said = scene["prompt"]
        for name in who:
            look, wears = self.people[name].values()
            said = said.replace(f"{{{name}}}", f"{look} wearing {wears}" if wears else look)
        faces = [(name, self.people[name]["description"], self.seed, self.rank) for name in who]
        wide = scene.get("size") == "128x64"  # the other size is the model's own
        picture = (self.style, said, self.negative, wide, self.steps, self.weights)
        seed = self.frame_seeds.get(place, (self.seed, place))
        return (*picture, seed, *faces, *([self.start] if who else []))

    def request(self, out, frame_seeds=()):
        data = {
            "title": "Told",
            "style": self.style,
            "negative": self.negative,
            "character": [{"name": name, **said} for name, said in self.people.items()],
            "scene": self.scenes,
        }
        preset = replace(
            PRESET,
            num_steps=self.steps,
            injection=replace(PRESET.injection, start=self.start),
            discovery=replace(PRESET.discovery, rank=self.rank),
        )
        story = make_story(data, source="t")
        return RunRequest(story, out, preset, seed=self.seed, frame_seeds=dict(frame_seeds))

    def edit(self, kind, rng):
        """One edit of the kind; the seeds that a command would give single scenes."""
        n, number = rng.randrange(len(self.scenes)), rng.randrange(30)
        scene, person = self.scenes[n], rng.choice([*self.people])
        if kind == "words":
            scene["prompt"] = scene["prompt"].rsplit(" ", 1)[0] + f" {number}"
        elif kind == "caption":
            scene["caption"] = f"{number}"
        elif kind == "size":
            scene["size"] = rng.choice(("64x64", "128x64"))
        elif kind == "order":
            self.scenes.insert(rng.randrange(len(self.scenes)), self.scenes.pop(n))
        elif kind == "insert" and len(self.scenes) < 7:
            who = rng.sample([*self.people], rng.randrange(3))
            id_ = {"id": f"s{rng.randrange(10**6)}"} if number % 2 else {}
            self.scenes.insert(n, self.scene(*who, number=number, **id_))
        elif kind == "remove" and len(self.scenes) > 2:
            del self.scenes[n]
        elif kind == "looks":
            self.people[person]["description"] = rng.choice([*LOOKS])
        elif kind == "wears":
            self.people[person]["wears"] = rng.choice(("", "a red coat", "a blue hat"))
        elif kind == "run seed":
            new = rng.randrange(3)
            self.frame_seeds = self.frame_seeds if new == self.seed else {}
            self.seed = new
        elif kind == "seed":
            return {n: rng.randrange(100)}
        else:
            choices = {"style": ("", "ink"), "negative": ("", "hats"), "steps": (T, T + 1)}
            choices |= {"start": (7, 8), "rank": (2, 3), "checkpoint": ("w1", "w2")}
            if kind in choices:
                name = "weights" if kind == "checkpoint" else kind
                setattr(self, name, rng.choice(choices[kind]))
        return {}


@pytest.mark.parametrize(
    ("edits", "seed"), [(200, 3), pytest.param(500, 3, marks=pytest.mark.slow)]
)
def test_over_random_edits_what_would_be_painted_is_what_depends_on_the_edit(tmp_path, edits, seed):
    """Nothing else has another key; what was painted once, however long ago, is not painted again."""
    rng, told, record, known = random.Random(seed), Told(), None, []
    painted, facts, states, counts = {}, {}, [], Counter()  # key by what a picture depends on
    for step in range(edits + 1):
        kind = rng.choice(EDITS) if step else "insert"
        seeds = told.frame_seeds
        states.append(copy.deepcopy(told))
        if kind == "undo":
            told = copy.deepcopy(rng.choice(states[-5:]))
            told.seed, told.frame_seeds = states[-1].seed, seeds
        asked = told.edit(kind, rng)
        places = told.places(known)
        told.frame_seeds |= {places[n]: seed for n, seed in asked.items()}
        request = told.request(tmp_path, asked)
        made = make_plan(request, replace(FACTS, fingerprint=told.weights), record)
        assert list(made.places) == places
        done = {part.name for part in made.frames if part.key in painted.values()}
        old = {} if record is None else record["parts"]
        was = {} if record is None else {p: n for n, p in enumerate(record["places"])}

        def before(own, made=made, old=old, was=was, facts=facts):
            if isinstance(own, str) or made.places[own] not in was:
                return None
            return facts[old[frame_part(was[made.places[own]])]["key"]]

        told_now = outlook(request, made, done, before)
        fates = {fate.part: fate for fate in told_now.parts if fate.part.startswith("frames/")}
        for n, (scene, place) in enumerate(zip(told.scenes, places, strict=True)):
            fate, depends = fates[frame_part(n)], told.depends(scene, place)
            assert fate.paints == (depends not in painted), (step, kind, n)
            if depends in painted:
                assert made.frames[n].key == painted[depends]
                continue
            kinds = {reason.kind for reason in fate.why}
            assert kinds, (step, kind)
            assert kind == "undo" or not step or kinds <= KINDS[kind], (step, kind, fate.why)
            assert kind not in NOTHING
            counts[kind] += 1
            painted[depends] = made.frames[n].key
        assert len(set(painted.values())) == len(painted)
        facts |= {part.key: json.loads(json.dumps(part.facts())) for part in made.frames}
        every = dict.fromkeys([part.name for part in made.frames], "done")
        record = json.loads(json.dumps(make_record(request, FACTS, made, every)))
        record["places"] = places
        known = told.known(places)
    assert set(counts) >= KINDS.keys() - {"undo"}
    assert sum(counts.values()) > 0.6 * edits


BOXES = {"a woman with red hair": (4, 4, 60, 30), "a man with a beard": (4, 32, 60, 60)}


@pytest.fixture
def service(boxes):
    boxes.update(
        BOXES | {"an old woman": (4, 4, 60, 60)}
    )  # everybody is found, whoever is asked for
    parts = FakeGenerator(), FakeIdentityGenerator(), FakeSegmenter(boxes)
    return Workshop(Backend("fake", *parts)).service


def test_what_is_told_is_what_is_then_painted_and_all_else_keeps_its_bytes(service, tmp_path):
    told, out, rng = Told(), tmp_path / "run", random.Random(6)
    last, painted = {}, 0
    for kind in (
        "insert",
        "words",
        "wears",
        "order",
        "seed",
        "caption",
        "start",
        "remove",
        "style",
    ):
        asked = told.edit(kind, rng) if last else {}
        request = told.request(out, asked)
        before = contents(tmp_path)
        said = service.outlook(request)
        assert contents(tmp_path) == before  # not even a folder
        *_, end = service.run(request)
        assert isinstance(end, Finished)
        assert [fate.part for fate in said.parts if fate.paints] == list(end.made), kind
        assert [fate.part for fate in said.parts if not fate.paints] == list(end.kept)
        assert said.calls == end.evaluations
        assert sum(fate.calls for fate in said.parts) == said.calls
        texts = [scene.text for scene in request.story.scenes]
        now = {t: (out / f"{frame_part(n)}.png").read_bytes() for n, t in enumerate(texts)}
        for n, text in enumerate(texts):
            if frame_part(n) not in end.made and text in last:
                assert now[text] == last[text]
        last, painted = now, painted + len(end.made)
        assert service.outlook(request).calls == 0
    assert painted > 13


def test_a_part_of_a_file_that_is_gone_is_painted_again_and_a_kept_take_is_not(service, tmp_path):
    told = Told()
    request = told.request(tmp_path / "run")
    list(service.run(request))
    (request.out / "frames/002.masks.png").unlink()
    [fate] = [fate for fate in service.outlook(request).parts if fate.paints]
    assert (fate.part, [reason.words for reason in fate.why]) == (
        "frames/002",
        ["its files are not whole any more"],
    )
    told.style = "ink"
    list(service.run(told.request(request.out)))
    told.style = ""
    back = service.outlook(told.request(request.out))  # its pictures lie among the takes
    assert [fate.part for fate in back.parts if fate.paints] == ["frames/002"]


def test_the_command_tells_the_plan_and_paints_nothing(service, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    typed = ["--character", "Mara: a woman with red hair", "--steps", "10", "--portraits", "16"]
    scenes = ["--scene", "{Mara} reads", "--scene", "{Mara} sleeps", "--scene", "a boat"]
    command = ["generate", *typed, *scenes, "--out", "run"]
    run = lambda *more: main([*command, *more], service=lambda: service)
    assert run("--plan") == 0
    first = capsys.readouterr().out.splitlines()
    assert first[0] == "Mara reads -> run: 4 of 4 parts would be made, 348 network calls"
    assert first[1] == "  paint  cast/Mara: no face was looked for yet (256 calls)"
    assert first[2:] == [
        f"  paint  frames/00{n}: it was not painted yet ({calls} calls)"
        for n, calls in ((1, 36), (2, 36), (3, 20))
    ]
    assert not (tmp_path / "run").exists()
    assert run() == 0
    command[command.index("{Mara} sleeps")] = "{Mara} wakes"
    capsys.readouterr()
    assert run("--plan", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["title"], told["out"], told["calls"]) == ("Mara reads", "run", 36)
    assert told["warnings"] == ["scene 3 names no character in braces; nobody's face is kept"]
    assert told["seconds"] >= 0
    words = {"kind": "words", "words": "its words were changed"}
    assert told["parts"] == [
        {"part": name, "paints": name == "frames/002", "why": why, "calls": 36 * bool(why)}
        for name, why in (
            ("cast/Mara", []),
            ("frames/001", []),
            ("frames/002", [words]),
            ("frames/003", []),
        )
    ]
    assert run("--plan") == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith(
        "Mara reads -> run: 1 of 4 parts would be made, 36 network calls, about"
    )
    assert said[1:] == [
        "  paint  frames/002: its words were changed (36 calls)",
        "  keep   cast/Mara",
        "  keep   frames/001",
        "  keep   frames/003",
    ]


def test_people_who_stand_side_by_side_are_told_to_want_a_wide_picture(tmp_path, capsys):
    scene = '[[scene]]\nprompt = "{Mara} and {Tom} in a library"\n'
    people = "".join(
        f'[[character]]\nname = "{name}"\ndescription = "{words}"\n'
        for name, words in (("Mara", "a young woman"), ("Tom", "an old man"))
    )
    alone = '[[scene]]\nprompt = "{Mara} in a library"\n'
    file = tmp_path / "two.toml"
    file.write_text(
        people + alone + scene + scene.replace("library", "cafe") + 'size = "384x256"\n'
    )
    told = []
    for size in ([], ["--size", "384x256"]):
        assert main(["generate", str(file), "--plan", "--out", str(tmp_path / "run"), *size]) == 0
        told.append(
            [line for line in capsys.readouterr().err.splitlines() if "side by side" in line]
        )
    assert [line.split(": ")[1] for line in told[0]] == ["scene 2"]
    assert told[1] == []
