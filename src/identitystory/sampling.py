"""The one sampling loop, and a wrapper that watches it.

Progress bars, counting and cancelling live in `Watched`, so that no file of the method knows them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .errors import ConfigError
from .protocols import Conditioning, ImageGenerator


def trajectory(
    G: ImageGenerator, z: Tensor, cond: Conditioning, start: int | None = None
) -> Iterator[tuple[int, Tensor]]:
    """(i, z_i) for i from ``start`` down to 0; the first is the given ``z``, the last is clean.

    Args:
        G: the generator that steps.
        z: z_start, (B, C, h, w).
        cond: G's conditioning for a batch of B.
        start: the index of ``z``; t when it is pure noise, which is the default.

    Raises:
        ConfigError: ``start`` is not in 0..t.
    """
    first = G.num_steps if start is None else start
    if not 0 <= first <= G.num_steps:
        raise ConfigError(
            f"start is {first}; this generator has {G.num_steps} steps, so it must lie in "
            f"0..{G.num_steps}."
        )
    yield first, z
    for i in range(first, 0, -1):
        z = G.step(z, i, cond)
        yield i - 1, z


def sample(G: ImageGenerator, z: Tensor, cond: Conditioning) -> Tensor:
    """z_0 from pure noise ``z``, (B, C, h, w): the end of `trajectory`."""
    z_i = z
    for _, z_i in trajectory(G, z, cond):  # noqa: B007  (only the last counts)
        pass
    return z_i


def sample_seeds(G: Any, seeds: Sequence[int], cond: Conditioning) -> Tensor:
    """z_0 of the pictures with these seeds, (B, C, h, w)."""
    z_t = torch.stack([G.noise(seed) for seed in seeds])
    return sample(drawing(G, seeds), z_t, cond)


class Around:
    """A generator that stands before another, and asks it for all that it does not know itself."""

    def __init__(self, G: Any) -> None:
        self.wrapped = G
        self.num_steps: int = G.num_steps
        self.size: int = G.size

    def __getattr__(self, name: str) -> Any:
        if name == "wrapped":  # asked for before __init__, by copy
            raise AttributeError(name)
        return getattr(self.wrapped, name)


class Drawing(Around):
    """A generator that is given new noise at each step, each picture's from its own seed.

    Only an ancestral sampler wants it; see `drawing`. Otherwise the wrapped one.
    """

    def __init__(self, G: Any, seeds: Sequence[int]) -> None:
        super().__init__(G)
        self.seeds = tuple(seeds)

    def step(self, z: Tensor, i: int, cond: Conditioning) -> Tensor:
        """z_i -> z_{i-1} of as many pictures as there are seeds."""
        noise = [step_noise(seed, i, z.shape[1:]) for seed in self.seeds]
        return self.wrapped.step(z, i, cond, noise=torch.stack(noise).to(z))


def step_noise(seed: int, i: int, shape: Sequence[int]) -> Tensor:
    """Unit noise for step ``i`` of the picture with this seed, float32 on the CPU.

    The same for whoever steps the picture, so that one that is denoised again goes the same way.
    """
    rng = np.random.default_rng([seed, i])
    return torch.from_numpy(rng.standard_normal(tuple(shape), dtype=np.float32))


def drawing(G: Any, seeds: Sequence[int]) -> Any:
    """``G`` for pictures with these seeds; G itself unless its sampler is ancestral."""
    return Drawing(G, seeds) if getattr(G, "ancestral", False) else G


def guided(i: int, t: int, interval: tuple[float, float]) -> bool:
    """Whether step ``i`` of ``t`` (counting down) starts inside ``interval``, 0 noise, 1 clean."""
    low, high = interval
    elapsed = (t - i) / t
    return low - 1e-9 <= elapsed < high - 1e-9


class GuidedWithin(Around):
    """A generator whose guidance is on in a part of the steps only; otherwise the wrapped one.

    Attributes:
        interval: from where to where, 0 is noise and 1 is clean. See `guided`.
    """

    def __init__(self, G: Any, interval: tuple[float, float]) -> None:
        super().__init__(G)
        self.interval = interval

    def condition(self, prompts: Sequence[str], *, guidance: float, **options: Any) -> Conditioning:
        """The wrapped one's conditioning with guidance and without, a pair."""
        return (
            self.wrapped.condition(prompts, guidance=guidance, **options),
            self.wrapped.condition(prompts, guidance=1.0, **options),
        )

    def step(self, z: Tensor, i: int, cond: Conditioning, **noise: Tensor) -> Tensor:
        """z_i -> z_{i-1}, guided inside the interval."""
        with_guidance, without = cond
        here = guided(i, self.num_steps, self.interval)
        return self.wrapped.step(z, i, with_guidance if here else without, **noise)

    def fuse_again(self, cond: Conditioning) -> Conditioning:
        """As the wrapped one's, for both of the pair."""
        return tuple(self.wrapped.fuse_again(one) for one in cond)

    def join(self, conds: Sequence[Conditioning]) -> Conditioning | None:
        """As the wrapped one's, for both of the pair."""
        pair = tuple(joined(self.wrapped, side) for side in zip(*conds, strict=True))
        return None if any(side is None for side in pair) else pair


