"""The measures of Sec. 4.1 as pure functions of tensors, and four that keep Face-Sim honest.

A face similarity is 1 for equal faces. A *pair* is two pictures i < j. Alone, Face-Sim is met by a
model that paints one face for everybody, or pastes one face into every picture, or hides the faces
that fail: ``detection``, ``face_sim_strict``, ``different`` with ``auc``, and ``diversity`` tell.
Where there is no pair the mean is nan: nothing was measured.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor

APART = 0.1  # more alike exchanged than in place, all together, to be told as exchanged


def _pairs(count: int) -> Tensor:
    """(2, p): i and j of the pairs i < j."""
    return torch.triu_indices(count, count, offset=1)


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """(n, m) cosines in [-1, 1] of every row of (n, d) with every row of (m, d)."""
    return F.normalize(a.double(), dim=1) @ F.normalize(b.double(), dim=1).mT


def clip_t(pictures: Tensor, prompts: Tensor) -> Tensor:
    """CLIP-T of each picture: (n,) cosines in [-1, 1] of (n, d) pictures with their own prompts.

    With segmented characters and their descriptions it is CLIP-T-C.
    """
    return F.cosine_similarity(pictures.double(), prompts.double(), dim=1)


def clip_i(characters: Tensor) -> float:
    """CLIP-I: the mean cosine over pairs of (n, d) pictures of one segmented character."""
    return face_sim(cosine(characters, characters))


def face_sim(similarity: Tensor) -> float:
    """Face-Sim of one character: the mean over pairs of (n, n) similarities of its n found faces."""
    i, j = _pairs(len(similarity))
    return float(similarity[i, j].mean())


def face_sim_strict(similarity: Tensor, wanted: int) -> float:
    """Face-Sim in which a missing face is unlike every other: its pairs count 0.

    Args:
        similarity: (n, n) of the faces found.
        wanted: pictures that should show the character, at least n.
    """
    i, j = _pairs(len(similarity))
    total = wanted * (wanted - 1) / 2
    return float(similarity[i, j].sum()) / total if total else float("nan")


def detection(found: int, wanted: int) -> float:
    """The share of wanted faces that were found, in [0, 1]."""
    return found / wanted if wanted else float("nan")


def different(
    similarity: Tensor, who: Sequence[str], alike: Sequence[str] | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """The pairs of faces of two different characters.

    Args:
        similarity: (n, n).
        who: the character of each face.
        alike: the description of each; where given, only pairs with one description count.

    Returns:
        similarities (p,), and the faces' numbers i (p,) and j (p,).
    """
    i, j = _pairs(len(similarity))
    keep = numbers(who)[i] != numbers(who)[j]
    if alike is not None:
        keep &= numbers(alike)[i] == numbers(alike)[j]
    return similarity[i[keep], j[keep]], i[keep], j[keep]


def same(similarity: Tensor, who: Sequence[str], story: Tensor) -> tuple[Tensor, Tensor]:
    """The pairs of faces of one character in one story: similarities (p,), and the i (p,) of each.

    Args:
        similarity: (n, n).
        who: the character of each face.
        story: (n,) the number of its story.
    """
    i, j = _pairs(len(similarity))
    person = numbers(who)
    keep = (person[i] == person[j]) & (story[i] == story[j])
    return similarity[i[keep], j[keep]], i[keep]


def numbers(names: Sequence[object]) -> Tensor:
    """(n,) int64: equal names get equal numbers, counted from 0 in order of first appearance."""
    order = {name: k for k, name in enumerate(dict.fromkeys(names))}
    return torch.tensor([order[name] for name in names], dtype=torch.long)


def auc(
    same: Tensor,
    other: Tensor,
    same_weight: Tensor | None = None,
    other_weight: Tensor | None = None,
) -> float:
    """The probability that two faces of one character are more alike than two of different ones.

    Ties count half; 0.5 is chance.

    Args:
        same: (p,) similarities within characters; other: (q,) between characters.
        same_weight: (p,) and other_weight: (q,) how often each pair counts; once if left out.
    """
    a = torch.ones_like(same) if same_weight is None else same_weight.to(same)
    b = torch.ones_like(other) if other_weight is None else other_weight.to(other)
    if not float(a.sum()) or not float(b.sum()):
        return float("nan")
    ordered, order = other.sort()
    below = torch.cat([b.new_zeros(1), b[order].cumsum(0)])  # weight of the k smallest
    less = below[torch.searchsorted(ordered, same)]
    up_to = below[torch.searchsorted(ordered, same, right=True)]
    return float((a * (less + up_to)).sum() / 2 / (a.sum() * b.sum()))


def diversity(chips: Tensor) -> float:
    """How much one character's aligned faces differ as pictures: 1 - the mean correlation of pairs.

    0 when one face is pasted everywhere, whatever its brightness and contrast; about 1 when the
    pictures have nothing in common.

    Args:
        chips: (n, h, w) grey values.
    """
    flat = chips.flatten(1).double()
    flat = flat - flat.mean(dim=1, keepdim=True)
    return 1 - face_sim(cosine(flat, flat))


def nearest_own(similarity: Tensor, who: Sequence[str], frames: Sequence[int]) -> Tensor:
    """Whether each face is nearer to its own character than to any other in the same frame.

    Nearness to a character is the mean similarity to its faces in *other* frames. A face whose own
    character, or every companion of which, is seen in no other frame is left out.

    Args:
        similarity: (n, n); who: the character of each face; frames: the frame of each.

    Returns:
        (m,) bool, m <= n; faces alone in their frame are not asked.
    """
    person, frame = numbers(who), torch.tensor(list(frames), dtype=torch.long)
    verdicts = []
    for k in range(len(similarity)):
        near = {
            int(c): float(similarity[k, there].mean())
            for c in person[frame == frame[k]].unique()
            if (there := (person == c) & (frame != frame[k])).any()
        }
        own = near.pop(int(person[k]), None)
        if own is not None and near:
            verdicts.append(own > max(near.values()))
    return torch.tensor(verdicts, dtype=torch.bool)


def exchanged(alike: Tensor, apart: float = APART) -> list[int]:
    """Whose place each of r people has if all together are to be as alike as they can be; themselves mostly.

    Args:
        alike: (r, r) similarities of the people found to those who should be there, in one order.
        apart: by how much all together must be more alike exchanged than in their places.
    """
    rows, columns = linear_sum_assignment(alike.numpy(), maximize=True)
    gain = float(alike[rows, columns].sum() - alike.diagonal().sum())
    return columns.tolist() if gain > apart else list(range(len(alike)))


def exchanges(similarity: Tensor, who: Sequence[str], frames: Sequence[int]) -> Tensor:
    """Whether characters are `exchanged` in each frame that shows several: (m,) bool.

    Nearness is that of `nearest_own`; a frame with somebody who is in no other is left out.
    """
    frame, verdicts = torch.tensor(list(frames), dtype=torch.long), []
    person = numbers(who)
    for n in frame.unique():
        here = (frame == n).nonzero().flatten()
        others = [(person == person[k]) & (frame != n) for k in here]
        if len(here) > 1 and all(bool(some.any()) for some in others):
            near = [similarity[here][:, some].mean(dim=1) for some in others]
            place = exchanged(torch.stack(near, dim=1))
            verdicts.append(place != list(range(len(here))))
    return torch.tensor(verdicts, dtype=torch.bool)
