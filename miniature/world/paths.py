"""Outlines from points: smooth curves, brush strokes, ovals, boxes. Points are (x, y) pairs, y down."""

from __future__ import annotations

import math
from itertools import pairwise

import skia


def spline(
    points, closed: bool = False, path: skia.Path | None = None, tension: float = 1 / 6
) -> skia.Path:
    """A smooth curve through the points; with ``path`` it goes on from there, meeting it in a corner."""
    n = len(points)
    if path is None:
        path = skia.Path()
        path.moveTo(*points[0])
    else:
        path.lineTo(*points[0])
    for i in range(n if closed else n - 1):
        if closed:
            a, b, c, d = points[i - 1], points[i], points[(i + 1) % n], points[(i + 2) % n]
        else:
            a, b, c, d = points[max(i - 1, 0)], points[i], points[i + 1], points[min(i + 2, n - 1)]
        path.cubicTo(
            b[0] + (c[0] - a[0]) * tension, b[1] + (c[1] - a[1]) * tension,
            c[0] - (d[0] - b[0]) * tension, c[1] - (d[1] - b[1]) * tension, c[0], c[1],
        )  # fmt: skip
    if closed:
        path.close()
    return path


def shape(*runs) -> skia.Path:
    """A closed outline of smooth runs of points that meet in corners."""
    path = None
    for run in runs:
        path = spline(run, path=path)
    path.close()
    return path


def taper(points, widths) -> skia.Path:
    """A brush stroke through the points, ``widths[i]`` wide at each."""
    left, right, n = [], [], len(points)
    for i, (x, y) in enumerate(points):
        (ax, ay), (bx, by) = points[max(i - 1, 0)], points[min(i + 1, n - 1)]
        dx, dy = bx - ax, by - ay
        k = widths[i] / 2 / (math.hypot(dx, dy) or 1)
        left.append((x - dy * k, y + dx * k))
        right.append((x + dy * k, y - dx * k))
    return shape(right, left[::-1])


def oval(x: float, y: float, rx: float, ry: float | None = None, turn: float = 0.0) -> skia.Path:
    """An ellipse with these half axes, turned by degrees."""
    ry = rx if ry is None else ry
    path = skia.Path()
    path.addOval(skia.Rect(x - rx, y - ry, x + rx, y + ry))
    if turn:
        path.transform(skia.Matrix.RotateDeg(turn, (x, y)))
    return path


def ovals(circles, clockwise: bool = True) -> skia.Path:
    """The union of (x, y, radius) circles; all drawn one way round, for ``joined``."""
    path = skia.Path()
    path.setFillType(skia.PathFillType.kWinding)
    way = skia.PathDirection.kCW if clockwise else skia.PathDirection.kCCW
    for x, y, r in circles:
        path.addOval(skia.Rect(x - r, y - r, x + r, y + r), way)
    return path


def poly(*points) -> skia.Path:
    """A closed polygon."""
    path = skia.Path()
    path.addPoly([skia.Point(*q) for q in points], True)
    return path


def segment(*points) -> skia.Path:
    """An open line through the points."""
    path = skia.Path()
    path.addPoly([skia.Point(*q) for q in points], False)
    return path


def box(x0: float, y0: float, x1: float, y1: float, r: float = 0.0) -> skia.Path:
    """A rectangle, its corners rounded by ``r``."""
    path = skia.Path()
    rect = skia.Rect(x0, y0, x1, y1)
    path.addRoundRect(rect, r, r) if r else path.addRect(rect)
    return path


def joined(*parts) -> skia.Path:
    """The union of several outlines as one; all must be drawn the same way round (ovals: clockwise)."""
    path = skia.Path()
    path.setFillType(skia.PathFillType.kWinding)
    for part in parts:
        path.addPath(part)
    return path


def ring(outer: skia.Path, inner: skia.Path) -> skia.Path:
    """What lies between two outlines."""
    path = skia.Path()
    path.addPath(outer)
    path.addPath(inner)
    path.setFillType(skia.PathFillType.kEvenOdd)
    return path


def evenly(points, n: int) -> list[tuple[float, float]]:
    """``n`` points at even distances along a polyline."""
    way = [0.0]
    for a, b in pairwise(points):
        way.append(way[-1] + math.hypot(b[0] - a[0], b[1] - a[1]))
    out, j = [], 0
    for i in range(n):
        t = way[-1] * i / (n - 1)
        while j < len(way) - 2 and way[j + 1] < t:
            j += 1
        k = (t - way[j]) / ((way[j + 1] - way[j]) or 1)
        (ax, ay), (bx, by) = points[j], points[j + 1]
        out.append((ax + (bx - ax) * k, ay + (by - ay) * k))
    return out
