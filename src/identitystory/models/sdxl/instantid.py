"""InstantID as G_id: ArcFace's embedding of a face as sixteen tokens, and five points that say where it is.

The files are InstantX/InstantID's: ``ip-adapter.safetensors`` (the published pickle, converted) holds
``image_proj.*``, a resampler that turns an embedding into tokens, and keys and values as a plain adapter;
``ControlNetModel/`` is IdentityNet, a control net of SDXL's whose cross-attention reads the tokens
in place of words, and whose picture is the five points. Rows without the prompt get the tokens of a
face of zeros. Nothing is added to the U-Net, and only a picture with a face is painted otherwise than by G.

What finds and knows faces is InsightFace's (`arcface`), for non-commercial research only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import torch
from PIL import Image
from torch import Tensor

from ...errors import ModelError
from ...skeleton import face_drawn
from ...types import Prompt
from ..arcface import ArcFace, Seen, in_a_portrait, whose
from ..device import Room
from ..parts import read_tensors
from .attention import Beside
from .conditioning import Conditioning
from .control import as_seen
from .control_net import load_control
from .face_beside import FaceBeside
from .generator import LatentDiffusion
from .ip_adapter import by_site
from .plus_face import resampler_of
from .tokens import class_word

SCALE = 0.8  # of tokens and of points, as its authors have both


class FindsFaces(Protocol):
    """What reads faces: `arcface.ArcFace`."""

    def faces(self, image: Image.Image) -> list[Seen]:
        """Every face in ``image``, the largest first."""
        ...


@dataclass(frozen=True)
class IdentityNet:
    """What the control net says of one picture, at any step.

    Attributes:
        net: a ``ControlNetModel``.
        room: brings it to the device.
        tokens: (2, n, D), of nobody and of the face.
        points: (1, 3, H, W) in [0, 1], the picture of them.
        scale: of what it says.
    """

    net: Any
    room: Room
    tokens: Tensor
    points: Tensor
    scale: float

    def __call__(self, shown: Tensor, timestep: Tensor, pooled: dict[str, Tensor]) -> list[Tensor]:
        """What is added to the U-Net's features: of each block of the way down, and of the middle.

        Args:
            shown: (1 or 2, C, h, w), as the U-Net sees it: with the prompt, or without it and with it.
            timestep: likewise.
            pooled: the U-Net's ``added_cond_kwargs``.
        """
        with self.room.holding(self.net):
            down, middle = self.net(
                shown,
                timestep,
                encoder_hidden_states=self.tokens[-len(shown) :].to(shown),
                controlnet_cond=self.points.to(shown).expand(len(shown), -1, -1, -1),
                added_cond_kwargs=pooled,
                return_dict=False,
            )
        return [self.scale * x for x in (*down, middle)]


class InstantID(FaceBeside):
    """G_id: G, which looks at the tokens of a face besides, and is told where the face is.

    ``scale`` is of both; 1 is as its authors have them.

    Attributes:
        reader: finds faces and embeds them.
        resampler: embeddings to tokens, in the U-Net's precision.
        net: IdentityNet.
        keys: (inner, D) of each cross-attention layer, by its name.
        values: likewise.
    """

    def __init__(
        self,
        general: LatentDiffusion,
        reader: FindsFaces,
        resampler: Any,
        net: Any,
        keys: dict[str, Tensor],
        values: dict[str, Tensor],
    ) -> None:
        super().__init__(general)
        self.reader, self.net, self.keys, self.values = reader, net, keys, values
        self.resampler = self.room.place(resampler).eval().requires_grad_(False)
        self.width: int = resampler.proj_in.in_features

    def embed(self, images: Sequence[Image.Image]) -> Tensor:
        """E, (m, 512) float32 on the CPU: ArcFace's of the largest face of each picture, not normalised.

        A row of zeros where none is found, which discovery leaves out.
        """
        rows = [torch.empty(0, self.width)]
        for image in images:
            found = self.reader.faces(image)
            own = found[0].embedding if found else torch.zeros(self.width)
            self._check(own)
            rows.append(own[None])
        return torch.cat(rows)

    def face_points(self, image: Image.Image, masks: Tensor) -> list[Tensor | None]:
        """Where faces are, see `protocols.PlacesFaces`."""
        return whose(self.reader.faces(image), masks)

    def portrait_points(self) -> Tensor:
        """Where a face is by itself, see `protocols.PlacesFaces`."""
        return in_a_portrait(self.size)

    def _check(self, face: Tensor) -> None:
        if face.shape != (self.width,):
            raise ModelError(
                f"an identity has {face.numel()} numbers, and this model's have {self.width}; it was "
                "found by another model"
            )

    @torch.inference_mode()
    def _tokens(self, face: Tensor) -> Tensor:
        """(1, n, D) of (512,)."""
        with self.room.holding(self.resampler):
            return self.resampler(face.view(1, 1, -1).to(self.general.device, self.general.dtype))

    @cached_property
    def _nobody(self) -> Tensor:
        return self._tokens(torch.zeros(self.width))

    def _both(self, face: Tensor) -> Tensor:
        """(2, n, D), for rows without the prompt and with it."""
        self._check(face)
        return torch.cat([self._nobody, self._tokens(face)])

    def shown(self, face: Tensor) -> Beside | None:
        """The edit that shows a face.

        Raises:
            ModelError: it is of another model.
        """
        if not self.scale:
            return None
        return Beside(self.keys, self.values, self._both(face), SCALE * self.scale)

    def worded(self, prompt: Prompt) -> Conditioning:
        """The words, and IdentityNet where the prompt says where the face is."""
        class_word(prompt.text, prompt.noun)
        cond = self.general.condition([replace(prompt, face=None, points=None)])
        if prompt.points is None or prompt.face is None or not self.scale:
            return cond
        picture = as_seen([face_drawn(prompt.points.tolist(), self.size)], [prompt])
        tokens = self._both(prompt.face)
        said = IdentityNet(self.net, self.room, tokens, picture, SCALE * self.scale)
        return replace(cond, beside=said)


def load_instantid(file: Path, net: Path, faces: Path, general: LatentDiffusion) -> InstantID:
    """G_id on ``general``'s U-Net, in its precision and room.

    Args:
        file: the adapter.
        net: IdentityNet's folder.
        faces: that of InsightFace's pack.
        general: G.

    Raises:
        ModelError: a file is missing, broken, of another kind, or for another U-Net.
        ConfigError: InsightFace is not installed.
    """
    unet, room = general.unet, general.room
    state = {k: v.to(unet.dtype) for k, v in read_tensors(file)[0].items()}
    resampler = resampler_of(state, file)
    keys, values = by_site({k: room.place(v) for k, v in state.items()}, unet, file)
    control = load_control(net, unet, room)
    return InstantID(general, ArcFace(faces), resampler, control, keys, values)
