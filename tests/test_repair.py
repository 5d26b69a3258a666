"""Mending: the budget holds, nothing is lost or taken from the user, and a cut-off repair goes on."""

import json
import zlib
from dataclasses import replace

import pytest

from identitystory.cli.main import main
from identitystory.cost import frame_evaluations
from identitystory.errors import RunError
from identitystory.runs import takes
from identitystory.runs.folder import RunFolder
from identitystory.runs.looked import read_looked
from identitystory.runs.looking import check, eyes
from identitystory.runs.repair import Repair, repair
from identitystory.runs.request import RunRequest, recorded
from identitystory.runs.tries import FOR_FACES, FOR_PICTURES
from tests.test_check import Crowded, suspects
from tests.test_takes import PRESET, made, story
from tests.workshop import Workshop, contents

SCENES = [f"{{Mara}} reads {n}" for n in range(4)]


class Watching(Workshop):
    """Counts the network calls as the generators do, all of them."""

    def __init__(self, backend):
        super().__init__(backend)
        self.calls = 0
        for G in (backend.general, backend.identity):
            G.step = self.watched(G, G.step)

    def watched(self, G, step):
        def one(z, i, cond):
            self.calls += G.calls(i, cond)
            return step(z, i, cond)

        return one


@pytest.fixture
def workshop(backend):
    return Watching(replace(backend, segmenter=Crowded()))


@pytest.fixture
def run(workshop, tmp_path):
    request = RunRequest(story(*SCENES), tmp_path / "run", PRESET)
    made(workshop.service, request)
    return request.out


def mend(workshop, run, budget=None, **more):
    return repair(eyes(workshop.service, run), workshop.service, budget, **more)


def frames(run):
    return {
        p.name: zlib.crc32(p.read_bytes()) for p in (run / "frames").glob("[0-9][0-9][0-9].png")
    }


def everything(run):
    """Every finished picture, wherever it lies."""
    return {zlib.crc32(p.read_bytes()) for p in (run / "frames").rglob("*.png")}


def test_suspects_are_mended_the_others_keep_their_bytes_and_every_picture_stays(workshop, run):
    before, all_before = frames(run), everything(run)
    wrong = suspects(check(eyes(workshop.service, run)))
    assert 0 < len(wrong) < len(SCENES)
    done = mend(workshop, run, 10_000)
    assert suspects(done.frames) == set()
    assert set(done.chosen) == wrong
    after = frames(run)
    changed = {int(name[:3]) - 1 for name in after if after[name] != before[name]}
    assert changed == wrong
    assert all_before <= everything(run)
    assert suspects(check(eyes(workshop.service, run), again=True)) == set()


def test_a_mended_run_is_finished_and_paints_nothing_again(workshop, run):
    mend(workshop, run, 10_000)
    after = frames(run)
    assert made(workshop.service, recorded(run)) == ()
    assert frames(run) == after
    assert mend(workshop, run, 10_000).tries == 0


@pytest.mark.parametrize("times", [0, 1, 1.5, 3])
def test_no_more_than_the_budget_is_spent_and_it_is_told(workshop, run, times):
    price = frame_evaluations(recorded(run).preset, 1)
    budget, before = round(times * price), workshop.calls
    done = mend(workshop, run, budget)
    assert workshop.calls - before == done.calls <= budget
    assert (done.calls > 0) == (times >= 1)


def test_a_template_that_is_no_better_costs_a_template(workshop, run):
    """The general generator's steps alone: no face is put into it."""
    wrong = suspects(check(eyes(workshop.service, run)))
    workshop.service.load("").segmenter.every = 1  # from now on there are two in every picture
    before = dict(workshop.steps)
    one = frame_evaluations(recorded(run).preset, 0)
    done = mend(workshop, run, 3 * frame_evaluations(recorded(run).preset, 1))
    assert done.tries >= 3
    assert done.calls == done.tries * one
    assert workshop.steps["identity"] == before["identity"]
    assert suspects(done.frames) == wrong
    assert done.chosen == {}


@pytest.mark.parametrize("how", ["locked", "chosen"])
def test_what_a_user_locked_or_chose_stays(how, workshop, run):
    first = min(suspects(check(eyes(workshop.service, run))))
    if how == "locked":
        takes.lock(run, first)
    else:
        takes.choose(run, first, 1)
    before = frames(run)
    done = mend(workshop, run, 10_000)
    name = f"{first + 1:03d}.png"
    assert frames(run)[name] == before[name]
    assert suspects(done.frames) == {first}
    assert first not in done.chosen


