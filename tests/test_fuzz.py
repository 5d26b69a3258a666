"""Strange stories and command lines: `tests.fuzz`, for some seconds."""

import pytest

from tests.fuzz import find


@pytest.mark.parametrize(
    ("seconds", "seed"), [(8, 0), pytest.param(600, 1, marks=pytest.mark.slow)]
)
def test_no_story_and_no_command_line_breaks_the_door(seconds, seed):
    count, found = find(seconds, seed)
    assert found == []
    assert count > 10
