"""The benchmark of long stories tells what grows from what does not."""

import pytest

from benchmarks.long_story import CAST, Sample, compared, long_story


def test_a_long_story_has_scenes_of_one_and_of_two_and_none_twice():
    story = long_story(1000)
    assert [len(scene.cast) for scene in story.scenes[:10]] == [1] * 9 + [2]
    assert len({scene.text for scene in story.scenes}) == 1000
    assert len(story.characters) == len(CAST) == 2


@pytest.mark.parametrize(
    ("grows", "drifts", "flat"),
    [(0.0, 0.0, (True, True)), (0.5, 0.0, (False, True)), (0.0, 1e-3, (True, False))],
)
def test_what_grows_by_a_twentieth_or_drifts_out_of_the_interval_is_not_flat(grows, drifts, flat):
    near = lambda n: None if n % 10 == 9 else 0.9 + 0.01 * (n % 7 - 3) - drifts * n
    samples = [Sample(n + 1, 500 + grows * n, 0.5 + 0.001 * n, near(n)) for n in range(300)]
    told = compared(samples)
    assert (told["memory flat"], told["identity flat"]) == flat
    assert told["of"] == 100
    assert told["seconds, last by first"] == pytest.approx(0.7495 / 0.5495, abs=1e-4)
    assert told["near"][0][0] == pytest.approx(0.9 - drifts * 49.5, abs=3e-3)
