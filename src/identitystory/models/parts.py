"""One network of a checkpoint, opened, or one line that says why not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from ..errors import ModelError, is_out_of_memory
from .libraries import diffusers_logging, no_init_weights, transformers_logging

_BROKEN = (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError)


def load_part(kind: Any, folder: Path, *, dtype: torch.dtype | None = None) -> Any:
    """A diffusers or transformers class from a local folder, safetensors only.

    Raises:
        ModelError: weights or configuration are missing or broken, or only a pickle is there.
    """
    files = sorted(file.name for file in folder.glob("*.safetensors"))
    options: dict[str, Any] = {"local_files_only": True}
    if kind.__module__.startswith("transformers.models.auto"):
        options["trust_remote_code"] = False  # without it a folder with code has the user asked
    if dtype is not None:
        if not files:
            raise ModelError(f"{folder} has no .safetensors file; pickled weights are not opened")
        options["use_safetensors"] = True
        options["variant"] = "fp16" if all(".fp16" in name for name in files) else None
        options["torch_dtype" if kind.__module__.startswith("diffusers") else "dtype"] = dtype
    try:
        with _quiet():
            if dtype is not None and len(files) == 1 and kind.__module__.startswith("transformers"):
                network = _read(kind, folder, files[0], dtype)
                if network is not None:
                    return network
            return kind.from_pretrained(str(folder), **options)
    except Exception as error:
        # The tokenizers' library raises plain Exceptions and has no kind of its own.
        if is_out_of_memory(error) or not (isinstance(error, _BROKEN) or type(error) is Exception):
            raise
        raise ModelError(
            f"{folder} cannot be opened as {kind.__name__}: {error}. "
            "Its files are broken or another model's; get them again"
        ) from error


def _read(kind: Any, folder: Path, file: str, dtype: torch.dtype) -> Any:
    """A network of transformers from its configuration and one file, or None if they do not fit.

    The library's own way compiles the old names of all its models first, which takes longer than
    the file; of CLIP's networks only a prefix ever changed.
    """
    config = kind.config_class.from_pretrained(str(folder), local_files_only=True)
    with no_init_weights():
        network = kind(config)
    own, state = network.state_dict().keys(), {}
    for name, tensor in load_file(folder / file).items():
        short = name.removeprefix("text_model.").removeprefix("vision_model.")
        state[name if name in own else short] = tensor.to(dtype)
    if state.keys() != own:
        return None
    network.load_state_dict(state, assign=True)
    return network.eval()


def read_tensors(file: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """What a safetensors file holds by name, and its metadata.

    Raises:
        ModelError: it is missing or broken.
    """
    try:
        with safe_open(str(file), framework="pt") as opened:
            tensors = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
            return tensors, opened.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{file} cannot be read: {error}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars of the libraries' own: a part is read in a moment."""
    showing = [x for x in (diffusers_logging, transformers_logging) if x.is_progress_bar_enabled()]
    for library in showing:
        library.disable_progress_bar()
    try:
        yield
    finally:
        for library in showing:
            library.enable_progress_bar()
