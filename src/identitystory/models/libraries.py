"""The classes of diffusers and transformers that networks are opened with, and little else of them.

Their modules import every other model, torch's compiler and half of scipy: more than twice what
torch itself takes. While they are imported here, a `_StandIn` holds the place of each such package:
its submodules are imported as ever, its own code is not run. Afterwards the places are empty again,
and whoever imports one of the packages gets it whole.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from importlib.metadata import version
from types import ModuleType
from typing import Any

import torch


class _StandIn(ModuleType):
    """A package in whose place it stands for a while; asked for anything else, it is the package."""

    def __init__(self, name: str, spec: ModuleSpec, homes: dict[str, str]) -> None:
        super().__init__(name)
        self.__spec__, self.__file__ = spec, spec.origin
        if spec.submodule_search_locations is not None:
            self.__path__ = list(spec.submodule_search_locations)
        vars(self)["homes"] = homes

    def __getattr__(self, name: str) -> Any:
        """The name from its home, or the package's own."""
        if name.startswith("__"):
            raise AttributeError(name)
        if name in self.homes and sys.modules.get(self.__name__) is self:
            home = importlib.import_module(self.homes[name])
            return getattr(home, name, home)
        self.leave()
        return getattr(importlib.import_module(self.__name__), name)

    def leave(self) -> None:
        """Empties the place; the package is made aware of its submodules when it is imported."""
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
            parent, _, own = self.__name__.rpartition(".")
            holder = sys.modules.get(parent)
            if holder is not None and vars(holder).get(own) is self:
                delattr(holder, own)
            _FINDER.names.add(self.__name__)


class _Finder:
    """Finds a package that was stood in for, once: its code runs, and what waited for it follows."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """The package's own, with the waiting things done after its code."""
        if name not in self.names:
            return None
        self.names.remove(name)
        spec: Any = importlib.util.find_spec(name)
        run = spec.loader.exec_module

        def run_and_follow(module: ModuleType) -> None:
            if name == "peft" and torch.distributed.is_available():
                importlib.import_module(
                    "torch.distributed.tensor"
                )  # transformers imports it for peft
            run(module)
            for inner in [each for each in sys.modules if each.rpartition(".")[0] == name]:
                vars(module).setdefault(inner.rpartition(".")[2], sys.modules[inner])
            for mark, marked in _MARKED if name == "torch._dynamo" else ():
                getattr(module, mark)(marked)

        spec.loader.exec_module = run_and_follow
        return spec


class _Named:
    """A function or class of a package that is imported when it is called or asked for something.

    Before that nothing is an instance of it.
    """

    def __init__(self, module: str, name: str) -> None:
        self._place = module, name

    def _real(self) -> Any:
        return getattr(importlib.import_module(self._place[0]), self._place[1])

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self._real()(*args, **options)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._real(), name)

    def __instancecheck__(self, instance: object) -> bool:
        return self._place[0] in sys.modules and isinstance(instance, self._real())


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
        compiler: Any = sys.modules.get("torch._dynamo")
        if compiler is None or isinstance(compiler, _StandIn):
            return function(*values, **named)
        return compiler.disable(function, *args, **options)(*values, **named)

    return disabled


_MARKED: list[tuple[str, Any]] = []
_FINDER = _Finder()
_DECORATORS = {name: _marker(name) for name in ("allow_in_graph", "assume_constant_result")}
_PEFT = "peft.tuners.tuners_utils"
_PACKAGES: dict[str, dict[str, Any]] = {
    "torch._dynamo": {"disable": _disable, **_DECORATORS},
    "scipy.optimize": {"linear_sum_assignment": None},
    "scipy.stats": {},
    "scipy.integrate": {},
    "peft": {},
    "peft.tuners": {},
    _PEFT: {"BaseTunerLayer": None},
    "transformers": {"__version__": version("transformers"), "AutoImageProcessor": None},
    "transformers.models": {},
    "transformers.processing_utils": {},
    "diffusers.models.transformers": {},
    "diffusers.models.autoencoders": {},
    "diffusers.models.unets": {},
    "diffusers.hooks": {},
}
_HOMES = {
    "transformers": {
        "initialization": "transformers.initialization",
        "PreTrainedModel": "transformers.modeling_utils",
    },
    "transformers.processing_utils": {"Unpack": "typing"},
}


@contextmanager
def _alone() -> Iterator[None]:
    """Imports without the packages above, torch's distributed half and made-up docstrings.

    transformers asks once whether torch is distributed, and is told no: who trains on several
    machines in the same process starts torch.distributed, or imports transformers, before a model is
    opened. Its docstrings are put together from tables of all its models.
    """
    asked, first = torch.distributed.is_available, "transformers" not in sys.modules
    if first and not (asked() and torch.distributed.is_initialized()):
        torch.distributed.is_available = lambda: False
    there = []
    for name, known in _PACKAGES.items():
        if name not in sys.modules and (spec := importlib.util.find_spec(name)) is not None:
            package = sys.modules[name] = _StandIn(name, spec, _HOMES.get(name, {}))
            parts = {k: _Named(name, k) if v is None else v for k, v in known.items()}
            vars(package).update(parts)
            parent, _, own = name.rpartition(".")
            if parent:
                setattr(sys.modules[parent], own, package)
            there.append(package)
    utils: Any = importlib.import_module("transformers.utils")
    documented = utils.auto_docstring
    utils.auto_docstring = lambda given=None, **_: given or (lambda undocumented: undocumented)
    sys.meta_path.insert(0, _FINDER)
    try:
        yield
    finally:
        for package in reversed(there):
            package.leave()
        torch.distributed.is_available = asked
        utils.auto_docstring = documented


with _alone():
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
