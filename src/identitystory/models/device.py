"""Which device and which number format a checkpoint runs in."""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from ..errors import ConfigError, shown

ACTIVATIONS = 80


def resolve_device(device: str) -> torch.device:
    """``device``, with ``auto`` the best there is: CUDA, then Apple's, then the CPU.

    Raises:
        ConfigError: there is no such device.
    """
    if device == "auto":
        found = "mps" if torch.backends.mps.is_available() else "cpu"
        return torch.device("cuda" if torch.cuda.is_available() else found)
    if not re.fullmatch(r"cpu|mps|cuda(:\d{1,3})?", device, re.ASCII):
        raise ConfigError(f"device is {shown(device)}; it must be auto, cpu, cuda, cuda:N or mps")
    kind, _, number = device.partition(":")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise ConfigError("device is 'mps', but this machine has no Apple GPU; use auto or cpu")
    count = torch.cuda.device_count() if kind == "cuda" and torch.cuda.is_available() else 0
    if kind == "cuda" and int(number or 0) >= count:
        there = f"only cuda:0 to cuda:{count - 1}" if count else "no CUDA"
        raise ConfigError(f"device is {device!r}, but this machine has {there}; use auto or cpu")
    return torch.device(device)


def resolve_dtype(dtype: str, device: torch.device) -> torch.dtype:
    """``dtype``, with ``auto`` the fastest that is safe on ``device``.

    bfloat16 where the hardware multiplies it (CUDA from Ampere, CPUs with AMX or AVX512-BF16),
    float16 on other accelerators, float32 on other CPUs.

    Raises:
        ConfigError: another name than auto, float32, float16 or bfloat16.
    """
    names = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
    if dtype in names:
        return names[dtype]
    if dtype != "auto":
        raise ConfigError(f"dtype is {shown(dtype)}; auto, {', '.join(names)}")
    if device.type == "cpu":
        return torch.bfloat16 if _multiplies_bfloat16() else torch.float32
    if device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0):
        return torch.bfloat16
    return torch.float16


def _multiplies_bfloat16() -> bool:
    """Whether this CPU has matrix instructions for bfloat16; False where torch cannot say."""
    checks = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return any(getattr(torch.cpu, check, lambda: False)() for check in checks)


def rows_that_fit(device: torch.device, activation: int) -> int:
    """How many rows a U-Net can take at once beside what is on the device now, a power of two.

    An estimate: a row needs about ``ACTIVATIONS`` times one activation of the first block. It only
    saves a first attempt, for a batch that does not fit is halved. Without bound on a CPU.

    Args:
        device: where the U-Net is.
        activation: bytes of a row's activation in the first block.
    """
    if device.type != "cuda":
        return 2**20
    free, _ = torch.cuda.mem_get_info(device)
    fit = int(0.8 * free) // max(1, ACTIVATIONS * activation)
    return 1 << max(1, fit).bit_length() - 1


def free_memory() -> None:
    """Gives back what the accelerator's allocator only keeps for later."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def in_parts(rows: Sequence[int], most: int, work: Callable[[list[int]], None]) -> int:
    """Gives ``work`` all ``rows``, at most so many at a time, and half as many where memory runs out.

    Returns:
        how many fit at a time.

    Raises:
        torch.OutOfMemoryError: one row does not fit.
    """
    left = list(rows)
    while left:
        some = left[:most]
        try:
            work(some)
        except torch.OutOfMemoryError:
            if len(some) == 1:
                raise
            most = len(some) // 2
        else:
            left = left[len(some) :]
            continue
        free_memory()  # after the exception, which holds what was computed
    return most


class Room:
    """The device, and who is on it: everybody at once, or one network at a time.

    One at a time is slower, and needs no more memory than the largest network: each is brought
    from the main memory when it is used, and takes the place of the one before.

    Attributes:
        device: where networks compute.
        one_at_a_time: whether they take turns.
    """

    def __init__(self, device: torch.device, *, one_at_a_time: bool = False) -> None:
        self.device = device
        self.one_at_a_time = one_at_a_time
        self.inside: nn.Module | None = None

    def place(self, module: Any) -> Any:
        """A freshly loaded module, on the device; in the main memory if they take turns."""
        return module if self.one_at_a_time else module.to(self.device)

    @contextmanager
    def holding(self, module: nn.Module) -> Iterator[None]:
        """``module`` is on the device."""
        if self.one_at_a_time and self.inside is not module:
            before, self.inside = self.inside, None
            if before is not None:
                before.to("cpu")
            try:
                module.to(self.device)
            except BaseException:
                module.to("cpu")  # what of it had come
                raise
            self.inside = module
        yield


def compile_unet(unet: Any, backend: str | Callable[..., Any] = "inductor") -> None:
    """Has ``torch.compile`` take over ``unet``'s forward, in place, when it is first called.

    Each new shape (pictures at once, tokens of a prompt, LoRA on or off) is compiled once more. The
    numbers differ from the uncompiled ones in the last bits, so a run keeps the choice in its keys.

    Args:
        unet: any module; its parameters, hooks and attention processors stay its own.
        backend: one of ``torch.compile``'s; ``eager`` traces and compiles nothing.

    Raises:
        ConfigError: at the first call, this machine cannot compile (no C++ compiler, say).
    """
    run = torch.compile(unet.forward, backend=backend)

    def forward(*inputs: Any, **options: Any) -> Any:
        try:
            return run(*inputs, **options)
        except RuntimeError as error:
            if not type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
                raise
            reason = " ".join(str(error).split("\n")[:2]).strip()  # torch's own, then the cause
            raise ConfigError(
                f"torch cannot compile the U-Net on this machine ({reason}); "
                "leave --compile out, or say --no-compile in a folder that has it"
            ) from error

    unet.forward = forward