def test_what_a_repair_chose_a_user_may_replace_and_then_it_stays(workshop, run):
    first = min(suspects(check(eyes(workshop.service, run))))
    before = frames(run)
    mend(workshop, run, 10_000)
    scene = recorded(run).story.scenes[first]
    there = takes.takes_of(takes.takes(RunFolder(run)), scene)
    (old,) = [
        n
        for n, t in enumerate(there, 1)
        if zlib.crc32(t.path.read_bytes()) == before[f"{first + 1:03d}.png"]
    ]
    takes.choose(run, first, old)
    made(workshop.service, recorded(run))
    assert frames(run)[f"{first + 1:03d}.png"] == before[f"{first + 1:03d}.png"]
    assert suspects(mend(workshop, run, 10_000).frames) == {first}


def test_a_repair_that_was_cut_off_goes_on_pays_nothing_twice_and_ends_the_same(
    workshop, run, tmp_path, backend
):
    import shutil

    other = tmp_path / "other"
    shutil.copytree(run, other)
    whole = mend(workshop, other, 10_000)
    assert whole.tries > 2

    class StoppedError(Exception):
        pass

    heard = []

    def stop(line):
        heard.append(line)
        if sum("calls" in each for each in heard) == 2:
            raise StoppedError

    with pytest.raises(StoppedError):
        mend(workshop, run, 10_000, say=stop)
    first = len(read_looked(RunFolder(run)).frames) - len(SCENES)
    assert first == 2
    rest = mend(workshop, run, 10_000)
    assert rest.tries == whole.tries - 2
    assert rest.calls < whole.calls
    same = {k: v for k, v in contents(run).items() if k.startswith("frames/")}
    assert same == {k: v for k, v in contents(other).items() if k.startswith("frames/")}


def test_the_picture_of_a_face_that_is_at_fault_is_painted_again_on_the_same_template(
    workshop, run, monkeypatch
):
    """Wider masks and stronger guidance cost the face alone."""
    heard = []
    monkeypatch.setattr(Repair, "_look", lambda *_: None)  # all templates are kept
    one = min(suspects(check(eyes(workshop.service, run))))
    workshop.service.load("").segmenter.every = 1
    preset = recorded(run).preset
    done = mend(workshop, run, 2 * frame_evaluations(preset, 1), say=heard.append)
    tried = [line for line in heard if line.startswith(f"frame {one + 1}, ")]
    assert f"another seed: {frame_evaluations(preset, 1)} calls" in tried[0]
    assert all("a later start" in line for line in tried[1:2])
    assert done.calls <= 2 * frame_evaluations(preset, 1)


def test_each_change_is_a_change_and_can_be_painted(workshop, run):
    config = recorded(run).preset.injection
    changed = [change(config) for change in (FOR_FACES | FOR_PICTURES).values()]
    assert len({*changed, config}) == 4
    wider, _, later = changed
    assert wider.k_max > config.k_max
    assert later.start < config.start


def test_other_methods_and_no_runs_are_one_line(workshop, run, tmp_path, capsys):
    record = json.loads((run / "run.json").read_text())
    record["request"]["method"] = "consistory"
    (run / "run.json").write_text(json.dumps(record))
    with pytest.raises(RunError, match="was painted by consistory"):
        mend(workshop, run)
    assert main(["repair", str(tmp_path / "no")], service=lambda: workshop.service) == 2
    assert "holds no run" in capsys.readouterr().err


def test_the_commands_mend_and_tell(workshop, run, tmp_path, capsys):
    made_ = lambda: workshop.service
    assert main(["repair", str(run), "--budget", "10000", "--json"], service=made_) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["calls"] <= told["budget"] == 10000
    assert {f["suspicion"] for f in told["frames"]} == {0}
    assert all(change["now"] < change["before"] for change in told["changed"])
    words = ["--character", "Mara: a woman", *[w for s in SCENES for w in ("--scene", s)]]
    out = ["--out", str(tmp_path / "new"), "--set", "num_steps=10", "--portraits", "4"]
    command = ["generate", *words, *out, "--set", "injection.start=8"]
    assert main([*command, "--check", "--budget", "5000"], service=made_) == 0
    printed = capsys.readouterr().out
    assert "of 5,000 network calls" in printed
    assert "0 of 4 frames are suspicious" in printed
    for more in (["--check"], ["--check", "--budget", "5000"]):
        assert main([*command, *more, "--quiet"], service=made_) == 0
        assert capsys.readouterr() == (f"{tmp_path / 'new'}\n", "")
    assert main([*command, "--budget", "5"], service=made_) == 2
    assert "give --check, too" in capsys.readouterr().err
