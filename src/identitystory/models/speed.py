"""How fast a network is, beside the machine's own matrix multiplication."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from ..protocols import ImageGenerator
from ..types import Prompt


def machine(device: torch.device) -> str:
    """What computes: the accelerator's name, or the processor's and its threads."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    names = Path("/proc/cpuinfo")
    lines = names.read_text(encoding="utf-8").splitlines() if names.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{(models or [platform.processor()])[0]}, {torch.get_num_threads()} threads"


def timed(work: Callable[[], Any], device: torch.device) -> tuple[float, float, Any]:
    """Wall and processor seconds of ``work``, the accelerator's queue empty before and after; its result."""
    waits = {"cuda": torch.cuda.synchronize, "mps": torch.mps.synchronize}
    synchronize = waits.get(device.type, lambda: None)
    synchronize()
    began, busy = time.perf_counter(), time.process_time()
    result = work()
    synchronize()
    return time.perf_counter() - began, time.process_time() - busy, result


def matmul_peak(device: torch.device, dtype: torch.dtype) -> float:
    """Operations a second of a large matrix multiplication, the best of several.

    On a processor, which others may be using at the same time, a second of its own time.
    """
    n = 1024 if device.type == "cpu" else 8192
    a, b = (torch.randn(n, n, device=device).to(dtype) for _ in range(2))
    best = 0.0
    for _ in range(8):
        wall, busy, _ = timed(lambda: a @ b, device)
        best = max(best, 2 * n**3 / (busy if device.type == "cpu" else wall))
    return best


@dataclass(frozen=True)
class Speed:
    """Of a network call.

    Attributes:
        operations: floating-point operations; 0 where torch counts none.
        seconds: wall time.
        share: of what `matmul_peak` reaches on the same device and in the same dtype.
    """

    operations: float
    seconds: float
    share: float


def speed(generator: ImageGenerator, device: torch.device, dtype: torch.dtype) -> Speed:
    """What a guided step of one picture takes, the median of three after one that is not counted."""
    cond = generator.condition([Prompt("a portrait of a woman", guidance=5.0)])
    i, z = generator.num_steps, generator.noise(0)[None]
    step = lambda: generator.step(z, i, cond)
    with torch.no_grad():
        with FlopCounterMode(display=False) as counter:
            step()
        took = sorted(timed(step, device)[:2] for _ in range(3))[1]
    calls = max(1, generator.calls(i, cond))
    operations = counter.get_total_flops()
    counted = took[1] if device.type == "cpu" else took[0]
    rate = operations / max(counted, 1e-9)
    return Speed(operations / calls, took[0] / calls, rate / matmul_peak(device, dtype))
