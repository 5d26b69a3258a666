"""Q-Align: the protocol with the other interpreter, with a stand-in for pyiqa."""

import sys

import pytest

from identitystory.errors import ConfigError
from identitystory.experiments.evaluate import evaluate
from identitystory.experiments.instruments import EvaluationRequest
from identitystory.metrics import quality
from identitystory.metrics.quality import QAlign
from identitystory.runs.options import new_request
from identitystory.settings import Overrides
from tests.workshop import Workshop

PYIQA = """
import atexit, pathlib
with open(pathlib.Path(__file__).with_name("starts"), "a") as starts:
    starts.write("one more process\\n")
def create_metric(name):
    assert name == "qalign"
    print("downloading, says a library on standard output")
    atexit.register(print, "goodbye, says another")
    add = {"aesthetic": 0.25, "quality": 0.5}
    def judge(file, task_):
        if task_ == "quality":
            with open(pathlib.Path(__file__).with_name("rated"), "a") as rated:
                rated.write(pathlib.Path(file).name + " ")
        return pathlib.Path(file).stat().st_size + add[task_]
    return judge
"""


@pytest.fixture
def pyiqa(tmp_path, monkeypatch):
    (tmp_path / "pyiqa.py").write_text(PYIQA)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


@pytest.fixture
def files(tmp_path):
    """a.png of 2 bytes, b.png of 4."""
    for name, content in (("a.png", "12"), ("b.png", "1234")):
        (tmp_path / name).write_text(content)
    return [tmp_path / "a.png", tmp_path / "b.png"]


@pytest.fixture
def program(tmp_path):
    """A shell script in the interpreter's place."""

    def write(text):
        file = tmp_path / "program"
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)
        return file

    return write


def test_both_ratings_come_back_in_the_order_of_the_files(pyiqa, files):
    """Also with what libraries print before and after them."""
    judge = QAlign(sys.executable)
    aesthetic, quality = judge.rate(files)
    assert aesthetic.tolist() == [2.25, 4.25]
    assert quality.tolist() == [2.5, 4.5]
    assert judge.name.startswith("Q-Align (pyiqa ")


def test_all_pictures_of_an_evaluation_are_rated_by_one_process(pyiqa, backend, story, tmp_path):
    """Each story gets its own pictures' rates back: here the files' sizes."""
    folders = [tmp_path / name for name in ("a", "b")]
    for seed, folder in enumerate(folders):
        request = new_request(story, folder, Overrides(steps=10, portraits=4), seed=seed)
        list(Workshop(backend).service.run(request))
    only = ("Q-Align-Aes", "Q-Align-Gen")  # so nothing else is opened
    asked = EvaluationRequest(tuple(folders), qalign=sys.executable, samples=10, measures=only)
    result = evaluate(asked)
    assert (tmp_path / "starts").read_text() == "one more process\n"
    for folder in folders:
        sizes = [(folder / f"frames/{n:03}.png").stat().st_size for n in (1, 2, 3)]
        found = {s.name: s.value for s in result.stories[str(folder)]}
        mean = sum(sizes) / 3
        assert found == pytest.approx({"Q-Align-Aes": mean + 0.25, "Q-Align-Gen": mean + 0.5})
    assert list(result.measured_with) == ["Q-Align"]
    assert result.measured_with["Q-Align"]["name"].startswith("Q-Align (pyiqa ")
    assert result.not_measured == {}


def test_a_picture_is_rated_once_by_its_content(pyiqa, files, tmp_path):
    """A copy under another name is the same picture; other content under a name is another."""
    judge = QAlign(sys.executable)
    judge.rate(files)
    files[0].write_text("123456")
    (tmp_path / "c.png").write_text("1234")
    aesthetic, quality = judge.rate([tmp_path / "c.png", *files])
    assert aesthetic.tolist() == [4.25, 6.25, 4.25]
    assert quality.tolist() == [4.5, 6.5, 4.5]
    assert (tmp_path / "rated").read_text() == "a.png b.png a.png "


def test_ratings_outlive_a_call_that_fails(pyiqa, files, tmp_path):
    judge = QAlign(sys.executable)
    judge.rate(files[:1])
    (tmp_path / "pyiqa.py").write_text("raise RuntimeError('out of memory')")
    with pytest.raises(ConfigError, match="out of memory; make one with"):
        judge.rate(files)
    assert judge.rate(files[:1])[0].tolist() == [2.25]


def test_no_pictures_have_no_ratings_and_start_nothing(pyiqa, tmp_path):
    aesthetic, quality = QAlign(sys.executable).rate([])
    assert aesthetic.tolist() == quality.tolist() == []
    assert not (tmp_path / "starts").exists()


def test_an_environment_without_pyiqa_is_told_at_opening_with_the_recipe(program):
    bare = program(f'exec "{sys.executable}" -I -S "$@"')
    with pytest.raises(ConfigError, match="pyiqa is not installed there; make one with"):
        QAlign(bare)


def test_what_pyiqa_itself_misses_is_one_sentence_with_the_recipe(tmp_path, monkeypatch, files):
    (tmp_path / "pyiqa.py").write_text("raise ImportError(name='timm')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(ConfigError, match="timm is not installed; make one with"):
        QAlign(sys.executable).rate(files)


def test_an_interpreter_that_is_not_there_is_named_at_opening(tmp_path):
    with pytest.raises(ConfigError, match="no-python: No such file"):
        QAlign(tmp_path / "no-python")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("true", "last words: none; it must be the Python"),
        ("echo hello; echo goodbye", "last words: goodbye; it must be the Python"),
        ('echo "$@"', "flush=True); it must be the Python"),  # the question itself is no answer
        ("printf 'a%.0s' $(seq 500)", f"last words: {'a' * quality.MAX_WORDS}; it must"),
        ("echo not today >&2; exit 3", "failed: not today; make one with"),
        ("echo not today; exit 3", "failed: not today; make one with"),
    ],
)
def test_a_program_that_is_no_python_is_one_line_with_its_last_words(program, text, words):
    with pytest.raises(ConfigError) as caught:
        QAlign(program(text))
    assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_program_that_does_not_answer_is_given_up(program, monkeypatch):
    monkeypatch.setattr(quality, "FIND_SECONDS", 0.1)
    with pytest.raises(ConfigError, match=r"did not answer within 0\.1 s; it must be the Python"):
        QAlign(program("exec sleep 20"))


def test_a_process_that_ends_without_ratings_is_one_line(pyiqa, files, tmp_path):
    """As where a library ends the process in the middle."""
    judge = QAlign(sys.executable)
    (tmp_path / "pyiqa.py").write_text("import os; print('cut off', flush=True); os._exit(0)")
    with pytest.raises(ConfigError, match="gave no answer; its last words: cut off; "):
        judge.rate(files)


def test_a_process_that_breaks_after_its_answer_has_answered(pyiqa, files, tmp_path):
    """As where a library fails to let go of the device."""
    breaking = "import atexit, os\natexit.register(os._exit, 134)\n"
    (tmp_path / "pyiqa.py").write_text(breaking + PYIQA)
    assert QAlign(sys.executable).rate(files)[0].tolist() == [2.25, 4.25]
