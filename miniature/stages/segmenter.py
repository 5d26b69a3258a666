"""CLIPSeg and the small CLIP inside it: ``python -m miniature.stages.segmenter``.

One training teaches both: pictures and captions find each other (CLIP), and the decoder draws the
mask of the person that a phrase speaks of, in pictures of one person and of two.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from transformers import CLIPSegConfig, CLIPSegForImageSegmentation

from identitystory.models.segment.clipseg import compete

from ..paths import BUILD
from ..pictures.dataset import PictureSet
from ..training.loop import Run, load_trained, mixed, moved
from ..training.muon import Muon
from ..world.captions import caption, description
from .text import WIDTHS, load_encoders, make_tokenizers, tokens
from .vae import rendered

SIZE, PATCH, WIDTH, BATCH = 128, 8, 96, 28
TWO = 0.7  # share of pictures of two people: only there a phrase must be heard
MEAN, STD = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)


def new_segmenter(vocabulary: int) -> CLIPSegForImageSegmentation:
    """CLIPSeg at small size."""
    text = dict(
        hidden_size=WIDTHS[0], intermediate_size=2 * WIDTHS[0], num_hidden_layers=3,
        num_attention_heads=2, hidden_act="quick_gelu", vocab_size=vocabulary, max_position_embeddings=77, bos_token_id=vocabulary - 2,
        eos_token_id=vocabulary - 1, pad_token_id=vocabulary - 1,
    )  # fmt: skip
    vision = dict(
        hidden_size=WIDTH, intermediate_size=2 * WIDTH, num_hidden_layers=4, num_attention_heads=3,
        image_size=SIZE, patch_size=PATCH,
    )  # fmt: skip
    return CLIPSegForImageSegmentation(CLIPSegConfig(
        text_config=text, vision_config=vision, projection_dim=WIDTH, extract_layers=[1, 2, 3],
        reduce_dim=48, decoder_num_attention_heads=4, decoder_intermediate_size=96,
        conditional_layer=0, attn_implementation="eager",
    ))  # fmt: skip


def phrase(facts: dict, rng: np.random.Generator, *, alone: bool) -> str:
    """How somebody may be spoken of: a description, or its noun where nobody else is there."""
    said = description(facts, rng)
    if alone and rng.random() < 0.3:
        who = said.split(" with ")[0].split()[-1]
        return who if rng.random() < 0.5 else f"the {who}"
    return said


@dataclass(frozen=True)
class Batch:
    """B pictures, each asked about twice.

    Attributes:
        x: (B, 3, S, S) normalised pixels.
        texts: a caption of each.
        phrases: 2B, the two of a picture one after the other; in a picture of one person both
            speak of the same one.
        masks: (B, 2, S, S) whether a phrase's person is there.
        two: (B,) whether two people are.
    """

    x: Tensor
    texts: list[str]
    phrases: list[str]
    masks: Tensor
    two: Tensor


def draw(
    sets: list[PictureSet], pools: list[np.ndarray], rows: list[dict], rng: np.random.Generator
) -> Batch:
    """Pictures of one and of two people; the phrases of a pair come in either order."""
    views, texts, phrases, masks, two = [], [], [], [], []
    for _ in range(BATCH):
        which = int(rng.random() < TWO) if len(sets) > 1 else 0
        n = int(rng.choice(pools[which]))
        image, mask, facts = sets[which].images[n], sets[which].masks[n], rows[which][n]
        people = [(facts, (mask > 0) & (mask < 8))] * 2
        if facts["others"]:
            people[1] = ({**facts, **facts["others"][0]}, mask >= 8)
        if rng.random() < 0.5:
            people.reverse()
        mirrored = rng.random() < 0.5
        if mirrored:
            image = image[:, ::-1]
        if rng.random() < 0.4:  # generated pictures are softer than rendered ones
            small = Image.fromarray(image).resize((48, 48), Image.BILINEAR)
            image = np.asarray(small.resize((SIZE, SIZE), Image.BICUBIC))
        views.append(image)
        texts.append(caption(facts, int(rng.integers(2**31))))
        phrases += [phrase(who, rng, alone=not facts["others"]) for who, _ in people]
        masks.append(np.stack([inside[:, ::-1] if mirrored else inside for _, inside in people]))
        two.append(bool(facts["others"]))
    x = torch.from_numpy(np.stack(views)).permute(0, 3, 1, 2).float() / 255
    drawn = torch.from_numpy(np.stack(masks)).float()
    return Batch((x - MEAN[0]) / STD[0], texts, phrases, drawn, torch.tensor(two))


def train(minutes: float, folders: list[Path]) -> None:
    """Contrast of pictures and of people with what is said of them, masks, and who is who."""
    tokenizer = make_tokenizers()[0]
    model = new_segmenter(len(tokenizer))
    calm(model)
    read_like_the_first(model)
    reading = list(model.clip.text_model.parameters())
    seen = [*model.clip.vision_model.parameters(), *model.decoder.parameters()]
    matrices = [p for p in seen if p.ndim == 2 and min(p.shape) > 1]
    chosen = {id(p) for p in (*reading, *matrices)}
    rest = [p for p in model.parameters() if id(p) not in chosen]
    groups = [dict(params=rest), dict(params=reading, lr=1e-4)]
    optimizers = [
        Muon(matrices, 0.006, weight_decay=0.01),
        torch.optim.AdamW(groups, 6e-4, weight_decay=0.01, fused=True),
    ]
    run = Run("segmenter", model, optimizers, minutes=minutes, ema=0.99, decay_from=0.3)
    rng = np.random.default_rng(run.step + 3)
    sets = [PictureSet(f) for f in folders if f.exists()]
    rows = [{r["n"]: r for r in s.facts} for s in sets]
    pools = [(n := rendered(s))[n < s.held_out_from] for s in sets]
    for _ in run:
        b = draw(sets, pools, rows, rng)
        x, masks, two, captioned, named = moved(
            b.x, b.masks, b.two, tokens(tokenizer, b.texts), tokens(tokenizer, b.phrases)
        )
        with mixed():
            seen = model.clip.vision_model(x, output_hidden_states=True)
            image = F.normalize(model.clip.visual_projection(seen.pooler_output).float(), dim=1)
            said = model.clip.text_model(captioned).pooler_output
            text = F.normalize(model.clip.text_projection(said).float(), dim=1)
            asked = model.clip.text_projection(model.clip.text_model(named).pooler_output)
            features = tuple(
                seen.hidden_states[i + 1].repeat_interleave(2, 0) for i in model.extract_layers
            )
            logits = model.decoder(features, asked).logits.float()
            person = F.normalize(patches_of(model, seen.last_hidden_state, masks).float(), dim=1)
        scale = model.clip.logit_scale.clamp(max=4).exp()
        match = contrast(scale * text @ image.T)
        once = torch.stack([torch.ones_like(two), two], 1).flatten()  # nobody twice
        named_as = F.normalize(asked.float(), dim=1)
        described = contrast(scale * person[once] @ named_as[once].T)
        logits = logits.view_as(masks)
        drawn = F.binary_cross_entropy_with_logits(logits, masks)
        people = (masks.amax(1) > 0) & two[:, None, None]
        lead = logits[:, 0] - logits[:, 1]
        who = F.binary_cross_entropy_with_logits(lead[people], masks[:, 0][people])
        right = ((lead > 0) == (masks[:, 0] > 0))[people].float().mean()
        run.update(
            0.15 * match + 0.3 * described + 2 * drawn + who,
            match=float(match.detach()),
            described=float(described.detach()),
            drawn=float(drawn.detach()),
            who=float(who.detach()),
            right=float(right),
        )


def contrast(similarity: Tensor) -> Tensor:
    """CLIP's loss over (n, n) logits, whose diagonal belongs together."""
    target = torch.arange(len(similarity), device=similarity.device)
    return (F.cross_entropy(similarity, target) + F.cross_entropy(similarity.T, target)) / 2


