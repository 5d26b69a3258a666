"""What the U-Net trains on, computed once: latents, loss weights, embeddings, and text states.

Text encoders, autoencoder and tower are frozen by then. Three stores, each made when it is not there:
``build/latents.pt`` of the pictures, ``build/captions.pt`` of their wordings, and
``build/looking.pt`` of what in the one the other speaks of.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import CLIPTokenizer

from ..paths import BUILD
from ..stages.identity import embed_all, load_encoder
from ..stages.text import WIDTHS, load_encoders, tokens
from ..stages.vae import LATENT_CHANNELS, SIZE, load_vae, to_tensor
from ..training.attention_loss import CLASS_WORDS, cells_of_parts, parts_of_tokens
from ..training.loop import DEVICE, mixed, moved
from ..world.captions import FRAMING, caption, cast
from .dataset import PictureSet

WORDINGS = 4  # captions of each picture; the last says only who is in it
HELD_OUT_SCENES = frozenset({  # never painted in training: (place, expression)
    ("beach", "surprise"), ("library", "anger"), ("forest", "laugh"), ("kitchen", "sadness"),
    ("harbour", "laugh"),
})  # fmt: skip
LATENTS, CAPTIONS, LOOKING = (BUILD / f"{k}.pt" for k in ("latents", "captions", "looking"))


@dataclass(frozen=True)
class Ready:
    """What the U-Net trains on, computed once: N pictures of one person, P of two, and 2 P sides.

    A side is a picture of two that speaks of one of them only, as re-denoising looks at it: its words,
    loss weights and parts are those of the person on the left, then of the one on the right.

    Attributes:
        rows: facts, R = N + 3 P of them.
        people: (N,) who is in each picture of one person; whom: (2 P,) whom each side speaks of.
        latents: (2, N + P, C, h, w) half, normalised, as rendered and mirrored; weight: (R, h, w).
        mean, std: (C,) what the latents were normalised by.
        embeddings: (N, D) of the tower.
        states: (R * WORDINGS + 1, 77, D) bfloat16 and pooled, (..., P'), of every row's wordings,
            the empty prompt last; where: (...,) place of the class word.
        about: (..., 77) int8 what each token speaks of; cells: (R, 6, h, w) half how much of each
            cell that fills (``looking``).
    """

    rows: list[dict]
    people: Tensor
    whom: Tensor
    latents: Tensor
    weight: Tensor
    mean: Tensor
    std: Tensor
    embeddings: Tensor
    states: Tensor
    pooled: Tensor
    where: Tensor
    about: Tensor
    cells: Tensor


def prepare(singles: PictureSet, pairs: PictureSet | None) -> Ready:
    """Latents, embeddings and text states of the training pictures; from the store where it has them."""
    sets = [s for s in (singles, pairs) if s]
    chosen = [training_numbers(s) for s in sets]
    facts = [{r["n"]: r for r in s.facts} for s in sets]
    rows = [f[n] for f, numbers in zip(facts, chosen, strict=True) for n in numbers]
    rows += [side for row in rows[len(chosen[0]) :] for side in sides(row)]
    for path, make in (
        (LATENTS, lambda: encode_pictures(sets, chosen)),
        (CAPTIONS, lambda: encode_captions(rows)),
        (LOOKING, lambda: match_parts(sets, chosen, rows)),
    ):
        if not path.exists():
            began = time.time()
            torch.save(make(), path)
            print(f"{path.name}: {len(rows)} pictures, {time.time() - began:.0f} s", flush=True)
    who = torch.tensor([r["index"] for r in rows])
    people, whom = who[: len(chosen[0])], who[sum(map(len, chosen)) :]
    stored = {
        k: v
        for p in (LATENTS, CAPTIONS, LOOKING)
        for k, v in torch.load(p, weights_only=True, mmap=True).items()
    }
    pictures, texts = {len(stored["weight"]), len(stored["cells"])}, len(stored["pooled"])
    if pictures != {len(rows)} or texts != len(rows) * WORDINGS + 1:
        raise SystemExit(f"{LATENTS}, {CAPTIONS} or {LOOKING} is of other pictures; delete them")
    return Ready(rows, people, whom, **stored)


def sides(row: dict) -> list[dict]:
    """The facts of a picture of two, told of the one on the left and of the one on the right."""
    both = [row, {**row, **row["others"][0]}]
    eyes = row["eyes_at"]
    return [
        {**facts, "others": [], "side": k, "eyes_at": [eyes[k]]} for k, facts in enumerate(both)
    ]


def masks_of_sides(masks: np.ndarray) -> np.ndarray:
    """(P, S, S) of pictures of two -> (2 P, S, S): each with the other person's part numbers gone.

    The other person is neither a part nor the background: 7, which no part has.
    """
    second = masks >= 8
    left, right = np.where(second, 7, masks), np.where(second, masks - 8, np.where(masks, 7, 0))
    return np.stack([left, right], 1).reshape(-1, *masks.shape[1:])


def training_numbers(data: PictureSet) -> list[int]:
    """The pictures that may be trained on: no held-out people, no held-out scenes."""
    return [
        r["n"]
        for r in data.facts
        if r["n"] < data.held_out_from and (r["place"], r["expression"]) not in HELD_OUT_SCENES
    ]


@torch.inference_mode()
def encode_pictures(sets: list[PictureSet], chosen: list[list[int]]) -> dict[str, Tensor]:
    """Latents, loss weights and embeddings."""
    vae = load_vae().to(DEVICE)
    latents, weights = [], []
    for data, numbers in zip(sets, chosen, strict=True):
        part = torch.empty(2, len(numbers), LATENT_CHANNELS, SIZE // 8, SIZE // 8)
        for k in range(0, len(numbers), 64):
            images = data.images[numbers[k : k + 64]]
            for mirrored in (0, 1):
                (x,) = moved(to_tensor(images[:, :, ::-1] if mirrored else images))
                with mixed():
                    part[mirrored, k : k + 64] = vae.encode(x).latent_dist.mean.float().cpu()
        latents.append(part)
        weights.append(weight_of_cells(data.masks[numbers] & 7))
    if len(sets) == 2:
        apart = masks_of_sides(sets[1].masks[chosen[1]])
        person = torch.from_numpy((apart > 0) & (apart < 7)).float()
        near = F.max_pool2d(F.avg_pool2d(person, 8), 3, 1, 1)  # a cell more all around
        weights.append(weight_of_cells(apart) * (0.1 + 0.9 * near))
    mean, std = latents[0].mean((0, 1, 3, 4)), latents[0].std((0, 1, 3, 4))
    normal = ((torch.cat(latents, 1) - mean.view(-1, 1, 1)) / std.view(-1, 1, 1)).half()
    e = embed_all(sets[0], np.array(chosen[0]), load_encoder())
    return dict(latents=normal, weight=torch.cat(weights), mean=mean, std=std, embeddings=e)


def weight_of_cells(parts: np.ndarray) -> Tensor:
    """(B, 16, 16) loss weights of cells: skin counts more than a coat, eyes and mouths most.

    Args:
        parts: (B, 128, 128) part numbers without the person.
    """
    masks = torch.from_numpy(parts).view(len(parts), 16, 8, 16, 8)
    skin = ((masks >= 1) & (masks <= 3)).float().mean((2, 4))
    fine = ((masks == 2) | (masks == 3) | (masks == 5)).float().mean((2, 4))
    return 1 + 1.5 * skin + 6 * fine


@torch.inference_mode()
def encode_captions(rows: list[dict]) -> dict[str, Tensor]:
    """States, pooled vectors and places of the class word of all wordings, and of the empty prompt."""
    tokenizers, encoders = load_encoders()
    encoders = encoders.to(DEVICE)
    texts = [wording(row, k) for row in rows for k in range(WORDINGS)] + [""]
    states = torch.empty(len(texts), 77, sum(WIDTHS), dtype=torch.bfloat16)
    pooled, where = torch.empty(len(texts), WIDTHS[1]), torch.zeros(len(texts), dtype=torch.long)
    for k in range(0, len(texts), 256):
        ids = [tokens(t, texts[k : k + 256]) for t in tokenizers]
        with mixed():
            s, p, _ = encoders(*moved(*ids))
        states[k : k + 256], pooled[k : k + 256] = s.bfloat16(), p.float()
        where[k : k + 256] = place_of_class_word(ids[0], tokenizers[0])
    return dict(states=states, pooled=pooled, where=where)


def match_parts(
    sets: list[PictureSet], chosen: list[list[int]], rows: list[dict]
) -> dict[str, Tensor]:
    """What the tokens of all wordings speak of, and where in the pictures that is."""
    (tokenizer, _), _ = load_encoders()
    texts = [wording(row, k) for row in rows for k in range(WORDINGS)] + [""]
    about = parts_of_tokens(tokens(tokenizer, texts), tokenizer)
    masks = [data.masks[numbers] for data, numbers in zip(sets, chosen, strict=True)]
    masks += [masks_of_sides(m) for m in masks[1:]]
    cells = [cells_of_parts(m) for m in masks]
    return dict(about=about, cells=torch.cat(cells))


def place_of_class_word(ids: Tensor, tokenizer: CLIPTokenizer) -> Tensor:
    """(B,) where the first class word stands in ids (B, L); 0 where there is none."""
    nouns = torch.tensor([tokenizer.convert_tokens_to_ids(w + "</w>") for w in CLASS_WORDS])
    return torch.isin(ids, nouns).float().argmax(1)


def wording(facts: dict, k: int) -> str:
    """Wording ``k`` of a picture's caption; the last one, and a side's, say only who is in it."""
    seed = facts["n"] * WORDINGS + k
    if k < WORDINGS - 1 and "side" not in facts:
        return caption(facts, seed)
    rng = np.random.default_rng([seed, 8, *([facts["side"]] if "side" in facts else [])])
    front = FRAMING[facts["framing"]][int(rng.integers(4))]
    return f"{front} {cast(facts, rng)}".strip()


@torch.inference_mode()
def bare_captions(ready: Ready) -> tuple[Tensor, ...]:
    """Captions that say nothing but the class word: "a portrait of a woman".

    With such a caption everything about the face must come from the identity, which teaches the
    attention to listen to the class word.

    Returns:
        states (12, 77, D), pooled (12, P), place of the class word (12,), what the tokens speak of
        (12, 77), and for each row the first of the three captions that fit it (R,).
    """
    fronts = ("", FRAMING["portrait"][0] + " ", FRAMING["half-body"][0] + " ")
    texts = [f"{front}a {noun}" for noun in CLASS_WORDS for front in fronts]
    tokenizers, encoders = load_encoders()
    ids = [tokens(t, texts) for t in tokenizers]
    states, pooled, _ = encoders(*ids)
    noun_of = lambda r: 2 * (r["age"] == "child") + (r["sex"] == "woman")
    fitting = torch.tensor([noun_of(r) * len(fronts) for r in ready.rows])
    about = parts_of_tokens(ids[0], tokenizers[0])
    return states, pooled, place_of_class_word(ids[0], tokenizers[0]), about, fitting


def companions(
    people: Tensor, whom: Tensor | None = None, among: Tensor | None = None
) -> list[np.ndarray]:
    """For each picture, the other pictures of its person; then all those of each of ``whom``.

    ``among`` (N,) bool says which pictures may be anybody's companions; then some may have none.
    Without it a picture that is the only one is its own.
    """
    of: dict[int, list[int]] = {}
    for k, who in enumerate(people.tolist()):
        if among is None or among[k]:
            of.setdefault(who, []).append(k)
    alone = lambda k: [k] if among is None else []
    others = [
        [j for j in of.get(who, []) if j != k] or alone(k) for k, who in enumerate(people.tolist())
    ]
    others += [of.get(who, []) for who in ([] if whom is None else whom.tolist())]
    return [np.array(pictures, dtype=int) for pictures in others]


def portraits_of(ready: Ready) -> Tensor:
    """(N,) whether the tower can say who it is: it has learned to look at portraits."""
    rows = ready.rows[: len(ready.people)]
    return torch.tensor([row["framing"] == "portrait" for row in rows])
