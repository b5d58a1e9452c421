#!/usr/bin/env python3
"""The judge: a small classifier that says what a picture, or the hole in one, shows.

    .venv/bin/python scripts/scenes/judge.py --output models/judge.pt       trains it on drawn scenes; states accuracy

It is trained on drawn scenes only, never on what a model made. It sees the pixels of the hole alone (everything when
the hole is the whole picture) and names the object, its colour, the time of day and the ground.
"""

import argparse
import multiprocessing
import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "training"))

from data import SIZE, as_tensor, scene  # noqa: E402
from draw import draw  # noqa: E402
from loop import DEVICE, Schedule, train  # noqa: E402
from masks import KINDS, hole_by_lot, object_in_hole  # noqa: E402
from settings import keep_apart  # noqa: E402
from world import COLOURS, GROUNDS, OBJECTS, TIMES  # noqa: E402

NOTHING = len(OBJECTS)  # the answer "no object"
QUESTIONS = {"object": len(OBJECTS) + 1, "colour": len(COLOURS), "time": len(TIMES), "ground": len(GROUNDS)}
UNKNOWN = -1


class Judge(torch.nn.Module):
    def __init__(self):
        super().__init__()
        widths = (4, 32, 64, 128, 128)
        layers = []
        for index, (before, after) in enumerate(zip(widths, widths[1:])):
            layers += [
                torch.nn.Conv2d(before, after, 3, padding=1, stride=2 if index else 1),
                torch.nn.GroupNorm(8, after),
                torch.nn.SiLU(),
                torch.nn.Conv2d(after, after, 3, padding=1, stride=1 if index else 2),
                torch.nn.GroupNorm(8, after),
                torch.nn.SiLU(),
            ]
        self.features = torch.nn.Sequential(*layers)
        self.answers = torch.nn.ModuleDict({q: torch.nn.Linear(widths[-1] * 16, n) for q, n in QUESTIONS.items()})

    def forward(self, pictures, holes):
        """Logits of every question; pictures [n, 3, 64, 64] in -1...1, holes [n, 1, 64, 64] of 0 and 1."""
        seen = torch.cat([pictures * holes, holes * 2 - 1], dim=1).contiguous(memory_format=torch.channels_last)
        features = self.features(seen)
        pooled = torch.nn.functional.adaptive_max_pool2d(features, 4).flatten(1)
        return {question: answer(pooled) for question, answer in self.answers.items()}


def example(task):
    """A drawn scene seen through a hole, or whole, and the right answers; UNKNOWN where there is none."""
    seed, split, index = task
    truth, _ = scene(seed, split, index)
    rng = np.random.default_rng((seed, 77, index))
    picture, silhouettes = draw(truth, SIZE)
    if rng.random() < 0.35:
        hole = np.ones((SIZE, SIZE), bool)
    else:
        hole = hole_by_lot(rng, truth, silhouettes, SIZE, KINDS[rng.integers(len(KINDS))])
    shown = object_in_hole(truth, silhouettes, hole)
    kind, colour = NOTHING, UNKNOWN
    if shown is None:
        kind = UNKNOWN
    elif shown >= 0:
        thing = truth.things[shown]
        kind, colour = OBJECTS.index(thing.kind), COLOURS.index(thing.colour)
    # A hole that is all object says nothing of the ground, and of the time only how bright it is.
    clear = hole & ~np.logical_or.reduce(silhouettes) if silhouettes else hole
    rows = (np.arange(SIZE) + 0.5) / SIZE
    ground_pixels = (clear & (rows > truth.horizon + 0.03)[:, None]).sum()
    tells_ground, tells_time = ground_pixels >= 40, clear.sum() >= 40
    answers = (
        kind,
        colour,
        TIMES.index(truth.time) if tells_time else UNKNOWN,
        GROUNDS.index(truth.ground) if tells_ground else UNKNOWN,
    )
    return picture, hole, answers


def examples(seed, split, count):
    with multiprocessing.Pool() as pool:
        results = pool.map(example, [(seed, split, index) for index in range(count)], chunksize=256)
    pictures, holes, answers = zip(*results)
    return np.stack(pictures), np.stack(holes), torch.tensor(answers)


