#!/usr/bin/env python3
"""How well what is painted follows a scribble: the shipped ControlNet on drawn scenes, with the method and without.

    .venv/bin/python scripts/scenes/judge.py --output models/judge.pt
    .venv/bin/python scripts/scenes/finder.py --output models/finder.pt
    .venv/bin/python scripts/benchmark/control.py

Every case is a held-out scene without one of its objects, a box about the place where that stood, its outline as a map,
and its name as the prompt ("a red tent"). What is measured, means over the cases with 95 % intervals:

    IoU     %  intersection over union of what the finder finds in the hole with the map's inside
    text    %  the judge sees the prompt's object in its colour in the hole
    seam       steps of brightness across the hole's border, as a multiple of those in the drawn scene with the object

A case's seeds are averaged before the interval is taken over the cases. Finished jobs are kept in --work.
"""

import argparse
import dataclasses
import os
import sys
from pathlib import Path

import numpy as np
from PIL import Image

sys.path[:0] = [str(Path(__file__).resolve().parent.parent / room) for room in ("scenes", "training")]

import finder as finding  # noqa: E402
import judge as judging  # noqa: E402
from data import SIZE, scene  # noqa: E402
from draw import draw  # noqa: E402
from engine import BUILT, Engine, save_hole, side_by_side  # noqa: E402
from maps import outline  # noqa: E402
from masks import inflated  # noqa: E402
from scoreboard import border_step, interval  # noqa: E402
from settings import keep_apart  # noqa: E402
from world import COLOURS, OBJECTS, name  # noqa: E402

METHODS = {
    "PILOT, control": ("map",),
    "PILOT, no control": (),
    "blending, control": ("map", "--coherence", "0"),
    "blending, no control": ("--coherence", "0"),
}
COMPARED = [
    ("PILOT, control", "PILOT, no control"),
    ("PILOT, control", "blending, control"),
    ("blending, control", "blending, no control"),
]
DIGITS = {"IoU": 1, "text": 1, "seam": 2}
FIRST = 20_000  # beyond the held-out scenes that anything else is scored on


class Case:
    """A scene without one of its objects, and what is asked for in its place."""

    def __init__(self, index, seed, truth):
        rng = np.random.default_rng((seed, 10, index))
        self.index = index
        number = int(rng.integers(len(truth.things)))
        self.thing = truth.things[number]
        others = truth.things[:number] + truth.things[number + 1 :]
        self.whole, _ = draw(truth, SIZE)
        self.picture, standing = draw(dataclasses.replace(truth, things=others), SIZE)
        # The whole of it, also where another object stood in front.
        _, (self.shape,) = draw(dataclasses.replace(truth, things=(self.thing,)), SIZE)
        self.hole = box_about(rng, self.shape)
        for other in standing:
            self.hole &= ~inflated(other, 2)
        self.prompt = name(self.thing)

    def write(self, folder):
        self.image_file, self.hole_file, self.map_file = (
            folder / f"{self.index:03}{end}.png" for end in ("", "-hole", "-map")
        )
        Image.fromarray(self.picture).save(self.image_file)
        save_hole(self.hole, self.hole_file)
        Image.fromarray(outline(self.shape)).save(self.map_file)


def box_about(rng, shape):
    """A box with the shape in it, on each side 3 to 14 pixels away, so that it does not say where exactly that is."""
    rows, columns = np.nonzero(shape)
    above, below, left, right = rng.integers(3, 15, 4)
    y, x = np.mgrid[: shape.shape[0], : shape.shape[1]]
    inside = (rows.min() - above <= y) & (y <= rows.max() + below)
    return inside & (columns.min() - left <= x) & (x <= columns.max() + right)


def cases_of(count, seed):
    """The first held-out scenes that have an object, with room for all of it beside the others."""
    found, number = [], FIRST
    while len(found) < count:
        truth, _ = scene(seed, "held out", number)
        number += 1
        if truth.things:
            case = Case(len(found), seed, truth)
            if (case.shape & case.hole).sum() == case.shape.sum():
                found.append(case)
    return found