def joined(G: Any, conds: Sequence[Conditioning]) -> Conditioning | None:
    """One conditioning of G for the pictures of all ``conds``, in their order.

    None if G cannot: it has no ``join``, or these do not fit into one batch.
    """
    if len(conds) == 1:
        return conds[0]
    join = getattr(G, "join", None)
    return None if join is None else join(conds)


def within(G: Any, interval: tuple[float, float]) -> Any:
    """``G``, guided within ``interval`` only; G itself if that is all of it."""
    return G if tuple(interval) == (0.0, 1.0) else GuidedWithin(G, interval)


class Watched(Around):
    """A generator that calls ``on_step`` before each step and counts; otherwise the wrapped one.

    Raise in ``on_step`` to cancel. It gets the evaluations that the step costs. It stands for either kind
    of generator, and what it does not know itself it asks the wrapped one for.

    Attributes:
        evaluations: U-Net evaluations so far: for each sample and step what the wrapped generator's
            ``evaluations(cond)`` says, or two (with and without the prompt) if it says nothing.
    """

    def __init__(self, G: Any, on_step: Callable[[int], None] | None = None) -> None:
        super().__init__(G)
        self.on_step = on_step
        self.evaluations = 0

    def step(self, z: Tensor, i: int, cond: Conditioning, **noise: Tensor) -> Tensor:
        """z_i -> z_{i-1}, watched."""
        cost = getattr(self.wrapped, "evaluations", None)
        evaluations = (2 if cost is None else cost(cond)) * z.shape[0]
        if self.on_step is not None:
            self.on_step(evaluations)
        self.evaluations += evaluations
        return self.wrapped.step(z, i, cond, **noise)

    def condition(
        self,
        prompts: Sequence[str],
        *,
        guidance: float,
        negative: str = "",
        identities: Tensor | None = None,
        nouns: Sequence[str] | None = None,
    ) -> Conditioning:
        """As the wrapped one's; a general generator is never shown identities."""
        faces = {} if identities is None else {"identities": identities, "nouns": nouns}
        return self.wrapped.condition(prompts, guidance=guidance, negative=negative, **faces)

    def noise(self, seed: int) -> Tensor:
        """As the wrapped one's."""
        return self.wrapped.noise(seed)

    def decode(self, z: Tensor) -> list[Image.Image]:
        """As the wrapped one's."""
        return self.wrapped.decode(z)

    def embed(self, images: Sequence[Image.Image]) -> Tensor:
        """As the wrapped one's; AttributeError if it is a general generator."""
        return self.wrapped.embed(images)
