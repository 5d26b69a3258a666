"""Prompts and steps that a checkpoint cannot take, known before anything is searched or written."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from identitystory.cli.main import main
from identitystory.errors import PromptError
from identitystory.models.describe import describe_model
from identitystory.models.sdxl.tokens import SHORT, check_lengths
from identitystory.models.segment.parts import check_phrases
from identitystory.runs.service import Service
from tests.toy import toy_checkpoint, write_toy_grounded  # noqa: F401

LONG = " ".join(f"q{n}xz" for n in range(150))  # 939 characters, hardly a token with two of them


@pytest.fixture
def call(toy, tmp_path, monkeypatch, capsys):
    """`generate` on the toy, which is described but must not be opened."""
    monkeypatch.chdir(tmp_path)

    def load(*_, **__):
        pytest.fail("the model was opened")

    def run(*argv):
        more = ("--model", str(toy), "--dtype", "float32", "--device", "cpu")
        code = main(["generate", *argv, *more], service=lambda: Service(load=load))
        return code, capsys.readouterr().err

    return run


@pytest.mark.parametrize("method", ["identitystory", "general"])
def test_a_prompt_beyond_the_encoders_is_refused_before_the_search(call, tmp_path, method):
    people = ("--character", "Mara: a woman", "--scene", "{Mara} reads")
    code, err = call(*people, "--scene", "{Mara} " + LONG, "--method", method)
    assert code == 2
    assert "tokens; about 600 are read at most. Shorten it" in err
    assert list(tmp_path.iterdir()) == []


def test_descriptions_count_as_they_stand_in_the_prompt(call, tmp_path):
    half = LONG[:380]
    code, err = call("--character", f"Mara: a woman {half}", "--scene", f"{{Mara}} {half}")
    assert (code, "Shorten it" in err) == (2, True)
    assert list(tmp_path.iterdir()) == []


def test_more_steps_than_the_schedule_has_are_refused_before_the_search(call, tmp_path):
    people = ("--character", "Mara: a woman", "--scene", "{Mara} reads")
    code, err = call(*people, "--steps", "2000")
    assert code == 2
    assert "there are 2,000 steps; " in err
    assert "takes 1 to 1,000" in err
    assert list(tmp_path.iterdir()) == []


def test_the_second_tokenizer_counts_too(toy, tmp_path):
    text = "a woman " * 60  # few tokens for the toy's first
    check_lengths(toy, [text])
    for part in ("tokenizer", "text_encoder", "text_encoder_2"):
        (tmp_path / part).symlink_to(toy / part)
    (tmp_path / "tokenizer_2").mkdir()
    for file in (toy / "tokenizer_2").iterdir():
        (tmp_path / "tokenizer_2" / file.name).write_bytes(file.read_bytes())
    config = tmp_path / "tokenizer_2" / "tokenizer_config.json"
    config.write_text(config.read_text().replace("77", "12"))
    with pytest.raises(PromptError, match="about 80 are read"):
        check_lengths(tmp_path, [text])


def test_short_prompts_open_no_file(tmp_path):
    check_lengths(tmp_path, ["x" * SHORT])


def test_descriptions_that_the_detector_cannot_read_are_refused_before_the_search(
    toy, tmp_path, monkeypatch, capsys
):
    model = shutil.copytree(toy, tmp_path / "model")
    shutil.rmtree(model / "segmenter")
    write_toy_grounded(model / "segmenter")
    monkeypatch.chdir(tmp_path)
    people = [f"{name}: a woman, " + "a woman, " * 12 for name in ("Mara", "Ann")]
    argv = ["generate", "--model", str(model), "--device", "cpu", "--scene", "{Mara} and {Ann} sit"]
    argv += [word for person in people for word in ("--character", person)]
    assert main(argv, service=lambda: Service(load=None)) == 2
    assert "tokens together; the detector reads 64. Shorten them" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["model"]
    check_phrases(
        (model / "segmenter" / "detector",), [["a woman, a woman, a woman", "an old man"]] * 9
    )


def test_the_miniatures_schedule_is_known_without_opening_it():
    assert describe_model("miniature", "cpu", "float32").max_steps == 1000


@pytest.mark.slow
def test_opening_the_miniature_says_nothing():
    code = "from identitystory.models.backend import load_backend; load_backend('miniature')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent.parent / "src",
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
