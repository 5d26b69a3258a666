"""One network of a checkpoint, opened, or one line that says why not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from ..errors import ModelError, is_out_of_memory
from .libraries import diffusers_logging, transformers_logging

_BROKEN = (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError)


def load_part(kind: Any, folder: Path, *, dtype: torch.dtype | None = None) -> Any:
    """A diffusers or transformers class from a local folder, safetensors only.

    Raises:
        ModelError: weights or configuration are missing or broken, or only a pickle is there.
    """
    files = sorted(file.name for file in folder.glob("*.safetensors"))
    options: dict[str, Any] = {"local_files_only": True}
    if dtype is not None:
        if not files:
            raise ModelError(f"{folder} has no .safetensors file; pickled weights are not opened")
        options["use_safetensors"] = True
        options["variant"] = "fp16" if all(".fp16" in name for name in files) else None
        options["torch_dtype" if kind.__module__.startswith("diffusers") else "dtype"] = dtype
    try:
        with _quiet():
            return kind.from_pretrained(str(folder), **options)
    except Exception as error:
        # The tokenizers' library raises plain Exceptions and has no kind of its own.
        if is_out_of_memory(error) or not (isinstance(error, _BROKEN) or type(error) is Exception):
            raise
        raise ModelError(
            f"{folder} cannot be opened as {kind.__name__}: {error}. "
            "Its files are broken or another model's; get them again"
        ) from error


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
