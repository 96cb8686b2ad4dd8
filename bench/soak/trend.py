"""Trends: whether a figure is level or growing, from samples of it. Pure."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

WARM_UP = 0.2
"""The share of the time at the start in which caches fill, pools open and code is loaded. It shows no trend."""
_WINDOW = 0.1
_HOUR = 3600.0

Point = tuple[float, float]
"""A time in seconds, and the value measured then."""


@dataclass(frozen=True, slots=True)
class Trend:
    """A figure's course: the medians of the first, middle and last tenth of the time, and the line that best fits the
    time after the warm-up."""

    start: float
    middle: float
    end: float
    per_hour: float
    rise: float
    """How much that line rises from start to end."""


def trend(points: Sequence[Point]) -> Trend:
    """Return the trend of at least two points, oldest first."""
    began, ended = points[0][0], points[-1][0]
    warm = began + (ended - began) * WARM_UP
    after = [point for point in points if point[0] >= warm]
    slope = _slope(after)
    return Trend(
        start=_median_around(points, 0.0),
        middle=_median_around(points, 0.5),
        end=_median_around(points, 1.0),
        per_hour=slope * _HOUR,
        rise=slope * (after[-1][0] - after[0][0]),
    )


def _slope(points: Sequence[Point]) -> float:
    """Return the slope per second, by least squares."""
    if len(points) < 2:
        return 0.0
    times, values = zip(*points, strict=True)
    return statistics.linear_regression(times, values).slope


def _median_around(points: Sequence[Point], where: float) -> float:
    """Return the median of the tenth of the time that starts, surrounds or ends there."""
    began, ended = points[0][0], points[-1][0]
    at = _WINDOW / 2 + where * (1 - _WINDOW)
    low, high = (began + (ended - began) * (at + half) for half in (-_WINDOW / 2, _WINDOW / 2))
    near = [value for seconds, value in points if low <= seconds <= high]
    return statistics.median(near or [points[round(where * (len(points) - 1))][1]])
