#!/usr/bin/env python3
"""The finder: a small network that says which pixels of a picture belong to an object.

    .venv/bin/python scripts/scenes/finder.py --output models/finder.pt     trains it on drawn scenes; states how well

It is trained on drawn scenes only, never on what a model made, as the judge is. How well it finds: the intersection over
union with the drawn objects, on held-out scenes.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "training"))

from data import as_tensor  # noqa: E402
from loop import DEVICE, Schedule, autocast, train  # noqa: E402
from settings import keep_apart  # noqa: E402
from shapes import ShapedScenes, cached, shaped_scenes  # noqa: E402

BATCH = 32
WIDTHS = (24, 48, 96, 96)


def pair(before: int, after: int) -> torch.nn.Sequential:
    layers = []
    for inputs in (before, after):
        layers += [torch.nn.Conv2d(inputs, after, 3, padding=1), torch.nn.GroupNorm(8, after), torch.nn.SiLU()]
    return torch.nn.Sequential(*layers)


class Finder(torch.nn.Module):
    """A ladder down and up, with a step across on every rung."""

    def __init__(self):
        super().__init__()
        self.down = torch.nn.ModuleList(pair(a, b) for a, b in zip((3, *WIDTHS), WIDTHS))
        self.up = torch.nn.ModuleList(pair(a + b, b) for b, a in zip(WIDTHS, WIDTHS[1:]))
        self.last = torch.nn.Conv2d(WIDTHS[0], 1, 1)

    def forward(self, pictures):
        """Logits [n, size, size] of pictures [n, 3, size, size] in -1...1."""
        rungs, hidden = [], pictures.contiguous(memory_format=torch.channels_last)
        for index, layers in enumerate(self.down):
            hidden = layers(functional.max_pool2d(hidden, 2) if index else hidden)
            rungs.append(hidden)
        for index in reversed(range(len(self.up))):
            wide = functional.interpolate(hidden, scale_factor=2, mode="bilinear")
            hidden = self.up[index](torch.cat([wide, rungs[index]], dim=1))
        return self.last(hidden)[:, 0]


def trained(scenes: ShapedScenes, steps: int, work: Path, seed: int) -> Finder:
    torch.manual_seed(seed)
    modules = torch.nn.ModuleDict({"finder": Finder().to(memory_format=torch.channels_last)})

    def loss(rng, generator):
        chosen = rng.integers(len(scenes), size=BATCH)
        shown = as_tensor(scenes.pictures[chosen])
        wanted = torch.from_numpy(scenes.shapes[chosen] > 0).to(DEVICE).float()
        # As the judge: a model's pictures are a little off in brightness and never quite clean.
        shown = shown * (1 + 0.1 * torch.randn(BATCH, 1, 1, 1, generator=generator).to(DEVICE))
        shown = shown + 0.06 * torch.randn(shown.shape, generator=generator).to(DEVICE) * float(rng.random())
        if rng.random() < 0.5:
            shown, wanted = shown.flip(-1), wanted.flip(-1)
        with autocast():
            logits = modules["finder"](shown)
        return {"loss": functional.binary_cross_entropy_with_logits(logits.float(), wanted)}

    schedule = Schedule(steps=steps, peak=2e-3)
    return train("finder", modules, loss, schedule, work, seed, averaging=0.99)["finder"]


@torch.no_grad()
def found(finder: Finder, pictures: np.ndarray) -> np.ndarray:
    """Which pixels belong to an object, bool [n, size, size]; uint8 pictures [n, size, size, 3]."""
    parts = [finder(as_tensor(part)) > 0 for part in np.array_split(pictures, max(1, len(pictures) // 100))]
    return torch.cat(parts).cpu().numpy()


def overlap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of each two of bool [n, size, size]; 1 where both are empty."""
    both, either = (a & b).sum(axis=(1, 2)), (a | b).sum(axis=(1, 2))
    return np.where(either == 0, 1.0, both / np.maximum(either, 1))


def check(file: Path):
    """Ends the program, before it has worked for long, if there is no finder."""
    if not file.is_file():
        raise SystemExit(f"{file}: no finder there; train it: python scripts/scenes/finder.py --output {file}")


def load(file: Path) -> Finder:
    finder = Finder()
    finder.load_state_dict(torch.load(file, weights_only=True))
    return finder.to(DEVICE).to(memory_format=torch.channels_last).eval()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("models/finder.pt"), metavar="FILE")
    parser.add_argument("--work", type=Path, default=Path("models/companions"), help="state (default models/companions)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scenes", type=int, default=20_000, help="drawn scenes to learn from (default 20000)")
    parser.add_argument("--steps", type=int, default=600, metavar="N", help=f"steps of {BATCH} (default 600)")
    parser.add_argument("--threads", type=int, help="CPU threads (default: PyTorch's choice)")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    keep_apart(arguments.work / "settings.json", {"seed": arguments.seed, "scenes": arguments.scenes})
    scenes = cached(arguments.work, arguments.seed, "training", arguments.scenes)
    finder = trained(scenes, arguments.steps, arguments.work, arguments.seed)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    torch.save(finder.state_dict(), arguments.output)
    held_out = shaped_scenes(arguments.seed, "held out", 0, 1000)
    objects = held_out.shapes > 0
    figures = overlap(found(load(arguments.output), held_out.pictures), objects)[objects.any(axis=(1, 2))]
    print(f"{len(figures)} held-out scenes: IoU {figures.mean():.3f}, of the worst tenth {np.quantile(figures, 0.1):.3f}")


if __name__ == "__main__":
    main()
