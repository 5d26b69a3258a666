"""Q-Align: the protocol with the other interpreter, with a stand-in for pyiqa."""

import sys

import pytest

from identitystory.errors import ConfigError
from identitystory.metrics.quality import QAlign

PYIQA = """
import pathlib
def create_metric(name):
    assert name == "qalign"
    print("downloading, says a library on standard output")
    add = {"aesthetic": 0.25, "quality": 0.5}
    return lambda file, task_: len(pathlib.Path(file).read_text()) + add[task_]
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


def test_an_environment_without_pyiqa_is_one_sentence_with_the_recipe(tmp_path, monkeypatch):
    (tmp_path / "pyiqa.py").write_text("raise ImportError(name='pyiqa')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(ConfigError, match="pyiqa is not installed; make one with"):
        QAlign(sys.executable).rate([])


def test_an_interpreter_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match="no-python: No such file"):
        QAlign(tmp_path / "no-python").rate([])
