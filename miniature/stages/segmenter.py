"""CLIPSeg and the small CLIP inside it: ``python -m miniature.stages.segmenter``.

One training teaches both: pictures and captions find each other (CLIP), and the decoder draws the
mask of the person that a phrase speaks of, in pictures of one person and of two. Asked for the head
of somebody ("the head of a young woman with red hair"), it draws the head, hair and all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import CLIPSegConfig, CLIPSegForImageSegmentation

from ..package import compete
from ..pictures.sets import PictureSet, head_of, open_held_out, open_there, person_of
from ..pictures.views import soften, to_tensor
from ..training.loop import Run, load_trained, mixed, moved
from ..training.losses import matching
from ..training.muon import Muon
from ..training.options import stage_options
from ..world.captions import caption, describe
from .text import WIDTHS, load_encoders, make_tokenizers, tokens

NAME = "segmenter"
SIZE, PATCH, WIDTH, BATCH = 128, 8, 96, 24
TWO, HEADS = 0.65, 0.3  # share of pictures of two people, and of pictures that are asked for heads
HEAD = "the head of"
MEAN, STD = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)


def new_segmenter(vocabulary: int) -> CLIPSegForImageSegmentation:
    """CLIPSeg at small size."""
    text = dict(
        hidden_size=WIDTHS[0], intermediate_size=2 * WIDTHS[0], num_hidden_layers=3,
        num_attention_heads=2, hidden_act="quick_gelu", vocab_size=vocabulary,
        max_position_embeddings=77, bos_token_id=vocabulary - 2, eos_token_id=vocabulary - 1,
        pad_token_id=vocabulary - 1,
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


@dataclass(frozen=True)
class Batch:
    """B pictures, each asked about twice.

    Attributes:
        x: (B, 3, S, S) normalised pixels.
        texts: a caption of each.
        phrases: 2B, the two of a picture one after the other; in a picture of one person both
            speak of the same one.
        masks: (B, 2, S, S) whether what a phrase speaks of is there.
        people: (B, 2, S, S) the same of the whole person.
        two: (B,) whether two people are there.
        heads: (B,) whether heads were asked for.
    """

    x: Tensor
    texts: list[str]
    phrases: list[str]
    masks: Tensor
    people: Tensor
    two: Tensor
    heads: Tensor


def phrase(person, rng: np.random.Generator, *, alone: bool, head: bool) -> str:
    """How somebody, or their head, may be spoken of; by the noun where nobody else is there."""
    said = describe(person, rng)
    if alone and rng.random() < 0.3:
        noun = said.split(" with ")[0].split()[-1]
        said = noun if rng.random() < 0.5 else f"the {noun}"
    if not head:
        return said
    return (
        f"{HEAD} {said}"
        if not alone or rng.random() < 0.6
        else str(rng.choice(["head", "the head"]))
    )


def draw(sets: list[PictureSet], count: int, rng: np.random.Generator) -> Batch:
    """Pictures of one and of two people, squeezed to a square; the phrases come in either order."""
    views, texts, phrases, masks, people, two, heads = [], [], [], [], [], [], []
    while len(views) < count:
        data = sets[int(rng.random() < TWO) if len(sets) > 1 else 0]
        n = int(rng.choice(data.numbers))
        record = data.shots[n].record
        many = len(record.people)
        if many not in (1, 2):
            continue
        x = F.interpolate(to_tensor(data.rgb[n][None]), (SIZE, SIZE), mode="area")[0]
        marks = data.marks[n]
        ys = np.linspace(0, marks.shape[0] - 1, SIZE).round().astype(int)
        xs = np.linspace(0, marks.shape[1] - 1, SIZE).round().astype(int)
        marks = marks[ys][:, xs]
        if rng.random() < 0.5:
            x, marks = x.flip(2), marks[:, ::-1]
        asked, order = rng.random() < HEADS, [0, many - 1]
        if rng.random() < 0.5:
            order.reverse()
        whole = np.stack([person_of(marks) == k + 1 for k in order])
        views.append(x)
        texts.append(caption(record, rng))
        phrases += [phrase(record.people[k], rng, alone=many == 1, head=asked) for k in order]
        people.append(whole)
        masks.append(whole & head_of(marks) if asked else whole)
        two.append(many == 2)
        heads.append(asked)
    x = soften(torch.stack(views), rng, 0.4)  # painted pictures are softer than drawn ones
    float_of = lambda a: torch.from_numpy(np.stack(a)).float()
    return Batch(
        ((x + 1) / 2 - MEAN[0]) / STD[0], texts, phrases, float_of(masks), float_of(people),
        torch.tensor(two), torch.tensor(heads),
    )  # fmt: skip


def train(minutes: float, *, batch: int = BATCH, steps: int | None = None) -> None:
    """Contrast of pictures and of people with what is said of them, masks, and who is who."""
    tokenizer = make_tokenizers()[0]
    model = new_segmenter(len(tokenizer))
    calm(model)
    read_like_the_first(model)
    reading = list(model.clip.text_model.parameters())
    seeing = [*model.clip.vision_model.parameters(), *model.decoder.parameters()]
    matrices = [p for p in seeing if p.ndim == 2 and min(p.shape) > 1]
    chosen = {id(p) for p in (*reading, *matrices)}
    rest = [p for p in model.parameters() if id(p) not in chosen]
    groups = [dict(params=rest), dict(params=reading, lr=1e-4)]
    optimizers = [
        Muon(matrices, 0.006, weight_decay=0.01),
        torch.optim.AdamW(groups, 6e-4, weight_decay=0.01, fused=True),
    ]
    run = Run(NAME, model, optimizers, minutes=minutes, steps=steps, ema=0.99, decay_from=0.3)
    rng, sets = np.random.default_rng([run.step, 3]), open_there("singles", "pairs")
    for _ in run:
        b = draw(sets, batch, rng)
        ids = tokens(tokenizer, b.texts), tokens(tokenizer, b.phrases)
        x, masks, people, two, heads, captioned, named = moved(
            b.x, b.masks, b.people, b.two, b.heads, *ids
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
            logits = model.decoder(features, asked).logits.float().view_as(masks)
            person = F.normalize(patches_of(model, seen.last_hidden_state, people).float(), dim=1)
        scale = model.clip.logit_scale.clamp(max=4).exp()
        match = matching(scale * text @ image.T)
        # Nobody twice, and nobody by a head alone.
        once = torch.stack([~heads, two & ~heads], 1).flatten()
        named_as = F.normalize(asked.float(), dim=1)
        described = matching(scale * person[once] @ named_as[once].T) if once.any() else match * 0
        drawn = F.binary_cross_entropy_with_logits(logits, masks)
        there = (masks.amax(1) > 0) & two[:, None, None]
        lead = logits[:, 0] - logits[:, 1]
        loss, shown = 0.15 * match + 0.3 * described + 2 * drawn, {}
        if there.any():
            who = F.binary_cross_entropy_with_logits(lead[there], masks[:, 0][there])
            right = ((lead > 0) == (masks[:, 0] > 0))[there].float().mean()
            loss, shown = loss + who, dict(who=who, right=right)
        run.update(loss, match=match, described=described, drawn=drawn, **shown)


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
    of_text = {k.removeprefix("text_model."): v for k, v in first.state_dict().items()}
    model.clip.text_model.load_state_dict(of_text)


def iou(a: Tensor, b: Tensor) -> Tensor:
    """(n,) intersection over union of (n, H, W) masks."""
    both, either = (a & b).sum((1, 2)), (a | b).sum((1, 2))
    return both / either.clamp(min=1)


@torch.inference_mode()
def report(batches: int = 5) -> dict[str, float]:
    """Mean IoU on held-out people, whole and heads, one and two in the picture; who is who."""
    tokenizer = make_tokenizers()[0]
    model, result = load_trained(NAME, new_segmenter(len(tokenizer))), {}
    for data in open_held_out("held_out_pairs"):
        rng, people, heads, right = np.random.default_rng(0), [], [], []
        for _ in range(batches):
            b = draw([data], BATCH, rng)
            ids, pixels = tokens(tokenizer, b.phrases), b.x.repeat_interleave(2, 0)
            logits = model(input_ids=ids, pixel_values=pixels).logits.view_as(b.masks)
            drawn = logits > 0
            if b.two.any():
                drawn = torch.stack([compete(each, 0.5, SIZE // 16) for each in logits])
                there = b.masks.amax(1) > 0
                lead = logits[:, 0] > logits[:, 1]
                right.append((lead == (b.masks[:, 0] > 0))[there].float().mean())
            for asked, found in ((~b.heads, people), (b.heads, heads)):
                if asked.any():
                    pair = drawn[asked].flatten(0, 1), b.masks[asked].flatten(0, 1) > 0.5
                    found.append(iou(*pair))
        name = data.folder.name
        result[f"iou {name}"] = round(float(torch.cat(people).mean()), 4)
        result[f"iou heads {name}"] = round(float(torch.cat(heads).mean()), 4) if heads else 0.0
        if right:
            result["who is who"] = round(float(torch.stack(right).mean()), 4)
    return result


def main() -> None:
    """Command line."""
    options = stage_options(__doc__, minutes=20, batch=BATCH)
    if not options.report:
        train(options.minutes, batch=options.batch, steps=options.steps)
    print(report(1 if options.tiny else 5))


if __name__ == "__main__":
    main()
