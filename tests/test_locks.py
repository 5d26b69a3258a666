"""A locked picture stays as it is, whatever becomes of its scene."""

from dataclasses import replace

import pytest

from identitystory.cli.main import main
from identitystory.errors import RunError
from identitystory.runs import folder as runfolder
from identitystory.runs import takes
from identitystory.runs.options import new_request
from identitystory.runs.request import RunRequest, recorded
from tests.test_takes import PRESET, SCENES, made, story
from tests.workshop import Workshop


@pytest.fixture
def service(backend):
    return Workshop(backend).service


@pytest.fixture
def request_(tmp_path):
    return RunRequest(story(*SCENES), tmp_path / "run", PRESET)


def test_a_locked_picture_outlives_other_words_another_order_and_another_seed(service, request_):
    made(service, request_)
    out = request_.out
    before = (out / "frames/002.png").read_bytes()
    takes.lock(out, 1)
    told = story("{Mara} runs", SCENES[0], SCENES[1], SCENES[2])
    request = new_request(told, out, seed=5)
    assert "frames/003" not in made(service, request)
    assert (out / "frames/003.png").read_bytes() == before
    told = replace(told, style="ink")
    assert made(service, new_request(told, out)) == ("frames/001", "frames/002", "frames/004")
    assert (out / "frames/003.png").read_bytes() == before


def test_an_unlocked_picture_is_painted_anew_if_it_would_be_another(service, request_):
    made(service, request_)
    takes.lock(request_.out, 1)
    new = new_request(story(SCENES[0], SCENES[1], SCENES[2]), request_.out, seed=5)
    assert "frames/002" not in made(service, new)
    takes.lock(request_.out, 1, False)
    assert made(service, recorded(request_.out)) == ("frames/002",)


def test_another_seed_of_a_locked_scene_is_refused_in_one_line(service, request_, capsys):
    made(service, request_)
    run = str(request_.out)
    assert main(["lock", run, "2"], service=lambda: service) == 0
    assert main(["generate", run, "--only", "2", "--seed", "9"], service=lambda: service) == 2
    assert f"scene 2 is locked; identitystory lock {run} 2 --off" in capsys.readouterr().err
    assert main(["lock", run, "2", "--off"], service=lambda: service) == 0
    assert main(["generate", run, "--only", "2", "--seed", "9"], service=lambda: service) == 0


def test_a_lock_whose_picture_was_deleted_holds_nothing_up(service, request_):
    made(service, request_)
    takes.lock(request_.out, 1)
    (request_.out / "frames/002.png").unlink()
    assert made(service, recorded(request_.out)) == ("frames/002",)
    assert made(service, recorded(request_.out)) == ()


def test_only_a_finished_picture_is_locked(service, request_):
    made(service, replace(request_, only=(0,)))
    with pytest.raises(RunError, match="scene 2 has no finished picture to lock"):
        takes.lock(request_.out, 1)
    with pytest.raises(RunError, match="there is no scene 4"):
        takes.lock(request_.out, 3)


def test_two_locks_at_once_are_both_kept(service, request_, monkeypatch):
    """The second begins while the first waits for the folder."""
    made(service, request_)
    opened = takes.opened

    def late(root):
        monkeypatch.setattr(takes, "opened", opened)
        takes.lock(root, 0)
        return opened(root)

    monkeypatch.setattr(takes, "opened", late)
    takes.lock(request_.out, 1)
    assert set(recorded(request_.out).locked) == {0, 1}


def test_a_lock_that_is_newer_than_the_request_holds(service, request_):
    """As of the second of several stories, locked while the first is painted."""
    made(service, request_)
    request = new_request(story("{Mara} runs", SCENES[1]), request_.out, seed=5)
    before = (request_.out / "frames/002.png").read_bytes()
    takes.lock(request_.out, 1)
    assert made(service, request) == ("cast/Mara", "frames/001")
    assert (request_.out / "frames/002.png").read_bytes() == before
    assert set(recorded(request_.out).locked) == {1}


def test_a_lock_that_comes_between_the_plan_and_the_work_holds(service, request_, monkeypatch):
    made(service, request_)
    opened = runfolder.opened

    def late(root):
        takes.lock(root, 1)
        return opened(root)

    monkeypatch.setattr(runfolder, "opened", late)
    assert "frames/002" not in made(service, replace(request_, seed=5))
    assert set(recorded(request_.out).locked) == {1}