def as_tensors(pictures, holes):
    return as_tensor(pictures), torch.from_numpy(np.ascontiguousarray(holes))[:, None].float().to(DEVICE)


def trained(seed, count, steps, work) -> Judge:
    pictures, holes, answers = examples(seed, "judging", count)
    torch.manual_seed(seed)
    modules = torch.nn.ModuleDict({"judge": Judge()})

    def loss(rng, generator):
        chosen = rng.integers(count, size=64)
        shown, hole = as_tensors(pictures[chosen], holes[chosen])
        # A model's pictures are a little off in brightness and never quite clean: the judge must not mind.
        shown = shown * (1 + 0.1 * torch.randn(64, 1, 1, 1, generator=generator).to(DEVICE))
        shown = shown + 0.06 * torch.randn(shown.shape, generator=generator).to(DEVICE) * float(rng.random())
        if rng.random() < 0.5:
            shown, hole = shown.flip(-1), hole.flip(-1)
        logits = modules["judge"](shown, hole)
        right = answers[chosen].to(DEVICE)
        parts = {
            question: torch.nn.functional.cross_entropy(logits[question], right[:, i], ignore_index=UNKNOWN)
            for i, question in enumerate(QUESTIONS)
        }
        return {"loss": sum(parts.values()), **parts}

    schedule = Schedule(steps=steps, peak=1.5e-3)
    return train("judge", modules, loss, schedule, work, seed, averaging=0.995, report_every=200)["judge"]


@torch.no_grad()
def verdicts(judge: Judge, pictures: np.ndarray, holes: np.ndarray) -> np.ndarray:
    """Indices of the answers, [n, questions]; uint8 pictures [n, 64, 64, 3], bool holes [n, 64, 64]."""
    found = []
    for start in range(0, len(pictures), 100):
        logits = judge(*as_tensors(pictures[start : start + 100], holes[start : start + 100]))
        found.append(torch.stack([logits[question].argmax(1) for question in QUESTIONS], dim=1).cpu().numpy())
    return np.concatenate(found)


def accuracy(judge: Judge, seed: int, count: int) -> dict[str, tuple[float, int]]:
    """Share of right answers on held-out drawn scenes and how many there were; whole pictures and holes apart."""
    pictures, holes, answers = examples(seed, "held out", count)
    found, answers = verdicts(judge, pictures, holes), answers.numpy()
    whole = holes.all(axis=(1, 2))
    result = {}
    for where, chosen in (("whole picture", whole), ("hole", ~whole)):
        for index, question in enumerate(QUESTIONS):
            asked = chosen & (answers[:, index] != UNKNOWN)
            right = found[asked, index] == answers[asked, index]
            result[f"{question}, {where}"] = (float(right.mean()), int(asked.sum()))
        asked = chosen & (answers[:, 1] != UNKNOWN)
        both = (found[asked, :2] == answers[asked, :2]).all(axis=1)
        result[f"object and colour, {where}"] = (float(both.mean()), int(asked.sum()))
    return result


def check(file: Path):
    """Ends the program, before it has worked for hours, if there is no judge."""
    if not file.is_file():
        raise SystemExit(f"{file}: no judge there; train it: python scripts/scenes/judge.py --output {file}")


def load(file: Path) -> Judge:
    judge = Judge()
    judge.load_state_dict(torch.load(file, weights_only=True))
    return judge.to(DEVICE).to(memory_format=torch.channels_last).eval()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("models/judge.pt"), metavar="FILE")
    parser.add_argument("--work", type=Path, default=Path("models/training"), help="state (default models/training)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scenes", type=int, default=30_000, help="drawn scenes to learn from (default 30000)")
    parser.add_argument("--steps", type=int, default=2500, metavar="N", help="steps of 64 (default 2500)")
    arguments = parser.parse_args()
    options = ("seed", "scenes", "steps")
    keep_apart(arguments.work / "judge.settings.json", {name: getattr(arguments, name) for name in options})
    judge = trained(arguments.seed, arguments.scenes, arguments.steps, arguments.work)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    torch.save(judge.state_dict(), arguments.output)
    for question, (share, count) in accuracy(load(arguments.output), arguments.seed, 4000).items():
        print(f"{question}: {100 * share:.1f} % of {count}")


if __name__ == "__main__":
    main()
