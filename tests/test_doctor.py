"""doctor --paint: a story painted and measured, told in words that can be pasted; what fails is seen."""

import json
from dataclasses import replace

import pytest
import torch
from PIL import Image

from identitystory.cli.main import main
from identitystory.experiments import trial
from identitystory.experiments.checkup import Check
from identitystory.metrics.evidence import Picture
from identitystory.models import speed
from identitystory.runs.folder import read_record
from tests.workshop import FACTS, Workshop

FEW = ["--steps", "2", "--portraits", "3"]


@pytest.mark.journey
def test_on_the_miniature_one_command_paints_measures_and_says_so(tmp_path, monkeypatch, capsys):
    """Few steps: what must hold of any installation does, what depends on skill is only pointed out."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert main(["doctor", "--paint", "--faces", "none", *FEW]) == 0
    report = capsys.readouterr().out
    assert report.startswith("### identitystory doctor\n\nThis installation ")
    assert "Not measured: faces." in report
    for fact in (
        "- preset: recommended, 2 steps",
        "- identities: finite, and two that differ",
        "- pictures: 3 of 3, of 256x256, 256x256, 384x256",
        "- text: a picture is 0.",
        "- network calls: ",
        "- peak memory: ",
        "GFLOP",
        "of what a matrix multiplication in",
    ):
        assert fact in report
    assert str(tmp_path) not in report
    assert "/" not in report.replace("miniature/segmenter", "").replace("FLOP/s", "")
    assert len(list((tmp_path / "runs/doctor/frames").glob("00?.png"))) == 3


@pytest.fixture
def call(backend, tmp_path, monkeypatch, capsys):
    """The command on the fakes, in an empty folder; its checks by name, and the exit code."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(trial, "_measured", lambda painted, asked: iter(()))

    def run(*argv, generator=None):
        service = Workshop(backend).service
        service.describe = lambda *_: replace(FACTS, size=(64, 64), multiple=8)
        if generator:
            generator(backend)
        code = main(["doctor", "--paint", "--json", *FEW, *argv], service=lambda: service)
        told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        return code, {check["what"]: check for check in told}

    return run


def sees(backend, boxes):
    backend.segmenter.boxes = boxes


MARA, TOM = (c.description for c in trial.story().characters)
BOTH = {MARA: (16, 8, 56, 24), TOM: (8, 40, 60, 60)}


def test_everything_well_is_exit_code_0_and_each_time_a_new_folder(call, tmp_path):
    code, told = call(generator=lambda b: sees(b, BOTH))
    assert code == 0
    assert all(check["well"] for check in told.values())
    assert told["people found in the pictures"]["found"] == "4 of 4"
    # Two calls a step. Planned: 2 steps of 6 portraits, 3 templates, 4 people in them; but the fakes
    # take ten of a portrait and of a template, whatever they are asked.
    assert told["network calls"]["found"].startswith(f"{2 * (60 + 30 + 8)}, planned {2 * 26};")
    call(generator=lambda b: sees(b, BOTH))
    assert {p.name for p in (tmp_path / "runs").iterdir()} == {"doctor", "doctor-2"}


def test_nobody_found_fails_and_somebody_missing_is_pointed_out(call):
    code, told = call(generator=lambda b: sees(b, {}))
    assert code == 1
    assert told["people found in the pictures"]["well"] is False
    code, told = call(generator=lambda b: sees(b, {MARA: BOTH[MARA]}))
    assert code == 0
    assert told["people found in the pictures"]["well"] is None
    assert told["people found in the pictures"]["found"].startswith("2 of 4: ")


def test_pictures_of_one_colour_fail(call):
    def grey(backend):
        sees(backend, BOTH)
        size = lambda z: (8 * z.shape[3], 8 * z.shape[2])
        for G in (backend.general, backend.identity):
            G.decode = lambda z: [Image.new("RGB", size(z), "grey")] * len(z)

    code, told = call(generator=grey)
    assert code == 1
    assert told["not of one colour"]["well"] is False
    assert told["identity painted in"]["well"] is False


def test_a_folder_that_is_there_is_refused(backend, tmp_path, capsys):
    argv = ["doctor", "--paint", *FEW, "--out", str(tmp_path)]
    assert main(argv, service=lambda: Workshop(backend).service) == 2
    assert "is there already; --out of doctor takes a new folder" in capsys.readouterr().err


