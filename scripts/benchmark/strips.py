#!/usr/bin/env python3
"""One picture on two ranks, as ratios to one rank of one thread: strips, branches, and one rank of two threads.

    swift build -c release
    scripts/benchmark/strips.py --model MODEL --size 512x512 --rounds 3

Times `pilot model benchmark`: both branches forward, and forward with the latent's gradient, and a decoding. The layouts
take turns, each in a process of its own, whose first pass is left out. Needs an otherwise idle machine with two cores; a
random model of Stable Diffusion 1.5's shape does (`pilot model init --architecture sd15 --output MODEL`).
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from launching import PROGRAM, environment, launcher  # noqa: E402

LAYOUTS = [  # name, ranks, options
    ("one rank", 1, ["--threads", "1"]),
    ("one rank of two threads", 1, ["--threads", "2"]),
    ("strips=2", 2, ["--threads", "1", "--layout", "strips=2"]),
    ("branches=2", 2, ["--threads", "1", "--layout", "branches=2"]),
]
FIGURES = ["forward", "with gradient", "decoding"]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=pathlib.Path, default=PROGRAM)
    parser.add_argument("--model", default="scenes")
    parser.add_argument("--size", default="128x128")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--passes", type=int, default=3, help="passes of a process, besides the first")
    return parser.parse_args()


def measure(options, ranks, layout):
    """Median seconds of each figure over the passes of one process."""
    command = launcher(ranks) + [
        str(options.program), "model", "benchmark", "--model", options.model, "--size", options.size, "--dtype",
        options.dtype, "--passes", str(options.passes + 1), "--gradient", "--decode"] + layout
    result = subprocess.run(command, env=environment(), capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {result.returncode}:\n{result.stderr[-2000:]}")
    passes = [json.loads(line) for line in result.stdout.splitlines()][1:]
    forward = [one["forward_seconds"] for one in passes]
    both = [one["forward_seconds"] + one["backward_seconds"] for one in passes]
    return [statistics.median(values) for values in (forward, both, [one["decode_seconds"] for one in passes])]


def main():
    options = arguments()
    seconds = {name: [] for name, _, _ in LAYOUTS}
    for round_number in range(options.rounds):
        for name, ranks, layout in LAYOUTS:
            figures = measure(options, ranks, layout)
            seconds[name].append(figures)
            shown = ", ".join(f"{figure} {value:.3f} s" for figure, value in zip(FIGURES, figures))
            print(f"round {round_number + 1}: {name}: {shown}", flush=True)
    base = seconds[LAYOUTS[0][0]]
    print(f"\n{options.model}, {options.size}, {options.dtype}: times as fast as one rank of one thread, median of rounds")
    for name, _, _ in LAYOUTS[1:]:
        ratios = [statistics.median(one[i] / other[i] for one, other in zip(base, seconds[name])) for i in range(3)]
        print(f"  {name:<24}" + "  ".join(f"{figure} {ratio:.2f}" for figure, ratio in zip(FIGURES, ratios)))


if __name__ == "__main__":
    main()
