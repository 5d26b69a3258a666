"""The rules of generators, see `protocols.ImageGenerator` and `IdentityGenerator`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ..errors import ConfigError, PromptError
from ..protocols import FusesAgain, IdentityGenerator, ImageGenerator, PlacesFaces, Respaced
from ..sampling import first_noise
from ..types import Prompt
from .rules import closer, drawn, near, refuses, rule

TEXTS = ("a woman with long red hair by the sea", "a man")  # of other lengths


def check_generator(
    G: ImageGenerator, *, texts: Sequence[str] = TEXTS, guidance: float = 3.0, network: Any = None
) -> None:
    """Raises ContractError unless G keeps the contract of a general generator.

    Args:
        G: with a few steps, for all checks together take about twenty.
        texts: two that it can read, of other lengths.
        guidance: that it can heed.
        network: the torch module whose rows are counted and held against ``calls``; ``G.unet`` if it
            has one, otherwise ``calls`` is only asked.
    """
    prompts = [Prompt(text, guidance=guidance, seed=n + 1) for n, text in enumerate(texts)]
    _noise(G)
    with torch.no_grad():
        z = first_noise(G, prompts)
        _step(G, z, prompts)
        _batch(G, z, prompts)
        _calls(G, z, prompts, network if network is not None else getattr(G, "unet", None))
        _decode(G, z)
        _sizes(G, prompts)
    if isinstance(G, Respaced):
        other = G.with_steps(G.num_steps + 1)
        rule("with_steps", other.num_steps == G.num_steps + 1, f"{other.num_steps} steps")
        rule("with_steps", other.noise(1).shape == G.noise(1).shape, "latents of another shape")
    if not hasattr(G, "embed"):
        faced = replace(prompts[0], face=torch.zeros(8), noun="woman")
        refuses("faces", ConfigError, lambda: G.condition([faced]), "a prompt with a face")


def check_identity_generator(
    G_id: IdentityGenerator,
    *,
    pictures: Sequence[Image.Image] = (),
    texts: Sequence[str] = TEXTS,
    nouns: Sequence[str] = ("woman", "man"),
    guidance: float = 3.0,
    general: ImageGenerator | None = None,
) -> None:
    """Raises ContractError unless G_id keeps an identity generator's contract, a generator's and more.

    Args:
        G_id: as for `check_generator`.
        pictures: two that show different people; drawn ones if empty.
        texts: as for `check_generator`.
        nouns: the class word in each text.
        guidance: as for `check_generator`.
        general: G, if both share networks: G_id's steps must leave no trace in it.
    """
    plain = [Prompt(text, guidance=guidance, seed=7) for text in texts]
    with torch.no_grad():
        trace = None if general is None else _stepped(general, first_noise(general, plain), plain)
    check_generator(G_id, texts=texts, guidance=guidance)
    images = list(pictures) or [drawn(48, 64, 1), drawn(64, 40, 2)]
    E = G_id.embed(images)
    told = f"embed gives {tuple(E.shape)} {E.dtype} on {E.device}"
    rule("embed: shape", E.dim() == 2 and len(E) == len(images), told)
    rule("embed: dtype", E.dtype == torch.float32 and E.device.type == "cpu", told)
    rule("embed: same again", torch.equal(G_id.embed(images), E), "another embedding")
    rule("embed: order", near(G_id.embed(images[::-1]), E.flip(0)), "rows in another order")
    rule("embed: who", not near(E[0], E[1]), "two pictures have one embedding")
    rule("embed: nobody", G_id.embed([]).shape == (0, E.shape[1]), "no pictures are not (0, d)")
    faced = [replace(p, face=e, noun=n) for p, e, n in zip(plain, E, nouns, strict=True)]
    swapped = replace(faced[0], face=E[1])
    with torch.no_grad():
        z, t = first_noise(G_id, plain), G_id.num_steps
        with_faces = G_id.step(z, t, G_id.condition(faced))
        other = _stepped(G_id, z[:1], [swapped])
        rule("faces: heeded", not torch.equal(_stepped(G_id, z, plain), with_faces), "no effect")
        rule("faces: whose", not torch.equal(other, with_faces[:1]), "two faces paint the same")
        back = G_id.step(z.flip(0), t, G_id.condition(faced[::-1]))
        kept = closer(back.flip(0)[:1], with_faces[:1], other)
        rule("faces: order", kept, "faces are exchanged in a batch")
        if isinstance(G_id, FusesAgain):
            cond = G_id.condition(faced)
            G_id.fuse_again(cond)
            same = torch.equal(G_id.step(z, t, cond), with_faces)
            rule("fuse_again: pure", same, "it changes the conditioning that it is given")
        if isinstance(G_id, PlacesFaces):
            _points(G_id, images[0], z[:1], faced[0])
        if general is not None:
            again = _stepped(general, first_noise(general, plain), plain)
            same = trace is not None and torch.equal(again, trace)
            rule("shared networks", same, "after a step of G_id, G steps otherwise")
    lost = replace(faced[0], noun="lighthouse")
    refuses("noun", PromptError, lambda: G_id.condition([lost]), "a noun that is not in the text")


def _points(G_id: Any, image: Image.Image, z: Tensor, prompt: Prompt) -> None:
    """The rules of `protocols.PlacesFaces`."""
    masks = torch.ones(2, image.height, image.width, dtype=torch.bool)
    masks[1] = False
    found = G_id.face_points(image, masks)
    rule("points: count", len(found) == 2, f"{len(found)} faces of 2 masks")
    rule("points: whose", found[1] is None, "a face in an empty mask")
    rule("points: nobody", G_id.face_points(image, masks[:0]) == [], "no masks are not []")
    at = G_id.portrait_points()
    for points in (at, *(own for own in found if own is not None)):
        kept = points.shape == (5, 2) and points.dtype == torch.float32
        rule("points: shape", kept, f"{tuple(points.shape)} {points.dtype}, not (5, 2) float32")
    inside = bool((at >= 0).all() and (at < torch.tensor(G_id.size)).all())
    rule("points: inside", inside, f"a portrait's are {at.tolist()} in {G_id.size} pixels")
    there, left = (_stepped(G_id, z, [replace(prompt, points=p)]) for p in (at, at / 2))
    rule("points: heeded", not torch.equal(there, _stepped(G_id, z, [prompt])), "no effect")
    rule("points: where", not torch.equal(there, left), "two places paint the same")


def _stepped(G: ImageGenerator, z: Tensor, prompts: Sequence[Prompt]) -> Tensor:
    return G.step(z, G.num_steps, G.condition(prompts))


def _noise(G: ImageGenerator) -> None:
    rule("steps", isinstance(G.num_steps, int) and G.num_steps >= 1, f"{G.num_steps!r} steps")
    state = torch.get_rng_state()
    z = G.noise(1)
    rule("noise: shape", z.dim() == 3, f"noise has the shape {tuple(z.shape)}, not (C, h, w)")
    rule("noise: dtype", z.dtype == torch.float32 and z.device.type == "cpu", "not float32 on CPU")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(99)
        rule("noise: seed", torch.equal(G.noise(1), z), "one seed gives two noises")
    rule("noise: seed", not torch.equal(G.noise(2), z), "two seeds give one noise")
    same = torch.equal(torch.get_rng_state(), state)
    rule("noise: seed", same, "it draws from torch's global generator")


def _step(G: ImageGenerator, z: Tensor, prompts: Sequence[Prompt]) -> None:
    t, before = G.num_steps, z.clone()
    cond = G.condition(prompts)
    after = G.step(z, t, cond)
    told = f"z {tuple(z.shape)} becomes {tuple(after.shape)} {after.dtype} on {after.device}"
    rule("step: shape", after.shape == z.shape, told)
    rule("step: dtype", after.dtype == torch.float32 and after.device == z.device, told)
    rule("step: finite", bool(after.isfinite().all()), "nan or infinity")
    rule("step: pure", torch.equal(z, before), "it changes the z that it is given")
    G.step(after, 1, cond)
    rule("step: order", torch.equal(G.step(z, t, cond), after), "after step 1, step t is another")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(99)
        again = _stepped(G, z, prompts)
    rule("step: pure", torch.equal(again, after), "the same prompts and z step otherwise")
    other = [replace(prompts[0], text=prompts[1].text)]
    same = torch.equal(_stepped(G, z[:1], prompts[:1]), _stepped(G, z[:1], other))
    rule("step: text", not same, "two texts paint the same")


def _batch(G: ImageGenerator, z: Tensor, prompts: Sequence[Prompt]) -> None:
    together = _stepped(G, z, prompts)
    for b, prompt in enumerate(prompts):
        alone = _stepped(G, z[b : b + 1], [prompt])
        own = z[b : b + 1]
        kept = near(together[b : b + 1] - own, alone - own)
        rule("batch", kept, "a picture depends on its neighbours")
    turned = _stepped(G, z.flip(0), list(prompts)[::-1])
    kept = near(turned.flip(0) - z, together - z)
    rule("batch: order", kept, "pictures come in another order")


def _calls(G: ImageGenerator, z: Tensor, prompts: Sequence[Prompt], network: Any) -> None:
    late = [replace(prompt, interval=(0.5, 1.0)) for prompt in prompts]
    for asked in (prompts, [replace(prompt, guidance=1.0) for prompt in prompts], late):
        cond = G.condition(asked)
        for i in (G.num_steps, 1):
            told = G.calls(i, cond)
            rule("calls", isinstance(told, int) and told >= 0, f"{told!r} calls at step {i}")
            if network is not None:
                made = _rows(network, partial(G.step, z, i, cond))
                rule("calls", made == told, f"step {i} makes {made} and says {told}")


def _rows(network: Any, step: Callable[[], Any]) -> int:
    """How many rows ``network`` is called with in a step."""
    seen: list[int] = []
    count = lambda _, inputs, named: seen.append(len(next(iter([*inputs, *named.values()]))))
    handle = network.register_forward_pre_hook(count, with_kwargs=True)
    try:
        step()
    finally:
        handle.remove()
    return sum(seen)


def _decode(G: ImageGenerator, z: Tensor) -> None:
    before = z.clone()
    images = G.decode(z)
    rule("decode: count", len(images) == len(z), f"{len(images)} pictures of {len(z)} latents")
    rule("decode: mode", all(image.mode == "RGB" for image in images), "not RGB")
    for image in images:
        rule("decode: size", image.size == G.size, f"{image.size} pixels, and size is {G.size}")
    rule("decode: pure", torch.equal(z, before), "it changes the z that it is given")
    same = [image.tobytes() for image in G.decode(z)] == [image.tobytes() for image in images]
    rule("decode: same again", same, "other pictures of the same latents")


def _sizes(G: ImageGenerator, prompts: Sequence[Prompt]) -> None:
    (width, height), before = G.size, G.noise(1)
    rule("multiple", width % G.multiple == height % G.multiple == 0, f"{G.multiple} of {G.size}")
    for size in ((width + G.multiple, height), (width, height + G.multiple)):
        other = G.with_size(size)
        rule("with_size", tuple(other.size) == size, f"asked for {size}, it has {other.size}")
        z = first_noise(other, prompts)
        images = other.decode(_stepped(other, z, prompts))
        made = {image.size for image in images}
        rule("with_size: pictures", made == {size}, f"asked for {size}, painted {sorted(made)}")
    rule("with_size: pure", torch.equal(G.noise(1), before), "it changes the generator itself")
