#!/usr/bin/env python3
"""What the optimisation has to do, and does: both losses before and after the gradient steps of each timestep.

    .venv/bin/python scripts/benchmark/losses.py --scenes 24

The cases are the scoreboard's. Each runs twice, with the attention masks and without, for what the masks see to before
the first gradient step is what the loss can't gain any more:

    background     kappa times the sum of squares, over the kept part of the latent, of what the unconditional branch
                   expects it to become against what it was (Eq. 10)
    semantic       share of the prompt's effect that falls on the kept part, 0 to 1 (Eq. 11)

Means over the cases. For trying another learning rate, lambda or K: --options="--lambda 330".
"""

import argparse
import os
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scenes"))

from engine import BUILT, Engine, side_by_side  # noqa: E402
from scoreboard import METHODS, Case  # noqa: E402

WITHOUT_MASKS = METHODS["blended, plain"][2:]


def losses(engine, case, *, options, folder):
    """{step: [K, 3]}: L, L_bg and L_s before each gradient step."""
    dump, output = folder / f"{case.index:03}.safetensors", folder / f"{case.index:03}-result.png"
    engine.inpaint(case.image_file, case.hole_file, case.prompt, output, "--dump", dump, *options)
    tensors = load_file(dump)
    dump.unlink()
    return {name.split(".")[1]: values for name, values in tensors.items() if name.endswith(".loss")}


def table(runs):
    lines = ["| step | background, first | last | semantic, first | last |", "|---" * 5 + "|"]
    for step in sorted(runs[0]):
        means = np.mean([run[step] for run in runs], axis=0)
        lines.append(f"| {int(step)} | {means[0, 1]:.1f} | {means[-1, 1]:.1f} | {means[0, 2]:.2f} | {means[-1, 2]:.2f} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pilot", type=Path, default=BUILT, help="the program (default: the release build)")
    parser.add_argument("--model", metavar="DIR", help="a model (default: the engine's own)")
    parser.add_argument("--scenes", type=int, default=24, help="cases (default 24)")
    parser.add_argument("--first", type=int, default=0, help="the first case's number")
    parser.add_argument("--options", default="", help="further options of pilot inpaint, for every job")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="jobs at a time (default: the cores)")
    arguments = parser.parse_args()

    engine = Engine(arguments.pilot, arguments.model, tuple(arguments.options.split()))
    cases = [Case(arguments.first + index, 0) for index in range(arguments.scenes)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for case in cases:
            case.write(folder)
        for title, options in (("with the attention masks", ()), ("without them", WITHOUT_MASKS)):
            work = partial(losses, engine, options=options, folder=folder)
            print(f"\n{title}\n\n{table(list(side_by_side(work, cases, arguments.jobs, title)))}")


if __name__ == "__main__":
    main()
