"""The one sampling loop, and a wrapper that watches it.

Progress bars, counting and cancelling live in `Watched`, so that no file of the method knows them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .errors import ConfigError
from .protocols import Backend, Conditioning, ImageGenerator
from .sizes import Size, resolved
from .types import Prompt, Scene

GeneratorT = TypeVar("GeneratorT", bound=ImageGenerator)


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


def painted(G: ImageGenerator, prompts: Sequence[Prompt]) -> Tensor:
    """z_0 of one picture a prompt, as one batch: (B, C, h, w)."""
    return sample(G, first_noise(G, prompts), G.condition(prompts))


def first_noise(G: ImageGenerator, prompts: Sequence[Prompt]) -> Tensor:
    """z_t of one picture a prompt, each from its own seed: (B, C, h, w)."""
    return torch.stack([G.noise(prompt.seed) for prompt in prompts])


def step_noise(seed: int, i: int, shape: Sequence[int]) -> Tensor:
    """Unit noise for step ``i`` of the picture with this seed, float32 on the CPU.

    The same for whoever steps the picture, so that one that is denoised again goes the same way.
    """
    rng = np.random.default_rng([seed, i])
    return torch.from_numpy(rng.standard_normal(tuple(shape), dtype=np.float32))


class Watched:
    """A generator that calls ``on_step`` before each step and counts; otherwise the wrapped one.

    Raise in ``on_step`` to cancel. It gets the network calls that the step costs. It stands for either
    kind of generator, and what it does not know itself it asks the wrapped one for.

    Attributes:
        wrapped: the generator itself.
        evaluations: network calls so far.
    """

    condition: Callable[[Sequence[Prompt]], Conditioning]  # this and the next are the wrapped one's
    calls: Callable[[int, Conditioning], int]
    noise: Callable[[int], Tensor]
    decode: Callable[[Tensor], list[Image.Image]]
    embed: Callable[[Sequence[Image.Image]], Tensor]

    def __init__(self, G: Any, on_step: Callable[[int], None] | None = None) -> None:
        self.wrapped, self.on_step = G, on_step
        self.num_steps: int = G.num_steps
        self.size, self.multiple = G.size, G.multiple
        self.evaluations = 0

    def __getattr__(self, name: str) -> Any:
        if name == "wrapped":  # asked for before __init__, by copy
            raise AttributeError(name)
        return getattr(self.wrapped, name)

    def step(self, z: Tensor, i: int, cond: Conditioning) -> Tensor:
        """z_i -> z_{i-1}, watched."""
        calls = self.calls(i, cond)
        if self.on_step is not None:
            self.on_step(calls)
        self.evaluations += calls
        return self.wrapped.step(z, i, cond)

    def with_size(self, size: Size) -> Watched:
        """The wrapped one's, watched by the same ``on_step``; it counts for itself."""
        return self if size == self.size else Watched(self.wrapped.with_size(size), self.on_step)


def sized(G: GeneratorT, scene: Scene) -> GeneratorT:
    """``G`` for pictures of the scene's shape; itself where the scene has none.

    Raises:
        ConfigError: G does not take that size, see `sizes.resolved`.
    """
    return G.with_size(resolved(scene.shape, G.size, G.multiple))


def watched(backend: Backend, on_step: Callable[[int], None]) -> Backend:
    """``backend`` with each of its generators `Watched`; ``search`` is never None."""
    return replace(
        backend,
        general=Watched(backend.general, on_step),
        identity=Watched(backend.identity, on_step),
        search=Watched(backend.search or backend.identity, on_step),
    )


def unwatched(G: Any) -> Any:
    """The generator itself, to ask what it offers besides (`protocols`)."""
    while isinstance(G, Watched):
        G = G.wrapped
    return G
