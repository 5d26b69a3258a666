"""Colours as the eye tells them apart: OKLab."""

from __future__ import annotations

from typing import Any

import numpy as np

Pixels = np.ndarray[Any, Any]

# Björn Ottosson 2020, "A perceptual color space for image processing": linear sRGB to cones to OKLab.
_TO_CONE = np.array([
    [0.4122214708, 0.5363325363, 0.0514459929],
    [0.2119034982, 0.6806995451, 0.1073969566],
    [0.0883024619, 0.2817188376, 0.6299787005],
])  # fmt: skip
_TO_LAB = np.array([
    [0.2104542553, 0.793617785, -0.0040720468],
    [1.9779984951, -2.428592205, 0.4505937099],
    [0.0259040371, 0.7827717662, -0.808675766],
])  # fmt: skip


def rgb_to_lab(rgb: Pixels) -> Pixels:
    """OKLab (..., 3) of sRGB colours (..., 3) in 0..255."""
    x = np.asarray(rgb, float) / 255
    x = np.where(x > 0.04045, ((x + 0.055) / 1.055) ** 2.4, x / 12.92)
    return np.asarray(np.cbrt(x @ _TO_CONE.T) @ _TO_LAB.T)
