#!/usr/bin/env python3
"""Whether what is painted is what a picture shows: the shipped IP-Adapter on drawn scenes, against words, and nothing.

    .venv/bin/python scripts/scenes/judge.py --output models/judge.pt
    .venv/bin/python scripts/benchmark/shown_pictures.py

The cases are those of control.py: a held-out scene without one of its objects, a box where that stood. What is shown is
another held-out scene with an object of the same kind in the same colour. Shares of the cases, with 95 % intervals, in
which the judge sees in the hole the object, the colour, and both.
"""

import argparse
import dataclasses
import os
import sys
from pathlib import Path

import numpy as np
from PIL import Image

sys.path[:0] = [str(Path(__file__).resolve().parent.parent / room) for room in ("scenes", "training")]

import judge as judging  # noqa: E402
from control import cases_of  # noqa: E402
from data import SIZE  # noqa: E402
from draw import draw  # noqa: E402
from engine import BUILT, Engine, side_by_side  # noqa: E402
from scoreboard import interval  # noqa: E402
from settings import keep_apart  # noqa: E402
from world import COLOURS, OBJECTS, scene_by_lot  # noqa: E402

# Whether there is the adapter, and whether the prompt has the object's name.
METHODS = {
    "picture, no words": (True, False),
    "neither": (False, False),
    "words, no picture": (False, True),
    "both": (True, True),
}


def shown_for(case, seed):
    """A picture of such an object in another place, another light and on another ground."""
    rng = np.random.default_rng((seed, 12, case.index))
    other = scene_by_lot(rng, things=1)
    thing = dataclasses.replace(other.things[0], kind=case.thing.kind, colour=case.thing.colour)
    return draw(dataclasses.replace(other, things=(thing,)), SIZE)[0]


def run_job(engine, adapter, method, case, shown, seed, folder):
    """The picture that a job makes, from the folder if it is there already."""
    output = folder / f"{case.index:03}-{seed}.png"
    if not output.exists():
        has_picture, has_words = METHODS[method]
        options = ["--ip-adapter", adapter, "--ip-adapter-image", shown] if has_picture else []
        prompt = case.prompt if has_words else ""
        engine.inpaint(case.image_file, case.hole_file, prompt, output, *options, "--seed", str(seed))
    return np.asarray(Image.open(output).convert("RGB"))


def figures_of(judge, cases, pictures, repeats):
    cases = cases * repeats
    verdicts = judging.verdicts(judge, np.stack(pictures), np.stack([case.hole for case in cases]))[:, :2]
    right = verdicts == [(OBJECTS.index(case.thing.kind), COLOURS.index(case.thing.colour)) for case in cases]
    columns = {"object": right[:, 0], "colour": right[:, 1], "both": right.all(axis=1)}
    return {figure: 100.0 * values.reshape(repeats, -1).mean(axis=0) for figure, values in columns.items()}


def table(board):
    lines = ["| | object, % | colour, % | both, % |", "|---|---|---|---|"]
    for method, columns in board.items():
        cells = ["{:.1f} ± {:.1f}".format(*interval(values)) for values in columns.values()]
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pilot", type=Path, default=BUILT, help="the program (default: the release build)")
    parser.add_argument("--adapter", default="scenes-picture", metavar="FILE", help="default: the shipped one")
    parser.add_argument("--judge", type=Path, default=Path("models/judge.pt"), metavar="FILE", help="from judge.py")
    parser.add_argument("--scenes", type=int, default=100, help="cases (default 100)")
    parser.add_argument("--seeds", type=int, default=1, help="jobs of each case and method (default 1)")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS), metavar="NAME")
    parser.add_argument("--options", default="", help="further options of pilot inpaint, for every job")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="jobs at a time (default: the cores)")
    parser.add_argument("--work", type=Path, default=Path("models/shown-pictures"), help="where jobs are kept")
    parser.add_argument("--output", type=Path, metavar="FILE", help="the table goes here, too")
    arguments = parser.parse_args()

    judging.check(arguments.judge)
    keep_apart(arguments.work / "settings.json", {"adapter": arguments.adapter, "options": arguments.options})
    engine = Engine(arguments.pilot, options=tuple(arguments.options.split()))
    cases = cases_of(arguments.scenes, 0)
    (arguments.work / "cases").mkdir(exist_ok=True)
    shown = {}
    for case in cases:
        case.write(arguments.work / "cases")
        shown[case.index] = arguments.work / "cases" / f"{case.index:03}-shown.png"
        Image.fromarray(shown_for(case, 0)).save(shown[case.index])
    judge = judging.load(arguments.judge)
    board = {}
    for method in arguments.methods:
        folder = arguments.work / method.replace(", ", "-").replace(" ", "-")
        folder.mkdir(exist_ok=True)

        def paint(task):
            case, seed = task
            return run_job(engine, arguments.adapter, method, case, shown[case.index], seed, folder)

        tasks = [(case, seed) for seed in range(arguments.seeds) for case in cases]
        pictures = list(side_by_side(paint, tasks, arguments.jobs, method))
        board[method] = figures_of(judge, cases, pictures, arguments.seeds)
    text = f"scenes {len(cases)}, seeds {arguments.seeds}\n\n{table(board)}"
    print(text)
    if arguments.output:
        arguments.output.write_text(text + "\n")


if __name__ == "__main__":
    main()
