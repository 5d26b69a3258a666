"""Q-Align: the protocol with the other interpreter, with a stand-in for pyiqa."""

import sys

import pytest

from identitystory.errors import ConfigError
from identitystory.evaluation import Tools, Wanted, evaluate
from identitystory.metrics.quality import QAlign
from identitystory.metrics.suite import Instruments
from identitystory.requests import new_request
from tests.workshop import Workshop

PYIQA = """
import pathlib
with open(pathlib.Path(__file__).with_name("starts"), "a") as starts:
    starts.write("one more process\\n")
def create_metric(name):
    assert name == "qalign"
    print("downloading, says a library on standard output")
    add = {"aesthetic": 0.25, "quality": 0.5}
    return lambda file, task_: pathlib.Path(file).stat().st_size + add[task_]
"""


@pytest.fixture
def pyiqa(tmp_path, monkeypatch):
    (tmp_path / "pyiqa.py").write_text(PYIQA)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


def test_both_ratings_come_back_in_the_order_of_the_files(pyiqa, tmp_path):
    files = [tmp_path / "a.png", tmp_path / "b.png"]
    for file, content in zip(files, ("12", "1234"), strict=True):
        file.write_text(content)
    judge = QAlign(sys.executable)
    aesthetic, quality = judge.rate(files)
    assert aesthetic.tolist() == [2.25, 4.25]
    assert quality.tolist() == [2.5, 4.5]
    assert judge.name.startswith("Q-Align (pyiqa ")


def test_all_pictures_of_an_evaluation_are_rated_by_one_process(pyiqa, backend, story, tmp_path):
    """Each story gets its own pictures' rates back: here the files' sizes."""
    folders = [tmp_path / name for name in ("a", "b")]
    for seed, folder in enumerate(folders):
        request = new_request(story, folder, steps=10, portraits=4, seed=seed)
        list(Workshop(backend).service.run(request))
    judge = QAlign(sys.executable)
    result = evaluate(
        Wanted(tuple(folders), samples=10), tools=Tools(Instruments(judge=judge), {}, {})
    )
    assert (tmp_path / "starts").read_text() == "one more process\n"
    for folder in folders:
        sizes = [(folder / f"frames/{n:03}.png").stat().st_size for n in range(3)]
        found = {s.name: s.value for s in result.stories[str(folder)]}
        mean = sum(sizes) / 3
        assert found == pytest.approx({"Q-Align-Aes": mean + 0.25, "Q-Align-Gen": mean + 0.5})
    assert result.measured_with["Q-Align"]["name"] == judge.name


def test_an_environment_without_pyiqa_is_one_sentence_with_the_recipe(tmp_path, monkeypatch):
    (tmp_path / "pyiqa.py").write_text("raise ImportError(name='pyiqa')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(ConfigError, match="pyiqa is not installed; make one with"):
        QAlign(sys.executable).rate([])


def test_an_interpreter_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match="no-python: No such file"):
        QAlign(tmp_path / "no-python").rate([])
