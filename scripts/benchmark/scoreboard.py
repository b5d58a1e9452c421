#!/usr/bin/env python3
"""The scoreboard of the method: PILOT's presets against blended latent diffusion, on drawn scenes whose truth is known.

    .venv/bin/python scripts/scenes/judge.py --output models/judge.pt
    .venv/bin/python scripts/benchmark/scoreboard.py --judge models/judge.pt

Every case is a held-out scene, a hole in it (outline of an object, inflated; box; free-form; across the horizon) and
the name of an object that is not there. What is measured, means over the cases with 95 % intervals:

    text        %  the judge sees the prompt's object in its colour in the hole
    time        %  the judge, who sees the hole alone, names the scene's time of day
    ground      %  ... and the scene's ground
    seam           steps of brightness across the hole's border, as a multiple of those in the drawn scene
    background     error of the kept part before it is pasted back, RMS in levels of 255
    seconds        of one job on one thread, as the engine sums them up; the median, for the machine may have been busy

A case's seeds are averaged before the interval is taken over the cases, for they are not independent. Finished jobs are
kept in --work and not run again, so that a run that was cut off goes on, and more seeds can be added later.
"""

import argparse
import json
import os
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import load_file

sys.path[:0] = [str(Path(__file__).resolve().parent.parent / room) for room in ("scenes", "training")]

import judge as judging  # noqa: E402
from data import SIZE, scene  # noqa: E402
from draw import draw  # noqa: E402
from engine import BUILT, Engine, save_hole, side_by_side  # noqa: E402
from masks import KINDS, hole_by_lot, other_than  # noqa: E402
from settings import keep_apart  # noqa: E402
from world import COLOURS, GROUNDS, OBJECTS, TIMES, with_article  # noqa: E402

METHODS = {
    "PILOT paper": ("--preset", "paper"),
    "PILOT balanced": ("--preset", "balanced"),
    "PILOT fast": ("--preset", "fast"),
    "blended, masks": ("--coherence", "0"),
    "blended, plain": ("--coherence", "0", "--no-cross-attention-mask", "--no-self-attention-mask"),
}
BASELINES = ("blended, masks", "blended, plain")
DIGITS = {"text": 1, "time": 1, "ground": 1, "seam": 2, "background": 2, "seconds": 1}  # of each figure's mean


class Case:
    """A scene, a hole in it, and what is to be painted there."""

    def __init__(self, index, seed):
        rng = np.random.default_rng((seed, 9, index))
        # Beyond those that the autoencoder and the judge are tested on.
        self.scene, _ = scene(seed, "held out", 10_000 + index)
        self.picture, silhouettes = draw(self.scene, SIZE)
        self.mask_kind = KINDS[index % len(KINDS)]
        self.hole = hole_by_lot(rng, self.scene, silhouettes, SIZE, self.mask_kind)
        present = self.scene.things[-1].kind if self.scene.things else None
        self.kind = other_than(rng, present)
        self.colour = COLOURS[rng.integers(len(COLOURS))]
        self.prompt = with_article(f"{self.colour} {self.kind}")
        self.index = index

    def write(self, folder):
        self.image_file, self.hole_file = folder / f"{self.index:03}.png", folder / f"{self.index:03}-hole.png"
        Image.fromarray(self.picture).save(self.image_file)
        save_hole(self.hole, self.hole_file)


def border_step(picture, hole):
    """Mean absolute difference of two neighbours of which one is in the hole, in levels."""
    values = picture.astype(np.float64)
    steps = []
    for axis in (0, 1):
        crosses = np.diff(hole.astype(np.int8), axis=axis) != 0
        steps.append(np.abs(np.diff(values, axis=axis)).mean(axis=2)[crosses])
    steps = np.concatenate(steps)
    return steps.mean() if len(steps) else 0.0


