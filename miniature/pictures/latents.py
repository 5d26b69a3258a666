"""What the U-Net trains on, computed once: ``python -m miniature.pictures.latents``.

Beside every drawn set lie ``latents.f2`` (N, C, h, w), normalised, and ``cells.u1`` (N, groups, h, w):
how much of each cell belongs to a head, a face, hair, clothes and so on, in 255ths. They belong to one
encoder, whose mark is stored with them; another encoder makes them anew.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .. import paths
from ..training.loop import DEVICE, mixed, moved
from .sets import BLOCK, FACE, FINE, PictureSet, head_of, open_there, part_of, person_of
from .views import to_tensor

FACTOR = 16
GROUPS = (
    "head 1", "head 2", "head 3", "person 1", "person 2", "person 3",
    "face", "fine", "hair", "clothes", "place",
)  # fmt: skip
PART_GROUPS = {
    "face": (*FACE, "ear"), "fine": FINE, "hair": ("hair", "headscarf", "beard"),
    "clothes": ("cloth", "headscarf"), "place": ("none",),
}  # fmt: skip


@dataclass(frozen=True)
class Latents:
    """A set's latents, opened for reading."""

    data: PictureSet

    @cached_property
    def blocks(self) -> list[int]:
        """The blocks that are encoded."""
        path = self.data.folder / "encoded.json"
        return json.loads(path.read_text())["blocks"] if path.exists() else []

    @cached_property
    def numbers(self) -> np.ndarray:
        """The pictures that are encoded."""
        parts = [np.arange(b * BLOCK, (b + 1) * BLOCK) for b in self.blocks]
        return np.concatenate(parts) if parts else np.zeros(0, int)

    def arrays(self, channels: int, mode: str = "r") -> tuple[np.ndarray, np.ndarray]:
        """Latents and cells, memory-mapped: of as many pictures as the files hold, which may be fewer
        than are drawn by now; for writing, of all."""
        s = self.data.spec
        h, w = s["height"] // FACTOR, s["width"] // FACTOR
        found = []
        for name, kind, depth in (("latents.f2", "f2", channels), ("cells.u1", "u1", len(GROUPS))):
            each, path = (depth, h, w), self.data.folder / name
            size = int(np.prod(each)) * np.dtype(kind).itemsize  # bytes of a picture
            if mode != "r" and (not path.exists() or path.stat().st_size < s["count"] * size):
                with path.open("ab") as file:
                    file.truncate(s["count"] * size)
            found.append(np.memmap(path, kind, mode, shape=(path.stat().st_size // size, *each)))
        return found[0], found[1]


def shares_of_cells(data: PictureSet, marks: np.ndarray) -> np.ndarray:
    """(n, groups, h, w) uint8 of marks (n, H, W): how much of each cell each group fills."""
    part, person, head = part_of(marks), person_of(marks), head_of(marks)
    layers = [head & (person == k) for k in (1, 2, 3)] + [person == k for k in (1, 2, 3)]
    layers += [data.table(PART_GROUPS[g], 1)[part] > 0 for g in GROUPS[6:]]
    n, h, w = marks.shape
    shape = (n, h // FACTOR, FACTOR, w // FACTOR, FACTOR)
    shares = [m.reshape(shape).mean((2, 4), dtype=np.float32) for m in layers]
    return (255 * np.stack(shares, 1) + 0.5).astype(np.uint8)


@torch.inference_mode()
def normalisation(vae, data: PictureSet, count: int = 640) -> tuple[Tensor, Tensor]:
    """(C, 1, 1) mean and spread of the latents' channels."""
    numbers = data.numbers[:: max(1, len(data.numbers) // count)]
    parts = []
    for some in np.array_split(numbers, max(1, len(numbers) // 16)):
        with mixed():
            parts.append(vae.encode(*moved(to_tensor(data.rgb[some]))).latent_dist.mean.float())
    z = torch.cat(parts).cpu()
    return z.mean((0, 2, 3))[:, None, None], z.std((0, 2, 3))[:, None, None]


def mark_of(vae) -> str:
    """Tells one encoder from another."""
    total = sum(float(p.double().abs().sum()) for p in vae.encoder.parameters())
    return f"{total:.6f}"


def norm_path() -> Path:
    """Where the normalisation lies."""
    return paths.state() / "latents_norm.pt"


def load_norm() -> tuple[Tensor, Tensor]:
    """(C, 1, 1) mean and spread."""
    stored = torch.load(norm_path(), weights_only=True)
    return stored["mean"], stored["std"]


@torch.inference_mode()
def encode(minutes: float = 1e9, names: tuple[str, ...] | None = None) -> int:
    """Encode what is drawn and not encoded, oldest blocks first; how many pictures that were."""
    from ..stages.vae import CHANNELS, load_encoder_side

    vae = load_encoder_side().to(DEVICE)
    mark, began, count = mark_of(vae), time.time(), 0
    sets = open_there(*(names or ("singles", "pairs", "threes", "held_out", "held_out_pairs")))
    stored = torch.load(norm_path(), weights_only=True) if norm_path().exists() else {}
    if stored.get("encoder") != mark:
        mean, std = normalisation(vae, sets[0])
        torch.save(dict(mean=mean, std=std, encoder=mark), norm_path())
        print("spread of channels:", [round(float(s), 2) for s in std.flatten()], flush=True)
    mean, std = load_norm()
    for data in sets:
        path = data.folder / "encoded.json"
        done = json.loads(path.read_text()) if path.exists() else {}
        blocks = done["blocks"] if done.get("encoder") == mark else []
        z, cells = Latents(data).arrays(CHANNELS, "r+")
        for block in sorted(set(data.blocks) - set(blocks)):
            if time.time() - began > 60 * minutes:
                return count
            numbers = np.arange(block * BLOCK, (block + 1) * BLOCK)
            for some in np.array_split(numbers, 4):
                with mixed():
                    x = vae.encode(*moved(to_tensor(data.rgb[some]))).latent_dist.mean.float()
                z[some] = ((x.cpu() - mean) / std).half().numpy()
                cells[some] = shares_of_cells(data, data.marks[some])
            blocks.append(block)
            count += len(numbers)
            path.write_text(json.dumps(dict(encoder=mark, blocks=blocks)))
    return count


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state", type=Path)
    parser.add_argument("--minutes", type=float, default=1e9)
    parser.add_argument("--sets", nargs="*")
    options = parser.parse_args()
    paths.use_state(options.state)
    torch.set_num_threads(1)
    began = time.time()
    count = encode(options.minutes, tuple(options.sets) if options.sets else None)
    print(f"{count} pictures encoded in {time.time() - began:.0f} s")


if __name__ == "__main__":
    main()
