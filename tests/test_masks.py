from itertools import pairwise

import pytest
import torch

from identitystory.errors import ConfigError
from identitystory.masks import (
    around_heads,
    blend_weights,
    clean,
    dilate,
    downsample,
    exclusive,
    kernel_size,
    largest_component,
)


def scattered(s=3, H=24, W=30, share=0.05, seed=0):
    return torch.rand(s, H, W, generator=torch.Generator().manual_seed(seed)) < share


def box(top, left, bottom, right, H=32, W=32):
    mask = torch.zeros(H, W, dtype=torch.bool)
    mask[top:bottom, left:right] = True
    return mask


def naive_dilate(masks, radius):
    result = torch.zeros_like(masks)
    for j, y, x in masks.nonzero().tolist():
        result[j, max(0, y - radius) : y + radius + 1, max(0, x - radius) : x + radius + 1] = True
    return result


@pytest.mark.parametrize("radius", [0, 1, 2, 5, 40])
def test_dilation_is_that_of_a_square_done_pixel_by_pixel(radius):
    M = scattered()
    assert torch.equal(dilate(M, radius), naive_dilate(M, radius))


def test_one_pixel_grows_to_a_square_of_side_2r_plus_1():
    assert torch.equal(dilate(box(10, 12, 11, 13)[None], 3)[0], box(7, 9, 14, 16))


def test_growing_is_monotone_and_leaves_its_input_alone():
    M = scattered()
    before = M.clone()
    grown = [dilate(M, r) for r in range(6)]
    assert all(bool((a <= b).all()) for a, b in pairwise(grown))
    grown[0][:] = True
    assert torch.equal(M, before)


def test_nobody_and_nothing_stay_so():
    assert dilate(torch.zeros(0, 8, 8, dtype=torch.bool), 3).shape == (0, 8, 8)
    assert not dilate(torch.zeros(2, 8, 8, dtype=torch.bool), 3).any()
    with pytest.raises(ConfigError, match="radius is -1"):
        dilate(scattered(), -1)


@pytest.mark.parametrize(("start", "k_max"), [(40, 50), (41, 50), (40, 6.25), (2, 50), (7, 0)])
def test_the_kernel_grows_from_exactly_0_to_exactly_k_max(start, k_max):
    K = [kernel_size(i, start, k_max) for i in range(start, 0, -1)]
    assert (K[0], K[-1]) == (0, int(k_max))
    assert sorted(K) == K
    assert all(isinstance(k, int) for k in K)


def test_the_kernel_of_41_steps_is_the_releases():
    """Its step number n runs from 10 to 50 and its radius is int(50 (n - 10) / 40)."""
    release = [int(50 * (n - 10) / 40) for n in range(10, 51)]
    assert [kernel_size(i, 41, 50) for i in range(41, 0, -1)] == release


def test_a_single_step_does_not_grow_and_no_step_outside_is_known():
    assert kernel_size(1, 1, 50) == 0
    for i in (0, 41):
        with pytest.raises(ConfigError, match=f"step {i}"):
            kernel_size(i, 40, 50)


def test_the_smaller_of_two_takes_the_overlap_and_no_pixel_is_lost():
    grown_up, child = box(0, 0, 30, 20), box(10, 10, 20, 25)
    for order in ([grown_up, child], [child, grown_up]):
        shared = exclusive(torch.stack(order))
        by_area = sorted(shared, key=lambda m: int(m.sum()))
        assert torch.equal(by_area[0], child)
        assert torch.equal(by_area[1], grown_up & ~child)


def test_equal_areas_go_to_the_first_and_given_areas_overrule():
    a, b = box(0, 0, 10, 10), box(5, 0, 15, 10)
    assert torch.equal(exclusive(torch.stack([a, b]))[0], a)
    assert torch.equal(exclusive(torch.stack([a, b]), areas=torch.tensor([2, 1]))[1], b)


def test_exclusive_masks_are_disjoint_and_cover_the_same():
    M = dilate(scattered(4), 3)
    shared = exclusive(M)
    assert int(shared.sum(dim=0).max()) == 1
    assert torch.equal(shared.any(dim=0), M.any(dim=0))


def flood(mask):
    """The largest 8-connected piece, by flooding from every pixel."""
    left = {tuple(p) for p in mask.nonzero().tolist()}
    best = set()
    while left:
        todo = [min(left)]
        left.discard(todo[0])
        piece = set(todo)
        while todo:
            y, x = todo.pop()
            near = {(y + a, x + b) for a in (-1, 0, 1) for b in (-1, 0, 1)} & left
            left -= near
            piece |= near
            todo += near
        if len(piece) > len(best):
            best = piece
    result = torch.zeros_like(mask)
    for y, x in best:
        result[y, x] = True
    return result