def background_error(dump, case):
    """RMS of decoded against drawn outside the hole, in levels of 255."""
    decoded = np.clip(load_file(dump)["decoded"].transpose(1, 2, 0), -1, 1) * 127.5 + 127.5
    return float(np.sqrt(((decoded - case.picture)[~case.hole] ** 2).mean()))


def run_job(engine, method, case, seed, folder):
    """One job's figures, from the folder if they are there already."""
    name = f"{case.index:03}-{seed}"
    record, output, dump = folder / f"{name}.json", folder / f"{name}.png", folder / f"{name}.safetensors"
    if not record.exists():
        options = (*METHODS[method], "--seed", str(seed), "--dump", dump)
        seconds = engine.inpaint(case.image_file, case.hole_file, case.prompt, output, *options)
        figures = {"seconds": seconds, "background": background_error(dump, case)}
        dump.unlink()
        record.write_text(json.dumps(figures))
    picture = np.asarray(Image.open(output).convert("RGB"))
    return json.loads(record.read_text()), picture


def judged(judge, cases, pictures):
    """Of each picture: text, time, ground as 0 or 100, and the seam's step in levels."""
    holes = np.stack([case.hole for case in cases])
    found = judging.verdicts(judge, np.stack(pictures), holes)
    rows = []
    for case, verdict, picture in zip(cases, found, pictures):
        kind, colour, time, ground = verdict
        rows.append(
            {
                "text": 100.0 * (OBJECTS.index(case.kind) == kind and COLOURS.index(case.colour) == colour),
                "time": 100.0 * (TIMES[time] == case.scene.time),
                "ground": 100.0 * (GROUNDS[ground] == case.scene.ground),
                "step": border_step(picture, case.hole),
            }
        )
    return rows


def jobs_of(engine, method, cases, seeds, work, jobs):
    """[(case, record, picture)] of every seed and case, in this order; runs what was not run before."""
    folder = work / method.replace(", ", "-").replace(" ", "-")
    folder.mkdir(parents=True, exist_ok=True)
    tasks = [(case, seed) for seed in seeds for case in cases]
    done = side_by_side(lambda task: run_job(engine, method, *task, folder), tasks, jobs, method)
    return [(case, *result) for (case, _), result in zip(tasks, done)]


def figures_of(judge, done, case_count):
    """{figure: array [cases]}, the mean over the seeds."""
    cases, records, pictures = zip(*done)
    rows = judged(judge, cases, pictures)
    drawn = np.array([border_step(case.picture, case.hole) for case in cases])
    columns = {name: np.array([row[name] for row in rows]) for name in ("text", "time", "ground")}
    # Relative to the mean step of all drawn scenes: single ones are sometimes all but flat.
    columns["seam"] = np.array([row["step"] for row in rows]) / drawn.mean()
    columns |= {name: np.array([record[name] for record in records]) for name in ("background", "seconds")}
    return {name: values.reshape(-1, case_count).mean(axis=0) for name, values in columns.items()}


def drawn_figures(judge, cases):
    """The drawn scenes themselves: what the judge and the seam say of pictures that were never touched."""
    rows = judged(judge, cases, [case.picture for case in cases])
    steps = np.array([row["step"] for row in rows])
    columns = {name: np.array([row[name] for row in rows]) for name in ("time", "ground")}
    return columns | {"seam": steps / steps.mean()}


def interval(values, middle=np.mean, draws=4000):
    """Their mean (or other `middle`), and the half width of its 95 % bootstrap interval over the cases."""
    rng = np.random.default_rng(0)
    middles = middle(values[rng.integers(len(values), size=(draws, len(values)))], axis=1)
    low, high = np.percentile(middles, (2.5, 97.5))
    return middle(values), (high - low) / 2


