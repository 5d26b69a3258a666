"""Story-Adapter: A Training-free Iterative Framework for Long Story Visualization, 2024.

Covered: rounds, each painting every frame again with all pictures of the round before as reference
(Sec. 3.2), through global reference cross-attention (Sec. 3.3): beside the text, attention to the
tokens of all pictures at once, weighed by a scale that grows from round to round. This is a stock
IP-Adapter shown N pictures, and is tested against it.

Defaults are the released code's: 10 rounds, scales from 0.3 to 0.5, one noise for all frames and
rounds, its negative prompt; guidance 5 is what its pipeline falls back to. Not reproduced: its
style templates around the prompts and its base model (RealVisXL); pictures are made smaller once,
by the encoder's own preprocessing, not to 256 pixels first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from PIL import Image
from torch import Tensor

from ..errors import ModelError
from ..models.sdxl.attention import Beside, Site, attend, edited
from ..models.sdxl.family import adapter_fingerprint
from ..protocols import Backend, ModelFacts
from ..sampling import painted, sized
from ..types import Frame, Story
from .base import BaseMethod
from .method import Work, editable


@dataclass(frozen=True)
class StoryAdapter(BaseMethod):
    """Rounds of the whole story, each looking at the pictures of the one before.

    Attributes:
        rounds: after the first, which is painted from text alone.
        scale_first: weight of the pictures in the first of these rounds.
        scale_last: in the last; in even steps between.
    """

    name: ClassVar[str] = "story-adapter"

    negative: str | None = "monochrome, lowres, bad anatomy, worst quality, low quality"
    rounds: int = 10
    scale_first: float = 0.3
    scale_last: float = 0.5

    def seed(self, seed: int, place: int | str, *, per_frame: bool) -> int:
        """The same noise for every frame."""
        return seed

    def group(self, story: Story, index: int) -> range:
        """All frames."""
        return range(len(story.scenes))

    def weights(self, model: ModelFacts) -> str:
        """The checkpoint's and those of its IP-Adapter.

        Raises:
            ModelError: the checkpoint holds none.
        """
        folder = model.adapter or model.folder
        return model.fingerprint + ("" if folder is None else adapter_fingerprint(folder))

    def calls(self, story: Story, wanted: Sequence[int], steps: int) -> int:
        """2t a frame and round; of the last round only what is wanted."""
        return self.per_step * steps * (len(story.scenes) * self.rounds + len(wanted))

    def paint(self, backend: Backend, work: Work) -> Iterator[tuple[int, Frame]]:
        """Between rounds only the embeddings of the pictures are kept, also if the run is cut off.

        Raises:
            ModelError: the model has no IP-Adapter, or one that does not fit.
        """
        G = editable(backend, self.name)
        if backend.adapter is None:
            raise ModelError(f"{backend.name} has no IP-Adapter, which {self.name} needs")
        adapter = backend.adapter()
        scenes, seen = work.story.scenes, None

        def frame(n: int, seen: Tensor | None, round_: int) -> Image.Image:
            G_n = sized(G, scenes[n])
            edit = GlobalReference(adapter, seen, self.scale(round_), guided=self.guidance != 1)
            with edited(G_n.unet, edit):
                z = painted(G_n, self.said(work, [n]))
            return G_n.decode(z)[0]

        for round_ in range(self.rounds):
            name = f"round-{round_:02d}"
            found = work.notes.read(name)
            if found is None:
                frames = (frame(n, seen, round_) for n in range(len(scenes)))
                found = torch.stack([adapter.embed(image) for image in frames])
                work.notes.write(name, found)
            seen = found
        for n in work.wanted:
            yield n, Frame(scenes[n], frame(n, seen, self.rounds))

    def scale(self, round_: int) -> float:
        """Weight of the pictures in round 1 to ``rounds``; 0 in round 0."""
        if round_ == 0:
            return 0.0
        share = (round_ - 1) / max(1, self.rounds - 1)
        return self.scale_first + (self.scale_last - self.scale_first) * share


class GlobalReference:
    """The edit: attention to the tokens of all reference pictures, added to that to the text."""

    def __init__(
        self, adapter: Any, embeddings: Tensor | None, scale: float, *, guided: bool
    ) -> None:
        self.seen: Beside | None = None
        if embeddings is not None and scale:
            halves = [embeddings * 0, embeddings] if guided else [embeddings]
            tokens = torch.stack([adapter.tokens(e) for e in halves])  # (halves, N * n, D)
            self.seen = Beside(adapter.keys, adapter.values, tokens, scale)

    def __call__(self, site: Site, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """The edit's; without pictures the plain one."""
        return attend(q, k, v) if self.seen is None else self.seen(site, q, k, v)
