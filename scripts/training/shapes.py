"""Drawn scenes with the places of their objects, for networks that are to know where something is."""

import json
import multiprocessing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from data import SIZE, scene

from draw import draw


@dataclass(frozen=True)
class ShapedScenes:
    pictures: np.ndarray  # uint8 [n, SIZE, SIZE, 3]
    shapes: np.ndarray  # uint8 [n, SIZE, SIZE]: 0, or 1 and more for the scene's objects
    captions: list[list[str]]  # of each scene
    things: list[list[str]]  # of each scene, the objects' names: "red ball"

    def __len__(self):
        return len(self.pictures)


def labelled(silhouettes: list[np.ndarray]) -> np.ndarray:
    """One array of all silhouettes: 0, or 1 and more for the objects in their order."""
    shapes = np.zeros((SIZE, SIZE), np.uint8)
    for number, silhouette in enumerate(silhouettes, 1):
        shapes[silhouette] = number
    return shapes


def _drawn(task):
    truth, captions = scene(*task)
    picture, silhouettes = draw(truth, SIZE)
    return picture, labelled(silhouettes), captions, [f"{thing.colour} {thing.kind}" for thing in truth.things]


def shaped_scenes(seed: int, split: str, first: int, count: int) -> ShapedScenes:
    """`count` scenes of a split, from number `first` on."""
    with multiprocessing.Pool() as pool:
        results = pool.map(_drawn, [(seed, split, first + index) for index in range(count)], chunksize=256)
    pictures, shapes, captions, things = zip(*results)
    return ShapedScenes(np.stack(pictures), np.stack(shapes), list(captions), list(things))


def cached(work: Path, seed: int, split: str, count: int) -> ShapedScenes:
    """The first `count` of a split, from files in `work` when they are there."""
    name = f"{split.replace(' ', '-')}-shaped"
    arrays, words = work / f"{name}.npz", work / f"{name}.json"
    if not words.exists():
        print(f"drawing {count} scenes", flush=True)
        drawn = shaped_scenes(seed, split, 0, count)
        np.savez(arrays, pictures=drawn.pictures, shapes=drawn.shapes)
        words.write_text(json.dumps({"captions": drawn.captions, "things": drawn.things}))
    with np.load(arrays) as stored:
        return ShapedScenes(stored["pictures"], stored["shapes"], **json.loads(words.read_text()))
