#!/usr/bin/env python3
"""Pictures per hour of layouts on two ranks, as ratios to one rank of one thread, all in one run.

    swift build -c release
    scripts/benchmark/scaling.py --rounds 3

The layouts take turns, so that a machine that slows down slows all of them down. A batch is timed from the moment its
networks are loaded to its last picture, so filling and draining the stages count. `branches=2` has one job in flight,
which is how one picture is made faster; the others have as many as the program chooses. Needs an otherwise idle machine
with as many cores as the largest layout has ranks.

What two ranks can reach is what two cores give: "two alone" is two programs of one rank that know nothing of each
other, each with half of the pictures. Its ratio is below 2 where cores share a cache, a memory bus or a clock.
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
TWO_ALONE = ["two programs"]
LAYOUTS = [  # name, ranks, options
    ("one rank", 1, []),
    ("stages=2", 2, ["--layout", "stages=2"]),
    ("branches=2", 2, ["--layout", "branches=2", "--jobs-in-flight", "1"]),
    ("replicas=2", 2, ["--layout", "replicas=2"]),
    ("two alone", 2, TWO_ALONE),
]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=pathlib.Path, default=ROOT / ".build/release/pilot")
    parser.add_argument("--model", default="scenes")
    parser.add_argument("--size", default="256x256")
    parser.add_argument("--jobs", type=int, default=8, help="pictures of a batch")
    parser.add_argument("--steps", default="6", help="denoising steps of a picture; half of them optimise")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--only", nargs="*", help="names of layouts, besides one rank")
    return parser.parse_args()


def write_jobs(path, numbers):
    with open(path, "w") as file:
        for number in numbers:
            job = {
                "image": str(ROOT / "examples/meadow.png"), "mask": str(ROOT / "examples/meadow-mask.png"),
                "prompt": "a blue ball", "seed": number, "output": f"{number:03d}.png",
            }
            file.write(json.dumps(job) + "\n")


class Run:
    """A batch that was started; its seconds are those from the networks' loading to the last picture."""

    def __init__(self, options, output, jobs, ranks, layout):
        shutil.rmtree(output, ignore_errors=True)
        environment = dict(
            os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", OMPI_MCA_plm_rsh_agent="sh",
            OMPI_MCA_btl_vader_single_copy_mechanism="none")
        launch = ["mpirun", "-q", "--oversubscribe", "--bind-to", "none", "-np", str(ranks)] if ranks > 1 else []
        self.command = launch + [
            str(options.program), "batch", str(jobs), "--output", str(output), "--json", "--model", options.model,
            "--size", options.size, "--steps", options.steps, "--coherence", "0.5", "--optimize-every", "1",
            "--gradient-steps", "2", "--threads", "1", "--dtype", options.dtype,
        ] + layout
        self.process = subprocess.Popen(
            self.command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, bufsize=1)
        self.lines = []
        self.begin = self.end = None
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        for line in self.process.stderr:
            self.lines.append(line)
            if self.begin is None and ("1 rank of" in line or "ranks (" in line):
                self.begin = time.monotonic()
        self.process.wait()
        self.end = time.monotonic()

    def wait(self):
        self.reader.join()
        if self.process.returncode != 0 or self.begin is None:
            sys.exit(f"{' '.join(self.command)} ended with {self.process.returncode}:\n{''.join(self.lines[-20:])}")
        return self


def seconds_of(options, folder, ranks, layout):
    if layout != TWO_ALONE:
        done = Run(options, folder / "out", folder / "jobs.jsonl", ranks, layout).wait()
        return done.end - done.begin
    halves = [Run(options, folder / f"out-{half}", folder / f"half-{half}.jsonl", 1, []) for half in range(2)]
    done = [half.wait() for half in halves]
    return max(run.end for run in done) - min(run.begin for run in done)


def main():
    options = arguments()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="pilot-scaling-"))
    write_jobs(folder / "jobs.jsonl", range(options.jobs))
    for half in range(2):
        write_jobs(folder / f"half-{half}.jsonl", range(half, options.jobs, 2))
    layouts = [entry for entry in LAYOUTS if entry[1] == 1 or not options.only or entry[0] in options.only]
    seconds = {name: [] for name, _, _ in layouts}
    for turn in range(options.rounds):
        for name, ranks, layout in layouts:
            seconds[name].append(seconds_of(options, folder, ranks, layout))
            print(f"round {turn + 1}, {name}: {seconds[name][-1]:.2f} s", file=sys.stderr, flush=True)
    shutil.rmtree(folder)
    alone = statistics.median(seconds["one rank"])
    print(f"| layout | seconds for {options.jobs} pictures | pictures per hour | ratio |\n|---|---|---|---|")
    for name, values in seconds.items():
        middle = statistics.median(values)
        ratios = [one / other for one, other in zip(seconds["one rank"], values)]
        print(f"| {name} | {middle:.2f} | {3600 * options.jobs / middle:.0f} "
              f"| {alone / middle:.2f} ({min(ratios):.2f} to {max(ratios):.2f}) |")


if __name__ == "__main__":
    main()
