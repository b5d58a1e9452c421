#!/usr/bin/env python3
"""Pictures per hour of layouts on two ranks, as ratios to one rank of one thread, all in one run.

    swift build -c release
    scripts/benchmark/scaling.py --rounds 3

The layouts take turns, so that a machine that slows down slows all of them down. A batch is timed from the moment its
networks are loaded to its last picture, so filling and draining the stages count. `branches=2` has one job in flight,
which is how one picture is made faster; the others have as many as the program chooses. Needs an otherwise idle machine
with as many cores as the largest layout has ranks.

"one rank of two threads" has the same cores as the layouts of two ranks. What two ranks can reach is what two cores give: "two alone" is two programs of one rank that know nothing of each
other, each with half of the pictures. Its ratio is below 2 where cores share a cache, a memory bus or a clock.

Each round begins with `pilot plan --calibrate`, and `pilot plan` then predicts what the round measures.

A virtual machine gives cores away that idle for a moment, and they come back slow: ranks that wait for each other pay
for that with every pass. --keep-awake starts a loop on each core that runs only when nothing else does (SCHED_IDLE).
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
TWO_THREADS = ["--threads", "2"]
LAYOUTS = [  # name, ranks, options
    ("one rank", 1, []),
    ("one rank of two threads", 1, TWO_THREADS),
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
    parser.add_argument("--keep-awake", action="store_true", help="let no core idle")
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


def subject(options):
    return ["--model", options.model, "--size", options.size, "--threads", "1", "--dtype", options.dtype]


def course(options):
    return ["--steps", options.steps, "--coherence", "0.5", "--optimize-every", "1", "--gradient-steps", "2"]


class Run:
    """A batch that was started; its seconds are those from the networks' loading to the last picture."""

    def __init__(self, options, output, jobs, ranks, layout):
        shutil.rmtree(output, ignore_errors=True)
        environment = dict(
            os.environ, XDG_CACHE_HOME=str(output.parent), OMPI_ALLOW_RUN_AS_ROOT="1",
            OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", OMPI_MCA_plm_rsh_agent="sh",
            OMPI_MCA_btl_vader_single_copy_mechanism="none")
        launch = ["mpirun", "--oversubscribe", "--bind-to", "none", "-np", str(ranks)] if ranks > 1 else []
        self.command = launch + [
            str(options.program), "batch", str(jobs), "--output", str(output), "--json",
        ] + subject(options) + course(options) + layout
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


def calibrate(options, folder):
    environment = dict(os.environ, XDG_CACHE_HOME=str(folder))
    subprocess.run(
        [str(options.program), "plan", "--calibrate"] + subject(options), env=environment, check=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def predicted(options, folder, ranks, layout):
    """Seconds that `pilot plan` expects of the batch; of its pictures one by one where one is in flight."""
    if layout in (TWO_ALONE, TWO_THREADS):
        return None
    is_alone = "--jobs-in-flight" in layout
    command = [str(options.program), "plan", "--json", "--ranks", str(ranks)] + subject(options) + course(options)
    command += ["--jobs", "1" if is_alone else str(options.jobs)] + layout[:2]
    environment = dict(os.environ, XDG_CACHE_HOME=str(folder))
    plan = json.loads(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)
    return plan["seconds"] * (options.jobs if is_alone else 1)


def keep_awake():
    """A loop on each core that has the core only when nothing else wants it."""
    loop = "import os, sys\nos.sched_setaffinity(0, {int(sys.argv[1])})\n"
    loop += "os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))\nwhile True: pass"
    return [subprocess.Popen([sys.executable, "-c", loop, str(core)]) for core in sorted(os.sched_getaffinity(0))]


def main():
    options = arguments()
    loops = keep_awake() if options.keep_awake else []
    try:
        measure(options)
    finally:
        for loop in loops:
            loop.kill()


def measure(options):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="pilot-scaling-"))
    write_jobs(folder / "jobs.jsonl", range(options.jobs))
    for half in range(2):
        write_jobs(folder / f"half-{half}.jsonl", range(half, options.jobs, 2))
    layouts = [entry for entry in LAYOUTS if entry[0] == "one rank" or not options.only or entry[0] in options.only]
    seconds = {name: [] for name, _, _ in layouts}
    expected = {name: [] for name, _, _ in layouts}
    for turn in range(options.rounds):
        calibrate(options, folder)
        for name, ranks, layout in layouts:
            seconds[name].append(seconds_of(options, folder, ranks, layout))
            expected[name].append(predicted(options, folder, ranks, layout))
            print(
                f"round {turn + 1}, {name}: {seconds[name][-1]:.2f} s, predicted {expected[name][-1] or 0:.2f} s",
                file=sys.stderr, flush=True)
    shutil.rmtree(folder)
    print(f"| layout | seconds for {options.jobs} pictures | pictures per hour | ratio | predicted / measured |")
    print("|---|---|---|---|---|")
    for name, values in seconds.items():
        middle = statistics.median(values)
        ratios = [one / other for one, other in zip(seconds["one rank"], values)]
        errors = [plan / value for plan, value in zip(expected[name], values) if plan]
        prediction = f"{statistics.median(errors):.2f} ({min(errors):.2f} to {max(errors):.2f})" if errors else ""
        print(f"| {name} | {middle:.2f} | {3600 * options.jobs / middle:.0f} "
              f"| {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) | {prediction} |")


if __name__ == "__main__":
    main()
