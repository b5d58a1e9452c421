#!/usr/bin/env python3
"""Runs a long batch and checks that no rank's memory grows once the first pictures are made, and that no pass is left.

    swift build -c release
    scripts/reliability/memory.py --jobs 200 --ranks 2 --layout branches=2

The resident memory of every rank is read as each picture is finished. From the eleventh picture on, no rank may exceed
by more than 2 % what it had when ten were made. Prompts, seeds and coherence differ from job to job. Needs Linux,
Open MPI, and the built program; writes to a temporary folder.
"""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from launching import PROGRAM, environment, job_line, launcher  # noqa: E402

SETTLED = 10
GROWTH = 0.02


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=pathlib.Path, default=PROGRAM)
    parser.add_argument("--model", default="scenes")
    parser.add_argument("--size")
    parser.add_argument("--jobs", type=int, default=200, help="pictures of the batch")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--layout", default="branches=2")
    return parser.parse_args()


def write_jobs(path, count):
    colours = ["red", "orange", "yellow", "green", "blue", "white", "black"]
    with open(path, "w") as file:
        for number in range(count):
            prompt = f"a {colours[number % len(colours)]} ball"
            file.write(job_line(f"{number:04d}.png", prompt, number, coherence=[0.2, 0.4, 0.6][number % 3]))


def start(options, jobs, output):
    command = launcher(options.ranks) + [
        str(options.program), "batch", str(jobs), "--output", str(output), "--preset", "fast", "--threads", "1",
        "--layout", options.layout, "--model", options.model, "--json"]
    return subprocess.Popen(
        command + (["--size", options.size] if options.size else []), env=environment(), stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True)


def ranks_of(program):
    """The process number of every rank."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.path.samefile(f"/proc/{entry}/exe", program):
                found.append(int(entry))
        except OSError:
            pass
    return sorted(found)


def resident_bytes(process):
    for line in pathlib.Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def main():
    options = arguments()
    if others := ranks_of(options.program):
        sys.exit(f"{options.program} runs already: {others}")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="pilot-memory-"))
    write_jobs(folder / "jobs.jsonl", options.jobs)
    batch = start(options, folder / "jobs.jsonl", folder / "out")
    history = {}
    made = 0
    for line in batch.stdout:
        made += json.loads(line)["status"] == "done"
        for process in ranks_of(options.program):
            try:
                history.setdefault(process, []).append((made, resident_bytes(process)))
            except OSError:
                pass
    errors = batch.stderr.read()
    if batch.wait() != 0 or made != options.jobs:
        sys.exit(f"the batch ended with {batch.returncode} after {made} pictures:\n{errors[-2000:]}")
    shutil.rmtree(folder)
    faults = ["passes were left: " + line for line in errors.splitlines() if "passes were kept" in line]
    if len(history) != options.ranks:
        faults.append(f"{len(history)} ranks were seen, not {options.ranks}")
    for rank, process in enumerate(sorted(history)):
        sizes = history[process]
        base = [size for number, size in sizes if number <= SETTLED][-1]
        most = max(size for number, size in sizes if number > SETTLED)
        growth = most / base - 1
        print(f"process {rank}: {base / 2**20:.1f} MiB after {SETTLED} pictures, at most {most / 2**20:.1f} MiB after "
              f"({100 * growth:+.2f} %), {sizes[-1][1] / 2**20:.1f} MiB at the last of {len(sizes)} readings")
        if growth > GROWTH:
            faults.append(f"process {rank} grew by {100 * growth:.2f} %")
    for fault in faults:
        print(f"fault: {fault}")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
