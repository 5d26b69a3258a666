"""Parts of the miniature's training that a wrong line would spoil without a sound."""

from __future__ import annotations

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from identitystory.models.samplers import ddim_step
from miniature.pack import sort_metadata
from miniature.pictures.training_set import WORDINGS, Ready, companions, masks_of_sides, sides
from miniature.stages.few_steps import velocity_to
from miniature.stages.perception import CELLS, GRID, corners, cut, distance
from miniature.stages.text import state_sizes
from miniature.stages.unet import squared_error
from miniature.stages.unet_batches import Batch, Draw
from miniature.training.attention_loss import PARTS, cells_of_parts


def test_a_window_is_a_slice_of_each_picture():
    x = torch.randn(4, 3, GRID, GRID)
    corner = torch.tensor([[0, 0], [8, 8], [3, 5], [8, 1]])
    expected = [
        a[:, y : y + CELLS, c : c + CELLS] for a, (y, c) in zip(x, corner.tolist(), strict=True)
    ]
    assert torch.equal(cut(x, corner), torch.stack(expected))
    assert torch.equal(cut(x[:, 0], corner), cut(x, corner)[:, 0])


def test_a_window_holds_the_eyes_also_of_a_mirrored_picture():
    eyes = torch.tensor([[40.0, 50.0]]).repeat(200, 1)
    for mirrored, x in ((0, 40), (1, 127 - 40)):
        corner = corners(eyes, torch.full((200,), mirrored))
        assert corner.min() >= 0
        assert corner.max() <= GRID - CELLS
        inside = torch.tensor([50, x]) / 8 - corner
        assert ((inside > 0) & (inside < CELLS)).all()
        assert len(corner.unique(dim=0)) > 1  # moved about


def test_equal_features_have_no_distance_and_opposite_ones_four():
    x = torch.randn(2, 5, 4, 4)
    assert torch.allclose(distance((x,), (3 * x,)), torch.zeros(2), atol=1e-6)
    assert torch.allclose(distance((x, x), (-x, -x)), torch.full((2,), 4.0))


def test_the_penalty_is_zero_for_words_of_unit_size_and_silent_rest():
    words = torch.tensor([[0.0, 1, 1, 0, 0], [0.0, 1, 1, 0, 0]])
    signs = torch.tensor([[0.0, 1, -1, 0, 0], [0.0, 1, -1, 0, 0]])
    states = signs[..., None].expand(-1, -1, 6)  # mean square 1, mean over words 0
    assert state_sizes(states, words) == 0
    loud = states.clone()
    loud[:, 0] = 2.0  # the start token, an outlier
    assert state_sizes(loud, words) > 2 * 4.0
    assert state_sizes(2 * states, words) == 9.0  # (4 - 1)^2


def test_one_step_of_the_distilled_velocity_lands_where_it_should():
    z, landed = torch.randn(3, 2, 4, 4), torch.randn(3, 2, 4, 4)
    a, b = torch.tensor([0.1, 0.5, 0.9]), torch.tensor([0.2, 0.9, 0.99])
    v = velocity_to(z, landed, a.view(-1, 1, 1, 1), b.view(-1, 1, 1, 1))
    for n in range(3):
        made = ddim_step(z[n], v[n], alpha=a[n], alpha_next=b[n], prediction_type="v_prediction")
        torch.testing.assert_close(made, landed[n], rtol=1e-4, atol=1e-4)


def test_an_error_counts_by_channel_cell_and_noise():
    nothing = torch.zeros(0)
    target = torch.zeros(1, 2, 2, 2)
    batch = Batch(
        x=nothing, target=target, clean=nothing, t=torch.tensor([0]),
        weight=torch.tensor([[[3.0, 1.0], [0.0, 0.0]]]), states=nothing, pooled=nothing,
        where=nothing, e=None, corner=nothing, one=nothing, about=nothing, cells=nothing,
    )  # fmt: skip
    even = torch.tensor([0.5])  # SNR 1: the weight of the noise is one
    v = torch.zeros(1, 2, 2, 2)
    v[0, 1, 0, 0] = 2.0
    channels = torch.tensor([0.5, 1.5]).view(-1, 1, 1)
    assert squared_error(v, batch, even, channels).item() == 4.0 * 1.5 / 2 * 3.0 / 4
    v[0, 1, 0, 0], v[0, 1, 1, 1] = 0.0, 5.0  # a cell without weight
    assert squared_error(v, batch, even, channels).item() == 0


