#!/usr/bin/env python3
"""Pictures per hour of layouts on two ranks, as ratios to one rank of one thread, all in one run.

    swift build -c release
    scripts/benchmark/scaling.py --rounds 3

The layouts take turns, so that a machine that slows down slows all of them down. Two short jobs go before each batch, for
what a process does once: reading weights and laying them out. When they are done the clock starts and the batch is given
to standard input; it ends with the last picture, so filling and draining the stages count. `branches=2` has one job in
flight, which is how one picture is made faster; the others have as many as the program chooses. Needs an otherwise idle
machine with as many cores as the largest layout has ranks.

"one rank of two threads" has the same cores as the layouts of two ranks. What two ranks can reach is what two cores
give: "two alone" is two programs of one rank that know nothing of each other, each with half of the pictures. Its ratio
is below 2 where cores share a cache, a memory bus or a clock.

Each round begins with `pilot plan --calibrate`, and `pilot plan` then predicts what the round measures.

A virtual machine gives cores away that idle for a moment, and they come back slow: ranks that wait for each other pay
for that with every pass. --keep-awake starts a loop on each core that runs only when nothing else does (SCHED_IDLE).
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from launching import PROGRAM, environment, job_line, launcher  # noqa: E402

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
    parser.add_argument("--program", type=pathlib.Path, default=PROGRAM)
    parser.add_argument("--model", default="scenes")
    parser.add_argument("--size", default="128x128")
    parser.add_argument("--jobs", type=int, default=8, help="pictures of a batch")
    parser.add_argument("--steps", default="8", help="denoising steps of a picture; half of them optimise")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--keep-awake", action="store_true", help="let no core idle")
    parser.add_argument("--only", nargs="*", help="names of layouts, besides one rank")
    return parser.parse_args()


def lines(numbers, **others):
    """Lines of a batch."""
    return "".join(job_line(f"{number}.png", "a blue ball", number, **others) for number in numbers)


def subject(options):
    return ["--model", options.model, "--size", options.size, "--threads", "1", "--dtype", options.dtype]


def course(options):
    return ["--steps", options.steps, "--coherence", "0.5", "--optimize-every", "1", "--gradient-steps", "2"]


WARM_UP = range(1000, 1002)


class Run:
    """A program that was started; `finish` has it make a batch, and says from when to when it did."""

    def __init__(self, options, folder, ranks, layout):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        self.command = launcher(ranks) + [
            str(options.program), "batch", "-", "--output", str(folder / "out"), "--json",
        ] + subject(options) + course(options) + layout
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            self.command, env=environment(XDG_CACHE_HOME=str(folder.parent)), stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=self.errors, text=True)
        self.give(lines(WARM_UP, steps=2, coherence=1.0))

    def give(self, text):
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def wait_for(self, count):
        for _ in range(count):
            if not self.process.stdout.readline():
                self.process.wait()
                self.errors.seek(0)
                sys.exit(f"{' '.join(self.command)} ended with {self.process.returncode}:\n{self.errors.read()[-2000:]}")

    def warm(self):
        self.wait_for(len(WARM_UP))
        return self

    def finish(self, numbers):
        begin = time.monotonic()
        self.give(lines(numbers))
        self.process.stdin.close()
        self.wait_for(len(numbers))
        end = time.monotonic()
        self.process.wait()
        return begin, end


def seconds_of(options, folder, ranks, layout):
    numbers = list(range(options.jobs))
    if layout != TWO_ALONE:
        begin, end = Run(options, folder / "run", ranks, layout).warm().finish(numbers)
        return end - begin
    halves = [Run(options, folder / f"half-{half}", 1, []) for half in range(2)]
    for half in halves:
        half.warm()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        spans = list(pool.map(lambda half: halves[half].finish(numbers[half::2]), range(2)))
    return max(end for _, end in spans) - min(begin for begin, _ in spans)


def calibrate(options, folder):
    subprocess.run(
        [str(options.program), "plan", "--calibrate"] + subject(options),
        env=environment(XDG_CACHE_HOME=str(folder)), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def predicted(options, folder, ranks, layout):
    """Seconds that `pilot plan` expects of the batch; of its pictures one by one where one is in flight."""
    if layout in (TWO_ALONE, TWO_THREADS):
        return None
    is_alone = "--jobs-in-flight" in layout
    command = [str(options.program), "plan", "--json", "--ranks", str(ranks)] + subject(options) + course(options)
    command += ["--jobs", "1" if is_alone else str(options.jobs)] + layout[:2]
    done = subprocess.run(
        command, env=environment(XDG_CACHE_HOME=str(folder)), check=True, capture_output=True, text=True)
    plan = json.loads(done.stdout)
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
