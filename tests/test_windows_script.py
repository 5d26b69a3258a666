"""benchmarks/windows.py on a toy: one template for whole pictures and windows, and what each costs."""

from dataclasses import replace

import pytest

from benchmarks.windows import Painting, Told, costs, stories, ways
from identitystory.config import DiscoveryConfig, InjectionConfig, Preset
from identitystory.models.backend import load_backend
from identitystory.story.file import inline_story
from tests.conftest import FakeSegmenter
from tests.toy import toy_checkpoint  # noqa: F401


def test_four_people_are_alone_and_in_four_pairs():
    told = stories(4, 2)
    assert [t.name for t in told] == ["00", "01", "02", "03", "00+01", "02+03", "00+02", "01+03"]
    assert all(
        [s.cast for s in t.story.scenes] == [tuple(f"P{k}" for k in t.people)] * 2 for t in told
    )


def test_a_scene_is_painted_in_every_way(toy, tmp_path):
    base = Preset(
        "mine",
        num_steps=4,
        discovery=DiscoveryConfig(num_portraits=2, iterations=0, search_steps=2),
        injection=InjectionConfig(start=3, k_max=0.0, guidance_template=3.0, guidance_identity=3.0),
    )
    backend = load_backend(toy, device="cpu", dtype="float32", num_steps=4, search_steps=2)
    backend = replace(backend, segmenter=FakeSegmenter({"a tall woman": (0, 0, 30, 20)}))
    made = ways(base.injection, [2000.0, 0.0], fast=True)
    painting = Painting(tmp_path, backend, base, made)
    told = Told("one", (0,), inline_story(["P0: a tall woman"], ["a photo of {P0}"]))
    painting.paint([told])
    rows = {row["way"]: row for row in painting.done()}
    assert list(rows) == ["full", "full, 2000", "full, 0", "fast", "fast, 0"]
    assert [row["worth"] for row in rows.values()] == [14, 14, 8 + 6 / 4, 10, 6 + 4 / 4]
    image = lambda way: (tmp_path / way / "one-0.png").read_bytes()
    assert image("full") == image("full, 2000") != image("full, 0")
    painting.paint([told])
    assert len(painting.done()) == 5  # nothing twice
    lines = costs([row | {"plain calls": 8} for row in rows.values()], 1)
    assert lines[3].startswith("full, 0 | 1 | 0.25 | 9.5 | 1.19 | ")
    assert rows["full"]["times plain"] == pytest.approx(
        (rows["full"]["template s"] + rows["full"]["faces s"]) / rows["full"]["plain s"]
    )
