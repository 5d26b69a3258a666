"""benchmarks/options.py and heard.py: what goes on is what was begun; how often a pair counts."""

from argparse import Namespace

import pytest
import torch

from benchmarks.heard import weights
from benchmarks.options import hold


def test_a_measurement_goes_on_with_the_options_that_it_was_begun_with(tmp_path):
    begun = Namespace(out=tmp_path, steps=8, margins=[0.0, 64.0], stories=4)
    hold(tmp_path / "new", begun, ("out", "stories"))
    hold(tmp_path / "new", Namespace(**{**vars(begun), "stories": 9}), ("out", "stories"))
    with pytest.raises(SystemExit, match="begun with --steps 8, and this command asks for 12"):
        hold(tmp_path / "new", Namespace(**{**vars(begun), "steps": 12}), ("out", "stories"))


def test_a_pair_of_one_person_counts_as_often_as_they_were_drawn():
    w, who = torch.tensor([3.0, 2.0, 0.0]), torch.tensor([0, 0, 1])
    assert weights(w, who).tolist() == [[3, 6, 0], [3, 6, 0], [6, 2, 0]]
