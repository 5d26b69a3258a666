"""The script that holds the miniature against its goals."""

from benchmarks.targets import GENERAL, ONE, TWO, table, targets
from identitystory.baselines.registry import OURS
from identitystory.evaluation import Evaluation
from identitystory.metrics.suite import Score


def evaluated(**one):
    names = {"face_detection": "face detection", "face_sim": "Face-Sim", "auc_alike": "AUC alike"}
    score = lambda name, value: Score(names.get(name, name), value, value - 0.1, value, 5)
    two = [
        Score("all faces of a crowd", 0.5, None, None, 1),
        Score("nearest to own", 0.9, 0.8, 1, 2),
    ]
    groups = {ONE: [score(name, value) for name, value in one.items()], TWO: two}
    return Evaluation(groups, {}, [], {}, {}, {}, "frames", 0)


def test_each_goal_is_held_against_the_right_method_and_group():
    found = targets(
        {
            OURS: evaluated(face_detection=0.98, face_sim=0.6, auc_alike=0.9, attributes=0.75),
            GENERAL: evaluated(face_sim=0.3, attributes=0.76),
            "direct-identity": evaluated(attributes=0.7),
        }
    )
    values = [round(t.value, 6) for t in found]
    assert values == [0.98, 0.9, 2.0, -0.01, 0.05, 0.5, 0.9]
    reached = [line.split("|")[-2].strip() for line in table(found).splitlines()[2:]]
    assert reached == ["yes", "no", "yes", "yes", "yes", "no", "yes"]
    assert "| 0.97 | 0.980 | [0.880, 0.980] | yes |" in table(found)
