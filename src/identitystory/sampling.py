"""The one sampling loop, and a wrapper that watches it.

Progress bars, counting and cancelling live in `Watched`, so that no file of the method knows them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

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


class Watched:
    """A generator that calls ``on_step`` before each step and counts; otherwise the wrapped one.

    Raise in ``on_step`` to cancel. It gets the batch size of the step. It stands for either kind
    of generator, and what it does not know itself it asks the wrapped one for.

    Attributes:
        evaluations: U-Net evaluations so far, two a sample and step (with and without the prompt).
    """

    def __init__(self, G: Any, on_step: Callable[[int], None] | None = None) -> None:
        self.wrapped = G
        self.on_step = on_step
        self.evaluations = 0
        self.num_steps: int = G.num_steps
        self.size: int = G.size

    def step(self, z: Tensor, i: int, cond: Conditioning) -> Tensor:
        """z_i -> z_{i-1}, watched."""
        if self.on_step is not None:
            self.on_step(z.shape[0])
        self.evaluations += 2 * z.shape[0]
        return self.wrapped.step(z, i, cond)

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

    def __getattr__(self, name: str) -> Any:
        if name == "wrapped":  # asked for before __init__, by copy
            raise AttributeError(name)
        return getattr(self.wrapped, name)