def table(board, names, against=None):
    """A row per method: means, or means of the differences to the columns `against`."""
    lines = ["| | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for method, columns in board.items():
        cells = [cell(columns[name], name, against and against[name]) if name in columns else "" for name in names]
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def cell(values, name, against):
    middle = np.median if name == "seconds" else np.mean
    value, half = interval(values if against is None else values - against, middle)
    sign = "" if against is None else "+"
    return f"{value:{sign}.{DIGITS[name]}f} ± {half:.{DIGITS[name]}f}"


def report(board, cases, seeds):
    names = list(DIGITS)
    methods = {method: columns for method, columns in board.items() if method != "drawn"}
    parts = [f"scenes {len(cases)}, seeds {len(seeds)}\n", table(board, names)]
    for baseline in BASELINES:
        others = {method: columns for method, columns in methods.items() if method != baseline}
        if baseline in methods and others:
            parts += [f"\nDifference to {baseline}, case by case\n", table(others, names, methods[baseline])]
    for what, groups in groups_of(cases).items():
        parts += [f"\nText by {what} (how many scenes)\n", text_table(methods, groups)]
    return "\n".join(parts)


def groups_of(cases):
    """{what they are by: {title: which cases}}; by the hole's size, four groups of equal number."""
    shares = np.array([case.hole.mean() for case in cases])
    quarters = np.array_split(np.argsort(shares, kind="stable"), 4)

    def by(attribute, values):
        return {value: [i for i, case in enumerate(cases) if getattr(case, attribute) == value] for value in values}

    return {
        "kind of hole": by("mask_kind", KINDS),
        "the hole's share of the picture": {
            f"{shares[chosen].min():.0%} to {shares[chosen].max():.0%}": chosen for chosen in quarters if len(chosen)
        },
        "the prompt's colour": by("colour", COLOURS),
        "the prompt's object": by("kind", OBJECTS),
    }


def text_table(methods, groups):
    groups = {title: chosen for title, chosen in groups.items() if len(chosen)}
    titles = [f"{title} ({len(chosen)})" for title, chosen in groups.items()]
    lines = ["| | " + " | ".join(titles) + " |", "|---" * (len(titles) + 1) + "|"]
    for method, columns in methods.items():
        cells = [cell(columns["text"][chosen], "text", None) for chosen in groups.values()]
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pilot", type=Path, default=BUILT, help="the program (default: the release build)")
    parser.add_argument("--model", metavar="DIR", help="a model (default: the engine's own)")
    parser.add_argument("--judge", type=Path, default=Path("models/judge.pt"), metavar="FILE", help="from judge.py")
    parser.add_argument("--scenes", type=int, default=200, help="cases (default 200)")
    parser.add_argument("--first", type=int, default=0, help="the first case's number: other cases to try settings on")
    parser.add_argument("--seeds", type=int, default=3, help="jobs of each case and method (default 3)")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS), metavar="NAME")
    parser.add_argument("--options", default="", help="further options of pilot inpaint, for every job")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="jobs at a time (default: the cores)")
    parser.add_argument("--work", type=Path, default=Path("models/scoreboard"), help="where jobs are kept")
    parser.add_argument("--output", type=Path, metavar="FILE", help="the tables go here, too")
    arguments = parser.parse_args()

    judging.check(arguments.judge)
    work = arguments.work
    keep_apart(work / "settings.json", {"model": arguments.model or "the engine's own", "options": arguments.options})
    engine = Engine(arguments.pilot, arguments.model, tuple(arguments.options.split()))
    cases = [Case(arguments.first + index, 0) for index in range(arguments.scenes)]
    seeds = range(arguments.seeds)
    (work / "cases").mkdir(exist_ok=True)
    for case in cases:
        case.write(work / "cases")
    done = {method: jobs_of(engine, method, cases, seeds, work, arguments.jobs) for method in arguments.methods}
    judge = judging.load(arguments.judge)
    board = {"drawn": drawn_figures(judge, cases)}
    board |= {method: figures_of(judge, several, len(cases)) for method, several in done.items()}
    text = report(board, cases, seeds)
    print(text)
    if arguments.output:
        arguments.output.write_text(text + "\n")


if __name__ == "__main__":
    main()
