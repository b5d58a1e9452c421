"""Control maps of drawn scenes, white lines on black: edges as the engine finds them, and outlines as drawn by hand."""

import cv2
import numpy as np


def edges(picture: np.ndarray) -> np.ndarray:
    """uint8 [size, size] of a picture [size, size, 3]; what the engine's `--control-preprocess canny` makes."""
    return cv2.Canny(np.ascontiguousarray(picture), 100, 200)


def outline(shape: np.ndarray) -> np.ndarray:
    """The pixels of a shape (bool) that have a neighbour outside: a line one pixel wide. Where the picture ends there is
    none, as if the shape went on."""
    core = cv2.erode(shape.astype(np.uint8), np.ones((3, 3), np.uint8))
    return (shape.astype(np.uint8) - core) * 255


def sketch(shape: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The outline as a hand draws it: few corners, none quite where it should be, one or two pixels wide, and at times
    smooth."""
    drawn = np.zeros(shape.shape, np.uint8)
    tolerance, shake = rng.uniform(0.3, 1.2), rng.uniform(0, 0.5)
    width, line = int(rng.integers(1, 3)), cv2.LINE_AA if rng.random() < 0.5 else cv2.LINE_8
    contours, _ = cv2.findContours(shape.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    for contour in contours:
        corners = cv2.approxPolyDP(contour, tolerance, True).astype(np.float64)
        corners += rng.normal(0, shake, corners.shape) if shake else 0
        # cv2 draws between sixteenths of a pixel.
        cv2.polylines(drawn, [np.round(corners * 16).astype(np.int32)], True, 255, width, line, 4)
    return drawn


def map_by_lot(rng: np.random.Generator, picture: np.ndarray, shapes: np.ndarray) -> np.ndarray:
    """A map for a scene, uint8 [size, size]: all of its edges; the outlines of one object, or of all; the edges within a
    box; or the outlines within a box and the edges around it. `shapes` as in `ShapedScenes`."""
    kind = rng.choice(("edges", "outlines", "edges in a box", "both"), p=(0.25, 0.45, 0.12, 0.18))
    if kind == "edges":
        return edges(picture)
    if kind == "outlines":
        return _outlines(rng, shapes)
    box = _box(rng, shapes)
    inside = edges(picture) if kind == "edges in a box" else _outlines(rng, shapes)
    outside = 0 if kind == "edges in a box" else edges(picture)
    return np.where(box, inside, outside).astype(np.uint8)


def _outlines(rng, shapes):
    numbers = [number for number in range(1, int(shapes.max()) + 1) if (shapes == number).any()]
    if len(numbers) > 1 and rng.random() < 0.5:
        numbers = [numbers[rng.integers(len(numbers))]]
    is_exact = rng.random() < 0.4
    drawn = np.zeros(shapes.shape, np.uint8)
    for number in numbers:
        drawn = np.maximum(drawn, outline(shapes == number) if is_exact else sketch(shapes == number, rng))
    return drawn


def _box(rng, shapes):
    """About an object as a rule, else anywhere."""
    size = shapes.shape[0]
    rows, columns = np.nonzero(shapes == rng.integers(1, shapes.max() + 1)) if shapes.any() else ([], [])
    box = np.zeros(shapes.shape, bool)
    if len(rows) and rng.random() < 0.75:
        margins = rng.integers(1, 12, 4)
        top, bottom = max(0, rows.min() - margins[0]), rows.max() + 1 + margins[1]
        left, right = max(0, columns.min() - margins[2]), columns.max() + 1 + margins[3]
    else:
        (top, left), (height, width) = rng.integers(0, size - 16, 2), rng.integers(16, size, 2)
        bottom, right = top + height, left + width
    box[top:bottom, left:right] = True
    return box
