"""The classes of diffusers and transformers that networks are opened with, and little else of them.

Their modules import every other model, torch's compiler, half of scipy: more than twice what torch
itself takes. A `Later` stands in ``sys.modules`` for such a package. Its submodules are imported as
ever, and its own code runs when somebody asks for a name that only this code defines: whoever uses
the package gets the package, and nothing has to be taken back.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from threading import RLock
from types import ModuleType
from typing import Any

import torch

_LOCK = RLock()


class Later(ModuleType):
    """A package whose own code runs when it is needed.

    Args:
        name: the package.
        homes: names that it hands on, and the modules they come from; a module of that name itself
            if it has no such name.
        known: names that it has before its code runs.
    """

    def __init__(self, name: str, homes: Mapping[str, str], known: Mapping[str, Any]) -> None:
        super().__init__(name)
        spec = importlib.util.find_spec(name)
        assert spec is not None  # noqa: S101
        self.__spec__, self.__file__ = spec, spec.origin
        self.__path__ = list(spec.submodule_search_locations or ())
        self.__dict__.update(known, _homes=homes, _known=known, _ran=False)

    def __getattr__(self, name: str) -> Any:
        """The name from its home, or from the package's own code, which runs for it."""
        if name.startswith("__") and name != "__all__":
            raise AttributeError(name)
        with _LOCK:
            if not self._ran and name in self._homes:
                home = importlib.import_module(self._homes[name])
                return getattr(home, name, home)
            if not self._ran:
                self._run()
        real = sys.modules[self.__name__]  # transformers puts another module in its place
        if real is self:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return getattr(real, name)

    def _run(self) -> None:
        self.__dict__["_ran"] = True
        for name in self._known:
            self.__dict__.pop(name, None)
        self.__spec__.loader.exec_module(self)  # type: ignore[union-attr]
        if self.__name__ == "torch._dynamo":
            for mark, marked in _MARKED:
                getattr(self, mark)(marked)


def later(name: str, homes: Mapping[str, str] = {}, known: Mapping[str, Any] = {}) -> None:
    """Puts a `Later` in the place of a package that is installed and not imported yet."""
    if name not in sys.modules and importlib.util.find_spec(name) is not None:
        package = sys.modules[name] = Later(name, homes, known)
        parent, _, own = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], own, package)


def _marker(name: str) -> Callable[[Any], Any]:
    """A decorator of torch's compiler that only marks: done when the compiler is imported."""

    def mark(what: Any) -> Any:
        _MARKED.append((name, what))
        return what

    return mark


def _disable(function: Any = None, *args: Any, **options: Any) -> Any:
    """``torch._dynamo.disable``: until the compiler is there, nothing calls from compiled code."""
    if function is None:
        return lambda given: _disable(given, *args, **options)

    @functools.wraps(function)
    def disabled(*values: Any, **named: Any) -> Any:
        compiler = torch._dynamo
        if compiler.disable is _disable:
            return function(*values, **named)
        return compiler.disable(function, *args, **options)(*values, **named)

    return disabled


def _called_later(module: str, name: str) -> Callable[..., Any]:
    """A function of ``module``, imported when it is called."""
    return lambda *args, **options: getattr(sys.modules[module], name)(*args, **options)


@contextmanager
def _without_distributed() -> Iterator[None]:
    """transformers, imported here first, asks once whether torch is distributed, and is told no.

    Who trains on several machines in the same process imports transformers or starts
    torch.distributed before a model is opened.
    """
    asked = torch.distributed.is_available
    if "transformers" not in sys.modules and not (asked() and torch.distributed.is_initialized()):
        torch.distributed.is_available = lambda: False
    try:
        yield
    finally:
        torch.distributed.is_available = asked


_TASKS = [
    "CausalLM",
    "QuestionAnswering",
    "Seq2SeqLM",
    "SequenceClassification",
    "TokenClassification",
]
_AUTO = ("AutoModel", "AutoTokenizer", "AutoImageProcessor", *(f"AutoModelFor{t}" for t in _TASKS))
_HOMES = {
    "initialization": "transformers.initialization",
    "PreTrainedModel": "transformers.modeling_utils",
    "BloomPreTrainedModel": "transformers.models.bloom",
    **dict.fromkeys(("Cache", "DynamicCache", "EncoderDecoderCache"), "transformers.cache_utils"),
    **dict.fromkeys(_AUTO, "transformers.models.auto"),
}
_MARKED: list[tuple[str, Any]] = []
_MARKERS = {name: _marker(name) for name in ("allow_in_graph", "assume_constant_result")}
_ASSIGN = "linear_sum_assignment"

with _without_distributed():
    later("torch._dynamo", known={"disable": _disable, **_MARKERS})
    later("transformers", _HOMES, {"__version__": version("transformers")})
    later("transformers.models")
    later("scipy.optimize", known={_ASSIGN: _called_later("scipy.optimize", _ASSIGN)})
    later("scipy.stats")
    later("scipy.integrate")
    later("diffusers.models.transformers")
    later("diffusers.models.autoencoders")
    later("diffusers.models.unets")
    later("diffusers.hooks")

    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler
    from diffusers.schedulers.scheduling_euler_discrete import EulerDiscreteScheduler
    from diffusers.utils import logging as diffusers_logging
    from transformers.initialization import no_init_weights
    from transformers.models.clip.configuration_clip import CLIPVisionConfig
    from transformers.models.clip.modeling_clip import (
        CLIPModel,
        CLIPTextModel,
        CLIPTextModelWithProjection,
        CLIPVisionModel,
        CLIPVisionModelWithProjection,
    )
    from transformers.models.clip.tokenization_clip import CLIPTokenizer
    from transformers.models.clipseg.modeling_clipseg import CLIPSegForImageSegmentation
    from transformers.utils import logging as transformers_logging

__all__ = [
    "AutoencoderKL",
    "CLIPModel",
    "CLIPSegForImageSegmentation",
    "CLIPTextModel",
    "CLIPTextModelWithProjection",
    "CLIPTokenizer",
    "CLIPVisionConfig",
    "CLIPVisionModel",
    "CLIPVisionModelWithProjection",
    "DDIMScheduler",
    "EulerDiscreteScheduler",
    "UNet2DConditionModel",
    "diffusers_logging",
    "later",
    "no_init_weights",
    "transformers_logging",
]