def run_job(engine, net, method, case, seed, folder):
    """The picture that a job makes, from the folder if it is there already."""
    output = folder / f"{case.index:03}-{seed}.png"
    if not output.exists():
        options = []
        for option in METHODS[method]:
            options += ["--control", net, "--control-image", case.map_file] if option == "map" else [option]
        engine.inpaint(case.image_file, case.hole_file, case.prompt, output, *options, "--seed", str(seed))
    return np.asarray(Image.open(output).convert("RGB"))


def figures_of(judge, finder, cases, pictures, repeats):
    """{figure: array [cases]}, the mean over the seeds; `pictures` has all cases of a seed together."""
    cases, pictures = cases * repeats, np.stack(pictures)
    holes, shapes = np.stack([case.hole for case in cases]), np.stack([case.shape for case in cases])
    verdicts = judging.verdicts(judge, pictures, holes)[:, :2]
    wanted = np.array([(OBJECTS.index(case.thing.kind), COLOURS.index(case.thing.colour)) for case in cases])
    drawn = np.mean([border_step(case.whole, case.hole) for case in cases])
    columns = {
        "IoU": 100 * finding.overlap(finding.found(finder, pictures) & holes, shapes),
        "text": 100.0 * (verdicts == wanted).all(axis=1),
        "seam": np.array([border_step(picture, hole) for picture, hole in zip(pictures, holes)]) / drawn,
    }
    return {figure: values.reshape(repeats, -1).mean(axis=0) for figure, values in columns.items()}


def table(rows, sign=""):
    lines = ["| | " + " | ".join(DIGITS) + " |", "|---" * (len(DIGITS) + 1) + "|"]
    for title, columns in rows.items():
        cells = []
        for figure, digits in DIGITS.items():
            value, half = interval(columns[figure])
            cells.append(f"{value:{sign}.{digits}f} ± {half:.{digits}f}")
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def differences(board):
    return {
        f"{one} against {other}": {figure: board[one][figure] - board[other][figure] for figure in DIGITS}
        for one, other in COMPARED
        if one in board and other in board
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pilot", type=Path, default=BUILT, help="the program (default: the release build)")
    parser.add_argument("--net", default="scenes-edges", metavar="DIR", help="a ControlNet (default: the shipped one)")
    parser.add_argument("--judge", type=Path, default=Path("models/judge.pt"), metavar="FILE", help="from judge.py")
    parser.add_argument("--finder", type=Path, default=Path("models/finder.pt"), metavar="FILE", help="from finder.py")
    parser.add_argument("--scenes", type=int, default=100, help="cases (default 100)")
    parser.add_argument("--seeds", type=int, default=1, help="jobs of each case and method (default 1)")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS), metavar="NAME")
    parser.add_argument("--options", default="", help="further options of pilot inpaint, for every job")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="jobs at a time (default: the cores)")
    parser.add_argument("--work", type=Path, default=Path("models/control"), help="where jobs are kept")
    parser.add_argument("--output", type=Path, metavar="FILE", help="the tables go here, too")
    arguments = parser.parse_args()

    judging.check(arguments.judge)
    finding.check(arguments.finder)
    keep_apart(arguments.work / "settings.json", {"net": arguments.net, "options": arguments.options})
    engine = Engine(arguments.pilot, options=tuple(arguments.options.split()))
    cases = cases_of(arguments.scenes, 0)
    (arguments.work / "cases").mkdir(exist_ok=True)
    for case in cases:
        case.write(arguments.work / "cases")
    judge, finder = judging.load(arguments.judge), finding.load(arguments.finder)
    drawn = [case.whole for case in cases]
    board = {"the drawn scenes": figures_of(judge, finder, cases, drawn, 1)}
    for method in arguments.methods:
        folder = arguments.work / method.replace(", ", "-").replace(" ", "-")
        folder.mkdir(exist_ok=True)

        def paint(task):
            return run_job(engine, arguments.net, method, *task, folder)

        tasks = [(case, seed) for seed in range(arguments.seeds) for case in cases]
        pictures = list(side_by_side(paint, tasks, arguments.jobs, method))
        board[method] = figures_of(judge, finder, cases, pictures, arguments.seeds)
    parts = [f"scenes {len(cases)}, seeds {arguments.seeds}\n", table(board)]
    if changes := differences(board):
        parts += ["\nDifference, case by case\n", table(changes, "+")]
    text = "\n".join(parts)
    print(text)
    if arguments.output:
        arguments.output.write_text(text + "\n")


if __name__ == "__main__":
    main()
