"""The script that holds the miniature against its goals."""

import inspect
import math
import re

import pytest

from benchmarks.targets import GENERAL, ONE, TWO, by_story, main, table, targets
from identitystory.experiments.evaluate import Evaluation
from identitystory.methods.registry import OURS
from identitystory.metrics.measures import Score, measures
from identitystory.story.file import inline_story

ALONE = [inline_story(["Ann: a woman"], ["{Ann} reads"], title=str(k)) for k in range(5)]
PAIR = inline_story(["Ann: a woman", "Bob: a man"], ["{Ann} and {Bob} read"], title="pair")
STORIES = (*ALONE, PAIR)


def evaluated(face_sim, attributes):
    """Each of the five stories has its value, the pair .99."""
    named = lambda name, value: Score(name, value, None, None, 1)
    stories = {
        str(k): [
            named("Face-Sim", face_sim[k] if k < 5 else 0.99),
            named("attributes", attributes[k] if k < 5 else 0.99),
        ]
        for k in range(6)
    }
    one = [Score("face detection", 0.99, 0.88, 0.98, 5), Score("AUC", 0.9, 0.8, 1.0, 5)]
    two = [
        Score("all faces of a crowd", 0.5, None, None, 1),
        Score("nearest to own", 0.96, 0.8, 1, 2),
    ]
    return Evaluation({ONE: one, TWO: two}, stories, [], {}, {}, {}, "frames", 0)


def test_each_goal_is_held_against_the_right_method_and_group():
    found = targets(
        {
            OURS: evaluated([0.55, 0.55, 0.55, 0.55, 0.55], [0.75] * 5),
            GENERAL: evaluated([0.2, 0.3, 0.25, 0.3, 0.2], [0.76, 0.77, 0.76, 0.75, 0.76]),
        },
        STORIES,
    )
    values = [round(t.value, 6) for t in found]
    assert values == [0.99, 0.9, 2.2, -0.01, 0.5, 0.96]
    reached = [line.split("|")[-2].strip() for line in table(found).splitlines()[2:]]
    assert reached == ["yes", "no", "yes", "yes", "no", "yes"]
    assert "| 0.98 | 0.990 | [0.880, 0.980] | yes |" in table(found)
    low, high = (float(x) for x in found[2].interval.strip("[]").split(","))
    assert 0.55 / 0.3 - 1e-3 <= low < 2.2 < high <= 0.55 / 0.2
    assert found[3].interval == "[-0.018, -0.002]"  # nearly one story of five at either end


def test_a_story_without_a_value_is_not_a_number():
    found = by_story(evaluated([0.1, 0.2, 0.3, 0.4, math.nan], [0.0] * 5), "Face-Sim")
    assert found.shape == (6,)
    assert found[:4].tolist() == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert math.isnan(found[4])


def test_every_measure_that_is_asked_for_is_one_of_the_suites():
    source = inspect.getsource(targets)
    asked = re.findall(r'(?:plain\("[^"]+", \w+|beside\("[^"]+"), "([^"]+)"', source)
    assert len(asked) == 6
    assert set(asked) <= measures().keys()


def test_too_little_to_compare_is_told_before_anything_is_painted(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        "sys.argv", ["targets.py", "--out", str(tmp_path / "out"), "--stories", "1"]
    )
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert "must be at least 2" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
