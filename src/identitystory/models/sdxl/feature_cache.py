"""Deep features of the U-Net kept from one step for the next ones (DeepCache, Ma et al., CVPR 2024).

Between neighbouring steps the deep blocks of a diffusion U-Net give almost the same; the finest level
is where the steps differ. So the deep blocks run at every n-th step and are remembered in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ...errors import ConfigError


@dataclass
class _Kept:
    cond: Any  # held, so that no other object is taken for it
    step: int
    rows: int
    age: int = 0
    given: dict[int, Any] = field(default_factory=dict)


class DeepFeatures:
    """The blocks below a U-Net's finest level, run at every ``every``-th step of a trajectory.

    Attributes:
        every: 2 halves what the deep blocks cost; 1 is the U-Net as it was, bit for bit.
    """

    def __init__(self, unet: Any, every: int) -> None:
        """Takes over the deep blocks' forward, in place.

        Raises:
            ConfigError: ``every`` is below 1, or the U-Net has one level only.
        """
        if every < 1:
            raise ConfigError(
                f"deep features are reused every {every} steps; 1 or more is possible"
            )
        if len(unet.down_blocks) < 2:
            raise ConfigError("this U-Net has one level: there is nothing deep in it to reuse")
        self.every = every
        self._kept: dict[tuple[int, tuple[int, ...]], _Kept] = {}
        self._now: _Kept | None = None
        blocks = (*unet.down_blocks[1:], unet.mid_block, *unet.up_blocks[:-1])
        for number, block in enumerate(blocks):
            block.forward = self._kept_or(number, block.forward)

    @contextmanager
    def at(self, i: int, cond: Any, part: tuple[int, ...], rows: int) -> Iterator[None]:
        """The U-Net called inside is at step ``i``, steered by ``cond``.

        What was kept serves if it is of the step before, of the same conditioning and the same
        pictures, and not older than ``every`` - 1 steps. A step may be taken with several conditionings,
        one after the other.

        Args:
            i: counts down.
            cond: any object; each keeps its own.
            part: numbers of the pictures, where a batch goes through in parts.
            rows: how many rows the U-Net gets.
        """
        self._kept = {key: old for key, old in self._kept.items() if old.step in (i, i + 1)}
        kept = self._kept.get((id(cond), part))
        fits = kept is not None and kept.step == i + 1 and kept.rows == rows
        if kept is None or not fits or kept.age + 1 >= self.every:
            kept = _Kept(cond, i, rows)
        else:
            kept.step, kept.age = i, kept.age + 1
        self._kept[id(cond), part] = self._now = kept
        try:
            yield
        finally:
            self._now = None

    def _kept_or(self, number: int, run: Callable[..., Any]) -> Callable[..., Any]:
        def forward(*inputs: Any, **options: Any) -> Any:
            kept = self._now
            if kept is None:
                return run(*inputs, **options)
            if kept.age == 0:
                kept.given[number] = run(*inputs, **options)
            return kept.given[number]

        return forward