def test_a_side_is_told_of_one_and_the_other_is_no_part_of_it():
    row = {"n": 3, "sex": "man", "others": [{"sex": "woman", "index": 9}], "index": 4}
    left, right = sides({**row, "eyes_at": [[40, 50], [90, 60]]})
    assert (left["sex"], left["index"], left["eyes_at"]) == ("man", 4, [[40, 50]])
    assert (right["sex"], right["index"], right["eyes_at"]) == ("woman", 9, [[90, 60]])
    assert left["others"] == right["others"] == []

    masks = np.zeros((1, 128, 128), np.uint8)
    masks[0, :, 8:48], masks[0, :, 80:120] = 1, 8 + 6  # skin on the left, hair on the right
    apart = masks_of_sides(masks)
    assert [sorted(np.unique(m)) for m in apart] == [[0, 1, 7], [0, 6, 7]]
    face, hair, place = (PARTS.index(k) for k in ("face", "hair", "place"))
    cells = cells_of_parts(apart)
    assert cells[0, face, :, 1:6].min() == 1 == cells[1, hair, :, 10:15].min()
    assert cells[0, hair].max() == 0 == cells[1, face].max()
    background = torch.tensor([1.0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0, 0, 1])
    assert torch.equal(cells[0, place].float(), background.expand(16, 16))
    assert torch.equal(cells[1, place], cells[0, place])


def test_a_batch_takes_everything_of_a_row_from_that_row():
    """Pictures of persons 0, 0, 1, 1, two pairs of them, and four sides, told apart by a number."""
    eyes = [[[8.0 * n + 3, 40.0]] for n in range(10)]
    rows = [{"sex": "man", "age": "old", "framing": "portrait", "eyes_at": at} for at in eyes]
    number = torch.arange(10.0)
    captions = torch.arange(10 * WORDINGS + 1.0)
    ready = Ready(
        rows, torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 1, 0]),
        latents=number[:6].view(1, 6, 1, 1, 1).expand(2, 6, 12, 16, 16),
        weight=(1 + number).view(10, 1, 1) * torch.rand(10, 16, 16),
        mean=torch.zeros(12), std=torch.ones(12),
        embeddings=torch.tensor([0.0, 0.0, 100.0, 100.0])[:, None].expand(4, 64),
        states=captions.view(-1, 1, 1).expand(-1, 77, 8), pooled=captions[:, None].expand(-1, 4),
        where=torch.ones(len(captions), dtype=torch.long),
        about=torch.zeros(len(captions), 77, dtype=torch.int8),
        cells=number.view(10, 1, 1, 1).expand(10, 6, 16, 16),
    )  # fmt: skip
    wordless = torch.full((3, 77, 8), -1.0), torch.full((3, 4), -1.0), torch.ones(3).long()
    bare = (*wordless, torch.zeros(3, 77, dtype=torch.int8), torch.zeros(10, dtype=torch.long))
    draw = Draw(ready, bare)
    picture, person = torch.tensor(
        [[0, 1, 2, 3, 4, 5, 4, 4, 5, 5], [0, 0, 1, 1, -1, -1, 0, 1, 1, 0]]
    )
    for identity, allowed in ((False, {0, 1, 2, 3, 4, 5}), (True, {0, 1, 2, 3, 6, 7, 8, 9})):
        b = draw(400, identity=identity)
        row = b.cells[:, 0, 0, 0].int()
        assert set(row.tolist()) == allowed
        assert torch.equal(b.clean[:, 0, 0, 0], picture[row].float())
        assert torch.equal(b.one, person[row] >= 0)
        said = b.states[:, 0, 0]
        real = (said >= 0) & (said < 10 * WORDINGS)
        assert torch.equal(said[real].int() // WORDINGS, row[real])
        assert real.float().mean() > (0.4 if identity else 0.8)
        torch.testing.assert_close(b.weight.mean((1, 2)), torch.ones(400))
        if identity:
            assert torch.equal((b.e.mean(1) > 50).long(), person[row])


def test_companions_are_the_other_pictures_of_somebody_and_portraits_where_asked():
    people, whom = torch.tensor([5, 5, 5, 7, 8, 8]), torch.tensor([7, 5])
    plain = [o.tolist() for o in companions(people, whom)]
    assert plain == [[1, 2], [0, 2], [0, 1], [3], [5], [4], [3], [0, 1, 2]]
    portraits = torch.tensor([True, False, True, False, True, False])
    among = [o.tolist() for o in companions(people, whom, portraits)]
    assert among == [[2], [0, 2], [0], [], [], [4], [], [0, 2]]


def test_equal_weights_are_equal_files(tmp_path):
    """The library's order of metadata is a random one."""
    tensors = {"b": torch.arange(3.0), "a": torch.zeros(2, 2)}
    metadata = {f"key {n}": "x" * n for n in range(12)}
    files = [tmp_path / f"{n}.safetensors" for n in range(4)]
    for file in files:
        save_file(tensors, file, metadata)
        sort_metadata(file)
    assert len({file.read_bytes() for file in files}) == 1
    with safe_open(files[0], "pt") as opened:
        assert opened.metadata() == metadata
        assert torch.equal(opened.get_tensor("b"), tensors["b"])
