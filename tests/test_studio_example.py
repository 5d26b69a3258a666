"""The lighthouse that a new library begins with: finished, and what today's code and weights would paint."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from identitystory.errors import ModelError
from identitystory.marks.packet import TRAINED, find
from identitystory.runs.events import Finished
from identitystory.runs.files import write_png
from identitystory.runs.service import Service, describe_model
from identitystory.studio import example
from identitystory.studio.desk import Desk
from tests.workshop import contents

ROOT = Path(__file__).parent.parent
STALE = "the packed lighthouse is out of date: make lighthouse"


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    return Desk(
        tmp_path_factory.mktemp("studio"), Service(load=None, describe=describe_model), "cpu"
    )


def test_a_new_library_shows_six_finished_pictures_and_paints_nothing(desk):
    [id_] = desk.library.ids()
    told = desk.board(desk.library.entry(id_)).told()
    assert [frame["state"] for frame in told["frames"]] == ["current"] * 6, STALE
    assert [person["state"] for person in told["characters"]] == ["current"], STALE
    assert all(frame["template"] for frame in told["frames"])
    assert told["cost"]["calls"] == 0
    assert desk.jobs()["jobs"] == []
    assert desk.rows()[0]["painted"] == 6


def test_no_part_of_it_would_be_made_again_by_the_weights_that_are_shipped(desk):
    [id_] = desk.library.ids()

    def load(model, **options):
        raise ModelError(STALE)

    *_, last = Service(load=load, describe=describe_model).run(
        desk.library.entry(id_).request("cpu")
    )
    assert isinstance(last, Finished)
    assert (last.made, len(last.kept)) == ((), 7), STALE


def test_it_is_small_marked_and_the_example(desk):
    assert (ROOT / "src/identitystory/data/lighthouse.zip").stat().st_size <= 1_200_000
    assert example.text() == (ROOT / "examples/lighthouse.toml").read_text(encoding="utf-8")
    [id_] = desk.library.ids()
    pictures = sorted(desk.library.entry(id_).run.glob("*/*.png"))
    assert len(pictures) == 19  # a frame, a template and masks six times, and Mara's portraits
    assert all(TRAINED in (find(path.read_bytes()) or "") for path in pictures)


def test_what_is_packed_comes_out_byte_for_byte(tmp_path):
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 256, (9, 7, 3), dtype=np.uint8))
    masks = noise.quantize(4)
    for name, picture in {"frames/001.png": noise, "frames/001.masks.png": masks}.items():
        write_png(tmp_path / "run" / name, picture, {"key": "k", "title": "é"})
    (tmp_path / "run/run.json").write_text("{}")
    packed = example.packed(tmp_path / "run")
    example.unpacked(packed, tmp_path / "again")
    assert contents(tmp_path / "again") == contents(tmp_path / "run")
    assert example.packed(tmp_path / "again") == packed
