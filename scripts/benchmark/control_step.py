#!/usr/bin/env python3
"""What a ControlNet adds to a gradient step: jobs with and without one, in turns, on two ranks.

    .build/release/pilot model init --architecture sd15 --output models/sd15
    scripts/benchmark/control_step.py --model models/sd15 --control NET --size 512x512 --rounds 2

A gradient step is a forward pass of both branches and the gradient back through it, with the net where there is one; its
seconds are read from the trace, from the start of the pass on rank 0 to the end of its gradient. The first of a job is left
out. Random weights do: `scripts/reference/check_nets.py MODEL --write-nets FOLDER` makes a net of the model's shape.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from launching import PROGRAM, ROOT, environment, launcher  # noqa: E402
from scaling.traces import events  # noqa: E402


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=pathlib.Path, default=PROGRAM)
    parser.add_argument("--model", default="scenes")
    parser.add_argument("--control", default="scenes-edges")
    parser.add_argument("--size", default="128x128")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--gradient-steps", type=int, default=4)
    return parser.parse_args()


def gradient_steps(trace):
    """Seconds of each gradient step on rank 0, in their order."""
    begin, steps = {}, []
    with open(trace, encoding="utf-8") as file:
        for event in events(file):
            if event["pid"] != 0 or event["cat"] != "compute" or "pass" not in event["args"]:
                continue
            number = event["args"]["pass"]
            if event["args"]["leg"] == "down":
                begin[number] = event["ts"]
            elif event["args"]["leg"] == "upGradient":
                steps.append((event["ts"] + event["dur"] - begin[number]) / 1e6)
    return steps


def measure(options, nets, folder):
    trace = folder / "trace.json"
    command = launcher(options.ranks) + [
        str(options.program), "inpaint", "--model", options.model, "--image", str(ROOT / "examples/coffee.png"),
        "--mask", str(ROOT / "examples/coffee-mask.png"), "--prompt", "an orange", "--size", options.size, "--dtype",
        options.dtype, "--steps", "2", "--coherence", "0.5", "--optimize-every", "1", "--gradient-steps",
        str(options.gradient_steps), "--threads", "1", "--output", str(folder / "result.png"), "--trace", str(trace),
        "--overwrite", "--quiet"] + nets
    result = subprocess.run(command, env=environment(), capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {result.returncode}:\n{result.stderr[-2000:]}")
    return statistics.median(gradient_steps(trace)[1:])


def main():
    options = arguments()
    ratios = []
    with tempfile.TemporaryDirectory() as scratch:
        for round_number in range(options.rounds):
            plain = measure(options, [], pathlib.Path(scratch))
            steered = measure(options, ["--control", options.control, "--control-preprocess", "canny"], pathlib.Path(scratch))
            ratios.append(steered / plain)
            print(f"round {round_number + 1}: {plain:.3f} s without, {steered:.3f} s with: {ratios[-1]:.3f}", flush=True)
    print(f"{options.model}, {options.size}, {options.dtype}, {options.ranks} ranks: a gradient step takes "
          f"{statistics.median(ratios):.3f} times as long with the net (median of {len(ratios)})")


if __name__ == "__main__":
    main()