def test_the_verdict_names_what_fails_before_what_to_look_at():
    good, odd, bad = Check("a", "x"), Check("b", "x", None), Check("c", "x", False)
    blind = Check("not measured, faces", "none")
    assert trial.verdict([good]) == "This installation does what it should."
    assert trial.verdict([good, odd, blind]) == (
        "This installation works. Look at: b. Not measured: faces."
    )
    assert trial.verdict([good, odd, bad]) == "This installation does not do what it should: c."


def test_the_report_has_no_places_of_this_machine():
    text = trial.report([Check("weights of /home/ann/models/x", "/home/ann/models/x, 3 MiB")])
    assert "- weights of x: x, 3 MiB" in text
    assert "ann" not in text


class Words:
    """An encoder in which a text and a grey level are alike where they have the same number."""

    name, limit = "words", 77

    def pictures(self, images):
        return torch.eye(3)[[image.getpixel((0, 0)) for image in images]]

    def texts(self, texts):
        return torch.eye(3)[[int(text) for text in texts]]


@pytest.mark.parametrize(
    ("prompts", "alike"), [("012", (1, 0)), ("120", (0, 0.5)), ("021", (1 / 3, 1 / 3))]
)
def test_pictures_are_held_against_their_own_words_and_those_of_others(tmp_path, prompts, alike):
    pictures = []
    for level, prompt in enumerate(prompts):
        file = tmp_path / f"{level}.png"
        Image.new("L", (4, 4), level).save(file)
        pictures.append(Picture(file, prompt, (), torch.zeros(0, 4, 4)))
    assert trial.own_words(Words(), pictures) == pytest.approx(alike)


def test_the_share_is_of_one_call_and_of_the_machines_own_multiplication(monkeypatch):
    """A step of two calls that is one matrix multiplication of 2 n^3 operations."""
    n, a = 64, torch.ones(64, 64)

    class One:
        num_steps, size = 5, (8, 8)
        condition = staticmethod(lambda prompts: None)
        noise = staticmethod(lambda seed: a)
        calls = staticmethod(lambda i, cond: 2)
        step = staticmethod(lambda z, i, cond: z[0] @ z[0])

    monkeypatch.setattr(speed, "matmul_peak", lambda *_: 1e9)
    monkeypatch.setattr(speed, "timed", lambda work, device: (4.0, 2.0, work()))
    found = speed.speed(One(), torch.device("cpu"), torch.float32)
    assert found.operations == n**3
    assert found.seconds == 2.0
    assert found.share == pytest.approx(2 * n**3 / 2.0 / 1e9)


@pytest.mark.parametrize(("kind", "seconds"), [("cpu", 2.0), ("mps", 4.0), ("cuda", 4.0)])
def test_an_accelerators_share_is_of_wall_time_and_a_processors_of_its_own(
    monkeypatch, kind, seconds
):
    class One:
        num_steps, size = 5, (8, 8)
        condition = staticmethod(lambda prompts: None)
        noise = staticmethod(lambda seed: torch.ones(64, 64))
        calls = staticmethod(lambda i, cond: 1)
        step = staticmethod(lambda z, i, cond: z[0] @ z[0])

    monkeypatch.setattr(speed, "matmul_peak", lambda *_: 1e9)
    monkeypatch.setattr(speed, "timed", lambda work, device: (4.0, 2.0, work()))
    found = speed.speed(One(), torch.device(kind), torch.float32)
    assert found.share == pytest.approx(2 * 64**3 / seconds / 1e9)


def test_an_apple_gpu_is_waited_for(monkeypatch):
    waited = []
    monkeypatch.setattr(torch.mps, "synchronize", lambda: waited.append(1))
    speed.timed(lambda: None, torch.device("mps"))
    assert len(waited) == 2


def test_the_story_is_painted_as_the_record_says(call, tmp_path):
    call(generator=lambda b: sees(b, BOTH))
    from identitystory.runs.folder import RunFolder

    record = read_record(RunFolder(tmp_path / "runs/doctor"))
    assert record["story"]["title"] == "Trial"
    assert record["model"]["fingerprint"] == FACTS.fingerprint
