"""Holes for the drawn scenes: inflated outlines of an object, boxes, free-form strokes, and across the horizon."""

import numpy as np
from world import OBJECTS, Scene, thing_by_lot

KINDS = ("outline", "box", "free-form", "horizon")


def hole_by_lot(
    rng: np.random.Generator, scene: Scene, silhouettes: list[np.ndarray], size: int, kind: str
) -> np.ndarray:
    """A hole, bool [size, size], true where the picture is to be repainted. An outline or a box is laid about one of
    the scene's objects where there is one, else where one could stand."""
    if kind == "outline" and silhouettes:
        return inflated(silhouettes[rng.integers(len(silhouettes))], rng.integers(3, 7) * size // 64)
    if kind == "horizon":
        return _across_horizon(rng, scene, size)
    thing = scene.things[rng.integers(len(scene.things))] if scene.things and rng.random() < 0.5 else None
    thing = thing or thing_by_lot(rng, scene.horizon)
    middle = (thing.x, thing.y - 0.45 * thing.size)
    return (_box if kind == "box" else _strokes)(rng, middle, thing.size, size)


def inflated(silhouette: np.ndarray, radius: int) -> np.ndarray:
    """Every pixel within `radius` of the silhouette."""
    result = silhouette.copy()
    reach = range(-radius, radius + 1)
    padded = np.pad(silhouette, radius)
    side = silhouette.shape[0]
    for down in reach:
        for right in reach:
            if down * down + right * right <= radius * radius:
                result |= padded[radius + down : radius + down + side, radius + right : radius + right + side]
    return result


def _grid(size):
    centres = (np.arange(size) + 0.5) / size
    return np.meshgrid(centres, centres)


def _box(rng, middle, extent, size):
    x, y = _grid(size)
    half = extent * rng.uniform(0.55, 0.75, 2)
    return (np.abs(x - middle[0]) < half[0]) & (np.abs(y - middle[1]) < half[1])


def _strokes(rng, middle, extent, size):
    """A thick line through a few points about the middle."""
    x, y = _grid(size)
    points = np.asarray(middle) + extent * rng.uniform(-0.42, 0.42, (5, 2))
    hole = np.zeros((size, size), bool)
    for a, b in zip(points, points[1:]):
        along = b - a
        share = np.clip(((x - a[0]) * along[0] + (y - a[1]) * along[1]) / max(along @ along, 1e-9), 0, 1)
        hole |= np.hypot(x - a[0] - share * along[0], y - a[1] - share * along[1]) < 0.3 * extent
    return hole


def _across_horizon(rng, scene, size):
    """An ellipse from the sky down to where objects stand."""
    x, y = _grid(size)
    top = scene.horizon - rng.uniform(0.1, 0.22)
    foot = scene.horizon + rng.uniform(0.3, 0.4)
    wide = rng.uniform(0.2, 0.3)
    middle = rng.uniform(wide, 1 - wide)
    return ((x - middle) / wide) ** 2 + ((y - (top + foot) / 2) / ((foot - top) / 2)) ** 2 < 1


def object_in_hole(scene: Scene, silhouettes: list[np.ndarray], hole: np.ndarray) -> int | None:
    """Which of the scene's objects the hole shows: its index, -1 for none at all, None where it can't be said (an
    object that is cut, two of them)."""
    shares = [(shape & hole).sum() / max(1, shape.sum()) for shape in silhouettes]
    whole = [index for index, share in enumerate(shares) if share > 0.85]
    touched = sum(share > 0.03 for share in shares)
    if touched == 0:
        return -1
    return whole[0] if len(whole) == 1 and touched == 1 else None


def other_than(rng: np.random.Generator, kind: str | None) -> str:
    """A kind of object, but not this one."""
    choice = [other for other in OBJECTS if other != kind]
    return choice[rng.integers(len(choice))]
