"""Strange stories, command lines and files: `tests.fuzz` and `tests.fuzz_files`, for some seconds."""

import pytest

from tests import fuzz_files
from tests.fuzz import find


@pytest.mark.parametrize(
    ("seconds", "seed"), [(1.5, 0), pytest.param(600, 1, marks=pytest.mark.slow)]
)
def test_no_story_and_no_command_line_breaks_the_door(seconds, seed):
    count, found = find(seconds, seed)
    assert found == []
    assert count > 10


@pytest.mark.parametrize(
    ("seconds", "seed"), [(1, 0), pytest.param(600, 1, marks=pytest.mark.slow)]
)
def test_no_file_breaks_a_command_that_reads_it(seconds, seed, tmp_path, monkeypatch):
    for place in ("HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(place, str(tmp_path))
    count, found = fuzz_files.find(seconds, seed)
    assert found == []
    assert count > 10
