"""The drawn scenes that networks are trained on, and those that are held out."""

import json
import multiprocessing
import sys
from pathlib import Path

import numpy as np
import torch
from loop import DEVICE

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scenes"))

from draw import draw  # noqa: E402
from world import Scene, caption, scene_by_lot  # noqa: E402

SIZE = 64  # the side of the pictures, in pixels
CAPTIONS_PER_SCENE = 4
SPLITS = {"training": 0, "judging": 1, "held out": 2}


def as_tensor(pictures: np.ndarray) -> torch.Tensor:
    """uint8 [n, size, size, 3] to float32 [n, 3, size, size] in -1...1."""
    return torch.from_numpy(np.array(pictures)).permute(0, 3, 1, 2).to(DEVICE).float() / 127.5 - 1


def scene(seed: int, split: str, index: int) -> tuple[Scene, list[str]]:
    """Scene number `index` of a split, and its captions."""
    rng = np.random.default_rng((seed, SPLITS[split], index))
    drawn = scene_by_lot(rng)
    return drawn, [caption(drawn, rng) for _ in range(CAPTIONS_PER_SCENE)]


def _drawn(task):
    seed, split, index, size = task
    truth, captions = scene(seed, split, index)
    return draw(truth, size)[0], captions


def drawn_scenes(seed: int, split: str, count: int, size: int) -> tuple[np.ndarray, list[list[str]]]:
    """`count` pictures, uint8 [count, size, size, 3], and the captions of each."""
    tasks = [(seed, split, index, size) for index in range(count)]
    with multiprocessing.Pool() as pool:
        results = pool.map(_drawn, tasks, chunksize=256)
    return np.stack([picture for picture, _ in results]), [captions for _, captions in results]


def cached_scenes(work: Path, seed: int, split: str, count: int, size: int) -> tuple[np.ndarray, list[list[str]]]:
    """The same, from files in `work` when they are there."""
    name = split.replace(" ", "-")
    pictures, captions = work / f"scenes-{name}.npy", work / f"captions-{name}.json"
    if not captions.exists():
        print(f"drawing {count} scenes", flush=True)
        drawn, words = drawn_scenes(seed, split, count, size)
        np.save(pictures, drawn)
        captions.write_text(json.dumps(words))
    return np.load(pictures, mmap_mode="r"), json.loads(captions.read_text())