def patches_of(model: CLIPSegForImageSegmentation, seen: Tensor, masks: Tensor) -> Tensor:
    """(2B, D) projected mean of the patches that each of the ``masks`` (B, 2, S, S) covers.

    Held against the phrases it makes patches say who is there; without it the two people of a
    picture were not told apart after hundreds of steps.
    """
    share = F.avg_pool2d(masks, PATCH).flatten(2)  # (B, 2, patches)
    mean = share @ seen[:, 1:].float() / share.sum(2, keepdim=True).clamp(min=1e-3)
    pooled = model.clip.vision_model.post_layernorm(mean.flatten(0, 1))
    return model.clip.visual_projection(pooled)


def calm(model: CLIPSegForImageSegmentation) -> None:
    """Starts the decoder at unit size, the phrase as a modulation around one.

    transformers draws these layers with a spread of one, so that logits begin at 7 and phrases
    multiply by 11; it took hundreds of steps to undo that, and the phrase was not heard.
    """
    decoder = model.decoder
    for linear in (decoder.film_mul, decoder.film_add, *decoder.reduces):
        nn.init.normal_(linear.weight, std=linear.in_features**-0.5)
    nn.init.ones_(decoder.film_mul.bias)
    nn.init.normal_(decoder.transposed_convolution.weight, std=0.02)


def read_like_the_first(model: CLIPSegForImageSegmentation) -> None:
    """Starts CLIP's text model from the first text encoder, which knows what captions say."""
    first = load_encoders()[1].first
    of_text = lambda state: {k.removeprefix("text_model."): v for k, v in state.items()}
    model.clip.text_model.load_state_dict(of_text(first.state_dict()))


def iou(a: Tensor, b: Tensor) -> Tensor:
    """(n,) intersection over union of (n, H, W) masks."""
    both, either = (a & b).sum((1, 2)), (a | b).sum((1, 2))
    return both / either.clamp(min=1)


@torch.inference_mode()
def report(folders: list[Path]) -> dict:
    """Mean IoU on held-out people, one and two in the picture."""
    tokenizer = make_tokenizers()[0]
    model, result = load_trained("segmenter", new_segmenter(len(tokenizer))), {}
    for folder in (f for f in folders if f.exists()):
        s = PictureSet(folder)
        held = (n := rendered(s))[n >= s.held_out_from]
        rng, scores, right = np.random.default_rng(0), [], []
        for _ in range(5):
            b = draw([s], [held], [{r["n"]: r for r in s.facts}], rng)
            ids, pixels = tokens(tokenizer, b.phrases), b.x.repeat_interleave(2, 0)
            logits = model(input_ids=ids, pixel_values=pixels).logits.view_as(b.masks)
            if s.spec["two"]:
                masks = torch.stack([compete(each, 0.5, SIZE // 16) for each in logits])
                people = b.masks.amax(1) > 0
                lead = logits[:, 0] > logits[:, 1]
                right.append((lead == (b.masks[:, 0] > 0))[people].float().mean())
            else:
                masks = logits > 0
            scores.append(iou(masks.flatten(0, 1), b.masks.flatten(0, 1) > 0.5))
        result[f"iou_{folder.name}"] = round(float(torch.cat(scores).mean()), 4)
        if right:
            result["who_is_who"] = round(float(torch.stack(right).mean()), 4)
    return result


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, nargs="+", default=[BUILD / "people", BUILD / "pairs"])
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--report", action="store_true", help="only measure")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if not options.report:
        train(options.minutes, options.data)
    print(report(options.data))


if __name__ == "__main__":
    main()
