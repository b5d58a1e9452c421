#!/usr/bin/env python3
"""Kills random ranks of a batch at random moments, and checks that nothing is lost, nothing hangs, and the results are
those of an undisturbed run.

    swift build -c release
    scripts/reliability/kills.py --kills 50 --ranks 4 --layout branches=2,stages=2

Every kill is a SIGKILL to one rank that mpirun started. Then the whole job must end within the time limit with a
message that names the dead rank and its host (the launcher's own message while MPI still starts, when the ranks do not
know each other), every picture that is there must be whole, and a rerun must make what is
missing and nothing else. Needs Linux, Open MPI, and the built program; writes to a temporary folder.
"""
import argparse
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from launching import PROGRAM, environment, job_line, launcher  # noqa: E402

OBJECTS = ["ball", "cube", "house", "tree", "tent", "flower", "boat"]
COLOURS = ["red", "orange", "yellow", "green", "blue", "white", "black"]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=pathlib.Path, default=PROGRAM)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--jobs", type=int, default=12, help="pictures of a batch")
    parser.add_argument("--ranks", type=int, default=4)
    parser.add_argument("--layout", default="branches=2,stages=2")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=10, help="seconds within which a job must end after a kill")
    return parser.parse_args()


def write_jobs(path, count):
    with open(path, "w") as file:
        for number in range(count):
            prompt = f"a {COLOURS[number % len(COLOURS)]} {OBJECTS[number // len(COLOURS) % len(OBJECTS)]}"
            file.write(job_line(f"{number:03d}.png", prompt, number))


def start(options, jobs, output):
    command = launcher(options.ranks) + [
        str(options.program), "batch", str(jobs), "--preset", "fast", "--threads", "1", "--layout", options.layout,
        "--output", str(output),
    ]
    return subprocess.Popen(
        command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def ranks_below(process):
    """The program's processes that this mpirun started: rank and process number."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            if os.getsid(int(entry)) != process.pid:
                # mpirun puts its ranks into sessions of their own on some systems.
                parent = int(pathlib.Path(f"/proc/{entry}/stat").read_text().rsplit(")", 1)[1].split()[1])
                if parent != process.pid:
                    continue
            variables = pathlib.Path(f"/proc/{entry}/environ").read_bytes().split(b"\0")
            state = pathlib.Path(f"/proc/{entry}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except (OSError, ValueError):
            continue
        for variable in variables:
            if variable.startswith(b"OMPI_COMM_WORLD_RANK=") and state != "Z":
                found.append((int(variable.split(b"=")[1]), int(entry)))
    return found


def pictures(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.png"))}


def check_whole(folder, expected, faults, what):
    for name, contents in pictures(folder).items():
        if expected[name] != contents:
            faults.append(f"{what}: {name} is not the undisturbed run's")
    for path in folder.iterdir():
        if path.suffix == ".png" or path.suffix in (".jsonl", ".json"):
            continue
        faults.append(f"{what}: {path.name} was left behind")


def main():
    options = arguments()
    chance = random.Random(options.seed)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="pilot-kills-"))
    jobs = folder / "jobs.jsonl"
    write_jobs(jobs, options.jobs)
    undisturbed = folder / "undisturbed"
    undisturbed.mkdir()
    begin = time.monotonic()
    process = start(options, jobs, undisturbed)
    _, errors = process.communicate()
    length = time.monotonic() - begin
    if process.returncode != 0:
        sys.exit(f"the undisturbed batch failed:\n{errors}")
    expected = pictures(undisturbed)
    print(f"undisturbed: {len(expected)} pictures in {length:.1f} s", flush=True)

    faults, ends, unnamed, by_launcher, rounds = [], [], 0, 0, 0
    output = folder / "disturbed"
    output.mkdir()
    for kill in range(options.kills):
        if len(pictures(output)) == options.jobs:
            rounds += 1
            shutil.rmtree(output)
            output.mkdir()
        process = start(options, jobs, output)
        time.sleep(chance.uniform(0.05, max(1.0, length * 0.6)))
        victims = ranks_below(process)
        if process.poll() is not None or not victims:
            process.communicate()
            continue
        rank, number = chance.choice(sorted(victims))
        moment = time.monotonic()
        try:
            os.kill(number, signal.SIGKILL)
        except ProcessLookupError:
            pass
        try:
            _, errors = process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            _, errors = process.communicate()
            faults.append(f"kill {kill} of rank {rank}: hung for a minute")
        passed = time.monotonic() - moment
        ends.append(passed)
        if passed > options.limit:
            faults.append(f"kill {kill} of rank {rank}: the job ended after {passed:.1f} s")
        if process.returncode == 0:
            faults.append(f"kill {kill} of rank {rank}: the job ended with 0")
        host = re.escape(socket.gethostname())
        if re.search(rf"process rank {rank} with PID \d+ on node {host}", errors):
            by_launcher += not re.search(rf"rank {rank} on {host}", errors)
        elif not re.search(rf"rank {rank} on {host}", errors):
            unnamed += 1
            print(f"kill {kill} of rank {rank} was not named:\n{errors[-600:]}", flush=True)
        left = [pid for _, pid in ranks_below(process)]
        if left:
            faults.append(f"kill {kill} of rank {rank}: processes {left} are left")
        check_whole(output, expected, faults, f"kill {kill} of rank {rank}")
    process = start(options, jobs, output)
    _, errors = process.communicate()
    if process.returncode != 0:
        faults.append(f"the last rerun failed: {errors[-600:]}")
    if pictures(output) != expected:
        faults.append("the rerun's pictures are not the undisturbed run's")
    shutil.rmtree(folder)
    ends.sort()
    middle = f"{ends[len(ends) // 2]:.2f} s in the middle, {ends[-1]:.2f} s at most" if ends else "none"
    print(f"{len(ends)} kills, end of the job after {middle}; {by_launcher} named by the launcher "
          f"alone, {unnamed} not named; {rounds} batches finished meanwhile")
    for fault in faults:
        print(f"fault: {fault}")
    sys.exit(1 if faults or unnamed else 0)


if __name__ == "__main__":
    main()
