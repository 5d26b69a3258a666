"""CLIPSeg and the small CLIP inside it: ``python -m miniature.segmenter``.

One training teaches both: pictures and captions find each other (CLIP), and the decoder draws the
mask of the person that a phrase speaks of, in pictures of one person and of two.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from transformers import CLIPSegConfig, CLIPSegForImageSegmentation

from .data import PictureSet
from .loop import Run, load_trained, mixed, moved
from .paths import BUILD
from .text import make_tokenizers, tokens
from .vae import rendered
from .world.captions import caption, description

SIZE, PATCH, WIDTH, BATCH = 128, 8, 96, 40
MEAN, STD = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)


def new_segmenter(vocabulary: int) -> CLIPSegForImageSegmentation:
    """CLIPSeg at small size."""
    text = dict(
        hidden_size=WIDTH, intermediate_size=2 * WIDTH, num_hidden_layers=2, num_attention_heads=3,
        vocab_size=vocabulary, max_position_embeddings=77, bos_token_id=vocabulary - 2,
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


def phrase(facts: dict, rng: np.random.Generator) -> str:
    """How somebody may be spoken of: a description, or its noun."""
    said = description(facts, rng)
    if rng.random() < 0.15:
        who = said.split(" with ")[0].split()[-1]
        return who if rng.random() < 0.5 else f"the {who}"
    return said


def batch(
    sets: list[PictureSet], pools: list[np.ndarray], rows: list[dict], rng: np.random.Generator
):
    """Pixels, captions, phrases and the true masks of the people they speak of."""
    views, texts, phrases, masks = [], [], [], []
    for _ in range(BATCH):
        which = int(rng.random() < 0.5) if len(sets) > 1 else 0
        n = int(rng.choice(pools[which]))
        image, mask, facts = sets[which].images[n], sets[which].masks[n], rows[which][n]
        person = int(rng.integers(2)) if facts["others"] else 0
        who = {**facts, **facts["others"][0]} if person else facts
        inside = (mask >= 8) if person else (mask > 0) & (mask < 8)
        if rng.random() < 0.5:
            image, inside = image[:, ::-1], inside[:, ::-1]
        if rng.random() < 0.4:  # generated pictures are softer than rendered ones
            small = Image.fromarray(image).resize((48, 48), Image.BILINEAR)
            image = np.asarray(small.resize((SIZE, SIZE), Image.BICUBIC))
        views.append(image)
        texts.append(caption(facts, int(rng.integers(2**31))))
        phrases.append(phrase(who, rng))
        masks.append(inside)
    x = torch.from_numpy(np.stack(views)).permute(0, 3, 1, 2).float() / 255
    return (x - MEAN[0]) / STD[0], texts, phrases, torch.from_numpy(np.stack(masks)).float()


def train(minutes: float, folders: list[Path]) -> None:
    """Contrast and masks together."""
    tokenizer = make_tokenizers()[0]
    model = new_segmenter(len(tokenizer))
    optimizer = torch.optim.AdamW(model.parameters(), 1.5e-3, weight_decay=0.01, fused=True)
    run = Run("segmenter", model, [optimizer], minutes=minutes, ema=0.99, decay_from=0.3)
    rng = np.random.default_rng(run.step + 3)
    sets = [PictureSet(f) for f in folders if f.exists()]
    rows = [{r["n"]: r for r in s.facts} for s in sets]
    pools = [(n := rendered(s))[n < s.held_out_from] for s in sets]
    for _ in run:
        x, texts, phrases, masks = batch(sets, pools, rows, rng)
        x, masks, captioned, named = moved(
            x, masks, tokens(tokenizer, texts), tokens(tokenizer, phrases)
        )
        with mixed():
            seen = model.clip.vision_model(x, output_hidden_states=True)
            image = F.normalize(model.clip.visual_projection(seen.pooler_output).float(), dim=1)
            said = model.clip.text_model(captioned).pooler_output
            text = F.normalize(model.clip.text_projection(said).float(), dim=1)
            asked = model.clip.text_projection(model.clip.text_model(named).pooler_output)
            features = tuple(seen.hidden_states[i + 1] for i in model.extract_layers)
            logits = model.decoder(features, asked).logits.float()
        similarity = model.clip.logit_scale.clamp(max=4).exp() * text @ image.T
        target = torch.arange(len(x), device=x.device)
        match = (F.cross_entropy(similarity, target) + F.cross_entropy(similarity.T, target)) / 2
        logits = logits.view_as(masks)
        drawn = F.binary_cross_entropy_with_logits(logits, masks)
        hit = float(iou(logits > 0, masks > 0.5).mean())
        run.update(
            0.15 * match + 2 * drawn,
            match=float(match.detach()),
            drawn=float(drawn.detach()),
            iou=hit,
        )


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
        rng, scores = np.random.default_rng(0), []
        for _ in range(5):
            x, _, phrases, masks = batch([s], [held], [{r["n"]: r for r in s.facts}], rng)
            ids = tokens(tokenizer, phrases)
            logits = model(input_ids=ids, pixel_values=x).logits.view_as(masks)
            scores.append(iou(logits > 0, masks > 0.5))
        result[f"iou_{folder.name}"] = round(float(torch.cat(scores).mean()), 4)
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
