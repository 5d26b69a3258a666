"""The one way in which attention is changed: an *edit* replaces softmax(q k^T) v, site by site.

``with edited(unet, edit):`` installs the edit in every attention layer of a diffusers U-Net and
puts back what was there, whatever happens. Nothing else of a layer is touched: its projections,
norms, residual and LoRA run as they are. With `attend` itself as the edit nothing changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol
from weakref import WeakSet

import torch.nn.functional as F
from torch import Tensor

_EDITED: WeakSet[Any] = (
    WeakSet()
)  # U-Nets; asked at every step, and walking through one takes longer


@dataclass(frozen=True)
class Site:
    """One attention layer of the U-Net.

    Attributes:
        name: its path, ``up_blocks.0.attentions.0.transformer_blocks.0.attn1``.
        is_self: image tokens look at image tokens; else they look at the prompt's.
    """

    name: str
    is_self: bool

    @property
    def part(self) -> str:
        """``down``, ``mid`` or ``up``."""
        return self.name.partition("_")[0]


class Edit(Protocol):
    """What stands where softmax(q k^T) v was.

    Rows are as the U-Net's batch: B without the prompt, then B with it; at guidance 1 only the
    latter. A step's rows come in one call, never in parts. N image tokens in rows of the picture,
    top to bottom.
    """

    def __call__(self, site: Site, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """(rows, heads, N, d) of q (the same), k and v (rows, heads, L, d)."""
        ...


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """softmax(q k^T / sqrt(d)) v, (rows, heads, N, d).

    Args:
        q: (rows, heads, N, d).
        k: (rows, heads, L, d), and v likewise.
        mask: bool, True where a key may be seen; broadcast to (rows, heads, N, L).
    """
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)


class Beside:
    """An edit of the attention: that to the tokens of pictures, added to that to the words.

    Their keys and values are the same at every step, and are computed once a layer.

    Args:
        keys: (inner, D), by the name of the attention layer; cross-attention only.
        values: likewise.
        tokens: (2, L, D) for rows without the prompt and with it; (1, L, D) where there are only
            the latter. Rows without are left out where the U-Net has none.
        scale: of what is added.
    """

    def __init__(
        self, keys: dict[str, Tensor], values: dict[str, Tensor], tokens: Tensor, scale: float
    ) -> None:
        self.weights, self.tokens, self.scale = (keys, values), tokens, scale
        self.made: dict[str, list[Tensor]] = {}

    def __call__(self, site: Site, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """``attend(q, k, v) + scale * attend(q, k_ref, v_ref)`` at cross-attention."""
        h = attend(q, k, v)
        if site.is_self:
            return h
        if site.name not in self.made:
            tokens = self.tokens.to(q.device)
            self.made[site.name] = [
                (tokens @ weights[site.name].to(q.device).mT)
                .unflatten(-1, (q.shape[1], -1))
                .transpose(1, 2)
                for weights in self.weights
            ]
        return h + self.scale * attend(q, *(x[-len(q) :] for x in self.made[site.name]))


@contextmanager
def edited(unet: Any, edit: Edit) -> Iterator[None]:
    """``edit`` in every attention layer of ``unet``; afterwards what was there before."""
    before, outermost = dict(unet.attn_processors), unet not in _EDITED
    unet.set_attn_processor(
        {name: _Processor(_site(name), edit) for name in before}  # set_attn_processor empties it
    )
    _EDITED.add(unet)
    try:
        yield
    finally:
        unet.set_attn_processor(before)
        if outermost:
            _EDITED.discard(unet)


def is_edited(unet: Any) -> bool:
    """Whether an edit is installed in ``unet``; its rows then belong together."""
    return unet in _EDITED


@contextmanager
def observed(module: Any, see: Callable[[Tensor], None]) -> Iterator[None]:
    """``see`` is shown what ``module`` gives, each time; it changes nothing."""
    handle = module.register_forward_hook(lambda _module, _inputs, output: see(output))
    try:
        yield
    finally:
        handle.remove()


def sites(unet: Any) -> list[Site]:
    """Every attention layer, in the U-Net's own order."""
    return [_site(name) for name in unet.attn_processors]


def _site(processor_name: str) -> Site:
    name = processor_name.removesuffix(".processor")
    return Site(name, is_self=name.endswith("attn1"))


class _Processor:
    """A layer's projections around the edit, as diffusers' own processor has them."""

    def __init__(self, site: Site, edit: Edit) -> None:
        self.site, self.edit = site, edit

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
    ) -> Tensor:
        if attention_mask is not None or attn.spatial_norm is not None or hidden_states.ndim != 3:
            raise ValueError(f"{self.site.name} is not an attention layer of SDXL's kind")
        shown = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        q, k, v = (
            x.unflatten(-1, (attn.heads, -1)).transpose(1, 2)  # (rows, heads, N or L, d)
            for x in (attn.to_q(hidden_states), attn.to_k(shown), attn.to_v(shown))
        )
        h = self.edit(self.site, q, k, v).to(q.dtype)
        h = h.transpose(1, 2).flatten(2)  # (rows, N, heads * d)
        return attn.to_out[1](attn.to_out[0](h)) / attn.rescale_output_factor