@pytest.mark.parametrize("share", [0.05, 0.2, 0.35, 0.5, 0.9])
def test_the_largest_piece_is_that_of_a_flood_fill(share):
    for seed in range(4):
        mask = scattered(1, 20, 23, share, seed)[0]
        got, want = largest_component(mask), flood(mask)
        assert int(got.sum()) == int(want.sum())
        assert torch.equal(flood(got), got)  # one piece
        assert torch.equal(got & mask, got)


def test_pieces_that_join_late_or_only_touch_at_a_corner_are_one():
    u = box(0, 0, 10, 2) | box(0, 8, 10, 10) | box(9, 0, 10, 10)
    assert torch.equal(largest_component(u | box(20, 20, 24, 24)), u)
    corner = box(0, 0, 4, 4) | box(4, 4, 8, 8)
    assert torch.equal(largest_component(corner | box(20, 20, 25, 25)), corner)
    assert not largest_component(torch.zeros(5, 5, dtype=torch.bool)).any()


def test_cleaning_drops_crumbs_and_overlaps_and_is_done_once():
    body, crumb, child = box(0, 0, 30, 14), box(0, 28, 2, 30), box(10, 10, 20, 18)
    M = clean(torch.stack([body | crumb, child]))
    assert torch.equal(M[1], child)
    assert torch.equal(M[0], body & ~child)
    assert torch.equal(clean(M), M)


def test_overlaps_go_by_the_areas_that_are_given_and_not_by_those_of_the_masks():
    large, small = box(0, 0, 20, 20), box(10, 10, 24, 24)
    M = clean(torch.stack([large, small]), areas=torch.tensor([1, 2]))
    assert torch.equal(M[0], large)
    assert torch.equal(M[1], largest_component(small & ~large))


def test_a_margin_widens_without_making_masks_overlap():
    M = torch.stack([box(4, 4, 12, 12), box(4, 14, 20, 24)])
    wide = clean(M, margin=2)
    assert torch.equal(wide[0], box(2, 2, 14, 14))
    assert torch.equal(wide[1], box(2, 12, 22, 26) & ~wide[0])


def test_with_a_margin_the_smaller_mask_as_drawn_still_comes_first():
    """100 pixels under 120; the piece that is left of the larger is the smaller one, 60."""
    small, large = box(0, 0, 10, 10), box(0, 4, 10, 16)
    wide = clean(torch.stack([small, large]), margin=2)
    assert torch.equal(wide[0], box(0, 0, 12, 12))
    assert torch.equal(wide[1], box(0, 8, 12, 18) & ~wide[0])
    shared = exclusive(torch.stack([small, large]))
    assert shared[1].sum() < shared[0].sum()
    assert torch.equal(clean(shared, margin=2, areas=torch.tensor([100, 120])), wide)
    assert not torch.equal(clean(shared, margin=2), wide)


def test_nearest_takes_the_first_pixel_of_a_cell_and_area_the_share():
    M = torch.zeros(1, 16, 16, dtype=torch.bool)
    M[0, 0, 0] = True  # the first pixel of its cell
    M[0, 9:16, 8:16] = True  # all of its cell but the first row
    assert downsample(M, (2, 2), "nearest")[0].tolist() == [[1, 0], [0, 0]]
    torch.testing.assert_close(
        downsample(M, (2, 2), "area")[0], torch.tensor([[1 / 64, 0], [0, 7 / 8]])
    )
    with pytest.raises(ConfigError, match="'bilinear'"):
        downsample(M, (2, 2), "bilinear")


@pytest.mark.parametrize("mode", ["nearest", "area"])
def test_the_weights_of_overlapping_masks_add_up_to_one(mode):
    M = dilate(scattered(4, 32, 32), 4)
    M_bg, M_j = blend_weights(M, (8, 8), mode=mode)
    assert M_j.shape == (4, 1, 8, 8)
    torch.testing.assert_close(M_bg + M_j.sum(dim=0), torch.ones(1, 8, 8))
    assert float(M_bg.min()) >= 0


@pytest.mark.parametrize("mode", ["nearest", "area"])
def test_without_characters_everything_is_background(mode):
    M_bg, M_j = blend_weights(torch.zeros(0, 32, 32, dtype=torch.bool), (8, 8), mode=mode)
    assert torch.equal(M_bg, torch.ones(1, 8, 8))
    assert M_j.shape == (0, 1, 8, 8)


def test_pixels_go_to_the_nearest_head():
    heads = torch.zeros(2, 4, 10, dtype=torch.bool)
    heads[0, 1, 1], heads[1, 1, 8] = True, True
    mask = torch.ones(4, 10, dtype=torch.bool)
    mask[3] = False
    left, right = around_heads(heads, mask)
    assert torch.equal(left, mask & (torch.arange(10) < 5))
    assert torch.equal(right, mask & (torch.arange(10) >= 5))
